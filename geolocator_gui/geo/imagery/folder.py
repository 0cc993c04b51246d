"""A folder of tiles, `z/x/y.png`, as gdal2tiles and many downloaders write it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Self

import numpy as np

from geolocator_gui.errors import ImageryError
from geolocator_gui.geo.imagery.address import Address
from geolocator_gui.geo.imagery.cache import DecodedTiles
from geolocator_gui.geo.imagery.decode import Tile, TileDataError, common_tile_size, decode_tile
from geolocator_gui.geo.imagery.tiled import Level, TiledSource, xyz_level
from geolocator_gui.geo.projection import metres_per_pixel, tile_bounds_lonlat
from geolocator_gui.records import BoundingBox, ImageryInfo

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".avif")
_MAX_BYTES = 64 * 1024 * 1024


class FolderSource(TiledSource):
    """Tiles in a folder; rows from the north unless it says TMS.

    Attributes:
        corrupt: Tiles that could not be decoded and count as missing.
    """

    def __init__(self, where: Address, tiles: DecodedTiles | None = None) -> None:
        """Look through the folder.

        Args:
            where: The folder; `scheme=tms` or `scheme=xyz` where it does not say itself.
            tiles: Decoded tiles to share.

        Raises:
            ImageryError: It holds no tiles.
        """
        self._where, self._path = where, Path(where.where).expanduser()
        self.corrupt = 0
        self.tiles = tiles or DecodedTiles()
        scheme = where.settings.get("scheme")
        if scheme not in (None, "tms", "xyz"):
            raise ImageryError(f"scheme={scheme} is neither xyz nor tms", path=self._path)
        # gdal2tiles writes this file beside TMS tiles, and only there.
        self._tms = scheme == "tms" or (scheme is None and (self._path / "tilemapresource.xml").is_file())
        self._describe()

    def clone(self) -> Self:
        """The same folder for another thread."""
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def close(self) -> None:
        """Nothing is held open."""

    def _load(self, level: Level, column: int, row: int) -> Tile | None:
        number = level.columns - 1 - row if self._tms else row
        for suffix in self._suffixes:
            path = self._path / str(level.number) / str(column) / f"{number}{suffix}"
            try:
                with path.open("rb") as file:
                    data = file.read(_MAX_BYTES)
                return decode_tile(data, level.tile_px)
            except FileNotFoundError:
                continue
            except (TileDataError, OSError) as error:
                self.corrupt += 1
                self.tiles.note_spoilt(str(error))
                return None
        if not self._path.is_dir():
            raise ImageryError("the imagery is gone", path=self._path)
        return None

    def _describe(self) -> None:
        zooms: dict[int, tuple[int, int, int, int]] = {}
        suffixes: set[str] = set()
        samples: list[bytes] = []
        try:
            for zoom in sorted(_numbers(self._path)):
                extent = self._extent(zoom, suffixes, samples)
                if extent is not None and zoom <= 30:
                    zooms[zoom] = extent
        except OSError as error:
            raise ImageryError(f"the folder cannot be read ({error.strerror})", path=self._path) from error
        tile_px = common_tile_size(samples)
        if not zooms or tile_px is None:
            raise ImageryError(
                "the folder holds no tiles",
                path=self._path,
                hint="A folder of tiles holds pictures named zoom/column/row, such as 18/140000/75000.png.",
            )
        self._suffixes = tuple(suffix for suffix in _SUFFIXES if suffix in suffixes)
        self.levels = tuple(xyz_level(zoom, tile_px) for zoom in zooms)
        finest = max(zooms)
        bounds = _bounds_of(finest, zooms[finest], self._tms)
        self.info = ImageryInfo(
            kind="folder",
            name=self._where.settings.get("name", self._path.resolve().name),
            bounds=bounds,
            min_zoom=min(zooms),
            max_zoom=finest,
            metres_per_pixel=float(metres_per_pixel((bounds.south + bounds.north) / 2, finest, tile_px)),
            crs="EPSG:3857",
            bands=3,
            attribution=self._where.settings.get("attribution", ""),
            licence=self._where.settings.get("licence", ""),
            extra={
                "tile_px": str(tile_px),
                "rows": "from the south (TMS)" if self._tms else "from the north",
            },
        )

    def _extent(
        self, zoom: int, suffixes: set[str], samples: list[bytes]
    ) -> tuple[int, int, int, int] | None:
        """First and last column and row of a zoom."""
        columns: list[int] = []
        rows: list[int] = []
        for column in _numbers(self._path / str(zoom)):
            found = [
                (int(match.group(1)), match.group(2).lower(), entry)
                for entry in os.scandir(self._path / str(zoom) / str(column))
                if (match := re.fullmatch(r"(\d{1,9})(\.\w+)", entry.name))
                and match.group(2).lower() in _SUFFIXES
            ]
            if found:
                columns.append(column)
                rows += [min(row for row, _, _ in found), max(row for row, _, _ in found)]
                suffixes |= {suffix for _, suffix, _ in found}
                if len(samples) < 8:
                    with open(found[0][2].path, "rb") as file:
                        samples.append(file.read(_MAX_BYTES))
        return (min(columns), max(columns), min(rows), max(rows)) if columns else None


def _numbers(folder: Path) -> list[int]:
    return [
        int(entry.name)
        for entry in os.scandir(folder)
        if re.fullmatch(r"\d{1,9}", entry.name) and entry.is_dir()
    ]


def _bounds_of(zoom: int, extent: tuple[int, int, int, int], tms: bool) -> BoundingBox:
    left, right, low, high = (int(np.clip(edge, 0, (1 << zoom) - 1)) for edge in extent)
    if tms:
        low, high = (1 << zoom) - 1 - high, (1 << zoom) - 1 - low
    west, _, _, north = tile_bounds_lonlat(left, low, zoom)
    _, south, east, _ = tile_bounds_lonlat(right, high, zoom)
    return BoundingBox(west, south, east, north)
