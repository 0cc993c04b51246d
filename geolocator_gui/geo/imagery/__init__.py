"""Imagery sources: places satellite pixels come from, one file each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from geolocator_gui.errors import ImageryError
from geolocator_gui.geo.imagery.address import Address, host_of, parse_address
from geolocator_gui.geo.imagery.base import ImagerySource, Patch
from geolocator_gui.paths import user_cache_dir

__all__ = ["ImagerySource", "Patch", "open_imagery", "tile_cache_dir"]


def open_imagery(src: str | Path | Mapping[str, Any], *, tiles_dir: Path | None = None) -> ImagerySource:
    """Open an imagery source, found out by its name and content.

    Args:
        src: A file, a folder, a template or address (see address.py); or a mapping with `src` and settings.
        tiles_dir: Folder of the tile cache of servers; None for `tile_cache_dir()`.

    Raises:
        ImageryError: It does not exist, is not imagery, or cannot be used; the message says what to do.
    """
    where = parse_address(src)
    cache = tile_cache_dir() if tiles_dir is None else tiles_dir
    if where.kind in ("tiles", "provider"):
        from geolocator_gui.geo.imagery.web import open_template

        return open_template(where, cache)
    if where.kind == "wmts":
        from geolocator_gui.geo.imagery.wmts import open_wmts

        return open_wmts(where, cache)
    if where.kind == "wms":
        from geolocator_gui.geo.imagery.wms import open_wms

        return open_wms(where, cache)
    if where.kind == "raster":
        return _open_remote_raster(where)
    return _open_path(where)


def tile_cache_dir() -> Path:
    """Where downloaded tiles are kept: `GEOLOCATOR_TILES` (a workspace's `tiles/`), else the user's cache."""
    given = os.environ.get("GEOLOCATOR_TILES")
    return Path(given).expanduser() if given else user_cache_dir() / "tiles"


def _open_remote_raster(where: Address) -> ImagerySource:
    from geolocator_gui.geo.imagery.keys import with_key
    from geolocator_gui.geo.imagery.providers import terms_of_host
    from geolocator_gui.geo.imagery.raster import RasterSource

    terms = terms_of_host(host_of(where.where), user_says_yes=where.flag("bulk"))
    source = RasterSource(with_key(where.where), crs=where.settings.get("crs"))
    source.info = replace(
        source.info,
        bulk=terms.bulk,
        attribution=where.settings.get("attribution", source.info.attribution),
        licence=where.settings.get("licence", source.info.licence),
        extra={**(source.info.extra or {}), **terms.refusal},
    )
    return source


def _open_path(where: Address) -> ImagerySource:
    path = Path(where.where).expanduser()
    if not path.exists():
        raise ImageryError("the imagery does not exist", path=path, hint="Check the name of the file.")
    if path.is_dir():
        from geolocator_gui.geo.imagery.folder import FolderSource

        return FolderSource(where)
    try:
        with path.open("rb") as file:
            magic = file.read(512)
    except OSError as error:
        raise ImageryError(f"the imagery cannot be opened ({error.strerror})", path=path) from error
    if not magic:
        raise ImageryError("the file is empty (0 bytes)", path=path)
    if magic.startswith(b"PMTiles"):
        from geolocator_gui.geo.imagery.pmtiles import PMTilesSource

        return PMTilesSource(path)
    if magic.startswith(b"SQLite format 3\x00") and path.suffix.lower() != ".gpkg":
        from geolocator_gui.geo.imagery.mbtiles import MBTilesSource

        return MBTilesSource(path)
    if path.suffix.lower() in (".mbtiles", ".pmtiles"):
        kind = "an MBTiles" if path.suffix.lower() == ".mbtiles" else "a PMTiles"
        raise ImageryError(
            f"this is not {kind} file, in spite of its name", path=path, hint="Download or export it again."
        )
    from geolocator_gui.geo.imagery.raster import RasterSource

    return RasterSource(path, crs=where.settings.get("crs"))
