"""From chip scores to an answer: places, one fused position, and whether it stands out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.geo.projection import distance_m, geod
from geolocator_gui.records import Fused, LonLat

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Background:
    """What the scores of chips that are not the answer look like.

    Attributes:
        mean: Of the scores.
        deviation: Standard deviation of the scores.
        places: How many places apart from each other the index holds.
    """

    mean: float
    deviation: float
    places: float


def separate_places(lon: Doubles, lat: Doubles, min_distance_m: float, top: int) -> Rows:
    """Keep the best of overlapping chips.

    Args:
        lon: (N,) degrees, best first.
        lat: (N,) degrees, best first.
        min_distance_m: A chip nearer than this to a better one is the same place; 0 keeps all.
        top: At most this many.

    Returns:
        Positions of the kept chips, best first.
    """
    if min_distance_m <= 0:
        return np.arange(min(top, len(lon)), dtype=np.int64)
    kept: list[int] = []
    free = np.ones(len(lon), dtype=bool)
    while len(kept) < top:
        left = np.flatnonzero(free)
        if not len(left):
            break
        best = int(left[0])
        kept.append(best)
        free[left] &= ~_near(lon[left], lat[left], lon[best], lat[best], min_distance_m)
        free[best] = False
    return np.asarray(kept, dtype=np.int64)


def _near(lon: Doubles, lat: Doubles, lon0: float, lat0: float, metres: float) -> NDArray[np.bool_]:
    """Which positions lie nearer than `metres`; a degree's box first, then geodesic."""
    reach = np.degrees(metres / 6.3e6)
    apart = np.abs((lon - lon0 + 180.0) % 360.0 - 180.0)
    near: NDArray[np.bool_] = (np.abs(lat - lat0) <= reach) & (
        apart * max(np.cos(np.radians(lat0)), 1e-3) <= 1.2 * reach
    )
    rows = np.flatnonzero(near)
    if len(rows):
        there = np.column_stack([lon[rows], lat[rows]])
        near[rows] = distance_m(there, (lon0, lat0)) < metres
    return near


def fuse(lon: Doubles, lat: Doubles, scores: Floats, radius_m: float, sharpness: float) -> Fused:
    """The position that the neighbourhood of the best chip agrees on.

    Args:
        lon: (N,) degrees, best first.
        lat: (N,) degrees, best first.
        scores: (N,) cosines, best first.
        radius_m: How far from the best chip's centre the neighbourhood reaches.
        sharpness: Inverse temperature of the model: a chip weighs exp(sharpness * (score - best score)).

    Returns:
        Weighted mean, taken in the tangent plane at the best chip, and the weighted standard distance.
    """
    near = _near(lon, lat, float(lon[0]), float(lat[0]), radius_m)
    near[0] = True
    lon, lat, held = lon[near], lat[near], scores[near].astype(np.float64)
    weight = np.exp(sharpness * (held - held.max()))
    weight /= weight.sum()
    ones = np.ones_like(lon)
    azimuth, _, metres = geod().inv(lon[0] * ones, lat[0] * ones, lon, lat)
    east, north = metres * np.sin(np.radians(azimuth)), metres * np.cos(np.radians(azimuth))
    middle_east, middle_north = float(weight @ east), float(weight @ north)
    spread = float(np.sqrt(weight @ ((east - middle_east) ** 2 + (north - middle_north) ** 2)))
    bearing = float(np.degrees(np.arctan2(middle_east, middle_north)))
    there = geod().fwd(float(lon[0]), float(lat[0]), bearing, float(np.hypot(middle_east, middle_north)))
    return Fused(LonLat(float(there[0]), float(there[1])), spread)


def margin_of(lon: Doubles, lat: Doubles, scores: Floats, radius_m: float) -> float | None:
    """Score of the best chip minus that of the best chip beyond `radius_m` of it; None without another."""
    far = ~_near(lon, lat, float(lon[0]), float(lat[0]), radius_m)
    far[0] = False
    others = np.flatnonzero(far)
    return float(scores[0] - scores[others[0]]) if len(others) else None


def stands_out(best: float, margin: float | None, background: Background) -> bool:
    """Whether the best place is more than the best of many wrong ones.

    The best of n scores of wrong places lies near mean + deviation * sqrt(2 ln n) if they fall like a normal
    distribution; the answer must lie above that, and its lead over the second place must be clear.
    """
    if margin is None:
        return True
    if background.deviation <= 0:
        return False
    height = (best - background.mean) / background.deviation
    expected = np.sqrt(2 * np.log(max(background.places, 2.0)))
    return bool(height >= expected and margin / background.deviation >= 0.35)
