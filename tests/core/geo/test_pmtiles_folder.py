import gzip
import json

import numpy as np
import pytest
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer

from geolocator_gui.errors import ImageryError
from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.geo.imagery.pmtiles import parse_directory
from geolocator_gui.geo.projection import tile_bounds
from tests.core.geo.makers import cut_tiles, png, texture

ZOOM, COLUMN, ROW = 18, 140_000, 70_000


def box(columns=3, rows=3):
    west, _, _, north = tile_bounds(COLUMN, ROW, ZOOM)
    _, south, east, _ = tile_bounds(COLUMN + columns - 1, ROW + rows - 1, ZOOM)
    return west, south, east, north


def write_pmtiles(
    path, tiles, kind=TileType.PNG, packed=Compression.NONE, bounds=(12, 63, 13, 65), **metadata
):
    west, south, east, north = (int(edge * 1e7) for edge in bounds)
    with path.open("wb") as file:
        writer = Writer(file)
        for key in sorted(tiles, key=lambda key: zxy_to_tileid(*key)):
            writer.write_tile(zxy_to_tileid(*key), tiles[key])
        zooms = [key[0] for key in tiles]
        writer.finalize(
            {
                "tile_type": kind, "tile_compression": packed, "min_zoom": min(zooms), "max_zoom": max(zooms),
                "min_lon_e7": west, "min_lat_e7": south, "max_lon_e7": east,
                "max_lat_e7": north, "center_zoom": 0, "center_lon_e7": 0, "center_lat_e7": 0,
            },
            metadata,
        )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def ground():
    return texture(768, 768)


def test_pmtiles(tmp_path, ground):
    tiles = cut_tiles(ground, ZOOM, COLUMN, ROW)
    path = write_pmtiles(tmp_path / "a.pmtiles", tiles, name="Town", attribution="Nobody")
    with open_imagery(path) as source:
        assert np.array_equal(source.read(box(), 768, 768).pixels, ground)
        assert source.info.name == "Town"
        assert source.info.attribution == "Nobody"
        assert source.info.bounds == pytest.approx((12, 63, 13, 65))
        assert not source.read((0, 0, 100, 100), 8, 8).valid.any()
        with source.clone() as other:
            assert np.array_equal(other.read(box(), 768, 768).pixels, ground)
        assert source.tiles.decoded == 9


def test_pmtiles_with_leaf_directories_and_runs(tmp_path):
    rng = np.random.default_rng(0)
    same = png(np.full((16, 16, 3), (10, 60, 90), np.uint8))
    tiles = {(9, x, y): same for x in range(128) for y in range(64)}
    noise = rng.bytes(60_000)
    tiles |= {
        (9, x, y): same + noise[place : place + int(rng.integers(1, 3000))]
        for place, (x, y) in enumerate((x, y) for x in range(128, 256) for y in range(160))
    }
    path = write_pmtiles(tmp_path / "a.pmtiles", tiles)
    with open_imagery(path) as source:
        assert source._header["leaf_directory_length"] > 0
        for key in [(9, 0, 0), (9, 127, 63), (9, 128, 0), (9, 255, 159), (9, 200, 77)]:
            assert source._body(*key) == tiles[key]
        assert source._body(9, 300, 300) is None


def test_packed_raster_tiles_are_unpacked(tmp_path, ground):
    tiles = {key: gzip.compress(data) for key, data in cut_tiles(ground, ZOOM, COLUMN, ROW).items()}
    with open_imagery(write_pmtiles(tmp_path / "a.pmtiles", tiles, packed=Compression.GZIP)) as source:
        assert np.array_equal(source.read(box(), 768, 768).pixels, ground)


def test_pmtiles_that_cannot_be_used(tmp_path, ground):
    tiles = cut_tiles(ground, ZOOM, COLUMN, ROW)
    whole = write_pmtiles(tmp_path / "a.pmtiles", tiles).read_bytes()
    cases = {
        "vector": write_pmtiles(tmp_path / "v.pmtiles", tiles, kind=TileType.MVT),
        "zstd": write_pmtiles(tmp_path / "z.pmtiles", tiles, packed=Compression.ZSTD),
        "cut short": tmp_path / "c.pmtiles",
        "PMTiles 3": tmp_path / "o.pmtiles",
        "not a PMTiles": tmp_path / "n.pmtiles",
        "damaged": tmp_path / "d.pmtiles",
    }
    cases["cut short"].write_bytes(whole[:100])
    cases["PMTiles 3"].write_bytes(whole[:7] + b"\x02" + whole[8:])
    cases["not a PMTiles"].write_bytes(b"hello")
    cases["damaged"].write_bytes(whole[:127] + b"\xff" * (len(whole) - 127))
    for words, path in cases.items():
        with pytest.raises(ImageryError, match=words):
            open_imagery(path)


def test_a_directory_that_unpacks_without_end_is_refused(tmp_path, ground):
    path = write_pmtiles(tmp_path / "a.pmtiles", cut_tiles(ground, ZOOM, COLUMN, ROW))
    data = bytearray(path.read_bytes())
    bomb = gzip.compress(b"\x01" * (80 * 2**20))
    data[8:16] = len(data).to_bytes(8, "little")
    data[16:24] = len(bomb).to_bytes(8, "little")
    path.write_bytes(bytes(data) + bomb)
    with pytest.raises(ImageryError, match="damaged"):
        open_imagery(path)


def test_directories_agree_with_the_reference_reader():
    from pmtiles.tile import Entry, deserialize_directory, serialize_directory

    rng = np.random.default_rng(1)
    entries, at, offset = [], 0, 0
    for _ in range(500):
        at += int(rng.integers(1, 2**40))
        length = int(rng.integers(1, 2**30))
        offset = offset if rng.random() < 0.5 else int(rng.integers(0, 2**50))
        entries.append(Entry(at, offset, length, int(rng.integers(0, 9))))
        offset += length
    data = serialize_directory(entries)
    ids, runs, lengths, offsets = parse_directory(gzip.decompress(data))
    want = deserialize_directory(data)
    assert ids.tolist() == [entry.tile_id for entry in want]
    assert runs.tolist() == [entry.run_length for entry in want]
    assert lengths.tolist() == [entry.length for entry in want]
    assert offsets.tolist() == [entry.offset for entry in want]


def write_folder(path, tiles, flip=False):
    for (zoom, column, row), data in tiles.items():
        number = (1 << zoom) - 1 - row if flip else row
        file = path / str(zoom) / str(column) / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return path


def test_folder_of_tiles(tmp_path, ground):
    tiles = cut_tiles(ground, ZOOM, COLUMN, ROW)
    with open_imagery(write_folder(tmp_path / "xyz", tiles)) as source:
        assert np.array_equal(source.read(box(), 768, 768).pixels, ground)
        assert source.info.bounds.east - source.info.bounds.west == pytest.approx(3 * 360 / 2**ZOOM)
        xyz = source.info.bounds
    folder = write_folder(tmp_path / "tms", tiles, flip=True)
    with open_imagery(f"{folder}?scheme=tms") as source:
        assert np.array_equal(source.read(box(), 768, 768).pixels, ground)
        assert source.info.bounds == pytest.approx(xyz)
    (folder / "tilemapresource.xml").write_text("<TileMap/>")
    with open_imagery(folder) as source:
        assert np.array_equal(source.read(box(), 768, 768).pixels, ground)
    (folder / str(ZOOM) / str(COLUMN) / f"{(1 << ZOOM) - 1 - ROW}.png").write_bytes(b"torn")
    with open_imagery(folder) as source:
        assert source.read(box(), 768, 768).valid.mean() == pytest.approx(8 / 9)
        assert source.corrupt == 1


def test_folders_without_tiles(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b" / "1" / "2").mkdir(parents=True)
    (tmp_path / "c" / "1" / "2").mkdir(parents=True)
    (tmp_path / "c" / "1" / "2" / "3.png").write_text("no picture")
    (tmp_path / "d" / "12").mkdir(parents=True)
    (tmp_path / "d" / "12" / "map.json").write_text(json.dumps({}))
    for name in "abcd":
        with pytest.raises(ImageryError, match="no tiles"):
            open_imagery(tmp_path / name)
