"""Noise fields and paving patterns that give a town's surfaces their grain."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geolocator_gui.town.elements import FloatArray

# Grain is defined on this raster, so that finer scenes of a town look like coarser ones.
BASE_METRES_PER_PIXEL = 80 / 96 / 2
CLOSE_UP = 0.15  # metres per pixel below which grain is interpolated instead of repeated
Field = npt.NDArray[np.float32]


def _smooth(rng: np.random.Generator, shape: tuple[int, int], cell: int) -> Field:
    """Smooth noise of about unit deviation with features of `cell` pixels."""
    rows, cols = shape[0] // cell + 2, shape[1] // cell + 2
    coarse = rng.standard_normal((rows, cols)).astype(np.float32)
    r = np.arange(shape[0], dtype=np.float32) / cell
    c = np.arange(shape[1], dtype=np.float32) / cell
    ri, ci = r.astype(np.int64), c.astype(np.int64)
    rf, cf = (r - ri)[:, None], (c - ci)[None, :]
    upper = coarse[ri][:, ci] * (1 - cf) + coarse[ri][:, ci + 1] * cf
    lower = coarse[ri + 1][:, ci] * (1 - cf) + coarse[ri + 1][:, ci + 1] * cf
    return np.asarray(upper * (1 - rf) + lower * rf, dtype=np.float32)


def _stretched(field: Field, rows: FloatArray, cols: FloatArray) -> Field:
    """A field read between its samples at pixel coordinates (h,) and (w,), bilinear."""
    last = len(field) - 1
    r, c = np.clip(rows - 0.5, 0.0, last - 1e-3), np.clip(cols - 0.5, 0.0, last - 1e-3)
    ri, ci = r.astype(np.int64), c.astype(np.int64)
    rf, cf = (r - ri).astype(np.float32)[:, None], (c - ci).astype(np.float32)[None, :]
    top, below = field[ri], field[ri + 1]
    upper = top[:, ci] * (1 - cf) + top[:, ci + 1] * cf
    lower = below[:, ci] * (1 - cf) + below[:, ci + 1] * cf
    return np.asarray(upper * (1 - rf) + lower * rf, dtype=np.float32)


def noise_fields(
    seed: int, size_m: float, metres_per_pixel: float, window: tuple[float, float, float, float]
) -> tuple[Field, Field, Field]:
    """Grain, patches of about 6 m and of about 45 m, each (h, w) of about unit deviation.

    Args:
        seed: the town's.
        size_m: its side.
        metres_per_pixel: of the result.
        window: west, south, east, north in town metres.
    """
    base = int(np.ceil(size_m / BASE_METRES_PER_PIXEL))
    rng = np.random.default_rng([seed, 3, base])
    shape = (base, base)
    grain = rng.standard_normal(shape, dtype=np.float32)
    patches = _smooth(rng, shape, max(2, round(6.0 / BASE_METRES_PER_PIXEL)))
    wide = _smooth(rng, shape, max(2, round(45.0 / BASE_METRES_PER_PIXEL)))
    west, south, east, north = window
    half = 0.5 * size_m
    if metres_per_pixel == BASE_METRES_PER_PIXEL and window == (-half, -half, half, half):
        return grain, patches, wide
    height, width = (
        int(np.ceil((north - south) / metres_per_pixel)),
        int(np.ceil((east - west) / metres_per_pixel)),
    )
    down = ((half - north) + (np.arange(height) + 0.5) * metres_per_pixel) / BASE_METRES_PER_PIXEL
    right = ((west + half) + (np.arange(width) + 0.5) * metres_per_pixel) / BASE_METRES_PER_PIXEL
    fine = rng.standard_normal((height, width), dtype=np.float32)
    if metres_per_pixel < CLOSE_UP:
        coarse = np.float32(1.25) * _stretched(grain, down, right)
        return (
            coarse + np.float32(0.45) * fine,
            _stretched(patches, down, right),
            _stretched(wide, down, right),
        )
    rows = np.clip(down.astype(np.int64), 0, base - 1)[:, None]
    cols = np.clip(right.astype(np.int64), 0, base - 1)[None, :]
    return np.float32(0.9) * grain[rows, cols] + np.float32(0.4) * fine, patches[rows, cols], wide[rows, cols]


def paving(kind: str, grain: FloatArray, along: FloatArray, across: FloatArray) -> FloatArray:
    """Brightness offsets of a paving at metres along and across the street, all (n,)."""
    if kind == "cobble":
        return 17.0 * grain
    if kind == "brick":
        return 7.0 * grain + np.where(np.floor((along + across) / 1.1) % 2 == 0, 10.0, -10.0)
    if kind == "slab":
        joint = (along - np.floor(along / 2.5) * 2.5 < 0.45) | (across - np.floor(across / 2.5) * 2.5 < 0.45)
        return 4.0 * grain + np.where(joint, -22.0, 3.0)
    return (12.0 if kind == "gravel" else 5.0) * grain
