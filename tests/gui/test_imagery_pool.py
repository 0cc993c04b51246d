"""The window's open imagery, and what the desktop says of motion."""

import sqlite3

import pytest

from geolocator_gui.gui.map.imagery_pool import ImageryPool
from geolocator_gui.gui.motion import kde_stands_still


def test_a_name_with_another_source_is_opened_anew(root) -> None:
    pool = ImageryPool()
    town = root / "resources" / "demo" / "town.mbtiles"
    if not town.exists():
        pytest.skip("the demo town is not in this checkout")
    pool.add("Town", str(town))
    x, y = _tile_in(pool.info("Town").bounds, 16)
    _, first = pool.tile("Town", 16, x, y)
    assert pool.tile("Town", 16, x, y)[1] is first
    pool.add("Town", str(town))
    assert pool.tile("Town", 16, x, y)[1] is first  # the same source stays open
    pool.add("Town", str(root / "nowhere.mbtiles"))
    with pytest.raises(Exception, match="nowhere"):
        pool.tile("Town", 16, x, y)
    pool.close()


def test_tiles_of_a_server_go_to_the_workspace(tmp_path, monkeypatch) -> None:
    from geolocator_gui.geo import imagery

    asked = []

    def note(source, *, tiles_dir=None):
        asked.append(tiles_dir)
        raise sqlite3.OperationalError("far enough")

    monkeypatch.setattr(imagery, "open_imagery", note)
    pool = ImageryPool()
    pool.keep_tiles_in(tmp_path / "tiles")
    pool.add("Server", "https://tiles.example.org/{z}/{x}/{y}.png")
    with pytest.raises(sqlite3.OperationalError):
        pool.info("Server")
    assert asked == [tmp_path / "tiles"]


@pytest.mark.parametrize(
    ("text", "still"),
    [
        ("[KDE]\nAnimationDurationFactor=0\n", True),
        ("[KDE]\nAnimationDurationFactor=0.5\n", False),
        ("[General]\nname=x\n", False),
        ("[KDE]\nAnimationDurationFactor=quick\n", False),
        ("no section = 1\n", False),
    ],
)
def test_kde_may_ask_for_no_animation(tmp_path, text, still) -> None:
    file = tmp_path / "kdeglobals"
    file.write_text(text)
    assert kde_stands_still(file) is still
    assert kde_stands_still(tmp_path / "absent") is False


def _tile_in(bounds, zoom: int) -> tuple[int, int]:
    import math

    lon, lat = (bounds.west + bounds.east) / 2, (bounds.south + bounds.north) / 2
    n = 2**zoom
    return int((lon + 180) / 360 * n), int((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * n)
