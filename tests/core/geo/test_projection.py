import mercantile
import numpy as np
import pyproj
import pytest

from geolocator_gui.geo import projection as p


@pytest.fixture
def places():
    rng = np.random.default_rng(1)
    return rng.uniform(-180, 180, 500), rng.uniform(-85, 85, 500)


def test_mercator_agrees_with_proj_and_comes_back(places):
    lon, lat = places
    x, y = p.lonlat_to_mercator(lon, lat)
    want = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True).transform(lon, lat)
    assert np.allclose([x, y], want, atol=1e-3)
    back = p.mercator_to_lonlat(x, y)
    assert np.allclose(back, [lon, lat], atol=1e-9)


@pytest.mark.parametrize("zoom", range(0, 23))
def test_tiles_agree_with_mercantile(places, zoom):
    lon, lat = places
    column, row = p.lonlat_to_tile(lon, lat, zoom)
    want = [mercantile.tile(a, b, zoom) for a, b in zip(lon, lat, strict=True)]
    assert [(int(c), int(r)) for c, r in zip(column, row, strict=True)] == [(t.x, t.y) for t in want]
    for tile in want[:20]:
        assert np.allclose(p.tile_bounds(tile.x, tile.y, zoom), mercantile.xy_bounds(tile), atol=1e-3)
        assert np.allclose(p.tile_bounds_lonlat(tile.x, tile.y, zoom), mercantile.bounds(tile), atol=1e-9)


def test_tile_columns_wrap_and_rows_are_held():
    assert [int(v) for v in p.lonlat_to_tile(181.0, 0.0, 4)] == [
        int(v) for v in p.lonlat_to_tile(-179.0, 0.0, 4)
    ]
    assert int(p.lonlat_to_tile(0.0, 89.9, 3)[1]) == 0
    assert int(p.lonlat_to_tile(0.0, -89.9, 3)[1]) == 7


def test_metres_per_pixel_of_zoom_19_at_38_north():
    assert float(p.metres_per_pixel(38.0, 19)) == pytest.approx(0.2986 * np.cos(np.radians(38)), abs=1e-4)


def test_distance_is_geodesic_and_broadcasts():
    # One degree of latitude at the equator and at 60 degrees on WGS 84.
    got = p.distance_m([[0, 0], [0, 60]], [[0, 1], [0, 61]])
    assert got == pytest.approx([110574.39, 111420.07], abs=1.0)
    assert p.distance_m([0, 0], [[0, 1], [0, 1], [0, 2]]).shape == (3,)
    assert float(p.distance_m([179.9, 0], [-179.9, 0])) == pytest.approx(0.2 * 111319.49, abs=1)
