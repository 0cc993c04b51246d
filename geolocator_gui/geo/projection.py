"""Web-Mercator (EPSG:3857) and its tiles, vectorised; distances on the WGS 84 ellipsoid.

Web-Mercator is a sphere's Mercator fed with ellipsoidal coordinates: a metre of it is `cos(latitude)`
metres on the ground (to within 0.7 %, the flattening of the Earth, which this project ignores for the
size of a chip and never for a distance).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from pyproj import Geod

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EARTH_RADIUS_M = 6378137.0
HALF_WORLD_M = math.pi * EARTH_RADIUS_M
WORLD_M = 2 * HALF_WORLD_M
# Where the Mercator world is a square: atan(sinh(pi)) in degrees.
MAX_LATITUDE = 85.0511287798066


def lonlat_to_mercator(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    """Degrees to EPSG:3857 metres; latitudes are held at the limit of the projection."""
    lon, lat = np.asarray(lon, np.float64), np.asarray(lat, np.float64)
    lat = np.clip(lat, -MAX_LATITUDE, MAX_LATITUDE)
    x = np.radians(lon) * EARTH_RADIUS_M
    y = np.arcsinh(np.tan(np.radians(lat))) * EARTH_RADIUS_M
    return x, y


def mercator_to_lonlat(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """EPSG:3857 metres to degrees; longitudes are not wrapped."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    lon = np.degrees(x / EARTH_RADIUS_M)
    lat = np.degrees(np.arctan(np.sinh(y / EARTH_RADIUS_M)))
    return lon, lat


def wrap_longitude(lon: ArrayLike) -> Floats:
    """Any degrees to [-180, 180)."""
    return (np.asarray(lon, np.float64) + 180.0) % 360.0 - 180.0


def lonlat_to_tile(lon: ArrayLike, lat: ArrayLike, zoom: int) -> tuple[Ints, Ints]:
    """Column and row (from the north) of the XYZ tile that holds a position.

    Columns wrap around the world; latitudes beyond the limit fall into the first or last row.
    """
    n = 1 << zoom
    x, y = lonlat_to_mercator(lon, lat)
    column = np.floor((x + HALF_WORLD_M) / WORLD_M * n).astype(np.int64) % n
    row = np.floor((HALF_WORLD_M - y) / WORLD_M * n).astype(np.int64)
    return column, np.clip(row, 0, n - 1)


def tile_bounds(x: int, y: int, zoom: int) -> tuple[float, float, float, float]:
    """West, south, east, north of an XYZ tile in EPSG:3857 metres."""
    side = WORLD_M / (1 << zoom)
    west, north = x * side - HALF_WORLD_M, HALF_WORLD_M - y * side
    return west, north - side, west + side, north


def tile_bounds_lonlat(x: int, y: int, zoom: int) -> tuple[float, float, float, float]:
    """West, south, east, north of an XYZ tile in degrees."""
    west, south, east, north = tile_bounds(x, y, zoom)
    lon, lat = mercator_to_lonlat([west, east], [south, north])
    return float(lon[0]), float(lat[0]), float(lon[1]), float(lat[1])


def tile_resolution(zoom: int, tile_px: int = 256) -> float:
    """EPSG:3857 metres per pixel of a zoom level (not ground metres)."""
    return WORLD_M / (tile_px * (1 << zoom))


def ground_scale(lat: ArrayLike) -> Floats:
    """Ground metres per EPSG:3857 metre."""
    scale: Floats = np.cos(np.radians(np.asarray(lat, np.float64)))
    return scale


def metres_per_pixel(lat: ArrayLike, zoom: int, tile_px: int = 256) -> Floats:
    """Ground metres per pixel of a zoom level at a latitude."""
    return ground_scale(lat) * tile_resolution(zoom, tile_px)


@lru_cache(maxsize=1)
def geod() -> Geod:
    """The WGS 84 ellipsoid."""
    from pyproj import Geod

    return Geod(ellps="WGS84")


def distance_m(lonlat_a: ArrayLike, lonlat_b: ArrayLike) -> Floats:
    """Geodesic metres between positions.

    Args:
        lonlat_a: (..., 2) degrees, longitude first.
        lonlat_b: (..., 2) degrees; broadcast against `lonlat_a`.

    Returns:
        (...) metres, float64.
    """
    a, b = np.broadcast_arrays(np.asarray(lonlat_a, np.float64), np.asarray(lonlat_b, np.float64))
    flat_a, flat_b = a.reshape(-1, 2), b.reshape(-1, 2)
    metres = geod().inv(flat_a[:, 0], flat_a[:, 1], flat_b[:, 0], flat_b[:, 1])[2]
    return np.asarray(metres, np.float64).reshape(a.shape[:-1])
