"""The same ground through XYZ, MBTiles, PMTiles, a folder and a GeoTIFF gives the same chips."""

import numpy as np
import pytest

from geolocator_gui.geo.area import area_of_imagery
from geolocator_gui.geo.chips import ChipCutter
from geolocator_gui.geo.grid import build_grid
from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.geo.probe import probe
from tests.core.geo.makers import cut_tiles, texture, write_geotiff, write_mbtiles
from tests.core.geo.test_pmtiles_folder import write_folder, write_pmtiles
from tests.core.geo.tile_server import TileServer

ZOOM, COLUMN, ROW = 18, 140_000, 70_000


@pytest.fixture(scope="module")
def ways(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ways")
    ground = texture(768, 768, 11)
    tiles = cut_tiles(ground, ZOOM, COLUMN, ROW)
    with open_imagery(write_mbtiles(folder / "a.mbtiles", tiles)) as source:
        bounds = source.info.bounds
    with TileServer(tiles) as server:
        yield {
            "mbtiles": folder / "a.mbtiles",
            "geotiff": write_geotiff(folder / "a.tif", ground, ZOOM, COLUMN, ROW, compress="deflate"),
            "pmtiles": write_pmtiles(folder / "a.pmtiles", tiles, bounds=tuple(bounds)),
            "folder": write_folder(folder / "tiles", tiles),
            "xyz": f"{server.template}#min_zoom={ZOOM}&max_zoom={ZOOM}",
        }


@pytest.mark.parametrize(("side", "pixels"), [(80.0, 96), (71.0, 256), (40.0, 256)])
def test_same_chips(ways, tmp_path, side, pixels):
    """Shrunk more than threefold, about as they are, and enlarged nearly by two thirds."""
    found = {}
    with open_imagery(ways["mbtiles"]) as source:
        grid = build_grid(area_of_imagery(source.info), side, 0.5)
    for name, src in ways.items():
        with open_imagery(src, tiles_dir=tmp_path) as source:
            found[name] = ChipCutter(source, source_px=pixels).cut(grid.rows(0, min(grid.count, 16)))
    want, missing = found.pop("mbtiles")
    assert (missing == 0).all()
    for name, (images, absent) in found.items():
        assert np.array_equal(absent, missing), name
        assert np.abs(images.astype(int) - want).max() <= 2, name


def test_probe_says_what_a_source_is(ways, tmp_path):
    for name, src in ways.items():
        facts = probe(src, tiles_dir=tmp_path)
        assert facts["kind"] == name
        assert facts["bulk"] is True
        assert facts["crs"] == "EPSG:3857"
        if name != "xyz":  # a template does not say where it has imagery
            assert facts["sample"]["missing"] == 0
            assert all(60 < value < 200 for value in facts["sample"]["mean_colour"])
            assert facts["metres_per_pixel"] == pytest.approx(0.261, abs=0.003)


def test_probe_finds_a_sample_beside_a_gap(shared_dir):
    facts = probe(shared_dir / "real" / "nairobi.mbtiles")
    assert facts["sample"]["missing"] < 0.5
    assert facts["max_zoom"] == 21
