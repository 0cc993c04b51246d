"""Finding the nearest chips: exact while the index is small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.events import Steps
from geolocator_gui.ml.index.manifest import SEARCH_FILE, Manifest
from geolocator_gui.ml.index.segments import Floats, Rows, Vectors

_BLOCK = 16_384


def build_search(folder: Path, manifest: Manifest, name: str = SEARCH_FILE) -> Steps[None]:
    """Make the search structure where the size of the index asks for one."""
    return
    yield


def exact_scores(vectors: Vectors, queries: Floats) -> Floats:
    """Cosines of every query with every chip, float32 (Q, N)."""
    scores = np.empty((len(queries), len(vectors)), dtype=np.float32)
    for start, block in vectors.blocks(_BLOCK):
        scores[:, start : start + len(block)] = queries @ block.astype(np.float32).T
    return scores


def exact_search(
    vectors: Vectors, queries: Floats, k: int, mask: NDArray[np.bool_] | None = None
) -> tuple[Floats, Rows]:
    """The `k` best chips of every query, best first; of equal scores the lower row first.

    Args:
        vectors: Of the index.
        queries: float32 (Q, D), unit.
        k: At most this many.
        mask: (N,) which chips may be found.

    Returns:
        Scores float32 (Q, k) and rows int64 (Q, k); k is smaller where fewer chips may be found.
    """
    rows = None if mask is None else np.flatnonzero(mask)
    total = len(vectors) if rows is None else len(rows)
    k = min(k, total)
    best = np.full((len(queries), 0), -np.inf, dtype=np.float32)
    found = np.empty((len(queries), 0), dtype=np.int64)
    for start in range(0, total, _BLOCK):
        stop = min(start + _BLOCK, total)
        block = vectors[start:stop] if rows is None else vectors.take(rows[start:stop])
        names = np.arange(start, stop) if rows is None else rows[start:stop]
        scores = queries @ block.astype(np.float32).T
        best = np.concatenate([best, scores], axis=1)
        found = np.concatenate([found, np.broadcast_to(names, scores.shape)], axis=1)
        best, found = _top(best, found, k)
    return best, found


def _top(scores: Floats, rows: Rows, k: int) -> tuple[Floats, Rows]:
    if scores.shape[1] > k:
        # Ties at the border must fall the same way every time: keep all that equal the last one kept.
        border = -np.partition(-scores, k - 1, axis=1)[:, k - 1 : k]
        widest = int((scores >= border).sum(axis=1).max())
        if widest < scores.shape[1]:
            part = np.argpartition(-scores, widest - 1, axis=1)[:, :widest]
            scores, rows = np.take_along_axis(scores, part, 1), np.take_along_axis(rows, part, 1)
    order = np.lexsort((rows, -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
