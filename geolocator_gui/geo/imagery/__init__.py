"""Imagery sources: places satellite pixels come from, one file each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geolocator_gui.errors import ImageryError
from geolocator_gui.geo.imagery.base import ImagerySource, Patch

__all__ = ["ImagerySource", "Patch", "open_imagery"]


def open_imagery(src: str | Path | Mapping[str, Any]) -> ImagerySource:
    """Open an imagery source, found out by its name and content.

    Args:
        src: A file, a folder, a template or address; or a mapping with `src` and settings beside it.

    Raises:
        ImageryError: It does not exist, is not imagery, or cannot be used; the message says what to do.
    """
    settings: dict[str, Any] = dict(src) if isinstance(src, Mapping) else {"src": str(src)}
    where = str(settings.get("src", "")).strip()
    if not where:
        raise ImageryError(
            "no imagery is named", hint="Give an MBTiles file, a GeoTIFF, a folder or an address."
        )
    crs = settings.get("crs")
    if crs is None and "?crs=" in where:
        where, crs = where.split("?crs=", 1)
    path = Path(where).expanduser()
    if not path.exists():
        raise ImageryError("the imagery does not exist", path=path, hint="Check the name of the file.")
    if path.is_dir():
        raise ImageryError("this is a folder, not imagery", path=path)
    with _opened(path) as file:
        magic = file.read(512)
    if not magic:
        raise ImageryError("the file is empty (0 bytes)", path=path)
    if magic.startswith(b"SQLite format 3\x00") and path.suffix.lower() != ".gpkg":
        from geolocator_gui.geo.imagery.mbtiles import MBTilesSource

        return MBTilesSource(path)
    from geolocator_gui.geo.imagery.raster import RasterSource

    return RasterSource(path, crs=None if crs is None else str(crs))


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise ImageryError(f"the imagery cannot be opened ({error.strerror})", path=path) from error
