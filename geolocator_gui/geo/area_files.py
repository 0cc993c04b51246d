"""Outlines in area files: what a file holds is found out by its name and first bytes."""

from __future__ import annotations

from pathlib import Path

from shapely.geometry import Polygon

from geolocator_gui.errors import AreaError
from geolocator_gui.geo.area_geojson import read_geojson

MAX_BYTES = 256 * 1024 * 1024


def read_outlines(path: Path) -> tuple[list[Polygon], list[str]]:
    """Polygons of a file in degrees, as drawn, and in words what was done to read them.

    Raises:
        AreaError: The file cannot be read as an area.
    """
    try:
        if path.is_dir():
            raise AreaError("this is a folder, not an area file", path=path)
        size = path.stat().st_size
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
    return read_geojson(path)
