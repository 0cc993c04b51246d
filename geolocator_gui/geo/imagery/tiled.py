"""Sources whose pixels come in square tiles of several levels; files and servers differ only in `_load`."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from geolocator_gui.geo.imagery.base import ImagerySource, MercatorBounds, Patch, Pixels, Valid
from geolocator_gui.geo.imagery.cache import DecodedTiles
from geolocator_gui.geo.imagery.decode import Tile
from geolocator_gui.geo.imagery.resample import resample
from geolocator_gui.geo.projection import HALF_WORLD_M, tile_resolution

_MAX_MOSAIC_PX = 4096
# A rectangle that takes more tiles is not read: a look at a country through its finest tiles.
MAX_TILES = 1024


@dataclass(frozen=True)
class Level:
    """One level of detail.

    Attributes:
        number: Zoom, or any number that rises with the detail.
        resolution: EPSG:3857 metres per pixel.
        tile_px: Pixels per tile side.
        west: EPSG:3857 metres of the left edge of column 0.
        north: EPSG:3857 metres of the upper edge of row 0.
        columns: Number of columns after which the world repeats, 0 where it does not.
    """

    number: int
    resolution: float
    tile_px: int
    west: float = -HALF_WORLD_M
    north: float = HALF_WORLD_M
    columns: int = 0

    def window(self, bounds: MercatorBounds) -> tuple[float, float, float, float]:
        """Left, top, right, bottom in pixels of the level; snapped where a rounding error away from whole."""
        west, south, east, north = bounds
        edges = (west - self.west, self.north - north, east - self.west, self.north - south)
        left, top, right, bottom = (_snap(edge / self.resolution) for edge in edges)
        return left, top, right, bottom

    def tiles(self, bounds: MercatorBounds) -> tuple[int, int, int, int]:
        """First column, first row, one past the last column and row of the tiles a rectangle needs."""
        left, top, right, bottom = self.window(bounds)
        return (
            math.floor(left / self.tile_px),
            math.floor(top / self.tile_px),
            math.ceil(right / self.tile_px),
            math.ceil(bottom / self.tile_px),
        )


def xyz_level(zoom: int, tile_px: int = 256) -> Level:
    """The level of the web's tile scheme."""
    return Level(zoom, tile_resolution(zoom, tile_px), tile_px, columns=1 << zoom)


class TiledSource(ImagerySource):
    """Reads rectangles out of tiles.

    Attributes:
        levels: Coarse to fine.
        tiles: Decoded tiles, shared with the clones.
        fallbacks: How many coarser levels stand in for a tile that is missing.
        finer: Whether a tile that is missing may be made of the four of the next finer level.
    """

    levels: Sequence[Level]
    tiles: DecodedTiles
    fallbacks: int = 6
    finer: bool = True

    @abstractmethod
    def _load(self, level: Level, column: int, row: int) -> Tile | None:
        """Fetch and decode a tile; None where there is none or where it is corrupt."""

    @property
    def trouble(self) -> str:
        """See `ImagerySource.trouble`; of all clones together."""
        return _tiles_in_words(self.tiles.spoilt, self.tiles.reason)

    def level_for(self, resolution: float) -> Level:
        """The coarsest level that has a resolution (EPSG:3857 metres per pixel), else the finest."""
        for level in self.levels:
            if level.resolution <= resolution * 1.01:
                return level
        return self.levels[-1]

    def tile(self, level: Level, column: int, row: int) -> Tile | None:
        """A tile through the cache; None where there is none."""
        if level.columns:
            column %= level.columns
            if not 0 <= row < level.columns:
                return None
        return self.tiles.get((level.number, column, row), lambda: self._load(level, column, row))

    def read(self, bounds: MercatorBounds, width: int, height: int) -> Patch:
        """See `ImagerySource.read`; a rectangle over more than `MAX_TILES` tiles comes back empty."""
        west, south, east, north = bounds
        wanted = min((east - west) / width, (north - south) / height)
        level = self.level_for(wanted)
        shrink = _whole_shrink(level, wanted)
        seen = replace(level, resolution=level.resolution * shrink, tile_px=level.tile_px // shrink)
        left, top, right, bottom = seen.window(bounds)
        first_column, first_row, last_column, last_row = level.tiles(bounds)
        if (last_column - first_column) * (last_row - first_row) > MAX_TILES:
            return Patch(np.zeros((height, width, 3), np.uint8), np.zeros((height, width), bool))
        if max(right - left, bottom - top) > _MAX_MOSAIC_PX and max(width, height) > 1:
            return self._read_in_halves(bounds, width, height)
        # Enlarging looks half a pixel beyond the edges.
        reach = 1 if right - left < width or bottom - top < height else 0
        x0, y0 = math.floor(left) - reach, math.floor(top) - reach
        x1, y1 = math.ceil(right) + reach, math.ceil(bottom) + reach
        pixels, valid, coarsest = self._mosaic(level, shrink, (x0, y0, x1, y1))
        patch = resample(pixels, valid, (left - x0, top - y0, right - x0, bottom - y0), width, height)
        filled = coarsest > level.resolution * 1.01
        return Patch(patch.pixels, patch.valid, coarser_than(wanted, coarsest), filled)

    def _read_in_halves(self, bounds: MercatorBounds, width: int, height: int) -> Patch:
        west, south, east, north = bounds
        if width >= height:
            cut = width // 2
            middle = west + (east - west) * cut / width
            first = self.read((west, south, middle, north), cut, height)
            second = self.read((middle, south, east, north), width - cut, height)
            axis = 1
        else:
            cut = height // 2
            middle = north - (north - south) * cut / height
            first = self.read((west, middle, east, north), width, cut)
            second = self.read((west, south, east, middle), width, height - cut)
            axis = 0
        return Patch(
            np.concatenate([first.pixels, second.pixels], axis=axis),
            np.concatenate([first.valid, second.valid], axis=axis),
            max(first.coarser, second.coarser),
            first.filled or second.filled,
        )

    def _mosaic(
        self, level: Level, shrink: int, window: tuple[int, int, int, int]
    ) -> tuple[Pixels, Valid | None, float]:
        """Pixels of a window of a shrunk level, where they are valid, and the coarsest resolution used."""
        x0, y0, x1, y1 = window
        pixels = np.zeros((y1 - y0, x1 - x0, 3), np.uint8)
        valid = np.zeros((y1 - y0, x1 - x0), bool)
        coarsest, t = level.resolution, level.tile_px // shrink
        for row in range(y0 // t, (y1 - 1) // t + 1):
            for column in range(x0 // t, (x1 - 1) // t + 1):
                tile, resolution = self._tile_or_stand_in(level, column, row)
                if tile is None:
                    continue
                if shrink > 1:
                    tile = self._shrunk(tile, level, column, row, shrink)
                coarsest = max(coarsest, resolution)
                a, b = max(x0, column * t), min(x1, (column + 1) * t)
                c, d = max(y0, row * t), min(y1, (row + 1) * t)
                there = np.s_[c - y0 : d - y0, a - x0 : b - x0]
                here = np.s_[c - row * t : d - row * t, a - column * t : b - column * t]
                pixels[there] = tile.pixels[here]
                valid[there] = True if tile.valid is None else tile.valid[here]
        return pixels, None if valid.all() else valid, coarsest

    def _tile_or_stand_in(self, level: Level, column: int, row: int) -> tuple[Tile | None, float]:
        tile = self.tile(level, column, row)
        if tile is not None or not level.columns:
            return tile, level.resolution
        if self.finer:
            key = (level.number, column, row, "made")
            made = self.tiles.get(key, lambda: self._from_finer(level, column, row), counts=False)
            if made is not None:
                return made, level.resolution
        index = next(i for i, known in enumerate(self.levels) if known.number == level.number)
        for coarser in reversed(self.levels[max(0, index - self.fallbacks) : index]):
            shift = level.number - coarser.number
            if coarser.tile_px != level.tile_px or not coarser.columns:
                break
            parent = self.tile(coarser, column >> shift, row >> shift)
            if parent is not None:
                return self._enlarged(parent, level, column, row, shift), coarser.resolution
        return None, level.resolution

    def _shrunk(self, tile: Tile, level: Level, column: int, row: int, shrink: int) -> Tile:
        key = (level.number, column, row, shrink)
        made = self.tiles.get(key, lambda: shrunk(tile, tile.pixels.shape[0] // shrink), counts=False)
        return tile if made is None else made

    def _enlarged(self, parent: Tile, level: Level, column: int, row: int, shift: int) -> Tile:
        key = (level.number, column, row, "enlarged")
        made = self.tiles.get(key, lambda: _enlarge(parent, column, row, shift), counts=False)
        return parent if made is None else made

    def _from_finer(self, level: Level, column: int, row: int) -> Tile | None:
        finer = next((known for known in self.levels if known.number == level.number + 1), None)
        if finer is None or finer.tile_px != level.tile_px:
            return None
        t, half = level.tile_px, level.tile_px // 2
        pixels, valid = np.zeros((t, t, 3), np.uint8), np.zeros((t, t), bool)
        found = False
        for south in (0, 1):
            for east in (0, 1):
                child = self.tile(finer, 2 * column + east, 2 * row + south)
                if child is None:
                    continue
                found = True
                small = shrunk(child, half)
                place = np.s_[south * half : (south + 1) * half, east * half : (east + 1) * half]
                pixels[place] = small.pixels
                valid[place] = True if small.valid is None else small.valid
        return Tile(pixels, None if valid.all() else valid) if found else None


def shrunk(tile: Tile, side: int) -> Tile:
    """A tile averaged down to `side` pixels, a whole fraction of its own."""
    if tile.valid is None:
        small = cv2.resize(tile.pixels, (side, side), interpolation=cv2.INTER_AREA)
        return Tile(np.asarray(small, np.uint8), None)
    whole = float(tile.pixels.shape[0])
    patch = resample(tile.pixels, tile.valid, (0.0, 0.0, whole, whole), side, side)
    return Tile(patch.pixels, None if patch.valid.all() else patch.valid)


def _whole_shrink(level: Level, wanted: float) -> int:
    """How much tiles are shrunk before they are put together: at least two of their pixels per pixel stay."""
    shrink = 1
    while 4 * shrink * level.resolution <= wanted and level.tile_px % (2 * shrink) == 0:
        shrink *= 2
    return shrink


def _enlarge(parent: Tile, column: int, row: int, shift: int) -> Tile:
    """The part of a coarser tile that stands for a finer one."""
    t = parent.pixels.shape[0]
    side = t / (1 << shift)
    left, top = (column % (1 << shift)) * side, (row % (1 << shift)) * side
    patch = resample(parent.pixels, parent.valid, (left, top, left + side, top + side), t, t)
    return Tile(patch.pixels, None if patch.valid.all() else patch.valid)


def coarser_than(wanted: float, resolution: float) -> float:
    """How many times coarser than wanted a resolution is; 1 where it is as fine (to within 1 %)."""
    ratio = resolution / wanted
    return ratio if ratio > 1.01 else 1.0


def _tiles_in_words(number: int, reason: str) -> str:
    """How many tiles could not be used and why the last could not; "" for none."""
    if not number:
        return ""
    return f"{number:,} of its tiles {'is' if number == 1 else 'are'} damaged ({reason})"


def _snap(edge: float) -> float:
    whole = round(edge)
    return float(whole) if abs(edge - whole) < 1e-5 else edge
