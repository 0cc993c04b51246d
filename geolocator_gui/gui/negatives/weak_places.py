"""Where on the map the model is weak: the median margin per cell of ground, as a picture. numpy only."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.gui.negatives import colours
from geolocator_gui.gui.negatives.result import MiningResult
from geolocator_gui.records import BoundingBox

_PER_CELL = 6
_MOST_CELLS = 512
_ALPHA = 165


@dataclass(frozen=True)
class WeakPlaces:
    """Median margins per cell in Web Mercator.

    Attributes:
        median: (h, w) float32, north first, NaN where no photo is.
        count: (h, w) photos per cell.
        bounds: Outer edge, degrees.
    """

    median: NDArray[np.float32]
    count: NDArray[np.int64]
    bounds: BoundingBox

    def picture(self, span: float) -> NDArray[np.uint8]:
        """RGBA (h, w, 4), transparent where no photo is."""
        height, width = self.median.shape
        rgba = np.zeros((height, width, 4), np.uint8)
        rgba[..., :3] = colours.rgb(self.median.ravel(), span).reshape(height, width, 3)
        rgba[..., 3] = np.where(np.isfinite(self.median), _ALPHA, 0)
        return rgba


def weak_places(result: MiningResult) -> WeakPlaces | None:
    """Lay the photos out in cells of about six; None when no photo has a position and a margin."""
    known = np.isfinite(result.lon) & np.isfinite(result.margin)
    if not known.any():
        return None
    x = np.radians(result.lon[known])
    y = np.arctanh(np.sin(np.radians(result.lat[known])))
    margin = result.margin[known]
    side = _cell(x, y, result, float(np.median(result.lat[known])))
    west, north = float(x.min()) - side / 2, float(y.max()) + side / 2
    column = ((x - west) / side).astype(np.int64)
    line = ((north - y) / side).astype(np.int64)
    width, height = int(column.max()) + 1, int(line.max()) + 1
    cell = line * width + column
    order = np.lexsort((margin, cell))
    cells, first, counts = np.unique(cell[order], return_index=True, return_counts=True)
    low, high = first + (counts - 1) // 2, first + counts // 2
    ordered = margin[order]
    median = np.full(height * width, np.nan, np.float32)
    median[cells] = (ordered[low] + ordered[high]) / 2
    count = np.zeros(height * width, np.int64)
    count[cells] = counts
    bounds = BoundingBox(
        math.degrees(west),
        math.degrees(math.asin(math.tanh(north - height * side))),
        math.degrees(west + width * side),
        math.degrees(math.asin(math.tanh(north))),
    )
    return WeakPlaces(median.reshape(height, width), count.reshape(height, width), bounds)


def _cell(x: NDArray[np.float64], y: NDArray[np.float64], result: MiningResult, lat: float) -> float:
    """Side of a cell in radians of Mercator: about six photos each, no smaller than a chip."""
    extent = max(float(np.ptp(x)), float(np.ptp(y)), 1e-9)
    ground = max(float(np.ptp(x)), extent / 100) * max(float(np.ptp(y)), extent / 100)
    side = math.sqrt(ground * _PER_CELL / len(x))
    chip_sides = result.chips.side_m[np.isfinite(result.chips.side_m)]
    chip = float(np.median(chip_sides)) if chip_sides.size else 0.0
    return max(side, chip / 6378137.0 / math.cos(math.radians(lat)), extent / _MOST_CELLS, 1e-9)
