"""Small synthetic imagery, written by the tests themselves."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from geolocator_gui.geo.projection import HALF_WORLD_M, tile_resolution

Key = tuple[int, int, int]


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(h, w, 3) uint8: shapes of several sizes and some noise, never pure black or white."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for size, weight in ((64, 60.0), (16, 40.0), (4, 20.0), (1, 8.0)):
        small = rng.random((height // size + 2, width // size + 2, 3))
        total += weight * np.repeat(np.repeat(small, size, 0), size, 1)[:height, :width]
    return np.clip(total + 60, 5, 250).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


def jpeg(pixels: np.ndarray, quality: int = 95) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality)
    return out.getvalue()


def cut_tiles(pixels: np.ndarray, zoom: int, column: int, row: int, tile_px: int = 256) -> dict[Key, bytes]:
    """PNG tiles (zoom, column, row from the north) of a raster whose corner is the corner of a tile."""
    height, width = pixels.shape[0] // tile_px, pixels.shape[1] // tile_px
    return {
        (zoom, column + x, row + y): png(
            pixels[y * tile_px : (y + 1) * tile_px, x * tile_px : (x + 1) * tile_px]
        )
        for y in range(height)
        for x in range(width)
    }


def write_mbtiles(path: Path, tiles: Mapping[Key, bytes], **metadata: str) -> Path:
    rows: Iterable[tuple[int, int, int, bytes]] = (
        (zoom, column, (1 << zoom) - 1 - row, data) for (zoom, column, row), data in tiles.items()
    )
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("CREATE TABLE metadata (name text, value text)")
    connection.execute(
        "CREATE TABLE tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob)"
    )
    connection.execute("CREATE UNIQUE INDEX place ON tiles (zoom_level, tile_column, tile_row)")
    connection.executemany("INSERT INTO metadata VALUES (?, ?)", {"format": "png", **metadata}.items())
    connection.executemany("INSERT INTO tiles VALUES (?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()
    return path


def write_geotiff(
    path: Path, pixels: np.ndarray, zoom: int, column: int, row: int, tile_px: int = 256, **profile: object
) -> Path:
    """A GeoTIFF in EPSG:3857 on the pixel grid of a zoom level, its corner at the corner of a tile."""
    import rasterio
    from rasterio.transform import Affine

    resolution = tile_resolution(zoom, tile_px)
    west = column * tile_px * resolution - HALF_WORLD_M
    north = HALF_WORLD_M - row * tile_px * resolution
    values = pixels if pixels.ndim == 3 else pixels[..., None]
    settings = {
        "driver": "GTiff",
        "crs": "EPSG:3857",
        "transform": Affine(resolution, 0, west, 0, -resolution, north),
        "width": values.shape[1],
        "height": values.shape[0],
        "count": values.shape[2],
        "dtype": values.dtype,
        "tiled": True,
        **profile,
    }
    with rasterio.open(path, "w", **settings) as out:
        out.write(values.transpose(2, 0, 1))
    return path
