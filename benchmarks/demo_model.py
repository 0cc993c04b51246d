"""What the demo model reaches: `python -m benchmarks.demo_model [--model NAME|DIR] [--json FILE]`.

(a) Same area: camera positions of the shipped town that training left out, written as photo files, localised
    in the index of the shipped imagery as `geolocator localise` does. Right: the first chip contains the
    true position.
(b) Cross area: towns that training never saw; each panorama against 1000 chips of which one is its own. The
    chip's centre lies up to 10 m from the camera in each axis, cameras are at least 16 m apart within a town.
    Right: its own chip comes first.

Both are repeated with ordinary photos of 60–90° and known heading. Intervals are Wilson's, 95 %.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.configs import IndexConfig, LocaliseConfig
from geolocator_gui.events import finish
from geolocator_gui.ml.bundle import find_bundle
from geolocator_gui.ml.encoder import Encoder
from geolocator_gui.ml.index import Index, build_index
from geolocator_gui.ml.localise import Localiser
from geolocator_gui.ml.pairs.sampling import spaced_positions
from geolocator_gui.ml.placement import place
from geolocator_gui.paths import demo_dir
from geolocator_gui.records import LonLat, PhotoFacts
from geolocator_gui.town.demo import DEMO_SEED, in_reserved_square, photo_positions
from geolocator_gui.town.geometry import generate_town
from geolocator_gui.town.photos import Shot, encode
from geolocator_gui.town.scene import Images, Scene

OVERLAP = 0.625
CROSS_SEEDS = range(8000, 8010)
CROSS_OFFSET_M = 10.0
GAP_M = 16.0
PANORAMA_PX = 512  # width of the rendered panoramas
PHOTO = (288, 384)  # height and width of the rendered photos


def interval(right: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval of a share."""
    share = right / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return middle - half, middle + half


def line(name: str, right: int, count: int, chance: float) -> str:
    """One row of the table."""
    low, high = interval(right, count)
    return f"  {name:<34} {right / count:7.1%}  [{low:.1%}, {high:.1%}]  {right}/{count}  chance {chance:.2%}"


def take(
    scene: Scene, xy: NDArray[np.float64], panorama: bool, rng: np.random.Generator, panorama_px: int
) -> tuple[Shot, Images]:
    """A photo at a position with a random heading, height of eye and light."""
    height, width = (panorama_px // 2, panorama_px) if panorama else PHOTO
    shot = Shot(
        x=float(xy[0]),
        y=float(xy[1]),
        heading=round(float(rng.uniform(0.0, 360.0)), 2),
        fov=360.0 if panorama else round(float(rng.uniform(60.0, 90.0)), 1),
        width=width,
        height=height,
        eye=round(float(rng.uniform(1.6, 2.0)), 2),
    )
    if panorama:
        image = scene.panoramas(
            xy[None], np.array([shot.heading]), height=height, width=width, eye_m=shot.eye, variation=rng
        )[0]
    else:
        image = scene.perspective(
            xy, shot.heading, fov_deg=shot.fov, height=height, width=width, eye_m=shot.eye, variation=rng
        )
    return shot, image


def same_area(encoder: Encoder, count: int, folder: Path, panorama_px: int = PANORAMA_PX) -> dict[str, float]:
    """Part (a)."""
    index_folder = folder / "index"
    config = IndexConfig(
        imagery=(str(demo_dir() / "town.mbtiles"),), model=str(encoder.bundle.folder), overlap=OVERLAP
    )
    began = time.perf_counter()
    finish(build_index(config, index_folder))
    index = Index.open(index_folder)
    localiser = Localiser(index, encoder)
    print(f"(a) same area: {index.count} chips, indexed in {time.perf_counter() - began:.1f} s")
    scene = Scene(generate_town(DEMO_SEED))
    rng = np.random.default_rng(20_001)
    candidates = scene.street_positions(40 * count, rng, avoid_xy=photo_positions(), avoid_m=5.0)
    positions = candidates[in_reserved_square(candidates)][:count]
    if len(positions) < count:
        raise SystemExit(f"only {len(positions)} positions are left out of training")
    figures: dict[str, float] = {"a_chips": float(index.count), "a_positions": float(count)}
    for name, panorama in (("panoramas", True), ("photos 60–90°", False)):
        ranks, errors, chances = [], [], []
        for number, xy in enumerate(positions):
            shot, image = take(scene, xy, panorama, rng, panorama_px)
            lon, lat = (float(value) for value in scene.town.to_lonlat(xy[None])[0])
            file = folder / f"{'panorama' if panorama else 'photo'}_{number}.jpg"
            file.write_bytes(encode(image, shot, (lon, lat)))
            query = localiser.embed(file, LocaliseConfig())
            rank = localiser.rank_of(query, LonLat(lon, lat))
            ranks.append(rank if rank is not None else index.count + 1)
            errors.append(localiser.answer(query, LocaliseConfig()).error_m or 0.0)
            chances.append(localiser.chance(LonLat(lon, lat)))
            file.unlink()
        for k in (1, 5):
            right, chance = sum(rank <= k for rank in ranks), 1 - float(np.mean((1 - np.array(chances)) ** k))
            print(line(f"{name}, R@{k}", right, count, chance))
            figures[f"a_{'panorama' if panorama else 'photo'}_recall_at_{k}"] = right / count
        print(f"  {name}: median distance of the fused position {np.median(errors):.1f} m")
        figures[f"a_{'panorama' if panorama else 'photo'}_median_error_m"] = float(np.median(errors))
    return figures


def cross_area(encoder: Encoder, count: int, panorama_px: int = PANORAMA_PX) -> dict[str, float]:
    """Part (b)."""
    rng = np.random.default_rng(20_002)
    share = count // len(CROSS_SEEDS)
    model = encoder.config
    side = model.side_m or 80.0
    chips, panoramas, photos = [], [], []
    for seed in CROSS_SEEDS:
        scene = Scene(generate_town(seed))
        positions = spaced_positions(scene.street_positions(8000, rng), share, GAP_M, rng)
        centres = positions + rng.uniform(-CROSS_OFFSET_M, CROSS_OFFSET_M, (share, 2))
        chips.append(
            scene.chips(centres, np.zeros(share), side_m=side, size=model.satellite_size, variation=rng)
        )
        for xy in positions:
            for panorama, kept in ((True, panoramas), (False, photos)):
                shot, image = take(scene, xy, panorama, rng, panorama_px)
                facts = PhotoFacts(
                    width=shot.width,
                    height=shot.height,
                    heading=shot.heading,
                    horizontal_fov=shot.fov,
                    vertical_fov=180.0 if panorama else None,
                    is_panorama=panorama,
                )
                kept.append(place(image, facts, model, LocaliseConfig()).images[0])
    reference = encoder.embed(np.concatenate(chips), "satellite")
    figures: dict[str, float] = {"b_chips": float(len(reference))}
    print(
        f"(b) cross area: {len(reference)} chips of {len(CROSS_SEEDS)} unseen towns, cameras ≥ {GAP_M:.0f} m "
        f"apart, chip centre ± {CROSS_OFFSET_M:.0f} m from the camera in each axis"
    )
    for name, images, short in (("panoramas", panoramas, "panorama"), ("photos 60–90°", photos, "photo")):
        scores = encoder.embed(np.stack(images), "ground") @ reference.T
        rank = (scores > np.diag(scores)[:, None]).sum(axis=1) + 1
        for k in (1, 5):
            right = int((rank <= k).sum())
            print(line(f"{name}, R@{k}", right, len(rank), k / len(reference)))
            figures[f"b_{short}_recall_at_{k}"] = right / len(rank)
    return figures


def main() -> None:
    """Parse the command line and print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="demo-town", help="bundle (default demo-town)")
    parser.add_argument("--positions", type=int, default=600, help="of (a) (default 600)")
    parser.add_argument("--chips", type=int, default=1000, help="of (b) (default 1000)")
    parser.add_argument(
        "--width", type=int, default=PANORAMA_PX, help=f"of panoramas, pixels (default {PANORAMA_PX})"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    arguments = parser.parse_args()
    bundle = find_bundle(arguments.model)
    figures: dict[str, float] = {}
    with Encoder(bundle) as encoder, tempfile.TemporaryDirectory() as folder:
        print(f"{bundle.name}, {', '.join(f'{key} {value}' for key, value in encoder.description.items())}")
        figures |= same_area(encoder, arguments.positions, Path(folder), arguments.width)
        figures |= cross_area(encoder, arguments.chips, arguments.width)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
