"""A split into training and validation that shares no ground: blocks of a grid, and a buffer about them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.geo.projection import EARTH_RADIUS_M, lonlat_to_mercator

_BLOCK_SIDES = (16, 8, 4, 2, 1)
_ENOUGH_BLOCKS = 10
_GOOD = 0.8


@dataclass(frozen=True)
class Split:
    """Which positions train, which validate, which can do neither.

    Attributes:
        validation: (N,) bool.
        between: (N,) bool: chips that would share ground with a validation chip.
        block_m: Side of a block.
        blocks: Blocks with positions.
    """

    validation: NDArray[np.bool_]
    between: NDArray[np.bool_]
    block_m: float
    blocks: int

    @property
    def train(self) -> NDArray[np.bool_]:
        """(N,) bool: the rest."""
        return ~(self.validation | self.between)


def split_in_space(lonlat: NDArray[np.float64], side_m: float, share: float, seed: int = 0) -> Split:
    """Split positions so that no training chip shares ground with a validation chip.

    Whole blocks of a grid on the globe go to validation until they hold the share wanted; of
    blocks of 16 … 1 chip sides the largest is taken that makes ten blocks and serves well, else the one that
    serves best. Positions nearer than a chip side (in both axes) to
    a validation position are between. Blocks are drawn by a hash of their cell, so that a photo more does
    not draw everything anew.

    Args:
        lonlat: (N, 2) degrees.
        side_m: Ground metres per chip side, margin included.
        share: Of the positions that shall validate.
        seed: Of the draw.
    """
    none = np.zeros(len(lonlat), bool)
    best, best_worth = Split(none, none, 0.0, 0), 0.0
    for sides in _BLOCK_SIDES:
        block_m = sides * side_m
        cells, owner, sizes = _blocks(lonlat, block_m)
        if len(cells) < 2:
            continue
        validation = np.isin(owner, _drawn(cells, sizes, share, seed))
        between = near_any(lonlat, lonlat[validation], side_m) & ~validation
        split = Split(validation, between, block_m, len(cells))
        worth = _worth(split, share)
        if worth > best_worth:
            best, best_worth = split, worth
        if best_worth > _GOOD and best.blocks >= _ENOUGH_BLOCKS:
            break
    return best


def _worth(split: Split, share: float) -> float:
    """0 … 1: how many positions are kept, times how near to the wanted share validation is."""
    kept = int((~split.between).sum())
    if not split.train.any() or not kept:
        return 0.0
    got = float(split.validation.sum()) / kept
    return kept / len(split.between) * min(got / share, (1 - got) / (1 - share))


def near_any(lonlat: NDArray[np.float64], others: NDArray[np.float64], side_m: float) -> NDArray[np.bool_]:
    """(N,) whether a chip about each position shares ground with a chip of the same side about any other.

    Squares of Web-Mercator, as chips are cut; across the antimeridian too.
    """
    from scipy.spatial import cKDTree

    if not len(lonlat) or not len(others):
        return np.zeros(len(lonlat), bool)
    middle = float(np.median(others[:, 0]))
    here, there = _mercator(lonlat, middle), _mercator(others, middle)
    # A chip's half side in Mercator metres grows with latitude; of two chips' halves the larger counts.
    half = side_m / np.cos(np.radians(np.abs(lonlat[:, 1])))
    return np.asarray(
        cKDTree(there).query_ball_point(here, r=half * (1 + 1e-3), p=np.inf, return_length=True) > 0
    )


def _mercator(lonlat: NDArray[np.float64], middle: float) -> NDArray[np.float64]:
    lon = (lonlat[:, 0] - middle + 180.0) % 360.0 - 180.0
    return np.stack(lonlat_to_mercator(lon, lonlat[:, 1]), axis=1)


def _blocks(
    lonlat: NDArray[np.float64], block_m: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Cells (B, 2) with positions, which cell each position lies in, and how many lie in each cell."""
    step = float(np.degrees(block_m / EARTH_RADIUS_M))
    row = np.floor(lonlat[:, 1] / step)
    column = np.floor(lonlat[:, 0] * np.cos(np.radians((row + 0.5) * step)) / step)
    cells, owner, sizes = np.unique(
        np.stack([row, column], axis=1).astype(np.int64), axis=0, return_inverse=True, return_counts=True
    )
    return cells, owner.ravel().astype(np.int64), sizes


def _drawn(cells: NDArray[np.int64], sizes: NDArray[np.int64], share: float, seed: int) -> NDArray[np.int64]:
    """Cells for validation: in hashed order, those that do not overshoot; at least one, never all."""
    keys = [hashlib.sha256(f"{seed}/{row}/{column}".encode()).digest() for row, column in cells.tolist()]
    order = sorted(range(len(cells)), key=keys.__getitem__)
    wanted, held = share * float(sizes.sum()), 0.0
    drawn: list[int] = []
    for cell in order:
        if held + sizes[cell] <= 1.1 * wanted:
            drawn.append(cell)
            held += float(sizes[cell])
    if not drawn:
        drawn = [min(order, key=lambda cell: int(sizes[cell]))]
    return np.array(drawn, np.int64)
