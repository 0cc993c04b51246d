"""The shipped demo can be rebuilt byte by byte, and what ships is what the plan says."""

import json
from pathlib import Path

import numpy as np
import pytest

from geolocator_gui.paths import demo_dir
from geolocator_gui.town.demo import DemoPlan, build_demo, in_reserved_square, photo_positions
from geolocator_gui.town.geometry import generate_town

SMALL = DemoPlan(
    size_m=320.0,
    panoramas=2,
    perspectives=1,
    elsewhere=2,
    zooms=(15, 16),
    tile_mpp=0.6,
    photo_mpp=0.5,
    panorama_width=128,
    photo_width=96,
)


def _built(folder: Path):
    steps = build_demo(folder, SMALL)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value


def _files(folder: Path):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_rebuilding_gives_the_same_bytes(tmp_path):
    summary = _built(tmp_path / "a")
    _built(tmp_path / "b")
    first, second = _files(tmp_path / "a"), _files(tmp_path / "b")
    assert first == second
    assert json.loads(first["demo.json"]) == summary
    kinds = [photo["kind"] for photo in summary["photos"]]
    assert kinds == ["panorama", "panorama", "perspective", "outside", "outside"]
    for photo in summary["photos"]:
        assert f"photos/{photo['file']}" in first


@pytest.fixture(scope="module")
def shipped():
    file = demo_dir() / "demo.json"
    assert file.is_file(), "the demo is not there: python -m tools.rebuild_demo"
    return json.loads(file.read_text("utf-8"))


def test_what_ships_is_complete_and_small(shipped):
    kinds = [photo["kind"] for photo in shipped["photos"]]
    assert [kinds.count(kind) for kind in ("panorama", "perspective", "outside")] == [12, 8, 4]
    assert {photo.name for photo in (demo_dir() / "photos").iterdir()} == {
        p["file"] for p in shipped["photos"]
    }
    size = sum(file.stat().st_size for file in demo_dir().rglob("*") if file.is_file())
    assert size <= 15e6
    assert (demo_dir() / "town.mbtiles").stat().st_size <= 12e6


def test_the_shipped_photos_are_where_the_plan_puts_them(shipped):
    inside = np.array([(p["x"], p["y"]) for p in shipped["photos"] if p["kind"] != "outside"])
    np.testing.assert_allclose(photo_positions(), inside, atol=1e-3)
    assert in_reserved_square(inside, 2.9).all()
    gaps = np.linalg.norm(inside[:, None] - inside[None], axis=2) + 1e9 * np.eye(len(inside))
    assert gaps.min() >= 20.0


def test_photos_from_outside_lie_outside(shipped):
    town = generate_town(shipped["seed"], size_m=shipped["size_m"])
    for photo in shipped["photos"]:
        xy = town.from_lonlat(np.array([[photo["lon"], photo["lat"]]]))[0]
        far = np.abs(xy).max() > 1000.0
        assert far == (photo["kind"] == "outside"), photo["file"]
