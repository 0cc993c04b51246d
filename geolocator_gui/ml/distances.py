"""Metres on the ground between many pairs of positions, fast enough for every candidate of a mining."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SEMI_MAJOR_M = 6_378_137.0
_FLATTENING = 1 / 298.257223563
_MEAN_RADIUS_M = 6_371_008.8


def earth_centred(lonlat: NDArray[np.floating]) -> NDArray[np.float64]:
    """(..., 2) degrees WGS 84 to (..., 3) earth-centred metres on the ellipsoid."""
    lon, lat = np.moveaxis(np.radians(np.asarray(lonlat, np.float64)), -1, 0)
    squared = _FLATTENING * (2 - _FLATTENING)
    normal = _SEMI_MAJOR_M / np.sqrt(1 - squared * np.sin(lat) ** 2)
    return np.stack(
        [
            normal * np.cos(lat) * np.cos(lon),
            normal * np.cos(lat) * np.sin(lon),
            normal * (1 - squared) * np.sin(lat),
        ],
        axis=-1,
    )


def ground_metres(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Metres between positions (..., 2) in degrees, broadcast.

    The straight line through the ellipsoid, bent to an arc of the mean radius: within 1e-6 of the geodesic up
    to 100 km and within 1.5 % anywhere.
    """
    return arc_metres(earth_centred(a), earth_centred(b))


def arc_metres(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """`ground_metres` between earth-centred positions (..., 3), for points used many times."""
    line = np.linalg.norm(a - b, axis=-1)
    return np.asarray(2 * _MEAN_RADIUS_M * np.arcsin(np.minimum(line / (2 * _MEAN_RADIUS_M), 1.0)))
