"""Ranks and nearest lists in one pass over the similarities, a block of queries at a time.

The published evaluation builds the whole query x reference matrix, ranks it in a Python loop and builds it a
second time to mine neighbours. Here a block of queries is multiplied with all references into one reused
buffer, and everything that is wanted of those rows is read from it: the rank of the positive, the most
similar references, the ranks of further references. What is kept is O(queries x k).

A rank is the number of references whose similarity is strictly higher than that of the reference in question,
as published: ties count in favour. Both numbers compared come out of the same matrix product, so a reference
never outranks itself by rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

BLOCK_BYTES = 128 << 20
"""Size of the similarity buffer."""
RESIDENT_BYTES = 512 << 20
"""References up to this size (as float32) are converted once; larger ones are converted a tile at a time."""
_TILE = 16_384
_LOWEST = -torch.inf


@dataclass(frozen=True)
class RowLists:
    """For every query a list of reference rows, of any length.

    Attributes:
        offsets: (Q + 1,) int64; the list of query i is `rows[offsets[i]:offsets[i + 1]]`.
        rows: Reference rows, int64.
    """

    offsets: NDArray[np.int64]
    rows: NDArray[np.int64]

    @classmethod
    def of(cls, lists: Sequence[Sequence[int] | NDArray[np.integer]]) -> RowLists:
        """From one sequence per query."""
        sizes = np.fromiter((len(one) for one in lists), np.int64, len(lists))
        rows = [np.asarray(one, np.int64) for one in lists]
        return cls(
            np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)]),
            np.concatenate(rows) if rows else np.zeros(0, np.int64),
        )

    @classmethod
    def same_label(cls, query_label: NDArray[np.integer], reference_label: NDArray[np.integer]) -> RowLists:
        """The references that carry the query's own label."""
        order = np.argsort(reference_label, kind="stable")
        found = reference_label[order]
        first = np.searchsorted(found, query_label, "left")
        last = np.searchsorted(found, query_label, "right")
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(last - first)])
        within = np.arange(int(offsets[-1])) - np.repeat(offsets[:-1], last - first)
        return cls(offsets, order[np.repeat(first, last - first) + within].astype(np.int64))

    def padded(self) -> NDArray[np.int64]:
        """(Q, longest list) int64, short lists filled with -1."""
        sizes = np.diff(self.offsets)
        table = np.full((len(sizes), int(sizes.max(initial=0))), -1, np.int64)
        table[np.arange(table.shape[1]) < sizes[:, None]] = self.rows
        return table

    def block(self, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Query (counted from `start`) and reference row of every entry of the queries start..stop."""
        sizes = np.diff(self.offsets[start : stop + 1])
        rows = self.rows[self.offsets[start] : self.offsets[stop]]
        return np.repeat(np.arange(stop - start), sizes), rows


@dataclass(frozen=True)
class RankBlock:
    """What one pass found for the queries `start`..`stop` (B of them).

    Attributes:
        start: First query.
        stop: One past the last query.
        score: (B,) float32 similarity of the positive, NaN where a query has none.
        rank: (B,) int32 references strictly above the positive; -1 where a query has none.
        near_above: (B,) int32 of these, how many are semi-positives (the `near` argument).
        top: (B, k) int32 most similar references that are not left out, best first; -1 fills up.
        top_score: (B, k) float32; NaN where `top` is -1.
        probe_score: (B, P) float32 similarity of the probes; NaN where a probe is -1.
        probe_rank: (B, P) int32 references strictly above each probe; -1 where a probe is -1.
    """

    start: int
    stop: int
    score: NDArray[np.float32]
    rank: NDArray[np.int32]
    near_above: NDArray[np.int32]
    top: NDArray[np.int32]
    top_score: NDArray[np.float32]
    probe_score: NDArray[np.float32]
    probe_rank: NDArray[np.int32]


def stream_ranks(
    query: NDArray[np.floating],
    reference: NDArray[np.floating],
    *,
    k: int = 0,
    positive: NDArray[np.integer] | None = None,
    near: NDArray[np.integer] | None = None,
    leave_out: RowLists | None = None,
    probes: NDArray[np.integer] | None = None,
    start: int = 0,
    stop: int | None = None,
    device: str = "cpu",
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[RankBlock]:
    """Rank references for every query.

    Args:
        query: (Q, D) unit vectors, float16 or float32, in memory or a memmap.
        reference: (R, D) likewise.
        k: Length of the list of most similar references.
        positive: (Q,) reference row of each query's positive, -1 for none. It is never in the list.
        near: (Q, S) rows of semi-positives, -1 fills up; they stay in the list.
        leave_out: References that are kept out of a query's list; they still count for ranks.
        probes: (Q, P) further references whose similarity and rank are wanted, -1 fills up.
        start: First query, to go on where an earlier pass ended.
        stop: One past the last query; None for all.
        device: A torch device.
        block_bytes: Size of the similarity buffer; at least 16 queries are taken at a time.

    Yields:
        Blocks in the order of the queries.
    """
    count = len(reference)
    stop = len(query) if stop is None else stop
    rows = int(np.clip(block_bytes // max(4 * count, 1), 16, 1024))
    # Multiplying a few rows at a time is slower: spread the queries evenly over the blocks.
    rows = -(-max(stop - start, 1) // -(-max(stop - start, 1) // rows))
    tiles = _Tiles(reference, device)
    buffer = torch.empty((rows, count), device=device)
    for first in range(start, stop, rows):
        last = min(first + rows, stop)
        similarity = buffer[: last - first]
        vectors = _tensor(query[first:last], device)
        for left, tile in tiles.all():
            torch.mm(vectors, tile.T, out=similarity[:, left : left + len(tile)])
        yield _read_block(
            similarity,
            first,
            last,
            k=min(k, count),
            positive=None if positive is None else positive[first:last],
            near=None if near is None else near[first:last],
            left_out=None if leave_out is None else leave_out.block(first, last),
            probes=None if probes is None else probes[first:last],
        )


class _Tiles:
    """The references as float32 on the device, whole when they are small, else a tile at a time."""

    def __init__(self, reference: NDArray[np.floating], device: str) -> None:
        self._reference, self._device = reference, device
        self._whole: torch.Tensor | None = None
        in_memory = type(reference) is np.ndarray and reference.dtype == np.float32
        limit = RESIDENT_BYTES if device == "cpu" else 8 * RESIDENT_BYTES
        if (device == "cpu" and in_memory) or 4 * len(reference) * reference.shape[1] <= limit:
            self._whole = _tensor(reference, device)

    def all(self) -> Iterator[tuple[int, torch.Tensor]]:
        """First column and vectors of each tile."""
        if self._whole is not None:
            yield 0, self._whole
            return
        for left in range(0, len(self._reference), _TILE):
            yield left, _tensor(self._reference[left : left + _TILE], self._device)


def _tensor(vectors: NDArray[np.floating], device: str) -> torch.Tensor:
    plain = np.ascontiguousarray(vectors, np.float32)
    if not plain.flags.writeable:
        # torch warns about memory that it could write to; nothing here writes.
        plain = plain.copy()
    return torch.from_numpy(plain).to(device)


def _read_block(
    similarity: torch.Tensor,
    first: int,
    last: int,
    *,
    k: int,
    positive: NDArray[np.integer] | None,
    near: NDArray[np.integer] | None,
    left_out: tuple[NDArray[np.int64], NDArray[np.int64]] | None,
    probes: NDArray[np.integer] | None,
) -> RankBlock:
    rows = last - first
    positive = np.full(rows, -1) if positive is None else np.asarray(positive)
    near = np.full((rows, 0), -1) if near is None else np.asarray(near)
    probes = np.full((rows, 0), -1) if probes is None else np.asarray(probes)
    score = _scores_at(similarity, positive[:, None])[:, 0]
    near_score = _scores_at(similarity, near)
    probe_score = _scores_at(similarity, probes)
    has = positive >= 0
    rank = np.where(has, _count_above(similarity, np.where(has, score, np.inf)), -1).astype(np.int32)
    top, top_score = _most_similar(similarity, k, positive, left_out)
    # Sorting destroys the buffer, so it comes last.
    probe_rank = (
        _sorted_ranks(similarity, probe_score, probes) if probes.shape[1] else probes.astype(np.int32)
    )
    with np.errstate(invalid="ignore"):
        near_above = ((near_score > score[:, None]) & (near >= 0)).sum(1)
    return RankBlock(
        start=first,
        stop=last,
        score=score,
        rank=rank,
        near_above=near_above.astype(np.int32),
        top=top,
        top_score=top_score,
        probe_score=probe_score,
        probe_rank=probe_rank,
    )


def _scores_at(similarity: torch.Tensor, columns: NDArray[np.integer]) -> NDArray[np.float32]:
    if columns.shape[1] == 0:
        return np.zeros(columns.shape, np.float32)
    safe = torch.from_numpy(np.maximum(columns, 0).astype(np.int64)).to(similarity.device)
    found: NDArray[np.float32] = similarity.gather(1, safe).cpu().numpy()
    return np.where(columns >= 0, found, np.float32(np.nan))


def _count_above(similarity: torch.Tensor, score: NDArray[np.float32]) -> NDArray[np.int64]:
    if similarity.device.type != "cpu":
        limit = torch.from_numpy(score.astype(np.float32)).to(similarity.device)
        counted: NDArray[np.int64] = (similarity > limit[:, None]).sum(1).cpu().numpy()
        return counted
    # Row by row: comparing and counting 50 000 floats that way takes 10 microseconds, 60 times less than
    # torch's sum over booleans.
    rows = similarity.numpy()
    limits = score.astype(np.float32)
    above = np.empty(len(rows), np.int64)

    def count(part: NDArray[np.int64]) -> None:
        for row in part:
            above[row] = np.count_nonzero(rows[row] > limits[row])

    _in_threads(count, np.arange(len(rows)))
    return above


def _in_threads(work: Callable[[NDArray[Any]], None], rows: NDArray[Any]) -> None:
    """Share rows out over as many threads as torch uses; numpy lets them run side by side."""
    parts = np.array_split(rows, max(torch.get_num_threads(), 1))
    if len(parts) == 1:
        work(parts[0])
        return
    with ThreadPoolExecutor(len(parts)) as pool:
        list(pool.map(work, parts))


def _most_similar(
    similarity: torch.Tensor,
    k: int,
    positive: NDArray[np.integer],
    left_out: tuple[NDArray[np.int64], NDArray[np.int64]] | None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    rows = len(similarity)
    if k == 0:
        return np.zeros((rows, 0), np.int32), np.zeros((rows, 0), np.float32)
    has = np.flatnonzero(positive >= 0)
    row, column = has, np.asarray(positive, np.int64)[has]
    if left_out is not None:
        row, column = np.concatenate([row, left_out[0]]), np.concatenate([column, left_out[1]])
    at = (
        torch.from_numpy(row.astype(np.int64)).to(similarity.device),
        torch.from_numpy(column.astype(np.int64)).to(similarity.device),
    )
    kept = similarity[at]
    similarity[at] = _LOWEST
    best, where = similarity.topk(k, dim=1)
    similarity[at] = kept
    scores, columns = best.cpu().numpy(), where.cpu().numpy()
    # Equal similarities stand in the order of the references, whatever the device.
    by_column = np.argsort(columns, axis=1)
    columns, scores = np.take_along_axis(columns, by_column, 1), np.take_along_axis(scores, by_column, 1)
    by_score = np.argsort(-scores, axis=1, kind="stable")
    columns, scores = np.take_along_axis(columns, by_score, 1), np.take_along_axis(scores, by_score, 1)
    gone = np.isneginf(scores)
    return np.where(gone, -1, columns).astype(np.int32), np.where(gone, np.float32(np.nan), scores)


def _sorted_ranks(
    similarity: torch.Tensor, scores: NDArray[np.float32], columns: NDArray[np.integer]
) -> NDArray[np.int32]:
    """How many entries of a row exceed each of several scores: a sort (in place), then bisection."""
    if similarity.device.type == "cpu":
        _in_threads(lambda part: part.sort(axis=1), similarity.numpy())
        ordered = similarity
    else:
        ordered = similarity.sort(dim=1).values
    wanted = torch.from_numpy(np.nan_to_num(scores, nan=0.0)).to(similarity.device)
    not_above = torch.searchsorted(ordered, wanted.contiguous(), right=True).cpu().numpy()
    return np.where(columns >= 0, similarity.shape[1] - not_above, -1).astype(np.int32)
