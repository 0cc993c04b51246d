"""Which pairs share a batch."""

from __future__ import annotations

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
