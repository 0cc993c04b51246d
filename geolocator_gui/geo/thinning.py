"""Outlines of very many corners, thinned out in a time that grows with their number and no faster.

Douglas and Peucker's method (1973) takes the square of the corners' number where an outline zigzags. It is
applied to pieces of a fixed number of corners, so that this cannot happen, and to what the last pass left.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon

Coordinates = NDArray[np.float64]
_PIECE = 64
_SMALLEST = 4  # corners of a ring that encloses anything, the first one twice
_FIRST_TOLERANCE = 1e-6
_LAST_TOLERANCE = 1.0


def corners_of(polygons: Sequence[Polygon]) -> int:
    """Corners of all rings together."""
    return int(shapely.get_num_coordinates(np.asarray(polygons, dtype=object)).sum())


def thin(polygons: Sequence[Polygon], most: int) -> tuple[list[Polygon], float]:
    """Leave corners out until at most so many are left (or the outlines would lose their shape).

    Args:
        polygons: Longitude and latitude in degrees.
        most: Corners of all of them together.

    Returns:
        The polygons, which may cross themselves now, those that became nothing left out; and how far the
        outlines have moved at most, in degrees; 0.0 where nothing was to be done.
    """
    rings = [ring for polygon in polygons for ring in (polygon.exterior, *polygon.interiors)]
    owner = np.repeat(np.arange(len(polygons)), [1 + len(polygon.interiors) for polygon in polygons])
    outer = np.diff(owner, prepend=-1) > 0
    xy = shapely.get_coordinates(rings)
    lengths = shapely.get_num_coordinates(np.asarray(rings, dtype=object)).astype(np.int64)
    moved, tolerance = 0.0, _FIRST_TOLERANCE
    while lengths.sum() > most and tolerance <= _LAST_TOLERANCE:
        fewer, left = _pass(xy, lengths, tolerance)
        if not (outer & (left >= _SMALLEST)).any():
            break
        if left.sum() < lengths.sum():
            moved += tolerance  # a pass starts from what the last one left
        xy, lengths, tolerance = fewer, left, tolerance * 2
    if not moved:
        return list(polygons), 0.0
    found: dict[int, list[Coordinates]] = {}
    for place, ring in enumerate(np.split(xy, np.cumsum(lengths)[:-1])):
        number = int(owner[place])
        if len(ring) >= _SMALLEST and (outer[place] or number in found):
            found.setdefault(number, []).append(ring)
    return [Polygon(outline, holes) for outline, *holes in found.values()], moved


def _pass(
    xy: Coordinates, lengths: NDArray[np.int64], tolerance: float
) -> tuple[Coordinates, NDArray[np.int64]]:
    """The rings, `lengths` corners each in `xy` (N, 2), cut into pieces, simplified and joined again."""
    ends = np.cumsum(lengths)
    ring = np.repeat(np.arange(len(lengths)), lengths)
    position = np.arange(len(xy)) - (ends - lengths)[ring]
    # A corner between two pieces belongs to both.
    joint = (position % _PIECE == 0) & (position > 0) & (position < lengths[ring] - 1)
    copies = 1 + joint.astype(np.int64)
    begins = np.zeros(int(copies.sum()), dtype=bool)
    begins[(np.cumsum(copies) - 1)[joint | (position == 0)]] = True
    piece = np.cumsum(begins) - 1
    ring_of_piece = np.repeat(ring, copies)[begins]
    lines = shapely.linestrings(np.repeat(xy, copies, axis=0), indices=piece)
    found, owner = shapely.get_coordinates(
        shapely.simplify(lines, tolerance, preserve_topology=False), return_index=True
    )
    begins_piece = np.diff(owner, prepend=-1) > 0
    begins_ring = np.diff(ring_of_piece[owner], prepend=-1) > 0
    kept = ~begins_piece | begins_ring
    left = np.bincount(ring_of_piece[owner[kept]], minlength=len(lengths))
    whole = left >= _SMALLEST  # others have become nothing
    left = np.where(whole, left, 0)
    return found[kept][whole[ring_of_piece[owner[kept]]]], left
