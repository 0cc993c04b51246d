"""Resampling of a rectangle with fractional edges: area-averaged when shrinking, bilinear when enlarging.

One separable kernel does both: a box as wide as an output pixel, but at least one source pixel, averaged
over the piecewise constant source. A box of one pixel is linear interpolation between pixel centres.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from geolocator_gui.geo.imagery.base import Patch, Pixels, Valid

Floats = NDArray[np.float32]


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
        return Patch(_to_uint8(_both(planes, down, across)), np.ones((height, width), bool))
    masked = np.where(valid[..., None], pixels, np.uint8(0))
    planes = np.stack([*cv2.split(masked), valid.astype(np.uint8)]).astype(np.float32)
    sums = _both(planes, down, across)
    values = sums[:3] / np.maximum(sums[3], 1e-6)
    return Patch(_to_uint8(values), sums[3] >= 0.5 - 1e-4)


def _both(planes: Floats, down: _Weights, across: _Weights) -> Floats:
    """(c, h, w) to (c, height, width): along the columns, then along the rows."""
    return _turned(across.apply(_turned(down.apply(planes))))


def _is_aligned(box: tuple[float, float, float, float]) -> bool:
    return all(abs(edge - round(edge)) < 1e-6 for edge in box)


def _to_uint8(planes: Floats) -> Pixels:
    """(3, h, w) to (h, w, 3), rounded."""
    # The tiny offset keeps exact halves from falling to either side by a rounding error of the sums.
    rounded = np.minimum(planes + np.float32(0.5005), np.float32(255)).astype(np.uint8)
    return np.asarray(cv2.merge(list(rounded)), np.uint8)


class _Weights:
    """Means of few neighbours along one axis: the weights of each output pixel and where they begin.

    Summed neighbour by neighbour in a fixed order, never by a matrix product: how those sum up depends on the
    library and its threads, and the same imagery must give the same pixels everywhere and every time.
    """

    def __init__(self, start: float, stop: float, count: int, size: int) -> None:
        scale = (stop - start) / count
        half = max(scale, 1.0) / 2
        centres = start + scale / 2 + np.arange(count) * scale
        low, high = centres - half, centres + half
        first = np.floor(low)
        taps = int((np.ceil(high) - first).max())
        cells = first + np.arange(taps)[:, None]
        weights = np.maximum(np.minimum(high, cells + 1) - np.maximum(low, cells), 0.0) / (2 * half)
        heavy = weights.max(axis=1) > 1e-9
        self._weights = weights[heavy].astype(np.float32)
        # What lies beyond the image's edge is taken from its last pixel.
        self._rows = np.clip(cells[heavy], 0, size - 1).astype(np.intp)

    def apply(self, planes: Floats) -> Floats:
        """(c, size, m) to (c, count, m)."""
        shape = (planes.shape[0], self._rows.shape[1], planes.shape[2])
        total, part = np.zeros(shape, np.float32), np.empty(shape, np.float32)
        for rows, weights in zip(self._rows, self._weights, strict=True):
            np.take(planes, rows, axis=1, out=part, mode="clip")
            part *= weights[:, None]
            total += part
        return total


def _turned(planes: Floats) -> Floats:
    """(c, h, w) to (c, w, h)."""
    return np.stack([np.asarray(cv2.transpose(plane), np.float32) for plane in planes])
