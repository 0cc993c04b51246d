"""What the plots show, as arrays: histograms and what a lasso encloses. No Qt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Histogram:
    """Counts between edges.

    Attributes:
        edges: (n + 1,) in the values' unit, or its log10.
        counts: (n,).
        left_out: Values that are unknown.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    left_out: int


def histogram(values: NDArray[np.floating], bins: int = 40, *, log: bool = False) -> Histogram:
    """Count values in even bins; the outermost hundredth on either side goes into the outer bins.

    Args:
        values: (N,), NaN where unknown.
        bins: At most so many.
        log: Bins are even in log10; what is below 1 counts as 1.
    """
    known = np.asarray(values[np.isfinite(values)], np.float64)
    left_out = len(values) - len(known)
    if log:
        known = np.log10(np.maximum(known, 1.0))
    if known.size == 0:
        return Histogram(np.array([0.0, 1.0]), np.zeros(1, np.int64), left_out)
    low, high = (float(q) for q in np.quantile(known, [0.01, 0.99]))
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    count = int(min(bins, max(6, np.ceil(2 * len(known) ** (1 / 3)))))
    edges = np.linspace(low, high, count + 1)
    counts, _ = np.histogram(np.clip(known, low, high), edges)
    return Histogram(edges, counts.astype(np.int64), left_out)


def inside(
    x: NDArray[np.floating], y: NDArray[np.floating], lasso: NDArray[np.floating]
) -> NDArray[np.bool_]:
    """(N,) which points lie inside a closed line, by the even-odd rule.

    Args:
        x: (N,).
        y: (N,).
        lasso: (M, 2) corners in order; closed by itself.
    """
    corners = np.asarray(lasso, np.float64)
    result = np.zeros(len(x), bool)
    if len(corners) < 3:
        return result
    low, high = corners.min(0), corners.max(0)
    near = np.flatnonzero((x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1]))
    px, py = np.asarray(x, np.float64)[near], np.asarray(y, np.float64)[near]
    odd = np.zeros(len(near), bool)
    before = np.roll(corners, 1, axis=0)
    for (x1, y1), (x2, y2) in zip(before.tolist(), corners.tolist(), strict=True):
        if y1 == y2:
            continue
        crosses = (y1 > py) != (y2 > py)
        odd ^= crosses & (px < (x2 - x1) * (py - y1) / (y2 - y1) + x1)
    result[near] = odd
    return result


def thinned(count: int, most: int) -> NDArray[np.int64]:
    """Evenly spaced rows, at most so many: a plot of more points is no clearer."""
    if count <= most:
        return np.arange(count)
    return np.linspace(0, count - 1, most).astype(np.int64)
