import gzip
import sqlite3

import numpy as np
import pytest

from geolocator_gui.errors import ImageryError
from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.geo.imagery.resample import resample
from geolocator_gui.geo.projection import tile_bounds
from tests.core.geo.makers import cut_tiles, jpeg, png, texture, write_mbtiles

ZOOM, COLUMN, ROW = 18, 140_000, 70_000


def over(column, row, zoom, columns=1, rows=1):
    west, _, _, north = tile_bounds(column, row, zoom)
    _, south, east, _ = tile_bounds(column + columns - 1, row + rows - 1, zoom)
    return west, south, east, north


@pytest.fixture
def ground():
    return texture(512, 768)


def test_rows_are_counted_from_the_south(tmp_path, ground):
    path = write_mbtiles(tmp_path / "a.mbtiles", cut_tiles(ground, ZOOM, COLUMN, ROW), attribution="Nobody")
    with open_imagery(path) as source:
        patch = source.read(over(COLUMN, ROW, ZOOM, 3, 2), 768, 512)
        assert np.array_equal(patch.pixels, ground)
        assert patch.valid.all()
        assert source.info.attribution == "Nobody"
        assert (source.info.min_zoom, source.info.max_zoom) == (ZOOM, ZOOM)
        west, south, _, _ = source.info.bounds
        assert (west, south) == pytest.approx((12.2607, 63.9), abs=0.1) or west < source.info.bounds.east


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ('<a href="https://a.example" onclick="x()">&copy; Town &amp; Co</a>, &lt;b', "© Town & Co, <b"),
        ("<script>alert(1)</script>Nobody < 3", "alert(1)Nobody < 3"),
        ("<" * 100_000, "<" * 1000),
    ],
)
def test_an_attribution_in_html_is_its_words(tmp_path, ground, written, words):
    tiles = cut_tiles(ground, ZOOM, COLUMN, ROW)
    with open_imagery(write_mbtiles(tmp_path / "a.mbtiles", tiles, attribution=written)) as source:
        assert source.info.attribution == words


def test_the_zoom_that_has_the_resolution_is_used(tmp_path, ground):
    tiles = cut_tiles(ground[:512, :512], ZOOM, COLUMN, ROW)
    half = ground[:512, :512].reshape(256, 2, 256, 2, 3).mean(axis=(1, 3)).round().astype(np.uint8)
    tiles |= cut_tiles(half, ZOOM - 1, COLUMN // 2, ROW // 2)
    with open_imagery(write_mbtiles(tmp_path / "a.mbtiles", tiles)) as source:
        patch = source.read(over(COLUMN, ROW, ZOOM, 2, 2), 256, 256)
        assert np.array_equal(patch.pixels, half)
        assert source.tiles.decoded == 1
        patch = source.read(over(COLUMN, ROW, ZOOM, 2, 2), 280, 280)
        assert source.tiles.decoded == 1 + 4
        assert patch.coarser == 1.0


def test_uneven_zooms_stand_in_for_each_other(tmp_path):
    ground = texture(512, 1024, 7)
    fine = cut_tiles(ground[:, :512], ZOOM, COLUMN, ROW)
    half = ground.reshape(256, 2, 512, 2, 3).mean(axis=(1, 3)).round().astype(np.uint8)
    coarse = cut_tiles(half[:, 256:], ZOOM - 1, COLUMN // 2 + 1, ROW // 2)
    with open_imagery(write_mbtiles(tmp_path / "a.mbtiles", fine | coarse)) as source:
        patch = source.read(over(COLUMN, ROW, ZOOM, 4, 2), 1024, 512)
        assert patch.valid.all()
        assert np.array_equal(patch.pixels[:, :512], ground[:, :512])
        assert patch.coarser == pytest.approx(2.0)
        patch = source.read(over(COLUMN, ROW, ZOOM, 4, 2), 512, 256)
        assert patch.valid.all()
        assert np.abs(patch.pixels.astype(int) - half).max() <= 1
        assert patch.coarser == 1.0


def test_a_corrupt_tile_alone_is_missing(tmp_path, ground):
    tiles = cut_tiles(ground, ZOOM, COLUMN, ROW)
    tiles[(ZOOM, COLUMN, ROW)] = tiles[(ZOOM, COLUMN, ROW)][:5000]
    tiles[(ZOOM, COLUMN + 1, ROW)] = jpeg(ground[:256, :256])[:9000]
    tiles[(ZOOM, COLUMN + 2, ROW)] = b"<html>error</html>"
    with open_imagery(write_mbtiles(tmp_path / "a.mbtiles", tiles)) as source:
        patch = source.read(over(COLUMN, ROW, ZOOM, 3, 2), 768, 512)
        assert not patch.valid[:256].any()
        assert patch.valid[256:].all()
        assert source.corrupt == 3


def test_blank_cells_are_not_valid(tmp_path, ground):
    tile = ground[:256, :256].copy()
    tile[:64, :128] = 0
    tile[192:, 128:] = 255
    alpha = np.dstack([ground[:256, :256], np.full((256, 256), 255, np.uint8)])
    alpha[100:140, :, 3] = 0
    tiles = {(ZOOM, COLUMN, ROW): png(tile), (ZOOM, COLUMN + 1, ROW): png(alpha)}
    with open_imagery(write_mbtiles(tmp_path / "a.mbtiles", tiles)) as source:
        valid = source.read(over(COLUMN, ROW, ZOOM, 2, 1), 512, 256).valid
    want = np.ones((256, 512), bool)
    want[:64, :128] = want[192:, 128:256] = want[100:140, 256:] = False
    assert np.array_equal(valid, want)


def test_tiles_of_512_pixels(tmp_path):
    ground = texture(512, 512)
    tiles = cut_tiles(ground, ZOOM, COLUMN, ROW, 512)
    with open_imagery(write_mbtiles(tmp_path / "a.mbtiles", tiles)) as source:
        assert np.array_equal(source.read(over(COLUMN, ROW, ZOOM), 512, 512).pixels, ground)


def test_declared_bounds_count_only_where_there_are_tiles(tmp_path, ground):
    tiles = cut_tiles(ground, ZOOM, COLUMN, ROW)
    with open_imagery(write_mbtiles(tmp_path / "a.mbtiles", tiles, bounds="-180,-90,180,90")) as source:
        world = source.info.bounds
    with open_imagery(write_mbtiles(tmp_path / "b.mbtiles", tiles, bounds="nonsense")) as source:
        assert source.info.bounds == pytest.approx(world)
    assert world.east - world.west == pytest.approx(3 * 360 / 2**ZOOM)


def test_clones_share_the_decoded_tiles(tmp_path, ground):
    path = write_mbtiles(tmp_path / "a.mbtiles", cut_tiles(ground, ZOOM, COLUMN, ROW))
    with open_imagery(path) as source, source.clone() as other:
        source.read(over(COLUMN, ROW, ZOOM), 256, 256)
        other.read(over(COLUMN, ROW, ZOOM), 256, 256)
        assert source.tiles.decoded == 1


def test_vector_tiles_are_refused(tmp_path):
    blob = gzip.compress(b"\x1a\x10layer")
    with pytest.raises(ImageryError, match="vector tiles"):
        open_imagery(write_mbtiles(tmp_path / "a.mbtiles", {(1, 0, 0): blob}, format="pbf"))
    with pytest.raises(ImageryError, match="vector tiles"):
        open_imagery(write_mbtiles(tmp_path / "b.mbtiles", {(1, 0, 0): blob}))


def test_what_is_no_mbtiles_is_said(tmp_path):
    sqlite3.connect(tmp_path / "empty.mbtiles").execute("CREATE TABLE x (y)").connection.commit()
    write_mbtiles(tmp_path / "none.mbtiles", {})
    write_mbtiles(tmp_path / "text.mbtiles", {(1, 0, 0): b"what"})
    (tmp_path / "zero.mbtiles").write_bytes(b"")
    (tmp_path / "cut.mbtiles").write_bytes(b"SQLite format 3\x00" + b"\x00" * 90)
    for name, words in (
        ("empty", "not an MBTiles"), ("none", "no tiles"), ("text", "not pictures"),
        ("zero", "0 bytes"), ("cut", "MBTiles"), ("absent", "does not exist"),
    ):  # fmt: skip
        with pytest.raises(ImageryError, match=words):
            open_imagery(tmp_path / f"{name}.mbtiles")


def test_real_blocks_with_a_gap(shared_dir):
    with open_imagery(shared_dir / "real" / "nairobi.mbtiles") as source:
        assert (source.info.min_zoom, source.info.max_zoom) == (19, 21)
        assert source.info.metres_per_pixel == pytest.approx(0.0746, abs=1e-3)
        assert "CC BY" in source.info.attribution


def test_a_far_look_at_fine_tiles_is_empty_rather_than_endless(tmp_path, ground):
    path = write_mbtiles(tmp_path / "a.mbtiles", cut_tiles(ground, ZOOM, COLUMN, ROW))
    with open_imagery(path) as source:
        near = source.read(over(COLUMN >> 4, ROW >> 4, ZOOM - 4), 256, 256)
        assert near.valid.any()
        assert not source.read(over(COLUMN >> 12, ROW >> 12, ZOOM - 12), 256, 256).valid.any()
        assert source.tiles.decoded <= 6


def test_much_finer_tiles_are_averaged_as_exactly(tmp_path, ground):
    tiles = cut_tiles(ground[:512, :512], ZOOM, COLUMN, ROW)
    with open_imagery(write_mbtiles(tmp_path / "a.mbtiles", tiles)) as source:
        for size in (40, 50, 64, 100):
            got = source.read(over(COLUMN, ROW, ZOOM, 2, 2), size, size).pixels
            want = resample(ground[:512, :512], None, (0, 0, 512, 512), size, size).pixels
            assert np.abs(got.astype(int) - want).max() <= 1
