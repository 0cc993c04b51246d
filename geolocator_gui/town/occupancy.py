"""A coarse map of what is taken already, so that houses do not stand on streets or each other."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from geolocator_gui.town.elements import FloatArray, Rect, River, Street


def rect_points(rect: Rect, spacing: float) -> FloatArray:
    """Points (n, 2) that fill a rectangle, at most `spacing` metres apart, edges included."""
    nu = max(2, int(np.ceil(2.0 * rect.half_length / spacing)) + 1)
    nv = max(2, int(np.ceil(2.0 * rect.half_width / spacing)) + 1)
    u, v = np.meshgrid(
        np.linspace(-rect.half_length, rect.half_length, nu),
        np.linspace(-rect.half_width, rect.half_width, nv),
    )
    cos, sin = np.cos(rect.angle), np.sin(rect.angle)
    return np.stack([rect.x + cos * u - sin * v, rect.y + sin * u + cos * v], axis=-1).reshape(-1, 2)


class Occupancy:
    """Two boolean rasters of 1 m cells: `ways` (streets, water) and `built`."""

    def __init__(self, size: float) -> None:
        """Make an empty map of a square of `size` metres about the origin."""
        self.half = 0.5 * size
        cells = int(np.ceil(size))
        self.ways: npt.NDArray[np.bool_] = np.zeros((cells, cells), dtype=bool)
        self.built: npt.NDArray[np.bool_] = np.zeros((cells, cells), dtype=bool)

    def _cells(
        self, xy: FloatArray
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        index = np.floor(xy + self.half).astype(np.int64)
        inside = np.all((index >= 0) & (index < len(self.ways)), axis=1)
        index = np.clip(index, 0, len(self.ways) - 1)
        return index[:, 1], index[:, 0], inside

    def add_line(self, points: FloatArray, half_width: float) -> None:
        """Mark a polyline of the given half width as a way."""
        for start, end in pairwise(points):
            gap = end - start
            length = float(np.hypot(gap[0], gap[1]))
            if length > 0.0:
                middle = 0.5 * (start + end)
                angle = float(np.arctan2(gap[1], gap[0]))
                rect = Rect(float(middle[0]), float(middle[1]), 0.5 * length + 1.0, half_width, angle)
                rows, cols, inside = self._cells(rect_points(rect, 0.7))
                self.ways[rows[inside], cols[inside]] = True

    def add_streets(self, streets: tuple[Street, ...], river: River | None) -> None:
        """Mark all carriageways, sidewalks and the river."""
        for street in streets:
            self.add_line(street.points, 0.5 * street.width + street.sidewalk)
        if river is not None:
            self.add_line(river.points, 0.5 * river.width + 3.0)

    def free(self, rect: Rect, *, built: bool = True) -> bool:
        """Whether a rectangle touches no way, no building (if asked) and no border."""
        rows, cols, inside = self._cells(rect_points(rect, 1.0))
        if not inside.all() or self.ways[rows, cols].any():
            return False
        return not (built and self.built[rows, cols].any())

    def free_point(self, x: float, y: float) -> bool:
        """Whether a point lies inside, off the ways and off the buildings."""
        rows, cols, inside = self._cells(np.array([[x, y]]))
        return bool(inside[0] and not self.ways[rows[0], cols[0]] and not self.built[rows[0], cols[0]])

    def build(self, rect: Rect) -> None:
        """Mark a rectangle as built."""
        rows, cols, inside = self._cells(rect_points(rect, 0.7))
        self.built[rows[inside], cols[inside]] = True
