"""PMTiles version 3: all tiles of a map in one file, found through directories along a Hilbert curve."""

from __future__ import annotations

import json
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import ImageryError
from geolocator_gui.geo.imagery.attribution import plain_attribution
from geolocator_gui.geo.imagery.cache import DecodedTiles
from geolocator_gui.geo.imagery.decode import Tile, TileDataError, common_tile_size, decode_tile
from geolocator_gui.geo.imagery.tiled import Level, TiledSource, xyz_level
from geolocator_gui.geo.projection import MAX_LATITUDE, metres_per_pixel
from geolocator_gui.records import BoundingBox, ImageryInfo

_MAX_DIRECTORY = 64 * 1024 * 1024
_MAX_TILE = 64 * 1024 * 1024
_DEPTH = 4
_VECTOR_TYPES = ("MVT", "MLT")

Numbers = NDArray[np.int64]


class PMTilesSource(TiledSource):
    """Raster tiles of a PMTiles file.

    Attributes:
        corrupt: Tiles that could not be read or decoded and count as missing.
    """

    def __init__(self, path: Path, tiles: DecodedTiles | None = None) -> None:
        """Open read-only.

        Raises:
            ImageryError: Not PMTiles 3, of vector tiles, or compressed in a way that is not read.
        """
        self._path = path
        self.corrupt = 0
        self.tiles = tiles or DecodedTiles()
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise ImageryError(f"the imagery cannot be opened ({error.strerror})", path=path) from error
        # Root and leaves that were read last; parsing one anew for every tile would take most of the time.
        self._directory = lru_cache(maxsize=64)(self._read_directory)
        try:
            self._describe()
        except BaseException:
            self.close()
            raise

    def clone(self) -> Self:
        """The same file for another thread."""
        return type(self)(self._path, self.tiles)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._directory.cache_clear()

    def _load(self, level: Level, column: int, row: int) -> Tile | None:
        try:
            data = self._body(level.number, column, row)
            return None if data is None else decode_tile(data, level.tile_px)
        except (TileDataError, ValueError, zlib.error) as error:
            self.corrupt += 1
            self.tiles.note_spoilt(str(error))
            return None
        except OSError as error:
            raise ImageryError(f"the imagery cannot be read ({error.strerror})", path=self._path) from error

    def _body(self, zoom: int, column: int, row: int) -> bytes | None:
        from pmtiles.tile import zxy_to_tileid

        tile_id = zxy_to_tileid(zoom, column, row)
        offset, length = self._header["root_offset"], self._header["root_length"]
        for _ in range(_DEPTH):
            ids, runs, lengths, offsets = self._directory(offset, length)
            place = int(np.searchsorted(ids, tile_id, side="right")) - 1
            if place < 0:
                return None
            run, begin, size = int(runs[place]), int(offsets[place]), int(lengths[place])
            if run > 0:
                if tile_id >= int(ids[place]) + run:
                    return None
                data = self._bytes(self._header["tile_data_offset"] + begin, size, _MAX_TILE)
                return _unpacked(data, _MAX_TILE) if self._packed else data
            offset, length = self._header["leaf_directory_offset"] + begin, size
        raise ValueError("directories nested too deeply")

    def _read_directory(self, offset: int, length: int) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        data = self._bytes(offset, length, _MAX_DIRECTORY)
        if self._directories_packed:
            data = _unpacked(data, _MAX_DIRECTORY)
        return parse_directory(data)

    def _bytes(self, offset: int, length: int, limit: int) -> bytes:
        if not 0 <= length <= limit:
            raise ValueError(f"an entry of {length} bytes")
        self._file.seek(offset)
        data = self._file.read(length)
        if len(data) != length:
            raise ValueError("the file is cut short")
        return data

    def _describe(self) -> None:
        from pmtiles.tile import Compression, MagicNumberNotFound, SpecVersionUnsupported, deserialize_header

        head = self._file.read(127)
        try:
            if len(head) < 127:
                raise ValueError("the file is cut short")
            header: dict[str, Any] = dict(deserialize_header(head))
        except (MagicNumberNotFound, SpecVersionUnsupported, ValueError, KeyError) as error:
            raise ImageryError(
                f"this is not a PMTiles 3 file that can be read ({error or type(error).__name__})",
                path=self._path,
            ) from error
        self._header = header
        if header["tile_type"].name in _VECTOR_TYPES:
            raise ImageryError(
                "these are vector tiles; a model needs pictures",
                path=self._path,
                hint="Take PMTiles with PNG, JPEG, WebP or AVIF tiles.",
            )
        for name in ("internal_compression", "tile_compression"):
            if header[name] not in (Compression.NONE, Compression.GZIP, Compression.UNKNOWN):
                raise ImageryError(
                    f"its {name.replace('_', ' ')} {header[name].name.lower()} is not read",
                    path=self._path,
                    hint="Write it anew with gzip or without compression.",
                )
        self._directories_packed = header["internal_compression"] == Compression.GZIP
        self._packed = header["tile_compression"] == Compression.GZIP
        low, high = int(header["min_zoom"]), int(header["max_zoom"])
        if not 0 <= low <= high <= 30:
            raise ImageryError(f"its zooms {low} to {high} make no sense", path=self._path)
        tile_px = common_tile_size(self._samples())
        if tile_px is None:
            raise ImageryError("its tiles are not pictures that can be decoded", path=self._path)
        self.levels = tuple(xyz_level(zoom, tile_px) for zoom in range(low, high + 1))
        bounds = self._bounds()
        facts = self._metadata()
        self.info = ImageryInfo(
            kind="pmtiles",
            name=str(facts.get("name") or self._path.stem)[:200],
            bounds=bounds,
            min_zoom=low,
            max_zoom=high,
            metres_per_pixel=float(metres_per_pixel((bounds.south + bounds.north) / 2, high, tile_px)),
            crs="EPSG:3857",
            bands=3,
            attribution=plain_attribution(facts.get("attribution", "")),
            licence=str(facts.get("license", facts.get("licence", "")))[:500],
            extra={"tile_px": str(tile_px), "format": header["tile_type"].name.lower()},
        )

    def _samples(self) -> list[bytes]:
        """Some of the first tiles."""
        found: list[bytes] = []
        try:
            offset, length = self._header["root_offset"], self._header["root_length"]
            for _ in range(_DEPTH):
                _, runs, lengths, offsets = self._directory(offset, length)
                for run, size, begin in zip(runs[:16], lengths[:16], offsets[:16], strict=True):
                    if run > 0:
                        data = self._bytes(
                            self._header["tile_data_offset"] + int(begin), int(size), _MAX_TILE
                        )
                        found.append(_unpacked(data, _MAX_TILE) if self._packed else data)
                if found or not len(runs):
                    break
                offset, length = self._header["leaf_directory_offset"] + int(offsets[0]), int(lengths[0])
        except (ValueError, zlib.error, OSError) as error:
            if not found:
                raise ImageryError(f"the file is damaged ({error})", path=self._path) from error
        return found

    def _bounds(self) -> BoundingBox:
        edges = [self._header[f"{end}_{way}_e7"] / 1e7 for end in ("min", "max") for way in ("lon", "lat")]
        west, south, east, north = edges[0], edges[1], edges[2], edges[3]
        if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
            return BoundingBox(-180.0, -MAX_LATITUDE, 180.0, MAX_LATITUDE)
        return BoundingBox(west, max(south, -MAX_LATITUDE), east, min(north, MAX_LATITUDE))

    def _metadata(self) -> dict[str, Any]:
        try:
            data = self._bytes(
                self._header["metadata_offset"], self._header["metadata_length"], _MAX_DIRECTORY
            )
            found = json.loads(_unpacked(data, _MAX_DIRECTORY) if self._directories_packed else data)
        except (ValueError, zlib.error, OSError, RecursionError):
            return {}  # only names and attribution are lost
        return found if isinstance(found, dict) else {}


def parse_directory(data: bytes) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Tile ids (rising), run lengths (0 for a leaf directory), byte lengths, offsets.

    Raises:
        ValueError: It is not a directory.
    """
    numbers = _varints(data)
    if not len(numbers) or int(numbers[0]) * 4 + 1 > len(numbers):
        raise ValueError("a directory cut short")
    count = int(numbers[0])
    parts = numbers[1 : 1 + 4 * count].reshape(4, count)
    ids, runs, lengths = np.cumsum(parts[0]), parts[1], parts[2]
    offsets = parts[3] - 1
    # 0 stands for "right behind the one before".
    for place in np.flatnonzero(parts[3] == 0):
        if place:
            offsets[place] = offsets[place - 1] + lengths[place - 1]
    if count and (offsets.min() < 0 or lengths.min() < 0 or ids.min() < 0):
        raise ValueError("a directory that makes no sense")
    return ids, runs, lengths, offsets


def _varints(data: bytes) -> Numbers:
    """All LEB128 numbers of some bytes, below 2**63."""
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw < 0x80)
    if not len(ends):
        return np.empty(0, np.int64)
    starts = np.concatenate([[0], ends[:-1] + 1])
    sizes = ends - starts + 1
    if sizes.max() > 9:
        raise ValueError("a number too large")
    values = np.zeros(len(ends), np.int64)
    for place in range(int(sizes.max())):
        has = sizes > place
        values[has] |= (raw[starts[has] + place].astype(np.int64) & 0x7F) << (7 * place)
    return values


def _unpacked(data: bytes, limit: int) -> bytes:
    """Gunzip, but never to more than a limit."""
    reader = zlib.decompressobj(wbits=31)
    unpacked = reader.decompress(data, limit)
    if reader.unconsumed_tail or not reader.eof:
        raise ValueError("packed data that are cut short or far too large")
    return unpacked
