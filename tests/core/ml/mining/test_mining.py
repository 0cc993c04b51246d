"""Mining finds what was planted, survives a stop, and its tables open in pandas."""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from geolocator_gui.errors import DataError
from geolocator_gui.events import finish
from geolocator_gui.mined import MineConfig, Mined
from geolocator_gui.ml.distances import ground_metres
from geolocator_gui.ml.mining import parts as mining_parts
from geolocator_gui.ml.mining.mine import mine
from geolocator_gui.ml.mining.parts import MiningData, Parts
from geolocator_gui.ml.ranks import RowLists

SIDE_M = 80.0
DEGREE_M = 111_320.0


@dataclass(frozen=True)
class Planted:
    data: MiningData
    same_place: set[tuple[int, int]]
    suspect: set[int]


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def towards(vector: np.ndarray, cosine: np.ndarray | float, rng: np.random.Generator) -> np.ndarray:
    """Unit vectors at given cosines to unit vectors."""
    noise = rng.normal(size=vector.shape)
    noise = unit(noise - (noise * vector).sum(-1, keepdims=True) * vector)
    cosine = np.asarray(cosine)[..., None]
    return cosine * vector + np.sqrt(1 - cosine**2) * noise


def planted(seed: int, *, cameras_know: bool = False, pairs: int = 2000) -> Planted:
    """Pairs of unit vectors (cosine 0.7 +- 0.1, of strangers 0 +- 0.1) on places 500 m apart, of which

    20 show a place that another pair shows too (chips within a third of the side, cosine 0.9),
    20 have their photos swapped in a ring, and 20 have a chip cut 3 to 6 sides away from the photo.

    The list's positions are the chips' centres. If the cameras know theirs, the photos have true positions.
    """
    rng = np.random.default_rng(seed)
    chips = unit(rng.normal(size=(pairs, 100)))
    place = np.stack(np.divmod(np.arange(pairs), 50), axis=1) * 500.0
    first, second, swapped, shifted = np.split(rng.permutation(pairs)[:80], 4)
    chips[second] = towards(chips[first], 0.9, rng)
    place[second] = place[first] + rng.uniform(-SIDE_M / 3, SIDE_M / 3, (20, 2)) / np.sqrt(2)
    photos = towards(chips, np.clip(rng.normal(0.7, 0.1, pairs), -0.99, 0.99), rng)
    camera = place.copy()
    photos[swapped], camera[swapped] = photos[np.roll(swapped, 1)], camera[np.roll(swapped, 1)]
    angle, far = rng.uniform(0, 2 * np.pi, 20), rng.uniform(3.05, 6, 20) * SIDE_M
    place[shifted] += np.stack([np.cos(angle), np.sin(angle)], axis=1) * far[:, None]
    chips[shifted] = unit(rng.normal(size=(20, 100)))

    def lonlat(metres: np.ndarray) -> np.ndarray:
        return np.array([8.0, 47.0]) + metres / [DEGREE_M * np.cos(np.radians(47)), DEGREE_M]

    same = {
        *zip(first.tolist(), second.tolist(), strict=True),
        *zip(second.tolist(), first.tolist(), strict=True),
    }
    if cameras_know:
        # A swapped photo knows where it was taken: the chip there is the same place, and is not its pair's.
        same |= set(zip(swapped.tolist(), np.roll(swapped, 1).tolist(), strict=True))
    return Planted(
        MiningData(
            query_vectors=photos.astype(np.float32),
            chip_vectors=chips.astype(np.float32),
            query_ids=np.array([f"photo:{i:04d}" for i in range(pairs)]),
            chip_ids=np.array([f"chip:{i:04d}" for i in range(pairs)]),
            positive=np.arange(pairs),
            query_lonlat=lonlat(camera) if cameras_know else None,
            chip_lonlat=lonlat(place),
            side_m=SIDE_M,
        ),
        same,
        {*swapped.tolist(), *shifted.tolist()},
    )


def precision_and_recall(found: set, true: set) -> tuple[float, float]:
    return len(found & true) / max(len(found), 1), len(found & true) / len(true)


def mined(data: MiningData, folder: Path, **options: object) -> tuple[Mined, pd.DataFrame]:
    finish(mine(data, folder, **{"neighbours": 16, **options}))
    return Mined.open(folder), pd.read_parquet(folder / "negatives.parquet")


@pytest.mark.parametrize("cameras_know", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_flags_find_what_was_planted(tmp_path: Path, seed: int, cameras_know: bool) -> None:
    plant = planted(seed, cameras_know=cameras_know)
    own = (plant.data.query_vectors * plant.data.chip_vectors).sum(1)
    assert np.median(own) == pytest.approx(0.7, abs=0.02)
    result, negatives = mined(plant.data, tmp_path)
    same = negatives[negatives.flag == "same_place"]
    found = set(zip(same.query_row.tolist(), same.candidate_row.tolist(), strict=True))
    assert min(precision_and_recall(found, plant.same_place)) >= 0.9
    suspect = set(np.flatnonzero(result.queries.suspect_pair).tolist())
    assert min(precision_and_recall(suspect, plant.suspect)) >= 0.9
    assert result.summary["thresholds"]["wrong_share"] == pytest.approx(0.02, abs=0.01)


def test_nothing_planted_nothing_suspected(tmp_path: Path) -> None:
    plant = planted(5)
    keep = np.setdiff1d(np.arange(2000), [*plant.suspect, *itertools.chain(*plant.same_place)])
    data = replace(
        plant.data,
        query_vectors=plant.data.query_vectors[keep],
        chip_vectors=plant.data.chip_vectors[keep],
        query_ids=plant.data.query_ids[keep],
        chip_ids=plant.data.chip_ids[keep],
        positive=np.arange(len(keep)),
        chip_lonlat=plant.data.chip_lonlat[keep],
    )
    result, negatives = mined(data, tmp_path)
    assert result.summary["suspect_pairs"] <= 2
    assert (negatives.flag == "same_place").sum() == 0


def test_twins_are_near_or_far(tmp_path: Path) -> None:
    plant = planted(3, pairs=400)
    data = plant.data
    chips, metres = data.chip_vectors.copy(), data.chip_lonlat.copy()
    a, near, far = np.setdiff1d(np.arange(400), [*plant.suspect, *itertools.chain(*plant.same_place)])[:3]
    rng = np.random.default_rng(0)
    chips[near], chips[far] = towards(chips[a][None], [0.97], rng)[0], towards(chips[a][None], [0.97], rng)[0]
    metres[near] = metres[a] + [0, 2 * SIDE_M / DEGREE_M]
    _, negatives = mined(replace(data, chip_vectors=chips.astype(np.float32), chip_lonlat=metres), tmp_path)
    of_a = negatives[negatives.query_row == a].set_index("candidate_row")
    assert of_a.loc[near, "flag"] == "near_twin"
    assert of_a.loc[far, "flag"] == "far_twin"
    assert of_a.loc[near, "source"] == "both"
    assert of_a.loc[far, "source"] == "visual"
    assert (of_a.flag != "").sum() <= 4


def test_columns_say_what_a_brute_force_search_says(tmp_path: Path) -> None:
    plant = planted(4, pairs=300)
    data = replace(plant.data, positive=np.where(np.arange(300) == 7, -1, np.arange(300)))
    result, negatives = mined(data, tmp_path, block_bytes=4096)
    cosine = data.query_vectors @ data.chip_vectors.T
    own = cosine[np.arange(300), np.arange(300)]
    assert not negatives.duplicated(["query", "candidate"]).any()
    assert not ((negatives.query_row == negatives.candidate_row) & (negatives.query_row != 7)).any()
    rows = negatives.query_row.to_numpy(), negatives.candidate_row.to_numpy()
    assert negatives.cosine.to_numpy() == pytest.approx(cosine[rows], abs=1e-6)
    above = np.array([(cosine[q] > cosine[q, c]).sum() for q, c in zip(*rows, strict=True)])
    assert np.array_equal(negatives["rank"], above + 1)
    known = rows[0] != 7
    assert negatives.margin[known].to_numpy() == pytest.approx((own[rows[0]] - cosine[rows])[known], abs=1e-6)
    assert negatives.margin[~known].isna().all()
    metres = ground_metres(data.truth[rows[0]], data.chip_lonlat[rows[1]])
    assert negatives.distance_m[known].to_numpy() == pytest.approx(metres[known], rel=1e-5)
    assert negatives.distance_m[~known].isna().all()
    assert negatives["query"].astype(str).tolist() == [f"photo:{q:04d}" for q in rows[0]]
    assert negatives["candidate"].astype(str).tolist() == [f"chip:{c:04d}" for c in rows[1]]
    geographic = negatives[(negatives.source != "visual") & (negatives.query_row == 0)]
    order = np.argsort(ground_metres(data.truth[0], data.chip_lonlat))
    assert set(geographic.candidate_row) == set(order[order != 0][:16].tolist())
    hardest = result.queries[result.queries["query"] == "photo:0000"].iloc[0]
    first = (
        negatives[(negatives.query_row == 0) & (negatives.flag != "same_place")].sort_values("rank").iloc[0]
    )
    assert hardest.hardest == first.candidate
    assert hardest.margin == pytest.approx(first.margin)
    assert (
        result.candidates(0).candidate_row.tolist()
        == negatives[negatives.query_row == 0].candidate_row.tolist()
    )
    assert result.queries["rank"][7] == 0
    assert np.isfinite(result.chips[["x", "y"]].to_numpy()).all()


def test_a_stopped_mining_goes_on_and_ends_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mining_parts, "PART_QUERIES", 64)
    monkeypatch.setattr("geolocator_gui.ml.mining.tables.GROUP_QUERIES", 24)
    monkeypatch.setattr("geolocator_gui.ml.mining.mine.GROUP_QUERIES", 24)
    data = planted(6, pairs=300).data
    _, whole = mined(data, tmp_path / "whole")
    steps = mine(data, tmp_path / "stopped", neighbours=16)
    parts = Parts(tmp_path / "stopped" / "parts", 300)
    while not parts.path(128).exists():
        next(steps)
    steps.close()
    with pytest.raises(DataError, match="no finished mining"):
        Mined.open(tmp_path / "stopped")
    parts.path(64).write_bytes(parts.path(64).read_bytes()[:1000])
    before = parts.path(128).stat().st_mtime_ns
    steps, times = mine(data, tmp_path / "stopped", neighbours=16), set()
    for _ in steps:
        if parts.path(128).exists():
            times.add(parts.path(128).stat().st_mtime_ns)
    assert times == {before}
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "stopped" / "negatives.parquet"), whole)
    assert not (tmp_path / "stopped" / "parts").exists()


def test_parts_of_other_inputs_are_discarded(tmp_path: Path) -> None:
    data = planted(7, pairs=300).data
    parts = Parts(tmp_path / "parts", 300)
    assert not parts.prepare(data.fingerprint(16))
    parts.path(0).write_bytes(b"x")
    assert parts.prepare(data.fingerprint(16))
    assert not parts.prepare(data.fingerprint(17))
    assert not parts.path(0).exists()


def test_without_positions_and_with_several_right_chips(tmp_path: Path) -> None:
    data = planted(8, pairs=300).data
    right = RowLists.of([[(i + 1) % 300] for i in range(300)])
    _, negatives = mined(replace(data, chip_lonlat=None, side_m=None, also_right=right), tmp_path)
    assert (negatives.source == "visual").all()
    assert negatives.distance_m.isna().all()
    assert not (negatives.candidate_row == (negatives.query_row + 1) % 300).any()
    assert set(negatives.flag.unique()) <= {"", "far_twin"}


@pytest.mark.parametrize("what", ["query_vectors", "chip_vectors"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_vectors_that_are_no_numbers_are_refused(tmp_path: Path, what: str, value: float) -> None:
    data = planted(1, pairs=200).data
    vectors = getattr(data, what).astype(np.float16)
    vectors[123, 7] = value
    name = (data.query_ids if what == "query_vectors" else data.chip_ids)[123]
    with pytest.raises(DataError, match=str(name)) as refused:
        finish(mine(replace(data, **{what: vectors}), tmp_path / "out"))
    assert "no numbers" in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_input_that_does_not_fit_is_refused() -> None:
    data = planted(9, pairs=100).data
    with pytest.raises(DataError, match="same model"):
        replace(data, chip_vectors=data.chip_vectors[:, :50])
    with pytest.raises(DataError, match="nothing to mine"):
        replace(data, chip_vectors=data.chip_vectors[:0])
    with pytest.raises(ValueError, match="either data"):
        MineConfig(data="pairs:x", index="y")
