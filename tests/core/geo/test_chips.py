import threading

import numpy as np
import pytest

from geolocator_gui.geo.area import area_from_bbox, area_of_imagery
from geolocator_gui.geo.chips import ChipCutter, count_tiles
from geolocator_gui.geo.grid import build_grid
from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.geo.projection import metres_per_pixel
from tests.core.geo.makers import cut_tiles, png, texture, write_geotiff, write_mbtiles

ZOOM, COLUMN, ROW = 18, 140_000, 70_000  # 64 degrees north, 0.26 m per pixel


@pytest.fixture(scope="module")
def ground():
    return texture(1536, 1536)


@pytest.fixture(scope="module")
def town(tmp_path_factory, ground):
    folder = tmp_path_factory.mktemp("town")
    return write_mbtiles(folder / "town.mbtiles", cut_tiles(ground, ZOOM, COLUMN, ROW))


def grid_of(source, side=80.0, overlap=0.75):
    return build_grid(area_of_imagery(source.info), side, overlap)


def test_each_tile_is_decoded_once_at_three_quarters_overlap(town):
    with open_imagery(town) as source:
        grid = grid_of(source)
        cutter = ChipCutter(source, source_px=96)
        for start in range(0, grid.count, 64):
            cutter.cut(grid.rows(start, min(start + 64, grid.count)))
        assert source.tiles.decoded <= 36
        assert source.tiles.decoded == count_tiles(source, grid, 96).tiles


def test_threads_share_the_decoded_tiles(town):
    with open_imagery(town) as source:
        grid = grid_of(source)
        want = ChipCutter(open_imagery(town), source_px=96).cut(grid.rows(0, grid.count))[0]
        got = np.zeros_like(want)
        cutters = [ChipCutter(source, source_px=96).clone() for _ in range(4)]

        def work(number):
            for start in range(number * 16, grid.count, 64):
                stop = min(start + 16, grid.count)
                got[start:stop] = cutters[number].cut(grid.rows(start, stop))[0]

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for cutter in cutters:
            cutter.close()
        assert np.array_equal(got, want)
        assert source.tiles.decoded <= 36


def test_chips_that_span_tiles_equal_those_of_one_raster(town, tmp_path, ground):
    raster = write_geotiff(tmp_path / "town.tif", ground, ZOOM, COLUMN, ROW)
    with open_imagery(town) as tiles, open_imagery(raster) as whole:
        grid = grid_of(tiles, overlap=0.5)
        a, missing_a = ChipCutter(tiles, source_px=96).cut(grid.rows(0, grid.count))
        b, missing_b = ChipCutter(whole, source_px=96).cut(grid.rows(0, grid.count))
        assert np.array_equal(missing_a, missing_b)
        assert np.abs(a.astype(int) - b).max() <= 2


def test_a_chip_shows_its_own_ground(tmp_path):
    """A raster whose red is the distance east and whose green is the distance south, in metres of ground."""
    mpp = float(metres_per_pixel(64.1, ZOOM))
    y, x = np.mgrid[0:1536, 0:1536]
    ramp = np.stack([x * mpp / 2, y * mpp / 2, np.full_like(x, 99)], axis=2)
    ramp = np.clip(np.rint(ramp), 1, 254).astype(np.uint8)
    with open_imagery(write_mbtiles(tmp_path / "r.mbtiles", cut_tiles(ramp, ZOOM, COLUMN, ROW))) as source:
        grid = grid_of(source, 80, 0.5)
        chips = grid.rows(0, 1)
        image = ChipCutter(source, source_px=64).cut(chips)[0][0].astype(float)
    # 80 m of ground are 40 levels of red across and 40 of green down.
    assert image[:, -1, 0].mean() - image[:, 0, 0].mean() == pytest.approx(40 * 63 / 64, abs=1.0)
    assert image[-1, :, 1].mean() - image[0, :, 1].mean() == pytest.approx(40 * 63 / 64, abs=1.0)


def test_missing_blank_and_uniform_chips(tmp_path, ground):
    tiles = cut_tiles(ground, ZOOM, COLUMN, ROW)
    for row in range(6):
        tiles[(ZOOM, COLUMN + 2, ROW + row)] = png(np.full((256, 256, 3), 255, np.uint8))
        tiles[(ZOOM, COLUMN + 4, ROW + row)] = png(np.full((256, 256, 3), (60, 90, 140), np.uint8))
        del tiles[(ZOOM, COLUMN + 5, ROW + row)]
    with open_imagery(write_mbtiles(tmp_path / "b.mbtiles", tiles)) as source:
        grid = grid_of(source, 30, 0.0)
        chips = grid.rows(0, grid.count)
        images, missing = ChipCutter(source, source_px=48).cut(chips)
        left = (chips.mercator()[:, 0] + 20037508.342789244) / (40075016.68557849 / 2**ZOOM) - COLUMN
        right = (chips.mercator()[:, 2] + 20037508.342789244) / (40075016.68557849 / 2**ZOOM) - COLUMN
    assert (missing[right < 2] == 0).all()
    assert (missing[(left > 2) & (right < 3)] == 1).all()
    assert (missing[(left > 4) & (right < 5)] == 1).all()
    part = (left < 2) & (right > 2.2) & (right < 3)
    assert ((missing[part] > 0.05) & (missing[part] < 0.95)).all()
    first = int(np.flatnonzero(part)[0])
    assert len(np.unique(images[first][:, -1].reshape(-1, 3), axis=0)) == 1


def test_coarser_imagery_is_enlarged_and_said(town):
    with open_imagery(town) as source:
        grid = grid_of(source, 40, 0.0)
        cutter = ChipCutter(source, source_px=640)
        cutter.cut(grid.rows(0, 1))
        assert cutter.coarser == pytest.approx(0.2613 / (40 / 640), rel=0.02)
        assert count_tiles(source, grid, 640).coarser == pytest.approx(cutter.coarser, rel=0.01)


def test_chips_across_the_antimeridian(tmp_path):
    n = 1 << 12
    ground = texture(1024, 1024)
    tiles = {}
    for (zoom, column, row), data in cut_tiles(ground, 12, n - 2, 2000).items():
        tiles[(zoom, column % n, row)] = data
    with open_imagery(write_mbtiles(tmp_path / "a.mbtiles", tiles)) as source:
        grid = build_grid(area_from_bbox((179.9, 3.9, -179.9, 4.0)), 4000, 0.5)
        images, missing = ChipCutter(source, source_px=64).cut(grid.rows(0, grid.count))
        assert (missing == 0).all()
    with open_imagery(write_geotiff(tmp_path / "a.tif", ground, 12, n - 2, 2000)) as source:
        same, missing = ChipCutter(source, source_px=64).cut(grid.rows(0, grid.count))
        assert (missing == 0).all()
        assert np.abs(images.astype(int) - same).max() <= 2


def test_real_imagery_with_a_gap(shared_dir):
    with open_imagery(shared_dir / "real" / "nairobi.mbtiles") as source:
        grid = build_grid(area_of_imagery(source.info), 80, 0.625)
        images, missing = ChipCutter(source, source_px=96).cut(grid.rows(0, grid.count))
    skipped = int((missing > 0.1).sum())
    assert 0 < skipped < grid.count
    assert (missing == 1).sum() > grid.count / 2
    assert images[missing == 0].std() > 20
