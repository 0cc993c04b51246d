"""Which pairs share a batch."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def spaced_choice(
    positions: NDArray[np.float64], count: int, gap_m: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Indices of up to `count` of the positions (n, 2) in metres, in random order, no two within the gap."""
    order = rng.permutation(len(positions))
    chosen = np.empty((count, 2))
    indices: list[int] = []
    for index in order:
        if len(indices) == count:
            break
        here = positions[index]
        apart = chosen[: len(indices)] - here
        if not len(indices) or float((apart * apart).sum(axis=1).min()) >= gap_m * gap_m:
            chosen[len(indices)] = here
            indices.append(int(index))
    return np.array(indices, dtype=np.int64)


def spaced_positions(
    positions: NDArray[np.float64],
    count: int,
    gap_m: float,
    rng: np.random.Generator,
    *,
    radius_m: float | None = None,
) -> NDArray[np.float64]:
    """So many positions (count, 2) at least the gap apart; with a radius, around a random one of them.

    Where the radius holds too few, it is widened step by step; where even the whole set does, the rest is
    drawn without regard to the gap.
    """
    near = positions
    radius = radius_m
    while True:
        if radius is not None:
            centre = positions[rng.integers(len(positions))]
            near = positions[((positions - centre) ** 2).sum(axis=1) <= radius * radius]
        some = near[rng.integers(0, len(near), min(len(near), 12 * count))]
        chosen = some[spaced_choice(some, count, gap_m, rng)]
        if len(chosen) == count:
            return chosen
        if radius is None:
            rest = positions[rng.integers(0, len(positions), count - len(chosen))]
            return np.concatenate([chosen, rest])
        radius = radius * 1.5 if radius < 2000.0 else None
        if radius is None:
            near = positions


@dataclass(frozen=True)
class BatchPlan:
    """The batches of one epoch.

    Attributes:
        batches: int32 (B, batch size), rows of pairs; no satellite twice in a batch, no pair twice at all.
        dropped: Pairs that found no place: the incomplete last batch and what could not be separated.
    """

    batches: NDArray[np.int32]
    dropped: int


def plan_batches(
    labels: NDArray[np.integer],
    neighbours: NDArray[np.int32] | None,
    batch_size: int,
    rng: np.random.Generator,
    *,
    nearest: int = 32,
    others: int = 32,
    first: NDArray[np.integer] | None = None,
    without: NDArray[np.integer] | None = None,
) -> BatchPlan:
    """Sample4Geo's batches (Deuser, Habel, Oswald: "Sample4Geo", ICCV 2023, section 3.2).

    A pair drawn at random pulls in its `nearest` neighbours and as many `others` drawn from the rest of its
    list, while the batch has room. Neighbours do not pull in their own. A pair is used at most once.

    Args:
        labels: (N,) satellite (or class) of each pair; pairs of one label never share a batch.
        neighbours: int32 (N, k) rows of pairs, nearest first, -1 where there are no more; a row stands for
            all pairs of its label. None for random batches.
        batch_size: Pairs per batch.
        rng: Decides everything that is drawn.
        nearest: How many of the nearest.
        others: How many of the rest.
        first: Rows that pull in their neighbours before all others do, so that these are not used up; the
            batches then stand in random order. None for none.
        without: Rows that are in no batch, such as those whose images turned out to be damaged.

    Returns:
        The plan; the same for the same generator state.
    """
    _, label = np.unique(np.asarray(labels), return_inverse=True)
    count = len(label)
    # The unused pairs of a label, in random order: member[free[label] : end[label]].
    shuffled = rng.permutation(count)
    kept = np.ones(count, dtype=bool)
    if without is not None:
        kept[without] = False
        shuffled = shuffled[kept[shuffled]]
    preferred = np.empty(0, np.int64) if first is None else rng.permutation(np.unique(first))
    preferred = preferred[kept[preferred]]
    if len(preferred):
        shuffled = np.concatenate([preferred, shuffled[~np.isin(shuffled, preferred)]])
    member = shuffled[np.argsort(label[shuffled], kind="stable")].astype(np.int32)
    end = np.cumsum(np.bincount(label[kept], minlength=int(label.max(initial=0)) + 1))
    free = np.concatenate([[0], end[:-1]])
    length = 0 if neighbours is None else neighbours.shape[1]
    picks = _random_picks(length - nearest, others, rng) + nearest
    stamp = np.full(len(end), -1, dtype=np.int64)
    order = rng.permutation(count)
    waiting = deque(label[order[kept[order]]].tolist())
    hurry = deque(dict.fromkeys(label[preferred].tolist()))
    hurried = set(hurry)
    batches: list[NDArray[np.int32]] = []
    batch = np.empty(batch_size, dtype=np.int32)
    filled = misses = 0
    while waiting:
        # One that is to meet somebody does not take the last place of a batch.
        seed = hurry.popleft() if hurry and filled < batch_size - 1 else waiting.popleft()
        if free[seed] == end[seed]:
            continue  # its pairs were pulled in by others
        if stamp[seed] == len(batches) or (filled == batch_size - 1 and seed in hurried):
            waiting.append(seed)
            misses += 1
            if misses > min(1024, len(waiting)):
                break
            continue
        misses = 0
        hurried.discard(seed)
        anchor = member[free[seed]]
        batch[filled] = anchor
        free[seed] += 1
        stamp[seed] = len(batches)
        filled += 1
        if neighbours is not None and filled < batch_size:
            row = neighbours[anchor]
            rows = np.concatenate([row[:nearest], row[picks[anchor % len(picks)]]])
            pulled = label[rows[rows >= 0]]
            _, once = np.unique(pulled, return_index=True)
            pulled = pulled[np.sort(once)]
            pulled = pulled[(stamp[pulled] != len(batches)) & (free[pulled] < end[pulled])]
            pulled = pulled[: batch_size - filled]
            batch[filled : filled + len(pulled)] = member[free[pulled]]
            free[pulled] += 1
            stamp[pulled] = len(batches)
            filled += len(pulled)
        if filled == batch_size:
            batches.append(batch.copy())
            filled = 0
    planned = np.stack(batches) if batches else np.empty((0, batch_size), dtype=np.int32)
    if len(preferred):
        planned = planned[rng.permutation(len(planned))]
    return BatchPlan(planned, int(kept.sum()) - planned.size)


def _random_picks(rest: int, wanted: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows of `wanted` different numbers below `rest`, enough rows to draw from."""
    if rest <= 0 or wanted <= 0:
        return np.empty((1, 0), dtype=np.int64)
    return np.argsort(rng.random((4096, rest)), axis=1)[:, :wanted].astype(np.int64)
