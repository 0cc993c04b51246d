"""Resampling of a rectangle with fractional edges: area-averaged when shrinking, bilinear when enlarging.

One separable kernel does both: a box as wide as an output pixel, but at least one source pixel, averaged
over the piecewise constant source. A box of one pixel is linear interpolation between pixel centres.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from geolocator_gui.geo.imagery.base import Patch, Pixels, Valid

Floats = NDArray[np.float32]
_BLOCK = 64


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
        planes = np.stack(cv2.split(pixels)).astype(np.float32)
        return Patch(_to_uint8(across.across(down.down(planes))), np.ones((height, width), bool))
    masked = np.where(valid[..., None], pixels, np.uint8(0))
    planes = np.stack([*cv2.split(masked), valid.astype(np.uint8)]).astype(np.float32)
    sums = across.across(down.down(planes))
    values = sums[:3] / np.maximum(sums[3], 1e-6)
    return Patch(_to_uint8(values), sums[3] >= 0.5 - 1e-4)


def _is_aligned(box: tuple[float, float, float, float]) -> bool:
    return all(abs(edge - round(edge)) < 1e-6 for edge in box)


def _to_uint8(planes: Floats) -> Pixels:
    """(3, h, w) to (h, w, 3), rounded."""
    # The tiny offset keeps exact halves from falling to either side by a rounding error of the sums.
    rounded = np.minimum(planes + np.float32(0.5005), np.float32(255)).astype(np.uint8)
    return np.asarray(cv2.merge(list(rounded)), np.uint8)


class _Weights:
    """The banded matrix of one axis, applied in blocks; each output pixel is a mean of few neighbours."""

    def __init__(self, start: float, stop: float, count: int, size: int) -> None:
        scale = (stop - start) / count
        self._first, self._scale, self._half = start + scale / 2, scale, max(scale, 1.0) / 2
        self._count, self._size = count, size

    def down(self, planes: Floats) -> Floats:
        """(c, size, m) to (c, count, m)."""
        result = np.empty((planes.shape[0], self._count, planes.shape[2]), np.float32)
        for begin, end, first, last, weights in self._blocks():
            np.matmul(weights, planes[:, first:last], out=result[:, begin:end])
        return result

    def across(self, planes: Floats) -> Floats:
        """(c, m, size) to (c, m, count)."""
        result = np.empty((*planes.shape[:2], self._count), np.float32)
        for begin, end, first, last, weights in self._blocks():
            np.matmul(planes[:, :, first:last], weights.T, out=result[:, :, begin:end])
        return result

    def _blocks(self) -> Iterator[tuple[int, int, int, int, Floats]]:
        """Output range, source range, and the (output, source) weights between them."""
        for begin in range(0, self._count, _BLOCK):
            end = min(begin + _BLOCK, self._count)
            centres = self._first + np.arange(begin, end)[:, None] * self._scale
            low, high = centres - self._half, centres + self._half
            first = min(max(math.floor(low[0, 0]), 0), self._size - 1)
            last = min(max(math.ceil(high[-1, 0]), first + 1), self._size)
            cells = np.arange(first, last)[None, :]
            weights = np.minimum(high, cells + 1) - np.maximum(low, cells)
            np.maximum(weights, 0.0, out=weights)
            # What lies beyond the image's edge is taken from its last pixel.
            if low[0, 0] < first:
                weights[:, 0] += np.maximum(np.minimum(high, first) - low, 0.0)[:, 0]
            if high[-1, 0] > last:
                weights[:, -1] += np.maximum(high - np.maximum(low, last), 0.0)[:, 0]
            weights /= 2 * self._half
            yield begin, end, first, last, weights.astype(np.float32)
