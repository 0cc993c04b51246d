import hashlib
import re
from pathlib import Path

import pytest

from geolocator_gui.gui.map import page
from geolocator_gui.gui.map.handlers import Handlers, NotFoundError, RefusedError
from geolocator_gui.gui.map.imagery_pool import ImageryPool
from geolocator_gui.paths import resources_dir


@pytest.fixture
def pool(root: Path):
    made = ImageryPool()
    made.add("town", str(root / "resources" / "demo" / "town.mbtiles"))
    made.add("gone", str(root / "no such file.mbtiles"))
    yield made
    made.close()


@pytest.fixture
def handlers(pool) -> Handlers:
    return Handlers(pool, page=lambda: "<html></html>")


def test_vendored_files_are_as_they_came_out_of_the_packages() -> None:
    folder = resources_dir() / "leaflet"
    listed = [line.split() for line in (folder / "SHA256SUMS").read_text().splitlines()]
    assert {name for _, name in listed} == {path.name for path in folder.glob("leaflet*")}
    for digest, name in listed:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize(
    "path",
    [
        "/map/map.js",
        "/..%2fpyproject.toml",
        "/etc/passwd",
        "/picture/nothing.png",
        "/tiles/town/14/9135",
        "/tiles/town/14/-1/4742",
        "/tiles/town/25/0/0",
        "/tiles/town/3/8/0",
        "/tiles/town/x/0/0",
    ],
)
def test_there_is_nothing_else(handlers, path) -> None:
    with pytest.raises(NotFoundError):
        handlers.answer(path)


def test_a_tile_is_the_imagery_clipped_to_its_extent(handlers) -> None:
    from io import BytesIO

    from PIL import Image

    inside = handlers.answer("/tiles/town/18/146181/75878")
    assert inside.mime == "image/jpeg"
    assert Image.open(BytesIO(inside.body)).size == (256, 256)
    assert Image.open(BytesIO(handlers.answer("/tiles/town/18/146181/75878@2x").body)).size == (512, 512)
    edge = handlers.answer("/tiles/town/14/9135/4741")
    assert edge.mime == "image/png"
    assert Image.open(BytesIO(edge.body)).getextrema()[3] == (0, 255)


def test_the_world_from_afar_costs_nothing(handlers) -> None:
    import time

    start = time.perf_counter()
    for zoom in range(10):
        handlers.answer(f"/tiles/town/{zoom}/{9135 >> (14 - zoom)}/{4741 >> (14 - zoom)}")
    assert time.perf_counter() - start < 2


def test_imagery_that_cannot_be_read_is_refused_with_the_reason(handlers) -> None:
    with pytest.raises(RefusedError, match="no such file"):
        handlers.answer("/tiles/gone/1/0/0")
    with pytest.raises(RefusedError, match="no imagery named"):
        handlers.answer("/tiles/never%20added/1/0/0")


def test_pictures_come_and_go(handlers) -> None:
    url = handlers.put_picture("heat-1", b"png")
    assert handlers.answer(url).body == b"png"
    handlers.drop_picture("heat-1")
    with pytest.raises(NotFoundError):
        handlers.answer(url)


def test_folium_builds_a_page_that_asks_nobody_else(handlers, tmp_path) -> None:
    html = page.page_html(tmp_path)
    assert html == page.page_html(tmp_path) == page.build_page()
    assert not re.findall(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=", html)
    for file in ("leaflet/leaflet.js", "leaflet/leaflet.draw.css", "map/map.js"):
        assert (resources_dir() / file).read_text("utf-8") in html
    assert "unsafe-eval" not in html
    policy = re.search(r"script-src ([^;]+);", html)
    assert policy is not None
    assert all(re.fullmatch(r"'sha256-[\w+/=]+'", source) for source in policy.group(1).split())
