"""The chips that cover an area: squares of constant ground size in rows of latitude.

The grid is anchored to the globe, not to the area: two areas that overlap share the chips where they do,
and a cell (level, row, column) names the same square forever. Only where that grid would miss an area that
has room for a chip (an imagery little larger than one) the grid is anchored to the area's centre instead.

Sizes follow Web-Mercator's own scale (see projection.py): a chip's square is `side_m / cos(latitude of its
centre)` Mercator metres, neighbours in a row and rows lie `side_m * (1 - overlap)` ground metres apart.
Chips are ordered in stripes of columns, inside a stripe row by row from the north, so that whoever cuts
them in order needs the tiles of one stripe's row at a time, however wide the area is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, Polygon

from geolocator_gui.errors import AreaError
from geolocator_gui.geo.area import Area
from geolocator_gui.geo.outlines import polygon_parts
from geolocator_gui.geo.projection import EARTH_RADIUS_M, MAX_LATITUDE, lonlat_to_mercator, mercator_to_lonlat

Floats = NDArray[np.float64]
STRIPE_COLUMNS = 128
MAX_ROWS = 5_000_000
MAX_RUNS = 100_000_000  # rows of all stripes: what is kept of a grid, 8 bytes each
_SMALLER = "Take a smaller area, a larger chip or less overlap."


@dataclass(frozen=True)
class Chips:
    """Some chips of a grid.

    Attributes:
        ids: (N,) int64, position in the grid's order.
        lon: (N,) degrees in [-180, 180), centres.
        lat: (N,) degrees, centres.
        side_m: (N,) ground metres per side.
        row: (N,) int32, cell row, north to south falling.
        col: (N,) int32, cell column.
        level: (N,) int8, level of detail.
    """

    ids: NDArray[np.int64]
    lon: Floats
    lat: Floats
    side_m: Floats
    row: NDArray[np.int32]
    col: NDArray[np.int32]
    level: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.ids)

    def mercator(self) -> Floats:
        """(N, 4) west, south, east, north in EPSG:3857 metres; squares, not wrapped at the antimeridian."""
        x, y = lonlat_to_mercator(self.lon, self.lat)
        half = self.side_m / np.cos(np.radians(self.lat)) / 2
        return np.stack([x - half, y - half, x + half, y + half], axis=1)

    def bounds(self) -> Floats:
        """(N, 4) west, south, east, north in degrees; west > east across the antimeridian."""
        outline = self.mercator()
        west, south = mercator_to_lonlat(outline[:, 0], outline[:, 1])
        east, north = mercator_to_lonlat(outline[:, 2], outline[:, 3])
        west = np.where(west < -180.0, west + 360.0, west)
        east = np.where(east > 180.0, east - 360.0, east)
        return np.stack([west, south, east, north], axis=1)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Chips:
        """Some of them."""
        return Chips(
            self.ids[rows], self.lon[rows], self.lat[rows], self.side_m[rows],
            self.row[rows], self.col[rows], self.level[rows],
        )  # fmt: skip


@dataclass(frozen=True)
class ChipGrid:
    """The chips of one size that cover an area; memory grows with its height, not with its chips.

    Attributes:
        area: What is covered.
        side_m: Ground metres per chip side.
        overlap: Of neighbours, 0..0.75.
        level: Level of detail, for the record (1, 2, 4: times the model's side).
        phase: Where a cell's centre lies: fractions of a step north and east of the global grid's.
    """

    area: Area
    side_m: float
    overlap: float
    level: int = 1
    phase: tuple[float, float] = (0.0, 0.0)

    @property
    def step_m(self) -> float:
        """Ground metres between neighbours."""
        return self.side_m * (1.0 - self.overlap)

    @property
    def count(self) -> int:
        """Number of chips."""
        return int(self._starts[-1])

    def rows(self, start: int, stop: int) -> Chips:
        """Chips `start <= id < stop` of the grid's order.

        Raises:
            IndexError: The range is not within the grid.
        """
        if not 0 <= start <= stop <= self.count:
            raise IndexError(f"chips {start}..{stop} of a grid of {self.count}")
        columns: list[NDArray[np.int64]] = []
        rows: list[NDArray[np.int64]] = []
        cell = int(np.searchsorted(self._starts, start, side="right")) - 1
        while cell < len(self._starts) - 1 and self._starts[cell] < stop:
            first = int(self._starts[cell])
            stripe, index = divmod(cell, len(self._row_numbers))
            row = int(self._row_numbers[index])
            found = self._columns(row, stripe)[max(0, start - first) : stop - first]
            columns.append(found)
            rows.append(np.full(len(found), row, np.int64))
            cell += 1
        col = np.concatenate(columns) if columns else np.empty(0, np.int64)
        row_of = np.concatenate(rows) if rows else np.empty(0, np.int64)
        lat = self._lat(row_of)
        lon = (self._lon(col, lat) + 180.0) % 360.0 - 180.0
        n = len(col)
        return Chips(
            np.arange(start, stop, dtype=np.int64),
            lon,
            lat,
            np.full(n, self.side_m),
            row_of.astype(np.int32),
            col.astype(np.int32),
            np.full(n, self.level, np.int8),
        )

    @property
    def _dlat(self) -> float:
        return float(np.degrees(self.step_m / EARTH_RADIUS_M))

    def _lat(self, row: NDArray[np.int64] | int) -> Floats:
        return (np.asarray(row) + self.phase[0]) * self._dlat

    def _lon(self, col: NDArray[np.int64], lat: Floats | float) -> Floats:
        lon: Floats = (col + self.phase[1]) * self._dlat / np.cos(np.radians(lat))
        return lon

    @cached_property
    def _shape(self) -> Polygon | MultiPolygon:
        return self.area.unwrapped

    @cached_property
    def _row_numbers(self) -> NDArray[np.int64]:
        _, south, _, north = self._shape.bounds
        first = int(np.ceil(south / self._dlat - self.phase[0] - 1e-9))
        last = int(np.floor(north / self._dlat - self.phase[0] + 1e-9))
        if last - first > 2 * MAX_ROWS:
            raise AreaError(f"the area is {last - first:,} rows of chips high", hint=_SMALLER)
        numbers = np.arange(last, first - 1, -1, dtype=np.int64)
        lat = np.abs(self._lat(numbers)) + np.degrees(self.side_m / 2 / EARTH_RADIUS_M)
        kept: NDArray[np.int64] = numbers[lat < MAX_LATITUDE]
        return kept

    @cached_property
    def _stripes(self) -> Floats:
        """Edges of the stripes, degrees; the outer ones lie beyond the area."""
        west, south, east, north = self._shape.bounds
        width = STRIPE_COLUMNS * self._dlat / np.cos(np.radians(max(abs(south), abs(north))))
        count = max(1, int(np.ceil((east - west) / width)))
        edges: Floats = west + np.arange(count + 1) * width
        edges[0], edges[-1] = -np.inf, np.inf
        return edges

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """First chip of each (stripe, row), and the count."""
        rows, stripes = len(self._row_numbers), len(self._stripes) - 1
        if rows > MAX_ROWS or stripes * rows > MAX_RUNS:
            raise AreaError(
                f"the area is {rows:,} rows of chips high and {stripes * STRIPE_COLUMNS:,} chips wide",
                hint=_SMALLER,
            )
        counts = np.zeros((stripes, len(self._row_numbers)), np.int64)
        for index, row in enumerate(self._row_numbers):
            for first, last in self._spans(int(row)):
                edges = self._stripe_edges(int(row))
                low = np.maximum(first, edges[:-1])
                high = np.minimum(last, edges[1:] - 1)
                counts[:, index] += np.maximum(0, high - low + 1)
        return np.concatenate([[0], np.cumsum(counts.ravel())]).astype(np.int64)

    def _stripe_edges(self, row: int) -> NDArray[np.int64]:
        """First column of each stripe in a row, and one past the last."""
        per_degree = np.cos(np.radians(self._lat(row))) / self._dlat
        edges = np.clip(np.ceil(self._stripes * per_degree - self.phase[1]), -(2**40), 2**40)
        return edges.astype(np.int64)

    def _columns(self, row: int, stripe: int) -> NDArray[np.int64]:
        edges = self._stripe_edges(row)
        parts = [
            np.arange(max(first, edges[stripe]), min(last, edges[stripe + 1] - 1) + 1, dtype=np.int64)
            for first, last in self._spans(row)
        ]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def _spans(self, row: int) -> list[tuple[int, int]]:
        """First and last column of each run of chips in a row, west to east, disjoint."""
        lat = float(self._lat(row))
        per_degree = float(np.cos(np.radians(lat))) / self._dlat
        margin = 0.0
        crossings = self._crossings(lat)
        if self.area.whole_chips:
            half = float(np.degrees(self.side_m / 2 / EARTH_RADIUS_M))
            _, south, _, north = self._shape.bounds
            # A square of the map: its half height in degrees differs north and south by less than the slack.
            slack = half * 1e-3
            if lat - half < south - slack or lat + half > north + slack:
                return []
            margin = self.side_m / 2 / self.step_m * (1 - 1e-3)
        spans: list[tuple[int, int]] = []
        for west, east in zip(crossings[0::2], crossings[1::2], strict=True):
            first = int(np.ceil(west * per_degree - self.phase[1] + margin - 1e-9))
            last = int(np.floor(east * per_degree - self.phase[1] - margin + 1e-9))
            if spans and first <= spans[-1][1]:
                first = spans[-1][1] + 1
            if last >= first:
                spans.append((first, last))
        return spans

    @cached_property
    def _edges(self) -> Floats:
        """(E, 4) lon, lat, lon, lat of the outline's edges, southern end first, none level."""
        edges: list[Floats] = []
        for part in polygon_parts(self._shape):
            for ring in (part.exterior, *part.interiors):
                xy = np.asarray(ring.coords)[:, :2]
                edges.append(np.hstack([xy[:-1], xy[1:]]))
        all_edges = np.concatenate(edges)
        all_edges = np.where(
            (all_edges[:, 1] > all_edges[:, 3])[:, None], all_edges[:, [2, 3, 0, 1]], all_edges
        )
        sloped: Floats = all_edges[all_edges[:, 1] != all_edges[:, 3]]
        return sloped

    def _crossings(self, lat: float) -> Floats:
        """Longitudes where a parallel enters and leaves the area, rising; an even number of them."""
        _, south, _, north = self._shape.bounds
        inside = float(np.clip(lat, np.nextafter(south, north), np.nextafter(north, south)))
        x0, y0, x1, y1 = self._edges.T
        hit = (y0 <= inside) & (inside < y1)
        x0, y0, x1, y1 = x0[hit], y0[hit], x1[hit], y1[hit]
        crossings: Floats = np.sort(x0 + (inside - y0) / (y1 - y0) * (x1 - x0))
        return crossings


def build_grid(area: Area, side_m: float, overlap: float, level: int = 1) -> ChipGrid:
    """Cover an area with chips.

    Args:
        area: Drawn areas hold a chip when its centre lies inside; an imagery's extent when the whole does.
        side_m: Ground metres per chip side.
        overlap: Of neighbouring chips, 0..0.75.
        level: Level of detail, for the record.

    Raises:
        AreaError: The area is smaller than one chip; the message has both sizes in metres.
    """
    if not 0 <= overlap <= 0.75 or side_m <= 0:
        raise ValueError(f"side_m {side_m}, overlap {overlap}")
    width, height = area.size_m
    too_small = min(width, height) < side_m if area.whole_chips else area.km2 * 1e6 < side_m**2
    grid = ChipGrid(area, float(side_m), float(overlap), level)
    if not too_small and grid.count == 0:
        lon, lat = _room(area)
        north = lat / grid._dlat
        east = lon * np.cos(np.radians(lat)) / grid._dlat
        phase = (float(north - np.floor(north)), float(east - np.floor(east)))
        grid = ChipGrid(area, float(side_m), float(overlap), level, phase)
    if too_small or grid.count == 0:
        raise AreaError(
            f"the area {area.name!r} ({width:.0f} x {height:.0f} m) is smaller than one chip "
            f"of this model ({side_m:.0f} x {side_m:.0f} m)",
            hint="Take a larger area or imagery, or a model with a smaller chip.",
        )
    return grid


def _room(area: Area) -> tuple[float, float]:
    """A centre for the only chip of an area that the global grid misses."""
    shape = area.unwrapped
    if area.whole_chips:
        west, south, east, north = shape.bounds
        return (west + east) / 2, (south + north) / 2
    point = shapely.point_on_surface(max(polygon_parts(shape), key=lambda part: part.area))
    return float(point.x), float(point.y)
