"""Areas: the polygons that an index is built of, from a file, a box, a circle or an imagery's extent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon, box, mapping
from shapely.geometry.polygon import orient

from geolocator_gui.errors import AreaError, ImageryError
from geolocator_gui.geo.outlines import normalise, polygon_parts, unwrapped
from geolocator_gui.geo.projection import MAX_LATITUDE, geod
from geolocator_gui.records import BoundingBox, ImageryInfo

_EDGE_DEGREES = 0.5
_WIDEST_DEGREES = 90.0
_LARGEST_RADIUS_M = 5e6


@dataclass(frozen=True)
class Area:
    """Polygons on the ground.

    Attributes:
        name: For people.
        geometry: Valid (Multi)Polygon in EPSG:4326, cut at the antimeridian.
        notes: In words what was done to the outline when it was read.
        whole_chips: Chips must lie inside with their whole square (an imagery's extent); else with their
            centre (an area that somebody drew).
    """

    name: str
    geometry: Polygon | MultiPolygon
    notes: tuple[str, ...] = ()
    whole_chips: bool = False

    @cached_property
    def unwrapped(self) -> Polygon | MultiPolygon:
        """The geometry with longitudes that run on beyond 180 where it crosses the antimeridian."""
        return unwrapped(self.geometry)

    @cached_property
    def km2(self) -> float:
        """Square kilometres on the ellipsoid; edges are straight lines in degrees, as the grid takes them."""
        metres = [
            abs(geod().geometry_area_perimeter(orient(shapely.segmentize(piece, _EDGE_DEGREES)))[0])
            for part in polygon_parts(self.geometry)
            for piece in _narrow(part)
        ]
        return float(sum(metres)) / 1e6

    @property
    def bounds(self) -> BoundingBox:
        """Extent in degrees; west > east where the area crosses the antimeridian."""
        west, south, east, north = self.unwrapped.bounds
        return BoundingBox(west, south, east - 360.0 if east > 180.0 else east, north)

    @cached_property
    def size_m(self) -> tuple[float, float]:
        """Width (along the middle latitude) and height of the extent, ground metres."""
        west, south, east, north = self.unwrapped.bounds
        radius = geod().a
        width = float(np.radians(east - west) * radius * np.cos(np.radians((south + north) / 2)))
        return width, float(np.radians(north - south) * radius)

    def contains(self, lon: float, lat: float) -> bool:
        """Whether a position lies inside or on the edge."""
        return bool(shapely.intersects_xy(self.geometry, lon, lat))

    def to_geojson(self) -> dict[str, Any]:
        """A GeoJSON Feature (RFC 7946)."""
        parts = [orient(part) for part in polygon_parts(self.geometry)]
        geometry = parts[0] if len(parts) == 1 else MultiPolygon(parts)
        return {"type": "Feature", "properties": {"name": self.name}, "geometry": mapping(geometry)}

    def geojson_text(self) -> str:
        """The text of a GeoJSON file that `read_area` reads back."""
        return json.dumps({"type": "FeatureCollection", "features": [self.to_geojson()]}) + "\n"

    def write_geojson(self, path: Path) -> None:
        """Write a GeoJSON file that `read_area` reads back."""
        path.write_text(self.geojson_text(), "utf-8")


def _narrow(part: Polygon) -> list[Polygon]:
    """A polygon in pieces whose edges no shorter way around the Earth could be taken for."""
    west, _, east, _ = part.bounds
    if east - west <= _WIDEST_DEGREES:
        return [part]
    edges = np.linspace(west, east, int(np.ceil((east - west) / _WIDEST_DEGREES)) + 1)
    windows = [box(left, -91.0, right, 91.0) for left, right in pairwise(edges)]
    return [piece for window in windows for piece in polygon_parts(part.intersection(window))]


def area_from_bbox(bounds: BoundingBox | tuple[float, float, float, float], name: str = "") -> Area:
    """A box in degrees; `west > east` crosses the antimeridian. Without a name it is called by its middle.

    Raises:
        AreaError: The box is empty, swapped or beyond the limit of Web-Mercator.
    """
    west, south, east, north = (float(value) for value in bounds)
    if not all(np.isfinite((west, south, east, north))):
        raise AreaError("the box holds values that are not numbers", hint="Give W,S,E,N in degrees.")
    if south >= north or west == east:
        raise AreaError(
            f"the box {west},{south},{east},{north} is empty",
            hint="Give west, south, east, north in degrees, in this order.",
        )
    if west > east:
        east += 360.0
        if east - west > 180.0:
            raise AreaError(
                f"the box runs {east - west:.0f}° around the Earth, from {west:g} east to {east - 360:g}",
                hint="Give west, south, east, north in this order: are west and east swapped?",
            )
    geometry, notes = normalise(_narrow(box(west, south, east, north)))
    middle = (west + east) / 2
    middle -= 360 if middle > 180 else 0
    return Area(name or f"box around {(south + north) / 2:.4f}, {middle:.4f}", geometry, notes)


def area_from_circle(lon: float, lat: float, radius_m: float, name: str = "") -> Area:
    """A circle of `radius_m` geodesic metres as a polygon of 128 corners; unnamed, called by size and place.

    Raises:
        AreaError: The radius is not positive, or the circle reaches beyond the limit of Web-Mercator.
    """
    if not np.isfinite([lon, lat, radius_m]).all() or radius_m <= 0:
        raise AreaError(f"a circle of {radius_m} m has no extent", hint="Give a radius above 0 metres.")
    if abs(lat) > 90:
        raise AreaError(
            f"a latitude of {lat} does not exist", hint="Write the longitude first, then the latitude."
        )
    if radius_m > _LARGEST_RADIUS_M:
        raise AreaError(
            f"a circle with a radius of {radius_m / 1000:,.0f} km is too large",
            hint=f"Take one of at most {_LARGEST_RADIUS_M / 1000:,.0f} km, or a box.",
        )
    reach = abs(lat) + np.degrees(radius_m / geod().b)
    if reach > MAX_LATITUDE:
        raise AreaError(
            "the circle reaches over a pole" if reach > 90 else f"the circle reaches latitude {reach:.2f}",
            hint=f"Web-Mercator imagery ends at {MAX_LATITUDE:.2f} degrees: take a smaller circle.",
        )
    azimuths = np.linspace(0.0, 360.0, 128, endpoint=False)
    ones = np.ones_like(azimuths)
    lons, lats, _ = geod().fwd(lon * ones, lat * ones, azimuths, radius_m * ones)
    lons = lon + (np.asarray(lons) - lon + 180.0) % 360.0 - 180.0
    geometry, notes = normalise([Polygon(np.column_stack([lons, lats]))])
    return Area(name or f"{radius_m:g} m around {lat:.4f}, {lon:.4f}", geometry, notes)


def area_of_imagery(info: ImageryInfo) -> Area:
    """The extent of an imagery source; its chips lie inside with their whole square.

    Raises:
        AreaError: It covers the whole world.
    """
    west, south, east, north = info.bounds
    if east - west > 359.0:
        raise AreaError(
            f"the imagery {info.name!r} covers the world",
            hint="Say which area of it is wanted: an area file, a box or a circle.",
        )
    held = BoundingBox(west, max(south, -MAX_LATITUDE), east, min(north, MAX_LATITUDE))
    area = area_from_bbox(held, name=info.name)
    return Area(area.name, area.geometry, area.notes, whole_chips=True)


def share_on_imagery(area: Area, infos: Sequence[ImageryInfo]) -> float:
    """How much of an area the extents of some imagery cover, above 0 and up to 1.

    Raises:
        ImageryError: None of it.
    """
    extents = []
    for info in infos:
        west, south, east, north = info.bounds
        ends = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
        extents += [box(left, south, right, north) for left, right in ends]
    imagery = shapely.union_all(extents)
    share = shapely.intersection(area.geometry, imagery).area / area.geometry.area
    if share == 0.0:
        if shapely.transform(area.geometry, lambda xy: xy[:, ::-1]).intersects(imagery):
            raise ImageryError(
                f"the coordinates of the area '{area.name}' are swapped: longitude comes first",
                path=infos[0].name,
                hint="With latitude and longitude exchanged it lies on this imagery.",
            )
        bounds = ", ".join(f"{edge:.5f}" for edge in infos[0].bounds)
        raise ImageryError(
            f"the area '{area.name}' lies beside this imagery, which reaches over {bounds}",
            path=infos[0].name,
            hint="Numbers are west, south, east, north in degrees; longitude comes first. Check the area.",
        )
    return float(share)


def read_area(path: Path | str) -> Area:
    """Read an area file, by its content and name: GeoJSON, KML, KMZ, GPX, Shapefile, GeoPackage.

    Raises:
        AreaError: The file is missing, not an area, hostile, empty, or lies where it cannot be used.
    """
    from geolocator_gui.geo.area_files import read_outlines

    path = Path(path)
    polygons, found = read_outlines(path)
    try:
        geometry, notes = normalise(polygons, path=path)
    except shapely.errors.ShapelyError as error:
        raise AreaError(
            f"the outline is too broken to be repaired ({error})", path=path, hint="Draw it anew."
        ) from error
    return Area(path.stem, geometry, (*found, *notes))
