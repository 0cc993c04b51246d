"""Resampling of a rectangle with fractional edges: area-averaged when shrinking, bilinear when enlarging.

One separable kernel does both: a box as wide as an output pixel, but at least one source pixel, averaged
over the piecewise constant source. A box of one pixel is linear interpolation between pixel centres.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.geo.imagery.base import Patch, Pixels, Valid

Floats = NDArray[np.float32]
_BLOCK = 32


def resample(
    pixels: Pixels, valid: Valid | None, box: tuple[float, float, float, float], width: int, height: int
) -> Patch:
    """Resample a rectangle of an image.

    Args:
        pixels: (h, w, 3) uint8.
        valid: (h, w) bool, or None where all is.
        box: Left, top, right, bottom in pixels of the image, fractional, within a pixel of its edges.
        width: Of the result.
        height: Of the result.

    Returns:
        The rectangle; a pixel is valid when at least half of what it covers is.
    """
    left, top, right, bottom = box
    if _is_aligned(box) and (right - left, bottom - top) == (width, height):
        rows, columns = slice(round(top), round(bottom)), slice(round(left), round(right))
        if (
            rows.start >= 0
            and rows.stop <= pixels.shape[0]
            and columns.start >= 0
            and columns.stop <= pixels.shape[1]
        ):
            held = np.ones((height, width), bool) if valid is None else valid[rows, columns].copy()
            return Patch(np.ascontiguousarray(pixels[rows, columns]), held)
    down = _Weights(top, bottom, height, pixels.shape[0])
    across = _Weights(left, right, width, pixels.shape[1])
    if valid is None or valid.all():
        values = across.apply(down.apply(pixels.astype(np.float32)).transpose(1, 0, 2)).transpose(1, 0, 2)
        return Patch(_to_uint8(values), np.ones((height, width), bool))
    weighted = np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 255, np.uint8)], axis=2)
    weighted = np.where(valid[..., None], weighted, np.uint8(0)).astype(np.float32)
    sums = across.apply(down.apply(weighted).transpose(1, 0, 2)).transpose(1, 0, 2)
    share = sums[..., 3] / 255.0
    values = sums[..., :3] / np.maximum(share, 1e-6)[..., None]
    return Patch(_to_uint8(values), share >= 0.5 - 1e-4)


def _is_aligned(box: tuple[float, float, float, float]) -> bool:
    return all(abs(edge - round(edge)) < 1e-6 for edge in box)


def _to_uint8(values: Floats) -> Pixels:
    # The tiny offset keeps exact halves from falling to either side by a rounding error of the sums.
    return np.ascontiguousarray(np.clip(np.floor(values + np.float32(0.5005)), 0, 255).astype(np.uint8))


class _Weights:
    """The banded matrix of one axis, applied in blocks along the first axis of an array."""

    def __init__(self, start: float, stop: float, count: int, size: int) -> None:
        scale = (stop - start) / count
        centres = start + (np.arange(count) + 0.5) * scale
        half = max(scale, 1.0) / 2
        self._low, self._high = centres - half, centres + half
        self._count, self._size = count, size

    def apply(self, values: Floats) -> Floats:
        """(size, m, c) to (count, m, c)."""
        flat = values.reshape(self._size, -1)
        result = np.empty((self._count, flat.shape[1]), np.float32)
        for begin in range(0, self._count, _BLOCK):
            end = min(begin + _BLOCK, self._count)
            low, high = self._low[begin:end, None], self._high[begin:end, None]
            first = int(np.clip(np.floor(low.min()), 0, self._size - 1))
            last = int(np.clip(np.ceil(high.max()), first + 1, self._size))
            cells = np.arange(first, last)[None, :]
            weights = np.clip(np.minimum(high, cells + 1) - np.maximum(low, cells), 0, None)
            # What lies beyond the image's edge is taken from its last pixel.
            weights[:, 0] += np.clip(np.minimum(high, first) - low, 0, None)[:, 0]
            weights[:, -1] += np.clip(high - np.maximum(low, last), 0, None)[:, 0]
            weights /= weights.sum(axis=1, keepdims=True)
            np.matmul(weights.astype(np.float32), flat[first:last], out=result[begin:end])
        return result.reshape(self._count, *values.shape[1:])
