"""Outlines in Shapefiles and GeoPackages, in any coordinate system."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry import Polygon

from geolocator_gui.errors import AreaError
from geolocator_gui.geo.outlines import polygon_parts

MAX_FEATURES = 100_000
_SHAPEFILE_HINT = "A Shapefile needs its .shp, .shx, .dbf and .prj files side by side."


def read_layers(source: str, path: Path) -> tuple[list[Polygon], list[str]]:
    """Polygons of all layers of a file in degrees, and in words what was done to read them.

    Args:
        source: What GDAL opens, a path or a `/vsizip/` path.
        path: The user's file, for the errors.

    Raises:
        AreaError: The file is damaged, incomplete, or holds no polygon.
    """
    import geopandas
    import pyogrio
    from pyproj.exceptions import ProjError
    from shapely.errors import ShapelyError

    polygons: list[Polygon] = []
    notes: list[str] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # GDAL warns of what ends in an error, or does no harm
            for name, kind in pyogrio.list_layers(source):
                if kind is None:
                    continue
                frame = geopandas.read_file(
                    source, layer=name, columns=[], engine="pyogrio", rows=MAX_FEATURES + 1, force_2d=True
                )
                if len(frame) > MAX_FEATURES:
                    raise AreaError(f"the layer {name!r} holds more than {MAX_FEATURES} features", path=path)
                polygons.extend(_degrees(frame, notes, path))
    except (
        pyogrio.errors.DataSourceError,
        pyogrio.errors.DataLayerError,
        pyogrio.errors.GeometryError,
        pyogrio.errors.FieldError,
        pyogrio.errors.FeatureError,
        ShapelyError,
        ProjError,
        ValueError,
    ) as error:
        if "not recognized as being in a supported file format" in str(error):
            raise AreaError(
                "this is not an area file that can be read",
                path=path,
                hint="Use GeoJSON, KML, KMZ, GPX, Shapefile or GeoPackage.",
            ) from error
        raise AreaError(
            f"the area file cannot be read ({error})",
            path=path,
            hint=_SHAPEFILE_HINT if ".shp" in source.lower() else "Copy or save it again.",
        ) from error
    if not polygons:
        raise AreaError(
            "the file holds no polygon", path=path, hint="An area is one or more closed outlines."
        )
    return polygons, notes


def _check_earth(crs: Any, path: Path) -> None:
    ellipsoid = crs.ellipsoid
    if ellipsoid is not None and not 6.33e6 < ellipsoid.semi_major_metre < 6.42e6:
        raise AreaError(
            f"its coordinate system {crs.name!r} is not of the Earth",
            path=path,
            hint="Save it in longitude and latitude (EPSG:4326).",
        )


def _degrees(frame: Any, notes: list[str], path: Path) -> list[Polygon]:
    found = [part for shape in frame.geometry if shape is not None for part in polygon_parts(shape)]
    if not found:
        return []
    if frame.crs is not None:
        _check_earth(frame.crs, path)
        shapes = frame.geometry.to_crs("EPSG:4326")
        return [part for shape in shapes if shape is not None for part in polygon_parts(shape)]
    reach = np.abs(shapely.get_coordinates(found)).max(axis=0)
    if reach[0] > 180 or reach[1] > 90:
        raise AreaError(
            "the file does not say in which coordinate system its outlines are",
            path=path,
            hint="Add its .prj file, or save it in longitude and latitude (EPSG:4326).",
        )
    notes.append("no coordinate system is named: read as longitude and latitude")
    return found
