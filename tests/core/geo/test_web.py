import time

import numpy as np
import pytest

from geolocator_gui import __version__
from geolocator_gui.errors import AreaError, ImageryError
from geolocator_gui.geo.area import area_from_bbox, area_of_imagery
from geolocator_gui.geo.chips import ChipCutter
from geolocator_gui.geo.grid import build_grid
from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.geo.imagery import web as web_module
from geolocator_gui.geo.imagery.fetch import Manners
from geolocator_gui.geo.imagery.providers import ALLOWED, provider, terms_of_host
from geolocator_gui.geo.imagery.web import quadkey
from geolocator_gui.geo.projection import tile_bounds
from tests.core.geo.makers import cut_tiles, texture
from tests.core.geo.tile_server import TileServer

ZOOM, COLUMN, ROW = 18, 140_000, 70_000


@pytest.fixture(scope="module")
def ground():
    return texture(768, 768)


@pytest.fixture
def server(ground):
    with TileServer(cut_tiles(ground, ZOOM, COLUMN, ROW)) as running:
        yield running


@pytest.fixture
def quick(monkeypatch):
    """The same manners with short waits."""

    def manners(**fields):
        short = {
            "attempts": 4, "first_wait_s": 0.02, "longest_wait_s": 3.0, "silence_s": 1.0, "whole_s": 1.5,
            "connect_s": 1.0, "max_bytes": 2 * 1024 * 1024,
        }  # fmt: skip
        return Manners(**{**short, **fields})

    monkeypatch.setattr(web_module, "Manners", manners)


def box(columns=3, rows=3):
    west, _, _, north = tile_bounds(COLUMN, ROW, ZOOM)
    _, south, east, _ = tile_bounds(COLUMN + columns - 1, ROW + rows - 1, ZOOM)
    return west, south, east, north


def opened(server, tmp_path, settings="", template=None):
    text = (template or server.template) + f"#max_zoom={ZOOM}&min_zoom={ZOOM}" + settings
    return open_imagery(text, tiles_dir=tmp_path / "tiles")


def test_fresh_tiles_are_asked_for_again_where_that_is_wanted(server, tmp_path, ground, quick):
    with opened(server, tmp_path) as source:
        source.prefetch([box()], 768, 768)
    mirrored = cut_tiles(ground[:, ::-1].copy(), ZOOM, COLUMN, ROW)
    server.tiles[ZOOM, COLUMN, ROW] = mirrored[ZOOM, COLUMN, ROW]
    server.faults[ZOOM, COLUMN + 1, ROW] = ["html"] * 9
    with opened(server, tmp_path) as source:
        source.look_anew()
        twin = source.clone()
        source.prefetch([box()], 768, 768)
        pixels = source.read(box(), 768, 768).pixels
        twin.read(box(), 768, 768)
        twin.close()
    assert server.statuses[304] == 7
    assert np.array_equal(pixels[:256, :256], ground[:256, ::-1][:, :256])
    assert np.array_equal(pixels[:, 256:], ground[:, 256:])  # what came spoilt is as it was
    server.faults = {(ZOOM, COLUMN, ROW): ["503"] * 9}
    with opened(server, tmp_path) as source:
        source.look_anew()
        with pytest.raises(ImageryError, match="does not deliver"):
            source.read(box(), 768, 768)


def test_tiles_are_fetched_once_and_kept(server, tmp_path, ground):
    with opened(server, tmp_path) as source:
        source.prefetch([box()], 768, 768)
        assert np.array_equal(source.read(box(), 768, 768).pixels, ground)
        assert source.requests == 9
    with opened(server, tmp_path) as source:
        assert np.array_equal(source.read(box(), 768, 768).pixels, ground)
        assert source.requests == 0
    assert server.agents == {f"Geolocator/{__version__}"}


def test_stale_tiles_are_revalidated(server, tmp_path, ground):
    server.cache_control = "max-age=0"
    for _ in range(2):
        with opened(server, tmp_path) as source:
            assert np.array_equal(source.read(box(), 768, 768).pixels, ground)
    assert server.statuses == {200: 9, 304: 9}
    server.tiles |= cut_tiles(255 - ground, ZOOM, COLUMN, ROW)
    with opened(server, tmp_path) as source:
        assert np.array_equal(source.read(box(), 768, 768).pixels, 255 - ground)


@pytest.mark.usefixtures("quick")
def test_passing_faults_are_overcome(server, tmp_path, ground):
    names = ["429", "503", "500", "cut", "half", "html", "slow", "silent", "endless"]
    keys = list(server.tiles)
    server.faults = {key: [name] for key, name in zip(keys, names, strict=True)}
    with opened(server, tmp_path) as source:
        source.prefetch([box()], 768, 768)
        patch = source.read(box(), 768, 768)
        assert np.array_equal(patch.pixels, ground)
        assert patch.valid.all()
        assert source.corrupt == 0


@pytest.mark.usefixtures("quick")
def test_lasting_faults_of_single_tiles_leave_them_missing(server, tmp_path):
    keys = list(server.tiles)
    for key, name in zip(keys, ["half", "html", "endless", "empty", "404"], strict=False):
        server.faults[key] = [name] * 99
    with opened(server, tmp_path) as source:
        valid = source.read(box(), 768, 768).valid
        assert not valid[:256].any()
        assert not valid[256:512, :512].any()
        assert valid[512:].all()
        assert source.corrupt == 4
    before = len(server.requests)
    with opened(server, tmp_path) as source:
        source.read(box(), 768, 768)
    # Only the four that were never whole are asked for again; the 404 is remembered.
    assert len({path for path in server.requests[before:]}) == 4


@pytest.mark.usefixtures("quick")
def test_a_source_that_is_gone_ends_the_job_and_goes_on_later(server, tmp_path, ground):
    keys = list(server.tiles)
    server.faults = {key: ["503"] * 4 for key in keys[5:6]}
    with opened(server, tmp_path) as source, pytest.raises(ImageryError, match="does not deliver") as caught:
        source.read(box(), 768, 768)
    assert "127.0.0.1" in str(caught.value)
    assert caught.value.hint
    before = len(server.requests)
    with opened(server, tmp_path) as source:
        assert np.array_equal(source.read(box(), 768, 768).pixels, ground)
    assert len(server.requests) - before == 4


@pytest.mark.usefixtures("quick")
def test_retry_after_is_honoured_and_a_long_one_ends_the_job(server, tmp_path):
    key = next(iter(server.tiles))
    server.faults, server.retry_after = {key: ["429"]}, "1"
    with opened(server, tmp_path) as source:
        start = time.monotonic()
        source.read(box(1, 1), 256, 256)
        assert time.monotonic() - start >= 1.0
    server.faults, server.retry_after = {key: ["503"]}, "3600"
    server.cache_control = "no-store"
    with opened(server, tmp_path / "other") as source, pytest.raises(ImageryError, match="60 minutes"):
        source.read(box(1, 1), 256, 256)


@pytest.mark.parametrize("status", ["401", "403"])
def test_a_refusal_is_said_at_once(server, tmp_path, status):
    server.faults = {key: [status] for key in server.tiles}
    with opened(server, tmp_path) as source, pytest.raises(ImageryError, match=status):
        source.read(box(1, 1), 256, 256)
    assert len(server.requests) == 1


def test_old_tiles_stand_in_while_the_server_is_away(tmp_path, ground, quick):
    with TileServer(cut_tiles(ground, ZOOM, COLUMN, ROW)) as server:
        server.cache_control = "max-age=0"
        text = server.template
        with opened(server, tmp_path) as source:
            source.read(box(1, 1), 256, 256)
    with open_imagery(f"{text}#max_zoom={ZOOM}&min_zoom={ZOOM}", tiles_dir=tmp_path / "tiles") as source:
        assert np.array_equal(source.read(box(1, 1), 256, 256).pixels, ground[:256, :256])
        with pytest.raises(ImageryError, match="does not deliver"):
            source.read(box(2, 1), 512, 256)


def test_concurrency_and_rate_are_limited(server, tmp_path):
    server.delay = 0.05
    with opened(server, tmp_path, "&concurrency=2&per_second=40") as source:
        start = time.monotonic()
        source.prefetch([box()], 768, 768)
        assert time.monotonic() - start >= 8 / 40
    assert server.busiest <= 2
    assert len(server.requests) == 9


def test_a_missing_fine_tile_is_made_of_the_coarser_one(server, tmp_path, ground):
    half = ground[:512, :512].reshape(256, 2, 256, 2, 3).mean(axis=(1, 3)).astype(np.uint8)
    server.tiles = cut_tiles(half, ZOOM - 1, COLUMN // 2, ROW // 2)
    text = f"{server.template}#min_zoom={ZOOM - 2}&max_zoom={ZOOM}"
    with open_imagery(text, tiles_dir=tmp_path) as source:
        patch = source.read(box(2, 2), 512, 512)
        assert patch.valid.all()
        assert patch.coarser == pytest.approx(2.0)


@pytest.mark.parametrize("kind", ["tms", "-y", "scheme", "quadkey", "switch", "zoom"])
def test_templates_of_all_kinds(server, tmp_path, ground, kind):
    flipped = {(z, x, (1 << z) - 1 - y): data for (z, x, y), data in server.tiles.items()}
    text, settings = server.template, ""
    if kind in ("-y", "scheme", "tms"):
        server.tiles = flipped
        text = text if kind == "scheme" else text.replace("{y}", "{-y}")
        settings = "&scheme=tms" if kind == "scheme" else ""
    if kind == "quadkey":
        names = {quadkey(*key): key for key in server.tiles}
        for name, key in names.items():
            server.pages[f"/q/{name}"] = ("image/png", server.tiles[key])
        text = server.url + "/q/{q}"
    if kind == "switch":
        text = text.replace("127.0.0.1", "127.0.0.{switch:1}")
    if kind == "zoom":
        text = text.replace("{z}", "{zoom}")
    with opened(server, tmp_path, settings, text) as source:
        assert np.array_equal(source.read(box(), 768, 768).pixels, ground)


def test_quadkey_of_the_documentation():
    assert quadkey(3, 3, 5) == "213"


def test_what_is_wrong_with_a_template_is_said(tmp_path):
    for text, words in {
        "https://tiles.example.org/{z}/{x}.png": "does not say where",
        "https://tiles.example.org/{z}/{x}/{y}/{what}.png": "unknown place",
        "https://tiles.example.org/{z}/{x}/{y}.png#max_zoom=99": "max_zoom=99",
        "https://tiles.example.org/{z}/{x}/{y}.png#min_zoom=9&max_zoom=3": "above max_zoom",
        "https://tiles.example.org/{z}/{x}/{y}.png#colour=red": "no setting 'colour'",
        "https://tiles.example.org/{z}/{x}/{y}.png#bounds=1,2,3": "bounds=",
        "https://tiles.example.org/": "neither a tile template",
        "ftp://tiles.example.org/{z}/{x}/{y}.png": "ftp://",
        "https://me:a[b@tiles.example.org/{z}/{x}/{y}.png": "cannot be read",
        "": "no imagery",
        "provider://No.Such": "no provider",
        "https://tiles.example.org/{z}/{x}/{y}.png?key={key}": "needs a key",
    }.items():
        with pytest.raises(ImageryError, match=words), open_imagery(text, tiles_dir=tmp_path) as source:
            source.read(box(1, 1), 8, 8)


def test_whole_world_sources_ask_for_an_area(server, tmp_path):
    with opened(server, tmp_path) as source, pytest.raises(AreaError, match="covers the world"):
        area_of_imagery(source.info)


def test_terms():
    assert not terms_of_host("server.arcgisonline.com", user_says_yes=True).bulk
    assert not terms_of_host("mt1.google.com", user_says_yes=True).bulk
    assert not terms_of_host("tiles.example.org").bulk
    assert terms_of_host("tiles.example.org", user_says_yes=True).bulk
    assert terms_of_host("127.0.0.1").bulk
    assert terms_of_host("192.168.3.4").bulk
    for name in ALLOWED:
        known = provider(name)
        assert known.attribution
        assert known.template.startswith("http")


def test_providers_are_opened_by_name(tmp_path):
    with open_imagery("provider://Esri.WorldImagery", tiles_dir=tmp_path) as source:
        assert not source.info.bulk
        assert "Esri" in source.info.attribution
        assert "Esri" in source.info.extra["bulk"]
    # What the user says counts where terms are unknown, not where they are known to forbid it.
    with open_imagery("provider://Esri.WorldImagery#bulk=yes", tiles_dir=tmp_path) as source:
        assert not source.info.bulk
    with open_imagery("provider://OPNVKarte#bulk=yes", tiles_dir=tmp_path) as source:
        assert source.info.bulk
    with open_imagery("provider://usgs.usimagery", tiles_dir=tmp_path) as source:
        assert source.info.bulk
        assert "public domain" in source.info.licence


def test_chips_of_a_grid_are_prefetched_together(server, tmp_path):
    server.delay = 0.02
    lon, lat = 12.2665, 64.0
    with opened(server, tmp_path) as source:
        west, south, east, north = box()
        from geolocator_gui.geo.projection import mercator_to_lonlat

        lon, lat = mercator_to_lonlat([west, east], [south, north])
        grid = build_grid(area_from_bbox((lon[0], lat[0], lon[1], lat[1])), 60, 0.5)
        images, missing = ChipCutter(source, source_px=96).cut(grid.rows(0, grid.count))
        assert source.requests <= 9 + 16  # the tiles, and those around the edge that do not exist
        assert source.tiles.decoded == 9
        assert (missing == 0).any()
        assert images.std() > 10
    assert server.busiest > 1


def test_a_server_that_is_not_there_is_told_in_words(tmp_path, quick):
    words = pytest.raises(ImageryError, match=r"does not deliver \(no connection, 4 attempts\)")
    with open_imagery("http://127.0.0.1:1/{z}/{x}/{y}.png", tiles_dir=tmp_path / "tiles") as source, words:
        source.read(box(1, 1), 256, 256)
