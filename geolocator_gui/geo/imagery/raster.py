"""GeoTIFF, COG, VRT and whatever else GDAL reads as a georeferenced picture, warped to EPSG:3857.

The warped raster is read as tiles of a grid of its own (its native resolution, then halves of it), so
that it goes through the same cache and the same resampling as tiles do. A north-up raster in EPSG:3857 is
read on its own pixel grid, without any warping.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Self

import numpy as np

from geolocator_gui.geo.imagery.base import MercatorBounds, Patch
from geolocator_gui.geo.imagery.cache import DecodedTiles
from geolocator_gui.geo.imagery.decode import Tile, mark_blank
from geolocator_gui.geo.imagery.raster_open import Raster
from geolocator_gui.geo.imagery.tiled import Level, TiledSource
from geolocator_gui.geo.projection import WORLD_M, ground_scale, mercator_to_lonlat
from geolocator_gui.records import BoundingBox, ImageryInfo

_TILE_PX = 512


class RasterSource(TiledSource):
    """A georeferenced raster file.

    Attributes:
        corrupt: Blocks that could not be read and count as missing.
    """

    def __init__(
        self, path: Path | str, *, crs: str | None = None, tiles: DecodedTiles | None = None
    ) -> None:
        """Open read-only.

        Args:
            path: Of the raster.
            crs: Coordinate system for a file that has a position but does not say in which system.
            tiles: Decoded tiles to share.

        Raises:
            ImageryError: Not a raster, without a position or an Earth coordinate system, not a picture.
        """
        self._path, self._crs = path, crs
        self.corrupt = 0
        self.tiles = tiles or DecodedTiles()
        self._raster = Raster(path, crs)
        try:
            self._describe()
        except BaseException:
            self.close()
            raise

    def clone(self) -> Self:
        """The same file for another thread."""
        return type(self)(self._path, crs=self._crs, tiles=self.tiles)

    def close(self) -> None:
        """Close the file."""
        self._raster.close()

    @property
    def trouble(self) -> str:
        """See `ImagerySource.trouble`; of all clones together."""
        return f"the file is damaged ({self.tiles.reason})" if self.tiles.spoilt else ""

    def read(self, bounds: MercatorBounds, width: int, height: int) -> Patch:
        """See `ImagerySource.read`; a rectangle beyond the antimeridian is looked for one world further."""
        west, south, east, north = bounds
        middle = (west + east) / 2
        turns = round((middle - self._middle) / WORLD_M)
        return super().read((west - turns * WORLD_M, south, east - turns * WORLD_M, north), width, height)

    def _describe(self) -> None:
        raster = self._raster
        west, south, east, north = raster.bounds
        self._middle = (west + east) / 2
        finest = raster.resolution
        halvings = max(0, math.ceil(math.log2(max((east - west), (north - south)) / finest / _TILE_PX)))
        self.levels = tuple(
            Level(-halving, finest * 2**halving, _TILE_PX, west, north) for halving in range(halvings, -1, -1)
        )
        lon, lat = mercator_to_lonlat([west, east], [south, north])
        if lon[1] - lon[0] >= 360.0:
            lon = np.array([-180.0, 180.0])
        wrapped = [value if -180 <= value <= 180 else (value + 180) % 360 - 180 for value in map(float, lon)]
        extra = {"width": str(raster.width), "height": str(raster.height), "dtype": raster.dtype}
        self.info = ImageryInfo(
            kind=raster.kind,
            name=self._raster.label if "://" in str(self._path) else Path(str(self._path)).stem,
            bounds=BoundingBox(wrapped[0], float(lat[0]), wrapped[1], float(lat[1])),
            min_zoom=None,
            max_zoom=None,
            metres_per_pixel=float(finest * ground_scale(float(lat.mean()))),
            crs=raster.crs,
            bands=raster.bands,
            attribution=raster.attribution,
            licence=raster.licence,
            extra=extra,
        )

    def _load(self, level: Level, column: int, row: int) -> Tile | None:
        side = level.resolution * level.tile_px
        west, north = level.west + column * side, level.north - row * side
        found = self._raster.window(west, north, level.resolution, level.tile_px)
        if found is None:
            self.corrupt += 1
            self.tiles.note_spoilt(self._raster.reason)
            return None
        bands, mask = found
        if not mask.any():
            return None
        pixels = self._raster.to_rgb(bands)
        return Tile(pixels, mark_blank(pixels, None if mask.all() else mask))
