"""Outlines in area files: what a file holds is found out by its first bytes, not by its name."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from shapely.geometry import Polygon

from geolocator_gui.errors import AreaError
from geolocator_gui.geo.area_geojson import read_geojson
from geolocator_gui.geo.area_layers import read_layers
from geolocator_gui.geo.area_xml import MAX_XML_BYTES, read_xml

MAX_BYTES = 256 * 1024 * 1024
_MAX_MEMBERS = 10_000
_HINT = "Use GeoJSON, KML, KMZ, GPX, Shapefile or GeoPackage."
_SHAPEFILE = b"\x00\x00\x27\x0a"
_BESIDE_SHAPEFILE = (".shx", ".dbf", ".prj", ".cpg", ".qix", ".sbn", ".sbx")


def read_outlines(path: Path) -> tuple[list[Polygon], list[str]]:
    """Polygons of a file in degrees, as drawn, and in words what was done to read them.

    Raises:
        AreaError: The file cannot be read as an area.
    """
    head = _head(path)
    if path.suffix.lower() in _BESIDE_SHAPEFILE:
        raise AreaError(
            "this is one of the files beside a Shapefile",
            path=path,
            hint=f"Take {path.with_suffix('.shp').name} instead.",
        )
    if head.startswith(b"PK\x03\x04"):
        return _read_zip(path)
    if head.startswith((b"SQLite format 3\x00", _SHAPEFILE)):
        return read_layers(str(path), path)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") or head.startswith(
        (b"\xff\xfe<", b"\xfe\xff\x00<")
    ):
        if path.stat().st_size > MAX_XML_BYTES:
            raise AreaError(
                f"the document has more than {MAX_XML_BYTES // 2**20} MiB",
                path=path,
                hint="Simplify the outlines.",
            )
        return read_xml(path.read_bytes(), path)
    return read_geojson(path)


def _head(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise AreaError("this is a folder, not an area file", path=path)
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise AreaError(f"the area file cannot be opened ({error.strerror})", path=path) from error
    if size == 0:
        raise AreaError("the file is empty (0 bytes)", path=path)
    if size > MAX_BYTES:
        raise AreaError(
            f"the area file is {size // 2**20} MiB; more than {MAX_BYTES // 2**20} MiB is not read",
            path=path,
            hint="Simplify the outlines.",
        )
    return head


def _read_zip(path: Path) -> tuple[list[Polygon], list[str]]:
    """KMZ (KML in a zip), or a zipped Shapefile."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > _MAX_MEMBERS:
                raise AreaError(f"the archive holds {len(members)} files; that is no area", path=path)
            layers = [member for member in members if member.filename.lower().endswith(".shp")]
            if layers:
                if sum(member.file_size for member in members) > MAX_BYTES:
                    raise _bomb(path)
                return read_layers(f"/vsizip/{{{path.resolve()}}}/{layers[0].filename}", path)
            documents = sorted(
                (member for member in members if member.filename.lower().endswith(".kml")),
                key=lambda member: (member.filename.lower() != "doc.kml", member.filename),
            )
            if not documents:
                raise AreaError("the archive holds neither KML nor a Shapefile", path=path, hint=_HINT)
            # The sizes that an archive states may be lies: no more than the limit is ever unpacked.
            if documents[0].file_size > MAX_XML_BYTES:
                raise _bomb(path)
            with archive.open(documents[0]) as file:
                data = file.read(MAX_XML_BYTES + 1)
            if len(data) > MAX_XML_BYTES:
                raise _bomb(path)
            return read_xml(data, path)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        raise AreaError(f"the archive is damaged or locked ({error})", path=path) from error


def _bomb(path: Path) -> AreaError:
    return AreaError(
        f"unpacked, the archive is larger than {MAX_XML_BYTES // 2**20} MiB; it is not read", path=path
    )
