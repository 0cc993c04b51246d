"""Chips cut out of imagery: squares of the ground, north up, at one size in pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.geo.grid import ChipGrid, Chips
from geolocator_gui.geo.imagery.base import ImagerySource, Patch
from geolocator_gui.geo.imagery.tiled import Level, TiledSource, coarser_than

# A chip whose colours differ by no more than this is one colour: water under a JPEG, a filled tile.
_UNIFORM = 2
_COUNTED_TOGETHER = 20_000


class ChipCutter:
    """Cuts chips; belongs to one thread (`clone` for another, which shares the decoded tiles).

    Attributes:
        source: Where the pixels come from.
        source_px: Pixels per chip side, the resolution at which the model's training chips were cut.
        filled: (N,) bool, in which of the chips last cut a coarser level stands in for a missing tile.
        coarser: How many times coarser than that the coarsest imagery met so far is; 1 where it is as fine.
    """

    def __init__(self, source: ImagerySource, *, source_px: int) -> None:
        self.source = source
        self.source_px = source_px
        self.coarser = 1.0
        self.filled: NDArray[np.bool_] = np.zeros(0, bool)

    def clone(self) -> ChipCutter:
        """Another cutter of the same imagery, for another thread."""
        return ChipCutter(self.source.clone(), source_px=self.source_px)

    def close(self) -> None:
        """Close the source."""
        self.source.close()

    def prefetch(self, chips: Chips) -> None:
        """Bring the tiles of some chips from afar, all at once; worth it for more chips than are cut."""
        rectangles = [(float(w), float(s), float(e), float(n)) for w, s, e, n in chips.mercator()]
        self.source.prefetch(rectangles, self.source_px, self.source_px)

    def cut(self, chips: Chips) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Cut some chips.

        Returns:
            (N, source_px, source_px, 3) uint8 RGB, north up, missing pixels filled with the chip's mean
            colour; and (N,) float32, the share of pixels that are missing or blank. A chip of one colour
            is blank as a whole.
        """
        images = np.empty((len(chips), self.source_px, self.source_px, 3), np.uint8)
        missing = np.empty(len(chips), np.float32)
        self.filled = np.zeros(len(chips), bool)
        self.prefetch(chips)
        for place, (west, south, east, north) in enumerate(chips.mercator()):
            bounds = (float(west), float(south), float(east), float(north))
            patch = self.source.read(bounds, self.source_px, self.source_px)
            images[place], missing[place] = _filled(patch)
            self.filled[place] = patch.filled
            if missing[place] < 1:
                self.coarser = max(self.coarser, patch.coarser)
        return images, missing


def _filled(patch: Patch) -> tuple[NDArray[np.uint8], float]:
    pixels, valid = patch.pixels, patch.valid
    share = 1.0 - float(np.count_nonzero(valid)) / valid.size
    if share == 1.0:
        return np.zeros_like(pixels), 1.0
    held = pixels if share == 0.0 else pixels[valid]
    flat = held.reshape(-1, 3)
    if _is_uniform(flat[:: max(1, len(flat) // 512)]) and _is_uniform(flat):  # the sample settles most
        return pixels, 1.0
    if share == 0.0:
        return pixels, 0.0
    mean = np.rint(flat.mean(axis=0)).astype(np.uint8)
    return np.where(valid[..., None], pixels, mean), share


def _is_uniform(colours: NDArray[np.uint8]) -> bool:
    return int((colours.max(axis=0).astype(np.int16) - colours.min(axis=0)).max()) <= _UNIFORM


@dataclass(frozen=True)
class TileCount:
    """What cutting a grid needs.

    Attributes:
        tiles: Distinct tiles (for a raster: blocks of its warped view).
        level: Where they are taken from, the zoom for tiled sources.
        tile_px: Pixels per tile side.
        coarser: How many times coarser than asked for that level is; 1 where it is as fine.
    """

    tiles: int
    level: int
    tile_px: int
    coarser: float


def count_tiles(source: ImagerySource, grid: ChipGrid, source_px: int) -> TileCount:
    """Count the tiles that the chips of a grid lie on, without reading any.

    Tiles under the seam of two stripes of a wide grid count twice (they may well be decoded twice).

    Args:
        source: A tiled source or raster.
        grid: The chips.
        source_px: Pixels per chip side.
    """
    if not isinstance(source, TiledSource):
        return TileCount(0, 0, 0, 1.0)
    total, coarser, level = 0, 1.0, source.levels[-1]
    before: NDArray[np.int64] = np.empty(0, np.int64)
    for start in range(0, grid.count, _COUNTED_TOGETHER):
        outlines = grid.rows(start, min(start + _COUNTED_TOGETHER, grid.count)).mercator()
        wanted = (outlines[:, 2] - outlines[:, 0]) / source_px
        found: list[NDArray[np.int64]] = []
        for level, chosen in _by_level(source, wanted):
            coarser = max(coarser, coarser_than(float(wanted[chosen].min()), level.resolution))
            found.append(_tile_keys(level, outlines[chosen]))
        keys = np.unique(np.concatenate(found))  # levels of one row of chips never mix
        total += len(np.setdiff1d(keys, before, assume_unique=True))
        before = keys
    return TileCount(total, level.number, level.tile_px, coarser)


def _by_level(source: TiledSource, wanted: NDArray[np.float64]) -> list[tuple[Level, NDArray[np.bool_]]]:
    """Which chips are cut from which level."""
    rest, chosen = np.ones(len(wanted), bool), []
    for level in source.levels:
        fits = rest & (level.resolution <= wanted * 1.01)
        if level is source.levels[-1]:
            fits = rest
        if fits.any():
            chosen.append((level, fits))
        rest = rest & ~fits
    return chosen


def _tile_keys(level: Level, outlines: NDArray[np.float64]) -> NDArray[np.int64]:
    """One number for each distinct tile under some squares."""
    side = level.resolution * level.tile_px
    first_column = np.floor((outlines[:, 0] - level.west) / side + 1e-7).astype(np.int64)
    last_column = np.ceil((outlines[:, 2] - level.west) / side - 1e-7).astype(np.int64)
    first_row = np.floor((level.north - outlines[:, 3]) / side + 1e-7).astype(np.int64)
    last_row = np.ceil((level.north - outlines[:, 1]) / side - 1e-7).astype(np.int64)
    keys: list[NDArray[np.int64]] = []
    for down in range(int((last_row - first_row).max())):
        for across in range(int((last_column - first_column).max())):
            row, column = first_row + down, first_column + across
            inside = (row < last_row) & (column < last_column)
            keys.append(np.unique((row[inside] << 32) + column[inside]))
    return np.unique(np.concatenate(keys))
