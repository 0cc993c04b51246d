"""A split into training and validation that is disjoint in space."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import DataError
from geolocator_gui.geo.projection import ground_scale, lonlat_to_mercator


def leakage(train: NDArray[np.float64], validation: NDArray[np.float64], side: float) -> float:
    """Metres between the nearest training and validation chips, edge to edge.

    Args:
        train: (N, 2) degrees, chip centres.
        validation: (M, 2) degrees.
        side: Of a chip, metres.

    Raises:
        DataError: Two of them overlap.
    """
    from scipy.spatial import cKDTree

    both = to_metres(np.concatenate([train, validation]))
    apart = float(cKDTree(both[: len(train)]).query(both[len(train) :], p=np.inf)[0].min()) - side
    if apart < 0:
        raise DataError(
            f"a training and a validation chip overlap by {-apart:.1f} m",
            hint="Make the pairs anew with another seed.",
        )
    return apart


def to_metres(lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) degrees as metres about their middle, true to length there."""
    if not len(lonlat):
        return np.zeros((0, 2))
    x, y = lonlat_to_mercator(lonlat[:, 0], lonlat[:, 1])
    scale = float(ground_scale(np.median(lonlat[:, 1])))
    return np.stack([x - np.median(x), y - np.median(y)], axis=1) * scale


def split_in_space(
    metres: NDArray[np.float64], side: float, share: float, seed: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which photos validate, and which lie between the splits and can be used for neither.

    Squares of eight chip sides are drawn for validation until they hold the share wanted; where the photos
    cover too little ground for that, smaller ones. A training photo whose chip reaches into a validation
    photo's chip is between.

    Args:
        metres: (N, 2).
        side: Of a chip with its margin.
        share: Of the photos that shall validate.
        seed: Decides the draw.
    """
    count = len(metres)
    validation, between = np.zeros(count, bool), np.zeros(count, bool)
    if count < 2:
        return validation, between
    from scipy.spatial import cKDTree

    best = -1.0
    for block in (8.0, 4.0, 2.0, 1.0):
        cell = np.floor(metres / (block * side)).astype(np.int64)
        _, owner = np.unique(cell, axis=0, return_inverse=True)
        owner = owner.ravel()
        sizes = np.bincount(owner)
        order = np.random.default_rng([seed, int(block)]).permutation(len(sizes))
        held = np.cumsum(sizes[order])
        chosen = order[: max(1, int(np.searchsorted(held, share * count, side="right")))]
        is_val = np.isin(owner, chosen)
        if is_val.all() or not is_val.any():
            continue
        reach = cKDTree(metres[is_val]).query(metres, p=np.inf)[0] <= side
        lost = reach & ~is_val
        kept = count - int(lost.sum())
        fair = 1.0 - abs(is_val.sum() / max(1, kept) - share)
        worth = fair * kept / count if (~is_val & ~lost).sum() >= 2 else 0.0
        if worth > best:
            best, validation, between = worth, is_val, lost
    return validation, between
