"""From chip scores to an answer: places, one fused position, and whether it stands out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.geo.projection import distance_m, geod
from geolocator_gui.records import Fused, LonLat

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Rows = NDArray[np.int64]


# `benchmarks.stands_out` with the shipped demo model (91.1 % R@1 on unseen towns), 400 photos of the indexed
# town and 400 of other towns, half of them panoramas: here one in twenty of the latter stands out, and two
# thirds of the right answers; at 1/3 half of those from elsewhere do. Area under the curve 0.91, of the lead
# over the second place 0.87, of the bare score 0.94; but what score is high differs from model to model.
STANDS_OUT_AT = 0.84


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
    lon, lat, held = lon[near], lat[near], scores[near]
    weight = weights(held, float(held.max()), sharpness)
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


def belief(
    lon: Doubles, lat: Doubles, scores: Floats, radius_m: float, sharpness: float, total: float
) -> float:
    """How much of the model's belief lies in the neighbourhood of the best chip, 0..1.

    The model was trained to tell the true chip from others by a softmax at its own temperature; this is that
    softmax over the whole index, summed over the neighbourhood.

    Args:
        lon: (N,) degrees, best first.
        lat: (N,) degrees, best first.
        scores: (N,) cosines, best first; those of the neighbourhood at least.
        radius_m: How far the neighbourhood reaches.
        sharpness: Inverse temperature.
        total: Sum of exp(sharpness * (score - best score)) over all chips that may be found.
    """
    near = _near(lon, lat, float(lon[0]), float(lat[0]), radius_m)
    near[0] = True
    held = float(weights(scores[near], float(scores[0]), sharpness).sum())
    return held / max(total, held)


def weights(scores: Floats, best: float, sharpness: float) -> Doubles:
    """exp(sharpness * (score - best)), float64."""
    return np.asarray(np.exp(sharpness * (scores.astype(np.float64) - best)))
