"""The heat layer: the scores of all chips as one picture in Web Mercator. numpy and Pillow only.

Where each chip falls in the picture is worked out once per index (`plan`); a photo's scores then cost one
scatter and one colour look-up, so that 10^6 chips redraw without lag.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.records import BoundingBox

LONGEST = 2048
# Eleven stops of viridis (perceptually even, safe for colour-blind eyes), joined linearly.
_VIRIDIS = (
    (68, 1, 84),
    (72, 36, 117),
    (65, 68, 135),
    (53, 95, 141),
    (42, 120, 142),
    (33, 145, 140),
    (34, 168, 132),
    (68, 191, 112),
    (122, 209, 81),
    (189, 223, 38),
    (253, 231, 37),
)


@dataclass(frozen=True)
class HeatPlan:
    """Where the chips of an index fall in the picture.

    Attributes:
        cells: Flat cell number per chip, int64 (N,).
        height: Rows.
        width: Columns.
        bounds: Outer edge of the picture, degrees.
    """

    cells: NDArray[np.int64]
    height: int
    width: int
    bounds: BoundingBox


def plan(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> HeatPlan:
    """Lay chips out in a raster with about one cell per chip, at most `LONGEST` cells a side.

    Args:
        lon: Degrees (N,).
        lat: Degrees (N,).
    """
    x = np.radians(lon)
    y = np.arctanh(np.sin(np.radians(lat)))
    width_m, height_m = float(np.ptp(x)), float(np.ptp(y))
    spacing = math.sqrt(max(width_m, 1e-9) * max(height_m, 1e-9) / max(len(x), 1))
    spacing = max(spacing * 1.02, width_m / (LONGEST - 2), height_m / (LONGEST - 2), 1e-9)
    west, north = float(x.min()) - spacing / 2, float(y.max()) + spacing / 2
    columns = ((x - west) / spacing).astype(np.int64)
    rows = ((north - y) / spacing).astype(np.int64)
    width, height = int(columns.max()) + 1, int(rows.max()) + 1
    south = math.degrees(math.asin(math.tanh(north - height * spacing)))
    bounds = BoundingBox(
        math.degrees(west),
        south,
        math.degrees(west + width * spacing),
        math.degrees(math.asin(math.tanh(north))),
    )
    return HeatPlan(rows * width + columns, height, width, bounds)


def raster(where: HeatPlan, scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Best score per cell, float32 (height, width); NaN where no chip is."""
    grid = np.full(where.height * where.width, -np.inf, np.float32)
    np.maximum.at(grid, where.cells, scores)
    image = grid.reshape(where.height, where.width)
    # Cells are a hair wider than chips are apart, yet rows of latitude shift against each other: a hole
    # between two neighbours takes the better of them.
    hole = np.isneginf(image)
    if hole.any():
        padded = np.pad(image, 1, constant_values=-np.inf)
        beside = np.maximum(padded[1:-1, :-2], padded[1:-1, 2:])
        both = np.minimum(padded[1:-1, :-2], padded[1:-1, 2:]) > -np.inf
        image = np.where(hole & both, beside, image)
    image[np.isneginf(image)] = np.nan
    return image


def colours(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """RGBA (height, width, 4): transparent at the median score and below, opaque towards the best."""
    known = image[np.isfinite(image)]
    if known.size == 0:
        return np.zeros((*image.shape, 4), np.uint8)
    low, high = float(np.quantile(known, 0.5)), float(known.max())
    level = np.clip((np.nan_to_num(image, nan=low) - low) / max(high - low, 1e-6), 0, 1)
    stops = np.linspace(0, 255, len(_VIRIDIS))
    table = np.stack(
        [np.interp(np.arange(256), stops, channel) for channel in zip(*_VIRIDIS, strict=True)], -1
    )
    rgba = np.empty((*image.shape, 4), np.uint8)
    rgba[..., :3] = table.astype(np.uint8)[(level * 255).astype(np.uint8)]
    rgba[..., 3] = (240 * np.sqrt(level) * level**0.3).astype(np.uint8)
    return rgba


def coverage(image: NDArray[np.float32], colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """RGBA (height, width, 4) in one colour wherever a chip is."""
    rgba = np.zeros((*image.shape, 4), np.uint8)
    rgba[..., :3] = colour
    rgba[..., 3] = np.where(np.isfinite(image), 70, 0)
    return rgba


def png(rgba: NDArray[np.uint8]) -> bytes:
    """Encode, fast rather than small: it never leaves the process."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(rgba).save(out, "PNG", compress_level=1)
    return out.getvalue()
