"""Retrieval figures as published, computed from ranks, each beside what chance would give.

Ranks come from `stream_ranks`: the number of references strictly above the positive. All figures are percent
unless their name says metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import gammaln

from geolocator_gui.ml.distances import earth_centred, ground_metres
from geolocator_gui.ml.ranks import BLOCK_BYTES, RowLists, stream_ranks

RECALLS = (1, 5, 10)
RADII_M = (25.0, 50.0, 100.0)
_CHANCE_DRAWS = 2000


@dataclass(frozen=True)
class Retrieval:
    """What one pass over queries and references gave.

    Attributes:
        references: Number of references, junk included.
        candidates: Number of references that are ranked (without junk).
        rank: (Q,) int32 of the best positive; -1 where a query has none.
        score: (Q,) float32 similarity of the positive, NaN without one.
        near_above: (Q,) int32 semi-positives among the references above.
        near_count: (Q,) int32 semi-positives of each query.
        best_is_right: (Q,) the best reference is the positive or a semi-positive.
        top: (Q, k) int32 best references, the positive among them.
        average_precision: (Q,) float64 in 0..1, only where queries have several positives.
        positives: (Q,) int32 positives of each query.
    """

    references: int
    candidates: int
    rank: NDArray[np.int32]
    score: NDArray[np.float32]
    near_above: NDArray[np.int32]
    near_count: NDArray[np.int32]
    best_is_right: NDArray[np.bool_]
    top: NDArray[np.int32]
    positives: NDArray[np.int32]
    average_precision: NDArray[np.float64] | None = None


def retrieve(
    query: NDArray[np.floating],
    reference: NDArray[np.floating],
    query_label: NDArray[np.integer],
    reference_label: NDArray[np.integer],
    *,
    k: int = max(RECALLS),
    device: str = "cpu",
    block_bytes: int = BLOCK_BYTES,
) -> Retrieval:
    """Rank every query; the protocol follows from the labels.

    Args:
        query: (Q, D) unit vectors.
        reference: (R, D) unit vectors.
        query_label: (Q,) labels, or (Q, 1 + S) with semi-positives after the positive (VIGOR).
        reference_label: (R,) labels. If one stands on several references, or is -1 (junk, ignored), the
            queries are treated as University-1652's: several positives, average precision.
        k: Length of the kept lists.
        device: A torch device.
        block_bytes: Size of the similarity buffer.
    """
    labels = np.asarray(query_label)
    labels = labels[:, None] if labels.ndim == 1 else labels
    reference_label = np.asarray(reference_label)
    if (reference_label == -1).any() or len(np.unique(reference_label)) < len(reference_label):
        return _retrieve_many(
            query, reference, labels[:, 0], reference_label, k=k, device=device, block_bytes=block_bytes
        )
    rows = _rows_of(labels, reference_label)
    positive, near = rows[:, 0], rows[:, 1:]
    count = len(query)
    rank, near_above = np.full(count, -1, np.int32), np.zeros(count, np.int32)
    score, right = np.full(count, np.nan, np.float32), np.zeros(count, bool)
    top = np.full((count, min(k, len(reference))), -1, np.int32)
    for block in stream_ranks(
        query, reference, k=k, positive=positive, near=near, device=device, block_bytes=block_bytes
    ):
        part = slice(block.start, block.stop)
        rank[part], score[part], near_above[part] = block.rank, block.score, block.near_above
        top[part] = _with_positive(block.top, positive[part], block.rank)
        right[part] = (block.rank == 0) | ((top[part, :1] == near[part]) & (near[part] >= 0)).any(1)
    return Retrieval(
        references=len(reference),
        candidates=len(reference),
        rank=rank,
        score=score,
        near_above=near_above,
        near_count=(near >= 0).sum(1).astype(np.int32),
        best_is_right=right,
        top=top,
        positives=(positive >= 0).astype(np.int32),
    )


def _retrieve_many(
    query: NDArray[np.floating],
    reference: NDArray[np.floating],
    query_label: NDArray[np.integer],
    reference_label: NDArray[np.integer],
    *,
    k: int,
    device: str,
    block_bytes: int,
) -> Retrieval:
    """Several references per label; junk is taken out before anything is counted."""
    valid = np.flatnonzero(reference_label != -1)
    vectors, labels = (
        (reference, reference_label)
        if len(valid) == len(reference)
        else (
            reference[valid],
            reference_label[valid],
        )
    )
    good = RowLists.same_label(query_label, labels).padded()
    count = len(query)
    rank, score = np.full(count, -1, np.int32), np.full(count, np.nan, np.float32)
    precision = np.zeros(count)
    top = np.full((count, min(k, len(vectors))), -1, np.int32)
    for block in stream_ranks(query, vectors, k=k, probes=good, device=device, block_bytes=block_bytes):
        part = slice(block.start, block.stop)
        above = np.sort(np.where(block.probe_rank < 0, np.iinfo(np.int32).max, block.probe_rank), axis=1)
        has = (good[part] >= 0).any(1)
        if good.shape[1]:
            rank[part] = np.where(has, above[:, 0], -1)
            score[part] = np.where(
                has, np.nanmax(np.nan_to_num(block.probe_score, nan=-np.inf), axis=1), np.nan
            )
        precision[part] = average_precision(block.probe_rank)
        top[part] = np.where(block.top >= 0, valid[block.top], -1)
    return Retrieval(
        references=len(reference),
        candidates=len(vectors),
        rank=rank,
        score=score,
        near_above=np.zeros(count, np.int32),
        near_count=np.zeros(count, np.int32),
        best_is_right=rank == 0,
        top=top,
        positives=(good >= 0).sum(1).astype(np.int32),
        average_precision=precision,
    )


def average_precision(above: NDArray[np.integer]) -> NDArray[np.float64]:
    """Average precision by the trapezoid rule, as published for University-1652.

    Args:
        above: (Q, M) references (junk left out) strictly above each positive, other positives included, in
            any order; -1 fills up.

    Returns:
        (Q,) in 0..1, 0 without positives.
    """
    count = (above >= 0).sum(1)
    if above.shape[1] == 0:
        return np.zeros(len(above))
    ordered = np.sort(np.where(above < 0, np.iinfo(np.int64).max, above.astype(np.int64)), axis=1)
    place = np.arange(above.shape[1])
    # Positives of equal similarity share a count; each still takes a row of its own in the ranking.
    first_equal = np.maximum.accumulate(
        np.where(np.diff(ordered, axis=1, prepend=-1) != 0, place[None, :], 0), axis=1
    )
    row = np.where(ordered == np.iinfo(np.int64).max, 0, ordered) + (place[None, :] - first_equal)
    precision = (place + 1) / (row + 1)
    before = np.where(row > 0, place / np.maximum(row, 1), 1.0)
    area = np.where(place[None, :] < count[:, None], (before + precision) / 2, 0.0).sum(1)
    return np.asarray(area / np.maximum(count, 1))


def recall_at(rank: NDArray[np.integer], k: int) -> float:
    """Percent of queries whose positive is among the k best; a query without a positive counts as missed."""
    return 100.0 * float(np.mean((rank >= 0) & (rank < k))) if len(rank) else float("nan")


def summarise(result: Retrieval) -> dict[str, float]:
    """The published figures of a pass by name, each with its chance level under the name + " chance".

    `R@1%` is the rank below R // 100 (CVUSA, CVACT, VIGOR). With several positives per query `R@1%` is
    University-1652's own: within the first round(R / 100) + 1, and `AP` is added. With semi-positives
    `hit rate (Sample4Geo)` counts queries where nothing that is neither positive nor semi-positive lies above
    the positive, `hit rate (VIGOR)` those whose best reference is the positive or a semi-positive.
    """
    count = result.candidates
    several = result.average_precision is not None
    hundredth = round(0.01 * result.references) + 1 if several else result.references // 100
    figures: dict[str, float] = {}
    for name, k in [*((f"R@{k}", k) for k in RECALLS), ("R@1%", hundredth)]:
        figures[name] = recall_at(result.rank, k)
        figures[f"{name} chance"] = 100.0 * float(np.mean(chance_within(result.positives, count, k)))
    if result.near_count.any():
        others = result.rank - result.near_above
        has = result.rank >= 0
        figures["hit rate (Sample4Geo)"] = 100.0 * float(np.mean(has & (others == 0)))
        figures["hit rate (Sample4Geo) chance"] = 100.0 * float(np.mean(has / (count - result.near_count)))
        figures["hit rate (VIGOR)"] = 100.0 * float(np.mean(result.best_is_right))
        figures["hit rate (VIGOR) chance"] = 100.0 * float(np.mean((has + result.near_count) / count))
    if result.average_precision is not None:
        figures["AP"] = 100.0 * float(np.mean(result.average_precision))
        figures["AP chance"] = 100.0 * _precision_chance(result.positives, count)
    known = result.rank[result.rank >= 0]
    figures["median rank"] = float(np.median(known) + 1) if len(known) else float("nan")
    figures["median rank chance"] = (count + 1) / 2
    return figures


def chance_within(good: NDArray[np.integer], count: int, k: int) -> NDArray[np.float64]:
    """Probability that k references drawn from `count` hold at least one of the good ones, per query."""
    k = min(k, count)
    good = np.minimum(np.asarray(good, np.float64), count)
    # Product of (count - good - i) / (count - i) over the k draws, as logarithms of factorials.
    left = count - good - k
    missed = np.exp(
        gammaln(count - good + 1)
        - gammaln(np.maximum(left, 0) + 1)
        - gammaln(count + 1)
        + gammaln(count - k + 1)
    )
    return np.asarray(np.where(left < 0, 1.0, 1.0 - missed))


def _precision_chance(good: NDArray[np.integer], count: int) -> float:
    """Mean average precision of random orders, from seeded draws (no closed form for the trapezoid rule)."""
    rng = np.random.default_rng(0)
    sizes, queries = np.unique(good, return_counts=True)
    means = [
        float(average_precision(rng.integers(0, count, (_CHANCE_DRAWS, size))).mean()) if size else 0.0
        for size in sizes
    ]
    return float(np.average(means, weights=queries))


def summarise_positions(
    top: NDArray[np.integer],
    reference_lonlat: NDArray[np.floating],
    query_lonlat: NDArray[np.floating],
    *,
    radii_m: tuple[float, ...] = RADII_M,
    recalls: tuple[int, ...] = RECALLS,
) -> dict[str, float]:
    """Area search as in Statewide Visual Geolocalization: `R@k<r m` and `median error m`, beside chance.

    Args:
        top: (Q, k) best references, the positive among them, -1 fills up.
        reference_lonlat: (R, 2) degrees of the reference centres.
        query_lonlat: (Q, 2) degrees where the photos were taken; queries with NaN are left out.
        radii_m: Metres r.
        recalls: Numbers k; those longer than the lists are left out.
    """
    known = np.flatnonzero(np.isfinite(query_lonlat).all(1))
    if len(known) == 0:
        return {}
    truth, lists = query_lonlat[known], top[known]
    error = np.where(lists >= 0, ground_metres(truth[:, None, :], reference_lonlat[lists]), np.inf)
    figures: dict[str, float] = {}
    for radius in radii_m:
        within = references_within(truth, reference_lonlat, radius)
        for k in recalls:
            if k <= lists.shape[1]:
                name = f"R@{k}<{radius:g} m"
                figures[name] = 100.0 * float(np.mean((error[:, :k] < radius).any(1)))
                figures[f"{name} chance"] = 100.0 * float(
                    np.mean(chance_within(within, len(reference_lonlat), k))
                )
    figures["median error m"] = float(np.median(error[:, 0]))
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(reference_lonlat), 20_000)
    from_where = rng.integers(0, len(truth), 20_000)
    figures["median error m chance"] = float(
        np.median(ground_metres(truth[from_where], reference_lonlat[drawn]))
    )
    return figures


def references_within(
    query_lonlat: NDArray[np.floating], reference_lonlat: NDArray[np.floating], radius_m: float
) -> NDArray[np.int64]:
    """(Q,) how many references lie nearer than a radius to each query."""
    tree = cKDTree(earth_centred(reference_lonlat))
    # At these radii the chord differs from the arc by less than a micrometre.
    inside = tree.query_ball_point(earth_centred(query_lonlat), np.nextafter(radius_m, 0), return_length=True)
    return np.asarray(inside, np.int64)


def _rows_of(labels: NDArray[np.integer], reference_label: NDArray[np.integer]) -> NDArray[np.int64]:
    """Reference rows of labels of any shape, -1 where no reference carries the label."""
    order = np.argsort(reference_label)
    ordered = reference_label[order]
    place = np.minimum(np.searchsorted(ordered, labels), len(ordered) - 1)
    return np.where(ordered[place] == labels, order[place], -1)


def _with_positive(
    top: NDArray[np.int32], positive: NDArray[np.integer], rank: NDArray[np.integer]
) -> NDArray[np.int32]:
    """Lists of negatives with the positive put in at its rank."""
    width = top.shape[1]
    put = (positive >= 0) & (rank < width)
    place = np.arange(width)
    moved = np.where(place[None, :] > rank[:, None], np.roll(top, 1, axis=1), top)
    moved[np.flatnonzero(put), rank[put]] = positive[put]
    result: NDArray[np.int32] = np.where(put[:, None], moved, top)
    return result
