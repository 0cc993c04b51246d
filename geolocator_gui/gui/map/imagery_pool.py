"""Imagery sources that are open for the window: one per name, a clone per thread, closed together."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from functools import lru_cache
from typing import TYPE_CHECKING

from geolocator_gui.errors import ImageryError
from geolocator_gui.records import BoundingBox, ImageryInfo

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from geolocator_gui.geo.imagery.base import ImagerySource, Patch

EARTH = 6378137.0
_HALF = math.pi * EARTH
_TILES_KEPT = 768
_ZOOM_OUT = 4
MercatorBox = tuple[float, float, float, float]


class ImageryPool:
    """Opens sources when they are first asked for.

    Every method but `add` reads files, so the GUI thread leaves them to others.
    """

    def __init__(self) -> None:
        self._lock, self._opening = threading.Lock(), threading.Lock()
        self._first: dict[str, ImagerySource] = {}
        self._wanted: dict[str, tuple[str, Path | None]] = {}
        self._tiles_dir: Path | None = None
        self._replaced: list[ImagerySource] = []  # may still be read in a thread; closed with the rest
        self._clones: dict[tuple[str, int], ImagerySource] = {}
        self._tiles: OrderedDict[tuple[str, int, int, int, int], tuple[str, bytes]] = OrderedDict()

    def keep_tiles_in(self, folder: Path | None) -> None:
        """Sources added from now on keep a server's tiles here; None for the user's own cache."""
        self._tiles_dir = folder

    def add(self, key: str, source: str) -> None:
        """Name a source; nothing is opened yet. The same name with another source replaces it."""
        with self._lock:
            wanted = (source, self._tiles_dir)
            if self._wanted.get(key) == wanted:
                return
            self._wanted[key] = wanted
            if key in self._first:
                self._replaced.append(self._first.pop(key))
            for name in [name for name in self._clones if name[0] == key]:
                self._replaced.append(self._clones.pop(name))
            for tile in [tile for tile in self._tiles if tile[0] == key]:
                del self._tiles[tile]

    def info(self, key: str) -> ImageryInfo:
        """Facts of a source; raises `ImageryError` when it cannot be opened."""
        return self._open(key).info

    def read(self, key: str, bounds: tuple[float, float, float, float], width: int, height: int) -> Patch:
        """Pixels of a rectangle in EPSG:3857 metres; raises `ImageryError`."""
        return self._clone(key).read(bounds, width, height)

    def chip(self, key: str, bounds: BoundingBox, side_px: int) -> NDArray[np.uint8]:
        """A chip's picture, RGB uint8 (side_px, side_px, 3), as it is embedded; raises `ImageryError`."""
        west, south = mercator(bounds.west, bounds.south)
        east, north = mercator(bounds.east if bounds.east > bounds.west else bounds.east + 360, bounds.north)
        return self.read(key, (west, south, east, north), side_px, side_px).pixels

    def tile(self, key: str, zoom: int, x: int, y: int, side_px: int = 256) -> tuple[str, bytes]:
        """A map tile as (mime type, bytes): JPEG where it is full, PNG with holes where it is not.

        Raises:
            ImageryError: The source cannot be read or there is no such source.
        """
        name = (key, zoom, x, y, side_px)
        with self._lock:
            if (kept := self._tiles.get(name)) is not None:
                self._tiles.move_to_end(name)
                return kept
        side = 2 * _HALF / 2**zoom
        west, north = -_HALF + x * side, _HALF - y * side
        encoded = self._cut(key, zoom, (west, north - side, west + side, north), side_px)
        with self._lock:
            self._tiles[name] = encoded
            while len(self._tiles) > _TILES_KEPT:
                self._tiles.popitem(last=False)
        return encoded

    def _cut(self, key: str, zoom: int, tile: MercatorBox, side_px: int) -> tuple[str, bytes]:
        info = self.info(key)
        part = _part_inside(info.bounds, tile, side_px)
        # Far above its coarsest level a pyramid would be read whole for a few pixels.
        if part is None or (info.min_zoom is not None and zoom < info.min_zoom - _ZOOM_OUT):
            return "image/png", _blank(side_px)
        left, top, right, bottom = part
        metres = (tile[2] - tile[0]) / side_px
        bounds = (
            tile[0] + left * metres,
            tile[3] - bottom * metres,
            tile[0] + right * metres,
            tile[3] - top * metres,
        )
        patch = self.read(key, bounds, right - left, bottom - top)
        if part == (0, 0, side_px, side_px):
            return encode(patch.pixels, patch.valid)
        import numpy as np

        pixels, valid = np.zeros((side_px, side_px, 3), np.uint8), np.zeros((side_px, side_px), np.bool_)
        pixels[top:bottom, left:right], valid[top:bottom, left:right] = patch.pixels, patch.valid
        return encode(pixels, valid)

    def close(self) -> None:
        """Let go of every file."""
        with self._lock:
            for source in [*self._clones.values(), *self._first.values(), *self._replaced]:
                source.close()
            self._replaced.clear()
            self._clones.clear()
            self._first.clear()
            self._tiles.clear()

    def _open(self, key: str) -> ImagerySource:
        with self._opening:  # a server that answers late holds up who needs it, not who adds or closes
            with self._lock:
                if key in self._first:
                    return self._first[key]
                if key not in self._wanted:
                    raise ImageryError(f"there is no imagery named {key!r}", hint="Add it on the Area page.")
                wanted = address, tiles_dir = self._wanted[key]
            from geolocator_gui.geo.imagery import open_imagery

            source = open_imagery(address, tiles_dir=tiles_dir)
            with self._lock:
                if self._wanted.get(key) == wanted:
                    self._first[key] = source
                else:
                    self._replaced.append(source)
            return source

    def _clone(self, key: str) -> ImagerySource:
        name = (key, threading.get_ident())
        with self._lock:
            if name in self._clones:
                return self._clones[name]
        source = self._open(key).clone()
        with self._lock:
            self._clones[name] = source
        return source


def mercator(lon: float, lat: float) -> tuple[float, float]:
    """EPSG:3857 metres of one position."""
    limited = max(-85.05112878, min(85.05112878, lat))
    return math.radians(lon) * EARTH, math.asinh(math.tan(math.radians(limited))) * EARTH


def _part_inside(extent: BoundingBox, tile: MercatorBox, side_px: int) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of the pixels inside the imagery's extent; what fills it up is not shown."""
    if extent.west >= extent.east:
        return 0, 0, side_px, side_px
    west, south = mercator(extent.west, extent.south)
    east, north = mercator(extent.east, extent.north)
    per_metre = side_px / (tile[2] - tile[0])
    left, right = round((west - tile[0]) * per_metre), round((east - tile[0]) * per_metre)
    top, bottom = round((tile[3] - north) * per_metre), round((tile[3] - south) * per_metre)
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, side_px), min(bottom, side_px)
    return (left, top, right, bottom) if left < right and top < bottom else None


@lru_cache(maxsize=4)
def _blank(side_px: int) -> bytes:
    import numpy as np

    return encode(np.zeros((side_px, side_px, 3), np.uint8), np.zeros((side_px, side_px), np.bool_))[1]


def encode(pixels: NDArray[np.uint8], valid: NDArray[np.bool_]) -> tuple[str, bytes]:
    """Pixels as (mime type, bytes)."""
    import io

    import numpy as np
    from PIL import Image

    out = io.BytesIO()
    if valid.all():
        Image.fromarray(pixels).save(out, "JPEG", quality=88)
        return "image/jpeg", out.getvalue()
    alpha = (valid * np.uint8(255))[..., None]
    Image.fromarray(np.concatenate([pixels, alpha], axis=-1)).save(out, "PNG", compress_level=1)
    return "image/png", out.getvalue()
