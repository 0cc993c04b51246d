import numpy as np
import pytest

from geolocator_gui.errors import ImageryError
from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.geo.projection import (
    HALF_WORLD_M,
    WORLD_M,
    mercator_to_lonlat,
    tile_bounds,
    tile_bounds_lonlat,
)
from tests.core.geo.makers import cut_tiles, png, texture
from tests.core.geo.services import DTD, REST, WMS, ZOOM, wmts_page
from tests.core.geo.tile_server import TileServer

COLUMN, ROW = 140_000, 70_000


@pytest.fixture(scope="module")
def ground():
    return texture(768, 768)


@pytest.fixture
def server(ground):
    with TileServer(cut_tiles(ground, ZOOM, COLUMN, ROW)) as running:
        yield running


def box(columns=3, rows=3):
    west, _, _, north = tile_bounds(COLUMN, ROW, ZOOM)
    _, south, east, _ = tile_bounds(COLUMN + columns - 1, ROW + rows - 1, ZOOM)
    return west, south, east, north


@pytest.mark.parametrize("form", ["rest", "kvp"])
def test_wmts(server, tmp_path, ground, form):
    server.pages["/1.0.0/WMTSCapabilities.xml"] = wmts_page(server.url, REST if form == "rest" else "")
    server.tile_from_query = lambda request: tuple(
        int(request.query[name]) for name in ("TILEMATRIX", "TILECOL", "TILEROW")
    )
    text = f"wmts:{server.url}/1.0.0/WMTSCapabilities.xml#layer=ortho"
    with open_imagery(text, tiles_dir=tmp_path) as source:
        assert np.array_equal(source.read(box(), 768, 768).pixels, ground)
        assert source.info.attribution == "The Survey"
        assert source.info.licence == "free for all"
        assert source.info.bounds == (12, 60, 13, 65)
        assert source.info.bulk
    if form == "kvp":
        asked = server.requests[-1]
        assert "STYLE=plain" in asked
        assert "REQUEST=GetTile" in asked


def test_wmts_says_what_it_lacks(server, tmp_path):
    server.pages["/caps.xml"] = wmts_page(server.url, REST)
    for settings, words in {
        "": "2 layers",
        "#layer=maps": "no layer 'maps'",
        "#layer=local only": r"not offered in Web-Mercator, only in: national \(EPSG:25832\)",
        "#layer=ortho&matrix_set=national": "not offered in Web-Mercator",
        "#layer=ortho&matrix_set=moon": r"no.* 'moon', only in: national \(EPSG:25832\), web \(EPSG:3857\)",
        "#layer=ortho&format=image/webp": "no JPEG, PNG or WebP",
    }.items():
        with pytest.raises(ImageryError, match=words):
            open_imagery(f"wmts:{server.url}/caps.xml{settings}", tiles_dir=tmp_path)


@pytest.mark.parametrize("version", ["1.3.0", "1.1.1"])
def test_wms(server, tmp_path, ground, version):
    older = version == "1.1.1"
    text = WMS.format(
        doctype=DTD if older else "",
        root="WMT_MS_Capabilities" if older else "WMS_Capabilities",
        version=version, crs="SRS" if older else "CRS",
    )  # fmt: skip
    server.pages["/wms"] = ("text/xml", text.encode())
    side = WORLD_M / 2**17
    whole = np.zeros((1024, 1024, 3), np.uint8)
    whole[:768, :768] = ground
    server.tiles = {
        (17, COLUMN // 2 + x, ROW // 2 + y): png(whole[y * 512 : y * 512 + 512, x * 512 : x * 512 + 512])
        for x in (0, 1)
        for y in (0, 1)
    }

    def key(request):
        west, _, _, north = (float(edge) for edge in request.query["BBOX"].split(","))
        assert request.query["LAYERS"] == "ortho"
        assert request.query["WIDTH"] == "512"
        assert request.query["SRS" if older else "CRS"] == "EPSG:3857"
        return 17, round((west + HALF_WORLD_M) / side), round((HALF_WORLD_M - north) / side)

    server.tile_from_query = key
    with open_imagery(f"wms:{server.url}/wms#layer=ortho&max_zoom=17", tiles_dir=tmp_path) as source:
        assert np.array_equal(source.read(box(), 768, 768).pixels, ground)
        assert source.info.attribution == "The Survey"
        assert source.info.bounds == (12, 60, 13, 65)
    with pytest.raises(ImageryError, match="roads"):
        open_imagery(f"wms:{server.url}/wms", tiles_dir=tmp_path)


@pytest.mark.parametrize(
    ("version", "crs"), [("1.3.0", "EPSG:4326"), ("1.3.0", "CRS:84"), ("1.1.1", "EPSG:4326")]
)
def test_wms_in_degrees(server, tmp_path, version, crs):
    """A square from 41° to 67° north: the same latitude lies up to 40 rows elsewhere in Web-Mercator."""
    zoom, column, row = 3, 4, 2
    west, south, east, north = tile_bounds_lonlat(column, row, zoom)
    latitude = north - (np.arange(512) + 0.5) * (north - south) / 512
    drawn = np.repeat((9 * (latitude - 40))[:, None], 512, axis=1)
    server.tiles = {(zoom, column, row): png(np.repeat(drawn[..., None], 3, axis=2).astype(np.uint8))}
    text = WMS.format(doctype="", root="WMS_Capabilities", version=version, crs="CRS")
    server.pages["/wms"] = (
        "text/xml",
        text.replace("EPSG:3857", "EPSG:2154").replace("EPSG:4326", crs).encode(),
    )

    def key(request):
        edges = [float(edge) for edge in request.query["BBOX"].split(",")]
        if version == "1.3.0" and crs == "EPSG:4326":
            edges = [edges[1], edges[0], edges[3], edges[2]]
        assert edges == pytest.approx([west, south, east, north], abs=1e-8)
        return zoom, column, row

    server.tile_from_query = key
    address = f"wms:{server.url}/wms#layer=ortho&min_zoom=3&max_zoom=3&bounds=-180,-80,180,80"
    with open_imagery(address, tiles_dir=tmp_path) as source:
        assert source.info.crs == crs
        edges = tile_bounds(column, row, zoom)
        pixels = source.read(edges, 512, 512).pixels
    y = edges[3] - (np.arange(512) + 0.5) * (edges[3] - edges[1]) / 512
    expected = 9 * (mercator_to_lonlat(np.zeros(512), y)[1] - 40)
    assert np.abs(pixels[..., 0].astype(float) - expected[:, None]).max() <= 2


def test_wms_in_no_crs_of_ours(server, tmp_path):
    text = WMS.format(doctype="", root="WMS_Capabilities", version="1.3.0", crs="CRS")
    text = text.replace("EPSG:3857", "EPSG:2154").replace("EPSG:4326", "EPSG:27700")
    server.pages["/wms"] = ("text/xml", text.encode())
    with pytest.raises(ImageryError, match=r"neither in Web-Mercator nor in degrees.*EPSG:27700, EPSG:2154"):
        open_imagery(f"wms:{server.url}/wms#layer=ortho", tiles_dir=tmp_path)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"<html>",
        b"<ServiceException>no</ServiceException>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><WMS_Capabilities>&b;</WMS_Capabilities>',
        b"<WMS_Capabilities version='1.3.0'/>",
    ],
)
def test_answers_that_are_no_capabilities(server, tmp_path, body):
    server.pages["/ows"] = ("text/xml", body)
    for kind in ("wms", "wmts"):
        with pytest.raises(ImageryError):
            open_imagery(f"{kind}:{server.url}/ows#concurrency=1", tiles_dir=tmp_path / kind)
