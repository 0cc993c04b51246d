"""MBTiles: tiles in an SQLite file, rows counted from the south (TMS)."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Self

import numpy as np

from geolocator_gui.errors import ImageryError
from geolocator_gui.geo.imagery.attribution import plain_attribution
from geolocator_gui.geo.imagery.cache import DecodedTiles
from geolocator_gui.geo.imagery.decode import Tile, TileDataError, common_tile_size, decode_tile, sniff
from geolocator_gui.geo.imagery.tiled import Level, TiledSource, xyz_level
from geolocator_gui.geo.projection import MAX_LATITUDE, metres_per_pixel, tile_bounds_lonlat
from geolocator_gui.records import BoundingBox, ImageryInfo

_MAX_ZOOM = 30
_MAX_BLOB = 64 * 1024 * 1024
_VECTOR_FORMATS = {"pbf", "mvt", "application/x-protobuf", "application/vnd.mapbox-vector-tile"}


class MBTilesSource(TiledSource):
    """Raster tiles of an MBTiles file.

    Attributes:
        corrupt: Tiles that could not be decoded and count as missing.
    """

    def __init__(self, path: Path, tiles: DecodedTiles | None = None) -> None:
        """Open read-only.

        Raises:
            ImageryError: Not an MBTiles file, empty, or of vector tiles.
        """
        self._path = path
        self.corrupt = 0
        self.tiles = tiles or DecodedTiles()
        self._connection = _connect(path)
        try:
            self._describe()
        except sqlite3.Error as error:
            self.close()
            raise ImageryError(
                f"this is not an MBTiles file that can be read ({error})",
                path=path,
                hint="MBTiles are SQLite files with the tables `metadata` and `tiles`.",
            ) from error
        except BaseException:
            self.close()
            raise

    def clone(self) -> Self:
        """The same file for another thread."""
        return type(self)(self._path, self.tiles)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _load(self, level: Level, column: int, row: int) -> Tile | None:
        flipped = level.columns - 1 - row
        try:
            found = self._connection.execute(
                "SELECT tile_data FROM tiles WHERE zoom_level=? AND tile_column=? AND tile_row=?",
                (level.number, column, flipped),
            ).fetchone()
        except sqlite3.DatabaseError as error:
            # A damaged page takes its tiles with it, not the job; a file that is gone ends it.
            if not self._path.exists():
                raise ImageryError("the imagery is gone", path=self._path) from error
            self.corrupt += 1
            self.tiles.note_spoilt(str(error))
            return None
        if found is None or not isinstance(found[0], bytes) or not found[0]:
            return None
        try:
            return decode_tile(found[0], level.tile_px)
        except TileDataError as error:
            self.corrupt += 1
            self.tiles.note_spoilt(str(error))
            return None

    def _describe(self) -> None:
        ask = self._connection.execute
        metadata = {str(name): str(value) for name, value in ask("SELECT name, value FROM metadata")}
        zooms = [
            int(zoom) for (zoom,) in ask("SELECT DISTINCT zoom_level FROM tiles") if isinstance(zoom, int)
        ]
        zooms = sorted(zoom for zoom in zooms if 0 <= zoom <= _MAX_ZOOM)
        if not zooms:
            raise ImageryError("the file holds no tiles", path=self._path)
        declared = metadata.get("format", "").lower()
        samples = [
            bytes(blob) for (blob,) in ask("SELECT tile_data FROM tiles LIMIT 16") if isinstance(blob, bytes)
        ]
        kinds = {sniff(blob) for blob in samples if blob}
        if declared in _VECTOR_FORMATS or kinds == {"vector"}:
            raise ImageryError(
                "these are vector tiles; a model needs pictures",
                path=self._path,
                hint="Take MBTiles with PNG, JPEG or WebP tiles.",
            )
        tile_px = common_tile_size(samples)
        if tile_px is None:
            raise ImageryError(
                f"the tiles are not pictures that can be decoded (declared format {declared or 'none'!r})",
                path=self._path,
                hint="Take MBTiles with PNG, JPEG or WebP tiles.",
            )
        self.levels = tuple(xyz_level(zoom, tile_px) for zoom in zooms)
        bounds = self._bounds(metadata.get("bounds", ""), zooms)
        middle = (bounds.south + bounds.north) / 2
        self.info = ImageryInfo(
            kind="mbtiles",
            name=metadata.get("name") or self._path.stem,
            bounds=bounds,
            min_zoom=zooms[0],
            max_zoom=zooms[-1],
            metres_per_pixel=float(metres_per_pixel(middle, zooms[-1], tile_px)),
            crs="EPSG:3857",
            bands=3,
            attribution=plain_attribution(metadata.get("attribution", "")),
            licence=metadata.get("license", metadata.get("licence", "")),
            extra={"tile_px": str(tile_px), "format": declared or ", ".join(sorted(kinds))},
        )

    def _bounds(self, declared: str, zooms: list[int]) -> BoundingBox:
        """The declared extent where it agrees with the tiles, else the extent of the finest levels' tiles."""
        boxes = []
        for zoom in zooms[-3:]:
            edges = self._edges(zoom)
            if edges is None:
                continue
            last = (1 << zoom) - 1
            left, right, low, high = (int(np.clip(edge, 0, last)) for edge in edges)
            west, _, _, north = tile_bounds_lonlat(left, last - high, zoom)
            _, south, east, _ = tile_bounds_lonlat(right, last - low, zoom)
            boxes.append((west, south, east, north))
        if not boxes:
            raise ImageryError("its tiles have no place: columns and rows are no numbers", path=self._path)
        corners = np.array(boxes)
        found = [*corners[:, :2].min(axis=0), *corners[:, 2:].max(axis=0)]
        try:
            west, south, east, north = (float(part) for part in declared.split(","))
        except ValueError:
            return BoundingBox(*(float(edge) for edge in found))
        held = (
            max(west, found[0]),
            max(south, found[1], -MAX_LATITUDE),
            min(east, found[2]),
            min(north, found[3], MAX_LATITUDE),
        )
        if held[0] < held[2] and held[1] < held[3]:
            return BoundingBox(*(float(edge) for edge in held))
        return BoundingBox(*(float(edge) for edge in found))

    def _edges(self, zoom: int) -> tuple[int, int, int, int] | None:
        """First and last column, first and last row (from the south) of a zoom."""
        ask = (
            "SELECT min(tile_column), max(tile_column), min(tile_row), max(tile_row) FROM tiles "
            "WHERE zoom_level=?"
        )
        # SQLite sorts numbers before text; only a damaged table needs the second look at every row.
        numbers = " AND typeof(tile_column)='integer' AND typeof(tile_row)='integer'"
        for question in (ask, ask + numbers):
            found = self._connection.execute(question, (zoom,)).fetchone()
            if all(isinstance(edge, int) for edge in found):
                return found[0], found[1], found[2], found[3]
        return None


def _connect(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise ImageryError("the imagery file does not exist", path=path)
    try:
        with path.open("rb") as file:
            magic = file.read(16)
    except OSError as error:
        raise ImageryError(f"the imagery cannot be opened ({error.strerror})", path=path) from error
    if magic != b"SQLite format 3\x00":
        raise ImageryError("this is not an MBTiles file (it is no SQLite database)", path=path)
    # Read-only media hold no lock or journal: without "immutable" SQLite refuses a file in WAL mode there.
    journal = path.with_name(path.name + "-wal")
    immutable = "" if journal.exists() else "&immutable=1"
    try:
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro{immutable}", uri=True, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise ImageryError(f"the imagery cannot be opened ({error})", path=path) from error
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_BLOB)
    connection.text_factory = lambda data: data.decode("utf-8", errors="replace")
    return connection
