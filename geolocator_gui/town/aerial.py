"""XYZ tiles of a town and their MBTiles file."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from geolocator_gui.town.geometry import EARTH_RADIUS, mercator_from_lonlat
from geolocator_gui.town.scene import Images, Scene

TILE_PIXELS = 256
ATTRIBUTION = "Geolocator demo town (generated)"
_HALF_WORLD = np.pi * EARTH_RADIUS


def _corner(scene: Scene, zoom: int, x: int, y: int) -> tuple[float, float, float]:
    """Town metres of a tile's west and north edge, and of its side."""
    town = scene.town
    side = 2.0 * _HALF_WORLD / 2**zoom
    centre = mercator_from_lonlat(np.array([town.origin]))[0]
    west = (x * side - _HALF_WORLD - centre[0]) * town.scale
    north = (_HALF_WORLD - y * side - centre[1]) * town.scale
    return float(west), float(north), side * town.scale


def tile_range(scene: Scene, zoom: int) -> tuple[range, range]:
    """The columns and rows of the XYZ tiles that touch the town at a zoom."""
    layers = scene.layers
    rows, cols = layers.ids.shape
    west, north = layers.west, layers.north
    corners = np.array(
        [[west, north], [west + cols * layers.metres_per_pixel, north - rows * layers.metres_per_pixel]]
    )
    half = 0.5 * scene.town.size_m
    corners = np.clip(corners, -half, half)
    metres = mercator_from_lonlat(scene.town.to_lonlat(corners))
    at = (metres * [1.0, -1.0] + _HALF_WORLD) / (2.0 * _HALF_WORLD) * 2**zoom
    inner = 1e-9  # an edge on a tile border does not touch the next tile
    first, last = np.floor(at[0] + inner).astype(int), np.floor(at[1] - inner).astype(int)
    return range(int(first[0]), int(last[0]) + 1), range(int(first[1]), int(last[1]) + 1)


def render_tile(scene: Scene, zoom: int, x: int, y: int) -> Images:
    """One XYZ tile, uint8 (256, 256, 3), every raster pixel averaged in; black outside the town."""
    west, north, side = _corner(scene, zoom, x, y)
    mpp = scene.layers.metres_per_pixel
    aerial = scene.layers.aerial
    samples = max(2, int(np.ceil(side / TILE_PIXELS / mpp)))
    step = side / (TILE_PIXELS * samples)
    offsets = (np.arange(TILE_PIXELS * samples) + 0.5) * step
    cols = np.floor((west + offsets - scene.layers.west) / mpp).astype(np.int64)
    rows = np.floor((scene.layers.north - north + offsets) / mpp).astype(np.int64)
    known_cols = (cols >= 0) & (cols < aerial.shape[1])
    known_rows = (rows >= 0) & (rows < aerial.shape[0])
    out = np.zeros((TILE_PIXELS, TILE_PIXELS, 3), dtype=np.uint8)
    if not known_cols.any() or not known_rows.any():
        return out
    taken = aerial[np.where(known_rows, rows, 0)][:, np.where(known_cols, cols, 0)].astype(np.float32)
    taken[~known_rows] = 0.0
    taken[:, ~known_cols] = 0.0
    mean = taken.reshape(TILE_PIXELS, samples, TILE_PIXELS, samples, 3).mean(axis=(1, 3))
    out[:] = (mean + 0.5).astype(np.uint8)
    return out


def _encoded(image: Images, tile_format: str, quality: int) -> bytes:
    stream = io.BytesIO()
    if tile_format == "webp":
        Image.fromarray(image).save(stream, "WEBP", quality=quality, method=4)
    elif tile_format == "jpg":
        Image.fromarray(image).save(stream, "JPEG", quality=quality, optimize=True)
    else:
        Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


def _tiles(
    scene: Scene, zooms: Iterable[int], tile_format: str, quality: int
) -> Iterator[tuple[int, int, int, bytes]]:
    for zoom in zooms:
        columns, rows = tile_range(scene, zoom)
        for x in columns:
            for y in reversed(rows):  # ascending TMS rows
                yield zoom, x, 2**zoom - 1 - y, _encoded(render_tile(scene, zoom, x, y), tile_format, quality)


def write_mbtiles(
    scene: Scene, path: Path, zooms: Iterable[int], *, tile_format: str = "jpg", quality: int = 80
) -> int:
    """Write the town's tiles as MBTiles 1.3; the same scene gives the same bytes.

    Args:
        scene: the town, best at 0.2 m per pixel for zoom 18.
        path: the file, replaced if it exists.
        zooms: zoom levels.
        tile_format: "jpg", "webp" or "png".
        quality: of JPEG or WebP, 1-100.

    Returns:
        The number of tiles.

    Raises:
        ValueError: no zoom level was given.
    """
    levels = sorted(set(zooms))
    if not levels:
        raise ValueError(f"no zoom level to write to {path}: give at least one")
    half = 0.5 * scene.town.size_m
    west, south, east, north = scene.town.to_lonlat(np.array([[-half, -half], [half, half]])).ravel()
    metadata = {
        "name": f"Demo town {scene.town.seed}",
        "format": tile_format,
        "bounds": f"{west:.8f},{south:.8f},{east:.8f},{north:.8f}",
        "center": f"{scene.town.origin[0]:.8f},{scene.town.origin[1]:.8f},{levels[-1]}",
        "minzoom": str(levels[0]),
        "maxzoom": str(levels[-1]),
        "attribution": ATTRIBUTION,
        "description": "A town that does not exist, drawn by a program",
        "type": "baselayer",
        "version": "1.0",
    }
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA page_size = 4096")
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("CREATE TABLE metadata (name text, value text)")
        connection.execute(
            "CREATE TABLE tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob)"
        )
        connection.executemany("INSERT INTO metadata VALUES (?, ?)", sorted(metadata.items()))
        connection.executemany(
            "INSERT INTO tiles VALUES (?, ?, ?, ?)", _tiles(scene, levels, tile_format, quality)
        )
        connection.execute("CREATE UNIQUE INDEX tile_index ON tiles (zoom_level, tile_column, tile_row)")
        connection.commit()
        (count,) = connection.execute("SELECT count(*) FROM tiles").fetchone()
    finally:
        connection.close()
    return int(count)
