"""Outlines in GeoJSON (RFC 7946), with the older `crs` member honoured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry import Polygon

from geolocator_gui.errors import AreaError

_MAX_DEPTH = 16
_DEGREES = {"urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:OGC::CRS84", "OGC:CRS84", "EPSG:4326"}


def read_geojson(path: Path) -> tuple[list[Polygon], list[str]]:
    """Polygons of a GeoJSON file in degrees, and in words what was done to read them.

    Raises:
        AreaError: It is not GeoJSON or holds no polygon.
    """
    try:
        data = path.read_bytes()
        document = json.loads(data)  # UTF-8, or UTF-16 as some editors write it
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        if not data.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0").startswith((b"{", b"[")):
            reason = "it is of none of the kinds known"
        raise AreaError(
            f"this is not an area file that can be read ({reason})",
            path=path,
            hint="Use GeoJSON, KML, KMZ, GPX, Shapefile or GeoPackage.",
        ) from error
    except OSError as error:
        raise AreaError(f"the area file cannot be read ({error.strerror})", path=path) from error
    notes: list[str] = []
    polygons: list[Polygon] = []
    others: set[str] = set()
    _collect(document, polygons, others, notes, path, 0)
    if not polygons:
        kinds = f" (only {', '.join(sorted(others))})" if others else ""
        raise AreaError(
            f"the file holds no polygon{kinds}", path=path, hint="An area is one or more closed outlines."
        )
    return _to_degrees(polygons, document, path), notes


def _collect(
    node: Any, polygons: list[Polygon], others: set[str], notes: list[str], path: Path, depth: int
) -> None:
    if depth > _MAX_DEPTH:
        raise AreaError("the GeoJSON is nested too deeply", path=path)
    if not isinstance(node, dict):
        if node is None:
            return
        raise AreaError("this is JSON, but not GeoJSON", path=path)
    kind = node.get("type")
    if kind == "FeatureCollection":
        children = node.get("features")
    elif kind == "Feature":
        children = [node.get("geometry")]
    elif kind == "GeometryCollection":
        children = node.get("geometries")
    elif kind == "Polygon":
        polygons.append(_polygon(node.get("coordinates"), notes, path))
        return
    elif kind == "MultiPolygon":
        members = node.get("coordinates")
        if not isinstance(members, list):
            raise AreaError("a MultiPolygon without coordinates", path=path)
        polygons.extend(_polygon(member, notes, path) for member in members)
        return
    elif kind in ("Point", "MultiPoint", "LineString", "MultiLineString"):
        others.add(str(kind))
        return
    else:
        raise AreaError("this is JSON, but not GeoJSON", path=path)
    if not isinstance(children, list):
        raise AreaError(f"a {kind} without its members", path=path)
    for child in children:
        _collect(child, polygons, others, notes, path, depth + 1)


def _polygon(rings: Any, notes: list[str], path: Path) -> Polygon:
    if rings == []:
        return Polygon()
    try:
        lines = [np.asarray([point[:2] for point in ring], np.float64) for ring in rings]
    except (TypeError, ValueError, IndexError, KeyError, OverflowError) as error:
        raise AreaError("a polygon's coordinates are not pairs of numbers", path=path) from error
    for line in lines:
        if line.ndim != 2 or line.shape[1] != 2 or len(np.unique(line, axis=0)) < 3:
            raise AreaError("an outline has fewer than three corners", path=path)
        if not np.isfinite(line).all():
            raise AreaError("the area holds coordinates that are not numbers", path=path)
        if not np.array_equal(line[0], line[-1]) and "an open outline was closed" not in notes:
            notes.append("an open outline was closed")
    if not lines:
        return Polygon()
    return Polygon(lines[0], lines[1:])


def _to_degrees(polygons: list[Polygon], document: Any, path: Path) -> list[Polygon]:
    crs = document.get("crs")
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if not isinstance(name, str) or name in _DEGREES:
        return polygons
    import pyproj

    try:
        transformer = pyproj.Transformer.from_crs(name, "EPSG:4326", always_xy=True)
        return [shapely.transform(polygon, _degrees_with(transformer)) for polygon in polygons]
    except (pyproj.exceptions.ProjError, ValueError) as error:
        raise AreaError(
            f"the coordinate system {name!r} is not known",
            path=path,
            hint="Save the area in longitude and latitude (EPSG:4326).",
        ) from error


def _degrees_with(transformer: Any) -> Any:
    def transform(xy: np.ndarray) -> np.ndarray:
        return np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))

    return transform
