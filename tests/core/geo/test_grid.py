import time
import tracemalloc

import numpy as np
import pytest
import shapely
from shapely.geometry import MultiPolygon, Polygon, box

from geolocator_gui.errors import AreaError
from geolocator_gui.geo.area import Area, area_from_bbox, area_from_circle
from geolocator_gui.geo.grid import build_grid
from geolocator_gui.geo.projection import distance_m


def whole(*bounds):
    area = area_from_bbox(bounds)
    return Area("imagery", area.geometry, whole_chips=True)


def everything(grid):
    return grid.rows(0, grid.count)


def test_neighbours_lie_one_step_apart_on_the_ground():
    chips = everything(build_grid(area_from_bbox((25.0, 64.9, 25.05, 64.92)), 80, 0.625))
    row = chips.take(chips.row == chips.row[0])
    along = distance_m(
        np.column_stack([row.lon[:-1], row.lat[:-1]]), np.column_stack([row.lon[1:], row.lat[1:]])
    )
    assert along == pytest.approx(30, rel=0.005)
    lats = np.unique(chips.lat)
    up = distance_m(np.column_stack([0 * lats[:-1], lats[:-1]]), np.column_stack([0 * lats[1:], lats[1:]]))
    assert up == pytest.approx(30, rel=0.005)


def test_a_chip_has_its_size_on_the_ground_and_is_square_on_the_map():
    chips = everything(build_grid(area_from_bbox((25.0, 64.9, 25.01, 64.91)), 80, 0.5))
    west, south, east, north = chips.bounds()[0]
    assert float(distance_m([west, (south + north) / 2], [east, (south + north) / 2])) == pytest.approx(
        80, rel=0.005
    )
    assert float(distance_m([west, south], [west, north])) == pytest.approx(80, rel=0.005)
    outline = chips.mercator()[0]
    assert outline[2] - outline[0] == pytest.approx(outline[3] - outline[1], rel=1e-9)


def test_order_is_deterministic_and_slices_agree():
    shape = MultiPolygon(
        [Polygon([(10, 50), (10.05, 50.01), (10.02, 50.04)]), box(10.06, 50.0, 10.09, 50.03).difference(
            box(10.07, 50.01, 10.08, 50.02))]
    )  # fmt: skip
    grid = build_grid(Area("two", shape), 50, 0.3)
    full = everything(grid)
    assert np.array_equal(full.ids, np.arange(grid.count))
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = sorted(rng.integers(0, grid.count + 1, 2))
        part = grid.rows(int(a), int(b))
        assert np.array_equal(part.lon, full.lon[a:b])
        assert np.array_equal(part.row, full.row[a:b])
    assert shapely.contains_xy(shape.buffer(1e-9), full.lon, full.lat).all()
    cells = set(zip(full.row.tolist(), full.col.tolist(), strict=True))
    assert len(cells) == grid.count
    assert grid.count == pytest.approx(Area("two", shape).km2 * 1e6 / 35**2, rel=0.02)
    with pytest.raises(IndexError):
        grid.rows(0, grid.count + 1)


def test_overlapping_areas_share_their_chips():
    one = everything(build_grid(area_from_bbox((10, 50, 10.02, 50.02)), 80, 0.5))
    two = everything(build_grid(area_from_bbox((10.01, 50.005, 10.03, 50.03)), 80, 0.5))
    place = {(int(r), int(c)): (x, y) for r, c, x, y in zip(one.row, one.col, one.lon, one.lat, strict=True)}
    shared = [
        (place[(int(r), int(c))], (x, y))
        for r, c, x, y in zip(two.row, two.col, two.lon, two.lat, strict=True)
        if (int(r), int(c)) in place
    ]
    inside = (one.lon > 10.01) & (one.lat > 50.005)
    assert len(shared) == np.count_nonzero(inside)
    assert all(a == b for a, b in shared)


def test_whole_chips_stay_inside():
    grid = build_grid(whole(10, 50, 10.014, 50.009), 80, 0.625)
    bounds = everything(grid).bounds()
    assert bounds[:, 0].min() >= 10 - 1e-6
    assert bounds[:, 1].min() >= 50 - 1e-6
    assert bounds[:, 2].max() <= 10.014 + 1e-6
    assert bounds[:, 3].max() <= 50.009 + 1e-6
    # One square kilometre in chips of 80 m, 30 m apart: about a thousand.
    assert 900 <= grid.count <= 1000


@pytest.mark.parametrize("side", [79.0, 60.0])
def test_imagery_with_room_for_one_chip_gets_one(side):
    lon = 80.5 / (111319.49 * np.cos(np.radians(50)))
    lat = 80.5 / 111319.49
    for west in np.linspace(10, 10.001, 7):
        grid = build_grid(whole(west, 50, west + lon, 50 + lat), side, 0.0)
        assert grid.count == 1
        bounds = everything(grid).bounds()[0]
        assert bounds[0] >= west - 1e-7
        assert bounds[2] <= west + lon + 1e-7


def test_smaller_than_a_chip_is_refused_with_both_sizes():
    lon, lat = 57 / (111319.49 * np.cos(np.radians(39))), 35 / 111319.49
    with pytest.raises(AreaError, match=r"57 x 35 m.*80 x 80 m"):
        build_grid(whole(-104.77, 39, -104.77 + lon, 39 + lat), 80, 0.5)
    with pytest.raises(AreaError, match="smaller than one chip"):
        build_grid(area_from_circle(10, 50, 30), 80, 0.5)


def test_across_the_antimeridian():
    grid = build_grid(area_from_bbox((179.99, -17, -179.99, -16.99)), 80, 0.5)
    chips = everything(grid)
    assert chips.lon.max() > 179.98
    assert chips.lon.min() < -179.98
    assert (np.abs(chips.lon) > 179.98).all()
    assert grid.count == pytest.approx(
        0.02 * 111319 * np.cos(np.radians(17)) * 0.01 * 111319 / 1600, rel=0.02
    )
    bounds = chips.bounds()
    assert (bounds[:, 0] > bounds[:, 2]).any()
    assert (np.abs(bounds[:, [0, 2]]) <= 180).all()


def test_near_the_limit_no_chip_reaches_beyond_it():
    grid = build_grid(area_from_bbox((10, 85.0, 10.05, 85.05)), 100, 0.0)
    assert everything(grid).bounds()[:, 3].max() < 85.0512


def test_a_wide_area_is_ordered_in_stripes_and_held_in_little_memory():
    area = area_from_bbox((10, 50, 12, 51))
    start = time.process_time()
    tracemalloc.start()
    grid = build_grid(area, 72, 0.5)
    assert grid.count > 10_000_000 * 0.8 * 0.9 * 0.9 or grid.count > 5_000_000
    last = grid.rows(grid.count - 1000, grid.count)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert last.lon.max() > 11.9
    assert peak < 50e6
    assert time.process_time() - start < 20
    first = grid.rows(0, 100_000)
    assert np.ptp(first.lon) < 0.2


def test_chips_of_nothing_are_refused_before_memory_is_full():
    with pytest.raises(AreaError, match="rows of chips high"):
        build_grid(area_from_bbox((10, 50, 11, 51)), 1e-9, 0.5)
