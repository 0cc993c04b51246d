"""Outlines as users draw them, made into valid polygons: repaired, unwrapped, split at the antimeridian."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.affinity import translate
from shapely.geometry import MultiPolygon, Polygon, box

from geolocator_gui.errors import AreaError
from geolocator_gui.geo.crossings import check_crossings
from geolocator_gui.geo.projection import MAX_LATITUDE
from geolocator_gui.geo.thinning import corners_of, thin

Coordinates = NDArray[np.float64]
MAX_VERTICES = 20_000
_LIMIT_HINT = f"Web-Mercator imagery ends at {MAX_LATITUDE:.2f} degrees: cut the area there."


def normalise(
    polygons: Sequence[Polygon], *, path: Path | str | None = None
) -> tuple[Polygon | MultiPolygon, tuple[str, ...]]:
    """Make one valid (Multi)Polygon in EPSG:4326 with longitudes in [-180, 180] out of raw outlines.

    Args:
        polygons: Longitude and latitude in degrees; longitudes may run on beyond 180 or jump there.
        path: Where they come from, for the errors.

    Returns:
        The geometry, and in words what was done to it.

    Raises:
        AreaError: Nothing is left, the outlines cross themselves too often to be repaired, or the area lies
            where Web-Mercator does not reach.
    """
    notes: list[str] = []
    raw: list[Polygon] = []
    for polygon in polygons:
        if polygon.is_empty:
            continue
        _check_degrees(polygon, path)
        unwrapped, jumped = _unwrap(polygon, path)
        if jumped:
            _add(notes, "read as crossing the antimeridian")
        raw.append(unwrapped)
    thinned, moved = thin(raw, MAX_VERTICES)  # first, for all that follows takes longer than the corners grow
    if moved:
        metres = moved * 111_320
        notes.append(f"the outline's {corners_of(raw)} corners were thinned out, by at most {metres:.1f} m")
    check_crossings(thinned, path)
    if not all(polygon.is_valid for polygon in thinned):
        notes.append("an outline that crosses itself was repaired")
    parts = [part for polygon in thinned for part in polygon_parts(_valid(polygon)) if part.area > 0]
    if not parts:
        raise AreaError(
            "the area is empty: it has no polygon with an extent",
            path=path,
            hint="Draw an outline with at least three corners that do not lie on one line.",
        )
    merged = shapely.union_all([piece for part in parts for piece in _into_world(part)])
    pieces = sorted(polygon_parts(merged), key=lambda piece: piece.bounds)
    south = min(piece.bounds[1] for piece in pieces)
    north = max(piece.bounds[3] for piece in pieces)
    if north > MAX_LATITUDE or south < -MAX_LATITUDE:
        raise AreaError(
            f"the area reaches latitude {north if north > MAX_LATITUDE else south:.2f}",
            path=path,
            hint=_LIMIT_HINT,
        )
    return (pieces[0] if len(pieces) == 1 else MultiPolygon(pieces)), tuple(notes)


def polygon_parts(geometry: shapely.Geometry) -> list[Polygon]:
    """All non-empty polygons in a geometry, collections taken apart."""
    if geometry.is_empty:
        return []
    if isinstance(geometry, Polygon):
        return [geometry]
    if hasattr(geometry, "geoms"):
        return [part for child in geometry.geoms for part in polygon_parts(child)]
    return []


def unwrapped(geometry: Polygon | MultiPolygon) -> Polygon | MultiPolygon:
    """The same area with longitudes that run on beyond 180, so that it is not torn at the antimeridian.

    The cut is moved to the middle of the widest gap that the area leaves open on the circle of longitudes.
    """
    parts = polygon_parts(geometry)
    intervals = sorted((part.bounds[0], part.bounds[2]) for part in parts)
    start, reach = intervals[0]
    cut, widest = 180.0, intervals[0][0] + 360.0 - max(east for _, east in intervals)
    for west, east in intervals[1:]:
        if west - reach > widest:
            cut, widest = (west + reach) / 2, west - reach
        reach = max(reach, east)
    if cut == 180.0 or start >= cut:
        return geometry
    moved = [translate(part, 360.0) if part.bounds[2] <= cut else part for part in parts]
    return shapely.union_all(moved)


def _valid(polygon: Polygon) -> shapely.Geometry:
    if polygon.is_valid:
        return polygon
    return shapely.make_valid(polygon, method="structure", keep_collapsed=False)


def _add(notes: list[str], note: str) -> None:
    if note not in notes:
        notes.append(note)


def _check_degrees(polygon: Polygon, path: Path | str | None) -> None:
    xy = shapely.get_coordinates(polygon)
    if not np.isfinite(xy).all():
        raise AreaError("the area holds coordinates that are not numbers", path=path)
    lon, lat = np.abs(xy[:, 0]).max(), np.abs(xy[:, 1]).max()
    if lat > 90 and lat <= 180 and lon <= 90:
        raise AreaError(
            f"a latitude of {lat:.4f} does not exist: latitude and longitude look swapped",
            path=path,
            hint="Write the longitude first, then the latitude.",
        )
    if lat > 90 or lon > 540:
        raise AreaError(
            f"the coordinates are not degrees (up to {lon:.0f}, {lat:.0f})",
            path=path,
            hint="Save the area with its coordinate system, or in longitude and latitude (EPSG:4326).",
        )


def _unwrap(polygon: Polygon, path: Path | str | None) -> tuple[Polygon, bool]:
    rings = [polygon.exterior, *polygon.interiors]
    lines = [np.asarray(ring.coords)[:, :2] for ring in rings]
    if all(np.abs(np.diff(line[:, 0])).max(initial=0) <= 180 for line in lines):
        return Polygon(lines[0], lines[1:]), False
    outlines: list[Coordinates] = []
    for line in lines:
        steps = np.diff(line[:, 0])
        turns = np.concatenate([[0.0], np.cumsum(np.round(-steps / 360.0) * 360.0)])
        if turns[-1] != 0:
            raise AreaError("the area goes around a pole", path=path, hint=_LIMIT_HINT)
        outline = np.column_stack([line[:, 0] + turns, line[:, 1]])
        if outlines:  # a hole is moved to where its outline is
            centre = (outlines[0][:, 0].min() + outlines[0][:, 0].max()) / 2
            outline[:, 0] += np.round((centre - outline[:, 0].mean()) / 360.0) * 360.0
        outlines.append(outline)
    whole = np.ptp(lines[0][:, 0]) >= 359.999 and np.ptp(outlines[0][:, 0]) < 1e-6
    if whole:  # an edge from -180 to 180 is the whole world, not nothing
        return Polygon(lines[0], lines[1:]), False
    return Polygon(outlines[0], outlines[1:]), True


def _into_world(polygon: Polygon) -> list[Polygon]:
    west, _, east, _ = polygon.bounds
    if west >= -180 and east <= 180:
        return [polygon]
    pieces: list[Polygon] = []
    for turn in range(int(np.floor((west + 180) / 360)), int(np.floor((east + 180) / 360)) + 1):
        window = box(-180 + 360 * turn, -91, 180 + 360 * turn, 91)
        pieces.extend(
            translate(piece, -360.0 * turn) for piece in polygon_parts(polygon.intersection(window))
        )
    return [piece for piece in pieces if piece.area > 0]
