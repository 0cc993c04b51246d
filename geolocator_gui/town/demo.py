"""Builds the demo that ships with the program: imagery of one town and photos taken in it.

What may be compared with what: training draws from other towns and, where it includes the shipped
one, leaves out the squares of 24 m that have both their column and row even (`in_reserved_square`)
with 5 m around them; the photos are taken inside such squares, at least 3 m from their sides. An
evaluation that draws positions in the shipped town passes `photo_positions(…)` as `avoid_xy` to
`Scene.street_positions`, so that the shipped photos are never counted among its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from geolocator_gui.events import Progress, Steps
from geolocator_gui.town.aerial import ATTRIBUTION, write_mbtiles
from geolocator_gui.town.elements import FloatArray
from geolocator_gui.town.geometry import DEFAULT_ORIGIN, Town, generate_town
from geolocator_gui.town.photos import PHOTO_METRES_PER_PIXEL, Shot, encode, render
from geolocator_gui.town.scene import Scene

DEMO_SEED = 5
ELSEWHERE_SEED = 6
ELSEWHERE_ORIGIN = (19.5, 61.5)  # open water again, about 160 km from the shipped town
RESERVE_M = 24.0


@dataclass(frozen=True)
class DemoPlan:
    """How much of a demo is built; the defaults are what ships.

    Attributes:
        elsewhere: photos from another town, which no answer can be right for.
        tile_mpp: metres per pixel of the rasters that tiles are averaged from.
        photo_mpp: metres per pixel of the rasters that photos are rendered from.
        panorama_width: pixels; half as high.
        photo_width: pixels; three quarters as high.
    """

    seed: int = DEMO_SEED
    size_m: float = 1024.0
    panoramas: int = 12
    perspectives: int = 8
    elsewhere: int = 4
    zooms: tuple[int, ...] = (14, 15, 16, 17, 18)
    tile_mpp: float = 0.2
    tile_quality: int = 85
    photo_mpp: float = PHOTO_METRES_PER_PIXEL
    panorama_width: int = 1536
    photo_width: int = 1024


@dataclass(frozen=True)
class DemoPhotoPlan:
    """One photo to be taken: its file name, kind ("panorama", "perspective", "outside"), town and shot."""

    file: str
    kind: str
    town: Town
    shot: Shot


def in_reserved_square(xy: FloatArray, inset_m: float = 0.0) -> npt.NDArray[np.bool_]:
    """Whether positions (n, 2) in metres lie in the squares kept from training, `inset_m` inside."""
    inside = np.mod(xy, 2.0 * RESERVE_M)
    return np.asarray(((inside >= inset_m) & (inside <= RESERVE_M - inset_m)).all(axis=1))


def _positions(scene: Scene, count: int, rng: np.random.Generator, gap_m: float) -> FloatArray:
    """Street positions in reserved squares, at least `gap_m` apart where the town has room."""
    chosen: list[FloatArray] = []
    for gap in (gap_m, 0.3 * gap_m, 0.0):
        for xy in scene.street_positions(2000, rng):
            if len(chosen) == count:
                break
            far = all(float(np.hypot(*(xy - other))) >= gap for other in chosen)
            if far and in_reserved_square(xy[None], 3.0)[0]:
                chosen.append(xy)
    if len(chosen) < count:
        raise ValueError(f"town {scene.town.seed} has room for {len(chosen)} photos only, not {count}")
    return np.array(chosen).reshape(count, 2)


def _heading(scene: Scene, xy: FloatArray, fov: float, rng: np.random.Generator) -> float:
    """Of eight directions the one with most to see, as a photographer turns (spread of colours)."""
    headings = rng.uniform(0.0, 360.0) + np.arange(8) * 45.0
    spread = [
        float(scene.perspective(xy, float(h), fov_deg=fov, height=48, width=64).astype(np.float64).std())
        for h in headings
    ]
    return round(float(headings[int(np.argmax(spread))]) % 360.0, 2)


def _shots(
    scene: Scene, plan: DemoPlan, panoramas: int, perspectives: int, rng: np.random.Generator
) -> list[Shot]:
    places = _positions(scene, panoramas + perspectives, rng, 70.0)
    shots = []
    for index, xy in enumerate(places):
        day, minute = rng.integers(1, 29), rng.integers(0, 600)
        taken = f"2024:{rng.integers(5, 10):02d}:{day:02d} {8 + minute // 60:02d}:{minute % 60:02d}:00"
        eye = round(float(rng.uniform(1.6, 2.0)), 2)
        if index < panoramas:
            heading, pitch, roll = rng.uniform(0.0, 360.0), rng.normal(0.0, 0.8), rng.normal(0.0, 0.8)
            shot = Shot(
                x=float(xy[0]),
                y=float(xy[1]),
                heading=round(float(heading), 2),
                fov=360.0,
                width=plan.panorama_width,
                height=plan.panorama_width // 2,
                eye=eye,
                pitch=round(float(pitch), 2),
                roll=round(float(roll), 2),
                taken=taken,
            )
        else:
            fov = round(float(rng.uniform(55.0, 90.0)), 1)
            shot = Shot(
                x=float(xy[0]),
                y=float(xy[1]),
                heading=_heading(scene, xy, fov, rng),
                fov=fov,
                width=plan.photo_width,
                height=plan.photo_width * 3 // 4,
                eye=eye,
                taken=taken,
            )
        shots.append(shot)
    return shots


def plan_photos(plan: DemoPlan) -> list[DemoPhotoPlan]:
    """The photos of a demo, all but their pixels; the same for the same plan."""
    rng = np.random.default_rng([plan.seed, 9])
    town = generate_town(plan.seed, size_m=plan.size_m)
    photos = [
        DemoPhotoPlan(
            f"panorama_{i + 1:02d}.jpg" if i < plan.panoramas else f"photo_{i + 1 - plan.panoramas:02d}.jpg",
            "panorama" if i < plan.panoramas else "perspective",
            town,
            shot,
        )
        for i, shot in enumerate(_shots(Scene(town), plan, plan.panoramas, plan.perspectives, rng))
    ]
    if plan.elsewhere:
        other = generate_town(ELSEWHERE_SEED, size_m=plan.size_m, origin=ELSEWHERE_ORIGIN)
        round_views = plan.elsewhere - plan.elsewhere // 2
        shots = _shots(Scene(other), plan, round_views, plan.elsewhere // 2, rng)
        photos += [
            DemoPhotoPlan(f"outside_{i + 1:02d}.jpg", "outside", other, shot) for i, shot in enumerate(shots)
        ]
    return photos


def photo_positions(plan: DemoPlan | None = None) -> FloatArray:
    """Where the photos inside the shipped town are taken, float64 (n, 2) metres."""
    photos = plan_photos(plan or DemoPlan())
    return np.array([(p.shot.x, p.shot.y) for p in photos if p.kind != "outside"]).reshape(-1, 2)


def _entry(photo: DemoPhotoPlan, lonlat: tuple[float, float]) -> dict[str, Any]:
    shot = photo.shot
    return {
        "file": photo.file,
        "kind": photo.kind,
        "projection": "equirectangular" if shot.is_panorama else "perspective",
        "lon": round(lonlat[0], 8),
        "lat": round(lonlat[1], 8),
        "x": round(shot.x, 3),
        "y": round(shot.y, 3),
        "heading": shot.heading,
        "fov": shot.fov,
        "town_seed": photo.town.seed,
    }


def build_demo(folder: Path, plan: DemoPlan | None = None) -> Steps[dict[str, Any]]:
    """Write `town.mbtiles`, `photos/` and `demo.json` of a plan into a folder.

    The same plan gives the same bytes with the same versions of numpy, Pillow and SQLite.

    Args:
        folder: created if missing; its photos are replaced.
        plan: how much; None for what ships.

    Returns:
        What `demo.json` holds.
    """
    plan = plan or DemoPlan()
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    for old in (folder / "photos").glob("*.jpg"):
        old.unlink()
    total = plan.panoramas + plan.perspectives + plan.elsewhere
    yield Progress("Drawing the town's imagery", 0, None)
    photos = plan_photos(plan)
    town = generate_town(plan.seed, size_m=plan.size_m)
    tiles = write_mbtiles(
        Scene(town, plan.tile_mpp), folder / "town.mbtiles", plan.zooms, quality=plan.tile_quality
    )
    entries = []
    for index, photo in enumerate(photos):
        yield Progress("Taking photos", index, total, "photos")
        lon, lat = photo.town.to_lonlat(np.array([[photo.shot.x, photo.shot.y]]))[0]
        image = render(photo.town, photo.shot, metres_per_pixel=plan.photo_mpp)
        file = folder / "photos" / photo.file
        file.write_bytes(encode(image, photo.shot, (float(lon), float(lat))))
        entries.append(_entry(photo, (float(lon), float(lat))))
    summary = {
        "schema": 1,
        "seed": plan.seed,
        "origin": list(DEFAULT_ORIGIN),
        "size_m": plan.size_m,
        "tiles": tiles,
        "zooms": list(plan.zooms),
        "attribution": ATTRIBUTION,
        "photos": entries,
    }
    text = json.dumps(summary, indent=1, ensure_ascii=False)
    (folder / "demo.json").write_text(text + "\n", encoding="utf-8", newline="\n")
    yield Progress("Taking photos", total, total, "photos")
    return summary
