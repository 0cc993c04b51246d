"""Tiles lie where XYZ says and the file follows the MBTiles specification."""

import io
import sqlite3

import mercantile
import numpy as np
import pytest
from PIL import Image

from geolocator_gui.town.aerial import ATTRIBUTION, render_tile, tile_range, write_mbtiles
from geolocator_gui.town.geometry import generate_town
from geolocator_gui.town.scene import Scene


@pytest.fixture(scope="module")
def scene():
    return Scene(generate_town(4, size_m=256.0), 0.3)


def test_tiles_cover_the_town_and_no_more(scene):
    half = 0.5 * scene.town.size_m
    west, south, east, north = scene.town.to_lonlat(np.array([[-half, -half], [half, half]])).ravel()
    for zoom in (14, 16, 18):
        columns, rows = tile_range(scene, zoom)
        ours = {(x, y) for x in columns for y in rows}
        theirs = {(tile.x, tile.y) for tile in mercantile.tiles(west, south, east, north, zoom)}
        assert ours == theirs


def test_a_tile_shows_what_lies_there(scene):
    """A tile agrees with a north-up chip cut at the tile's centre and as large as the tile."""
    x, y = (values[len(values) // 2] for values in tile_range(scene, 18))
    bounds = mercantile.bounds(x, y, 18)
    corners = scene.town.from_lonlat(np.array([[bounds.west, bounds.south], [bounds.east, bounds.north]]))
    side = corners[1, 0] - corners[0, 0]
    assert side == pytest.approx(corners[1, 1] - corners[0, 1], rel=1e-9)
    chip = scene.chips(corners.mean(axis=0)[None], np.zeros(1), side_m=side, size=256)[0]
    tile = render_tile(scene, 18, x, y)
    known = (chip.sum(axis=-1) > 0) & (tile.sum(axis=-1) > 0)
    assert known.mean() > 0.5
    assert np.abs(tile.astype(int) - chip)[known].mean() < 1.0


def test_zoom_levels_agree(scene):
    x, y = (values[len(values) // 2] for values in tile_range(scene, 17))
    parent = render_tile(scene, 17, x, y)
    top = np.concatenate([render_tile(scene, 18, 2 * x + i, 2 * y) for i in (0, 1)], axis=1)
    bottom = np.concatenate([render_tile(scene, 18, 2 * x + i, 2 * y + 1) for i in (0, 1)], axis=1)
    children = np.concatenate([top, bottom]).reshape(256, 2, 256, 2, 3).mean(axis=(1, 3))
    inside = (children > 0).all(axis=-1) & (parent > 0).all(axis=-1)
    assert np.abs(parent - children)[inside].mean() < 6.0
    assert np.corrcoef(parent[inside].ravel(), children[inside].ravel())[0, 1] > 0.97


def test_mbtiles_has_the_metadata_and_the_same_bytes_twice(scene, tmp_path):
    first, second = tmp_path / "a.mbtiles", tmp_path / "b.mbtiles"
    count = write_mbtiles(scene, first, (15, 16))
    write_mbtiles(scene, second, (15, 16))
    assert first.read_bytes() == second.read_bytes()
    connection = sqlite3.connect(first)
    try:
        metadata = dict(connection.execute("SELECT name, value FROM metadata"))
        tiles = connection.execute(
            "SELECT zoom_level, tile_column, tile_row, tile_data FROM tiles"
        ).fetchall()
    finally:
        connection.close()
    assert len(tiles) == count
    assert metadata["format"] == "jpg"
    assert (metadata["minzoom"], metadata["maxzoom"]) == ("15", "16")
    assert metadata["attribution"] == ATTRIBUTION
    assert metadata["type"] == "baselayer"
    west, south, east, north = map(float, metadata["bounds"].split(","))
    assert west < scene.town.origin[0] < east
    assert south < scene.town.origin[1] < north
    zoom, column, row, data = tiles[0]
    xyz = render_tile(scene, zoom, column, 2**zoom - 1 - row)
    decoded = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert decoded.shape == (256, 256, 3)
    assert np.abs(decoded - xyz).mean() < 8.0


def test_no_zoom_is_refused(scene, tmp_path):
    with pytest.raises(ValueError, match="no zoom level"):
        write_mbtiles(scene, tmp_path / "a.mbtiles", ())
