"""Exact search: every chip is compared with every query, in blocks that fit the cache."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.ml.index.segments import Floats, Rows, Vectors

# Rows of 1024 dimensions per block, 4 MB as float32; of shorter vectors as many more: each block is a meeting
# of all threads, and on a busy machine these cost more than the sums.
_BLOCK = 1024
# Up to here (100 MB as float32) numpy is quick enough; beyond, torch turns float16 into float32 ten times
# faster, which is worth importing it.
_SMALL = 25_000_000


def exact_scores(vectors: Vectors, queries: Floats) -> Floats:
    """Cosines of every query with every chip, float32 (Q, N)."""
    scores = np.empty((len(queries), len(vectors)), dtype=np.float32)
    for start, block in _scored(vectors, queries, None):
        scores[:, start : start + block.shape[1]] = block
    return scores


def exact_best(vectors: Vectors, queries: Floats) -> tuple[Floats, Rows]:
    """The best of all queries for every chip: scores float32 (N,) and which query it was, int64 (N,)."""
    scores = np.empty(len(vectors), dtype=np.float32)
    which = np.empty(len(vectors), dtype=np.int64)
    for start, block in _scored(vectors, queries, None):
        stop = start + block.shape[1]
        which[start:stop] = block.argmax(axis=0)
        scores[start:stop] = block.max(axis=0)
    return scores, which


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
    held: list[tuple[Floats, Rows]] = []
    waiting = 0
    for start, scores in _scored(vectors, queries, rows):
        stop = start + scores.shape[1]
        names = np.arange(start, stop) if rows is None else rows[start:stop]
        held.append((scores.copy(), np.broadcast_to(names, scores.shape)))
        waiting += scores.shape[1]
        if waiting >= 16 * _BLOCK or stop == total:
            best, found = top_of(
                np.concatenate([best, *(part for part, _ in held)], axis=1),
                np.concatenate([found, *(part for _, part in held)], axis=1),
                k,
            )
            held, waiting = [], 0
    return best, found


def top_of(scores: Floats, rows: Rows, k: int) -> tuple[Floats, Rows]:
    """The `k` best of each row of scores, best first; of equal scores the lower row first."""
    if scores.shape[1] > k > 0:
        # Ties at the border must fall the same way every time: keep all that equal the last one kept.
        border = -np.partition(-scores, k - 1, axis=1)[:, k - 1 : k]
        widest = int((scores >= border).sum(axis=1).max())
        if widest < scores.shape[1]:
            part = np.argpartition(-scores, widest - 1, axis=1)[:, :widest]
            scores, rows = np.take_along_axis(scores, part, 1), np.take_along_axis(rows, part, 1)
    order = np.lexsort((rows, -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)


def _scored(vectors: Vectors, queries: Floats, rows: Rows | None) -> Iterator[tuple[int, Floats]]:
    """Position and scores (Q, n) of one block of chips after the other; the array is used again."""
    total = len(vectors) if rows is None else len(rows)
    if "torch" in sys.modules or total * vectors.dimension > _SMALL:
        yield from _scored_by_torch(vectors, queries, rows)
        return
    size = _block_rows(vectors.dimension)
    buffer = np.empty((size, vectors.dimension), dtype=np.float32)
    for start, block in _blocks(vectors, rows, size):
        np.copyto(buffer[: len(block)], block)
        yield start, queries @ buffer[: len(block)].T


def _scored_by_torch(vectors: Vectors, queries: Floats, rows: Rows | None) -> Iterator[tuple[int, Floats]]:
    import warnings

    import torch

    wanted = torch.from_numpy(np.ascontiguousarray(queries)).T.contiguous()
    size = _block_rows(vectors.dimension)
    buffer = torch.empty((size, vectors.dimension))
    with warnings.catch_warnings(), torch.inference_mode():
        # The memory map is read-only, and is only read.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        for start, block in _blocks(vectors, rows, size):
            part = buffer[: len(block)]
            part.copy_(torch.from_numpy(block))
            product = (
                torch.mv(part, wanted[:, 0])[:, None] if wanted.shape[1] == 1 else torch.mm(part, wanted)
            )
            yield start, product.T.numpy()


def _block_rows(dimension: int) -> int:
    return max(_BLOCK, _BLOCK * 1024 // max(dimension, 64))


def _blocks(vectors: Vectors, rows: Rows | None, size: int) -> Iterator[tuple[int, NDArray[np.float16]]]:
    if rows is None:
        yield from vectors.blocks(size)
        return
    for start in range(0, len(rows), size):
        yield start, vectors.take(rows[start : start + size])
