"""Planted mistakes found by a real model: `python -m benchmarks.mining_town [--model NAME|DIR]`.

500 pairs of 20 generated towns, cameras at least 120 m apart. Planted are 20 places that a second pair shows
too (another photo 10 m away, its chip up to 12 m off), 20 photos swapped in a ring, and 20 chips cut 3 to 6
sides away. The list knows the chips' centres alone, as lists of pairs do. Precision@60: of the 40 pairs
with the lowest z and the 20 candidates flagged *same place* with the smallest margin, how many were planted.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geolocator_gui.events import finish
from geolocator_gui.mined import Mined
from geolocator_gui.ml.bundle import find_bundle
from geolocator_gui.ml.encoder import Encoder
from geolocator_gui.ml.mining.mine import mine
from geolocator_gui.ml.mining.parts import MiningData
from geolocator_gui.ml.pairs.sampling import spaced_positions
from geolocator_gui.ml.transforms import prepare
from geolocator_gui.town.geometry import generate_town
from geolocator_gui.town.scene import Scene

FIRST_TOWN, TOWNS, SHARE, GAP_M, PLANTED = 9000, 20, 25, 120.0, 20


def main() -> None:
    """Render, embed, mine, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="demo-town")
    options = parser.parse_args()
    with (
        Encoder(find_bundle(options.model), device="cpu") as encoder,
        tempfile.TemporaryDirectory() as folder,
    ):
        data, twins, wrong = planted(encoder)
        finish(mine(data, Path(folder), neighbours=64))
        mined = Mined.open(Path(folder))
        negatives = pd.read_parquet(Path(folder) / "negatives.parquet")
        report(mined, negatives, twins, wrong)


def planted(encoder: Encoder) -> tuple[MiningData, set[tuple[int, int]], set[int]]:
    """Vectors with the mistakes in them, the planted twins, and the planted wrong pairs."""
    rng = np.random.default_rng(30_001)
    model = encoder.config
    side = model.side_m or 80.0
    count = TOWNS * SHARE
    first, second, swapped, shifted = np.split(rng.permutation(count)[: 4 * PLANTED], 4)
    # A second pair takes the place of one of the same town, so that one scene shows both.
    second = first // SHARE * SHARE + (first % SHARE + 1) % SHARE
    clear = ~np.isin(second, np.concatenate([first, swapped, shifted]))
    first, second = first[clear], second[clear]
    chips, photos, lonlat = [], [], []
    for town in range(TOWNS):
        scene = Scene(generate_town(FIRST_TOWN + town))
        rows = np.arange(town * SHARE, (town + 1) * SHARE)
        camera = spaced_positions(scene.street_positions(8000, rng), SHARE, GAP_M, rng)
        for a, b in zip(first, second, strict=True):
            if a in rows:
                camera[b - rows[0]] = camera[a - rows[0]] + rng.normal(size=2) * 7
        centre = camera + rng.uniform(-12, 12, camera.shape)
        moved = np.isin(rows, shifted)
        angle, far = rng.uniform(0, 2 * np.pi, SHARE), rng.uniform(3, 6, SHARE) * side
        # Towards the middle, so that the wrong chip still shows town.
        inward = np.where(np.linalg.norm(centre, axis=1) > 250, np.arctan2(*-centre.T[::-1]), angle)
        step = np.stack([np.cos(inward), np.sin(inward)], axis=1) * far[:, None]
        centre[moved] += step[moved]
        chips.append(
            scene.chips(centre, np.zeros(SHARE), side_m=side, size=model.satellite_size, variation=rng)
        )
        views = scene.panoramas(camera, np.zeros(SHARE), height=128, width=512, variation=rng)
        photos.append(np.stack([prepare(view, "ground", model) for view in views]))
        lonlat.append(np.add(scene.town.to_lonlat(centre), [0.1 * town, 0.0]))
    query = encoder.embed(np.concatenate(photos), "ground")
    query[swapped] = query[np.roll(swapped, 1)]
    names = np.array([f"{row:04d}" for row in range(count)])
    twins = {(int(a), int(b)) for a, b in zip(first, second, strict=True)}
    return (
        MiningData(
            query_vectors=query,
            chip_vectors=encoder.embed(np.concatenate(chips), "satellite"),
            query_ids=names,
            chip_ids=names,
            positive=np.arange(count),
            chip_lonlat=np.concatenate(lonlat),
            side_m=side,
        ),
        twins | {(b, a) for a, b in twins},
        {*swapped.tolist(), *shifted.tolist()},
    )


def report(mined: Mined, negatives: pd.DataFrame, twins: set[tuple[int, int]], wrong: set[int]) -> None:
    """Precision at 60 beside chance, and what the flags say by themselves."""
    count = len(mined.queries)
    lowest = mined.queries["z"].argsort().to_numpy()[: 2 * PLANTED]
    same = negatives[negatives["flag"] == "same_place"].sort_values("margin")[:PLANTED]
    right_pairs = sum(int(row) in wrong for row in lowest)
    found: NDArray[np.int64] = same[["query_row", "candidate_row"]].to_numpy()
    right_twins = sum((int(query), int(chip)) in twins for query, chip in found)
    chance = (2 * PLANTED * len(wrong) / count + PLANTED * len(twins) / (count * (count - 1))) / 60
    print(
        f"{count} pairs, R@1 {mined.summary['recall_at_1']:.1f} %; planted {len(twins) // 2} twins, "
        f"{len(wrong)} wrong"
    )
    print(f"precision@60 {(right_pairs + right_twins) / 60:.2f}, chance {chance:.3f}")
    print(
        f"  lowest z: {right_pairs} of {2 * PLANTED} wrong pairs; same place: {right_twins} of {len(found)}"
    )
    suspect = set(np.flatnonzero(mined.queries["suspect_pair"]).tolist())
    good = len(suspect & wrong)
    print(
        f"  flag suspect pair: precision {good / max(len(suspect), 1):.2f}, recall {good / len(wrong):.2f}; "
        f"thresholds {mined.summary['thresholds']}"
    )


if __name__ == "__main__":
    main()
