"""Outlines in KML and GPX, read with a parser that refuses entities and document types."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from shapely.geometry import Polygon

from geolocator_gui.errors import AreaError

MAX_XML_BYTES = 64 * 1024 * 1024
_CLOSED_NOTE = "a path was closed to an outline"


def read_xml(data: bytes, path: Path) -> tuple[list[Polygon], list[str]]:
    """Polygons of a KML or GPX document in degrees, and in words what was done to read them.

    KML's polygons are taken; where there are none its paths, as GPX's tracks and routes, are closed.

    Raises:
        AreaError: It is not such a document, is hostile, or holds no outline.
    """
    if len(data) > MAX_XML_BYTES:
        raise AreaError(
            f"the document has more than {MAX_XML_BYTES // 2**20} MiB",
            path=path,
            hint="Simplify the outlines.",
        )
    root = _parse(data, path)
    kind = _name(root)
    if kind not in ("kml", "gpx"):
        raise AreaError(
            f"this is XML, but neither KML nor GPX (<{kind[:40]}>)",
            path=path,
            hint="Use GeoJSON, KML, KMZ, GPX, Shapefile or GeoPackage.",
        )
    lines = _gpx_lines(root) if kind == "gpx" else None
    if lines is None:
        polygons = [polygon for polygon in map(_kml_polygon, _all(root, "Polygon")) if polygon is not None]
        if polygons:
            return polygons, []
        lines = [_coordinates(line) for line in _all(root, "LineString")]
        lines += [_coordinates(line) for line in _all(root, "LinearRing")]
    outlines = [Polygon(line) for line in lines if len(np.unique(line, axis=0)) >= 3]
    if not outlines:
        raise AreaError(
            "the file holds no outline, only points or nothing",
            path=path,
            hint="An area is one or more closed outlines of at least three corners.",
        )
    return outlines, [_CLOSED_NOTE]


def _parse(data: bytes, path: Path) -> Any:
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        return fromstring(data, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    except DefusedXmlException as error:
        raise AreaError(
            "the document declares entities or a document type, which an area file has no need of; "
            "it is not read",
            path=path,
            hint="Save the area anew from the program that made it.",
        ) from error
    except (ParseError, ValueError, LookupError, RecursionError) as error:
        raise AreaError(f"the document is damaged ({error})", path=path) from error


def _name(element: Any) -> str:
    tag = element.tag if isinstance(element.tag, str) else ""
    return tag.rsplit("}", 1)[-1]


def _all(element: Any, name: str) -> Iterator[Any]:
    return (child for child in element.iter() if _name(child) == name)


def _coordinates(element: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(n, 2) of all `coordinates` below an element: tuples `lon,lat[,height]` with blanks between."""
    pairs: list[tuple[float, float]] = []
    for child in _all(element, "coordinates"):
        for word in (child.text or "").split():
            parts = word.split(",")
            try:
                pairs.append((float(parts[0]), float(parts[1])))
            except (ValueError, IndexError):
                continue  # a torn tuple; the outline goes on with the next
    return np.array(pairs, np.float64).reshape(-1, 2)


def _kml_polygon(element: Any) -> Polygon | None:
    outer = [_coordinates(part) for part in _all(element, "outerBoundaryIs")]
    inner = [_coordinates(part) for part in _all(element, "innerBoundaryIs")]
    if not outer or len(np.unique(outer[0], axis=0)) < 3:
        return None
    return Polygon(outer[0], [ring for ring in inner if len(np.unique(ring, axis=0)) >= 3])


def _gpx_lines(root: Any) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
    lines = []
    for name, point in (("trkseg", "trkpt"), ("rte", "rtept")):
        for segment in _all(root, name):
            pairs: list[tuple[float, float]] = []
            for child in _all(segment, point):
                try:
                    pairs.append((float(child.get("lon")), float(child.get("lat"))))
                except (TypeError, ValueError):
                    continue  # a point without a position
            lines.append(np.array(pairs, np.float64).reshape(-1, 2))
    return lines
