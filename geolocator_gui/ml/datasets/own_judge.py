"""Own photos, second look: which positions can be believed, and which photos say the same twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.geo.projection import MAX_LATITUDE
from geolocator_gui.ml.datasets.own_scan import Scanned
from geolocator_gui.ml.distances import ground_metres

_ZERO_DEGREES = 1e-3  # about 100 m around 0, 0: open sea
_SPOT_M = 1.0
# Photos at exactly one position are a default, not a measurement, where so many and this part of all share
# it; fewer are enough where nothing tells them apart. A turn on the spot is real.
_SHARED, _SHARED_PART = 20, 0.5
_ALIKE, _ALIKE_PART, _ALIKE_ALWAYS = 5, 0.2, 20
_BURST_S, _BURST_M, _BURST_DEG = 2.0, 2.0, 10.0


@dataclass(frozen=True)
class Aside:
    """A photo that is no pair.

    Attributes:
        photo: The photo.
        reason: In words, the same for all photos of the same kind.
        detail: What is special to this one.
    """

    photo: Scanned
    reason: str
    detail: str = ""


def judge(
    photos: Sequence[Scanned], *, unknown_heading: bool = True, one_spot: bool = False
) -> tuple[list[Scanned], list[Aside]]:
    """Photos that can become pairs, and the others with a reason each.

    Args:
        photos: In the order in which the first of several equal ones is kept.
        unknown_heading: Keep photos that do not say their heading.
        one_spot: Keep photos of which many have exactly one position.
    """
    aside: list[Aside] = []
    located: list[Scanned] = []
    seen: dict[str, Scanned] = {}
    for photo in photos:
        reason, detail = _alone(photo, unknown_heading)
        if not reason and photo.digest in seen:
            reason, detail = "a copy of another photo", seen[photo.digest].path
        if reason:
            aside.append(Aside(photo, reason, detail))
        else:
            seen[photo.digest] = photo
            located.append(photo)
    spots = [0] * len(located) if one_spot else _shared_spots(located)
    spread = [photo for photo, shared in zip(located, spots, strict=True) if not shared]
    aside += [
        Aside(
            photo,
            "many photos have exactly this position: a default, not a measurement",
            f"{shared:,} photos",
        )
        for photo, shared in zip(located, spots, strict=True)
        if shared
    ]
    original = _bursts(spread)
    aside += [
        Aside(photo, "the same view as another photo, a moment and a step apart", spread[first].path)
        for photo, first in zip(spread, original, strict=True)
        if first >= 0
    ]
    return [photo for photo, first in zip(spread, original, strict=True) if first < 0], aside


def _alone(photo: Scanned, unknown_heading: bool) -> tuple[str, str]:
    """What is wrong with a photo by itself: a reason and what is special to it."""
    if photo.problem:
        reason, _, detail = photo.problem.partition(": ")
        return reason, detail
    assert photo.lon is not None  # else there is a problem
    assert photo.lat is not None
    if abs(photo.lon) < _ZERO_DEGREES and abs(photo.lat) < _ZERO_DEGREES:
        return "the position is 0, 0", ""
    if not abs(photo.lat) < MAX_LATITUDE:
        return "the position is beyond the map", f"latitude {photo.lat:g}"
    if photo.heading is None and not unknown_heading:
        return "no heading in the file", ""
    return "", ""


def _shared_spots(photos: Sequence[Scanned]) -> list[int]:
    """For each photo how many share its position, where that cannot be true, else 0."""
    if not photos:
        return []
    lonlat = _lonlat(photos)
    centre = np.median(lonlat, axis=0)
    if len(photos) >= 3 and float(ground_metres(lonlat, centre).max()) < _SPOT_M:
        return [len(photos)] * len(photos)
    _, owner, sizes = np.unique(np.round(lonlat, 7), axis=0, return_inverse=True, return_counts=True)
    shared = sizes[owner.ravel()]
    views = {
        (int(spot), photo.heading, photo.taken) for spot, photo in zip(owner.ravel(), photos, strict=True)
    }
    different = np.bincount([spot for spot, _, _ in views], minlength=len(sizes))[owner.ravel()]
    alike = 2 * different <= shared
    few = (shared >= max(_ALIKE, _ALIKE_PART * len(photos))) | (shared >= _ALIKE_ALWAYS)
    most = (shared >= _SHARED) & (shared > _SHARED_PART * len(photos))
    return [int(one) for one in np.where(most | (alike & few), shared, 0)]


def _bursts(photos: Sequence[Scanned]) -> list[int]:
    """For each photo the row of an earlier one that shows the same, else -1."""
    original = [-1] * len(photos)
    if not photos:
        return original
    lonlat = _lonlat(photos)
    seconds = np.array([_seconds(photo.taken) for photo in photos])
    timed = np.flatnonzero(np.isfinite(seconds))
    order = timed[np.argsort(seconds[timed], kind="stable")]
    for place, row in enumerate(order):
        # In time order the candidates are the few before, back to two seconds ago.
        for other in order[max(0, place - 64) : place][::-1]:
            if seconds[row] - seconds[other] > _BURST_S:
                break
            if original[other] < 0 and _same_view(photos[row], photos[other], lonlat[[row, other]]):
                original[row] = int(other)
                break
    first: dict[tuple[object, ...], int] = {}
    for row, photo in enumerate(photos):
        if not np.isfinite(seconds[row]):
            # Without a time only what is equal in everything counts: a photo saved again.
            key = (photo.lon, photo.lat, photo.heading, photo.panorama, photo.width, photo.height)
            if photo.heading is not None and key in first:
                original[row] = first[key]
            first.setdefault(key, row)
    return original


def _same_view(one: Scanned, other: Scanned, lonlat: NDArray[np.float64]) -> bool:
    if (one.camera, one.panorama, one.drone) != (other.camera, other.panorama, other.drone):
        return False
    if (one.heading is None) != (other.heading is None):
        return False
    if one.heading is not None and other.heading is not None:
        turn = abs((one.heading - other.heading + 180.0) % 360.0 - 180.0)
        if turn > _BURST_DEG and not one.panorama:
            return False
    return float(ground_metres(lonlat[0], lonlat[1])) <= _BURST_M


def _lonlat(photos: Sequence[Scanned]) -> NDArray[np.float64]:
    return np.array([(photo.lon, photo.lat) for photo in photos], np.float64).reshape(-1, 2)


def _seconds(taken: str) -> float:
    try:
        return (datetime.fromisoformat(taken).replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds()
    except ValueError:
        return float("nan")
