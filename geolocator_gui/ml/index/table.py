"""`chips.parquet`: every chip with its outline, as GeoParquet 1.1 that QGIS and geopandas open as is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import IndexFolderError
from geolocator_gui.geo.grid import Chips
from geolocator_gui.ml.index import durable
from geolocator_gui.ml.index.cells import Cells
from geolocator_gui.ml.index.journal import Commit
from geolocator_gui.ml.index.manifest import CHIPS_FILE, NEXT, Manifest, read_manifest
from geolocator_gui.ml.index.segments import CELL, batch_bytes

_GROUP_ROWS = 65_536
_COLUMNS = ["id", "lon", "lat", "level", "side_m", "row", "col", "source", "missing"]


@dataclass(frozen=True)
class ChipTable:
    """The chips of an index in row order.

    Attributes:
        grid: Positions, sizes and cells; its `ids` are rows of the index.
        source: (N,) uint16, position in the manifest's imagery.
        missing: (N,) float32, fraction of missing pixels.
    """

    grid: Chips
    source: NDArray[np.uint16]
    missing: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.grid)

    @property
    def lon(self) -> NDArray[np.float64]:
        """(N,) degrees, centres."""
        return self.grid.lon

    @property
    def lat(self) -> NDArray[np.float64]:
        """(N,) degrees, centres."""
        return self.grid.lat

    @property
    def side_m(self) -> NDArray[np.float64]:
        """(N,) ground metres per side."""
        return self.grid.side_m

    def bounds(self, rows: NDArray[np.int64] | slice = slice(None)) -> NDArray[np.float64]:
        """(K, 4) west, south, east, north of these rows in degrees."""
        return self.grid.take(rows).bounds()

    def containing(self, lon: float, lat: float) -> NDArray[np.int64]:
        """Rows of the chips whose square holds a position."""
        # A chip reaches at most a side from its centre; only those near are looked at exactly.
        reach = float(self.side_m.max()) if len(self) else 0.0
        south_north = np.degrees(reach / 6.3e6)
        east_west = south_north / max(np.cos(np.radians(lat)), 0.02)
        apart = np.abs((self.lon - lon + 180.0) % 360.0 - 180.0)
        near = np.flatnonzero((np.abs(self.lat - lat) <= south_north) & (apart <= east_west))
        west, south, east, north = self.bounds(near).T
        across = west > east
        inside = np.where(across, (lon >= west) | (lon <= east), (lon >= west) & (lon <= east))
        rows: NDArray[np.int64] = near[inside & (lat >= south) & (lat <= north)]
        return rows


def write_chips(
    folder: Path, manifest: Manifest, cells: Cells, commits: Sequence[Commit], name: str = CHIPS_FILE
) -> None:
    """Write the table from the cell records; memory does not grow with the index."""
    import pyarrow.parquet as parquet

    path = folder / name
    scratch = durable.scratch_of(path)
    schema = _schema(manifest)
    try:
        with parquet.ParquetWriter(scratch, schema, compression="zstd", compression_level=9) as writer:
            for table in _groups(folder, manifest, cells, commits, schema):
                writer.write_table(table)
    except OSError as error:
        raise durable.explain(error, path) from error
    durable.put_in_place(scratch, path)


def derived_path(folder: Path, name: str) -> Path:
    """Where a derived file is: under its staged name between the switch of generations and the rename."""
    staged = folder / (NEXT + name)
    return staged if staged.exists() and read_manifest(folder).state == "switching" else folder / name


def read_chips(folder: Path, count: int) -> ChipTable:
    """The first `count` chips of the table, without their outlines.

    Raises:
        IndexFolderError: The table is missing or damaged.
    """
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    path = derived_path(folder, CHIPS_FILE)
    try:
        table = parquet.read_table(path, columns=_COLUMNS).slice(0, count)
    except (OSError, arrow.ArrowException) as error:
        raise IndexFolderError(
            "the chips' table cannot be read",
            path=path,
            hint="`geolocator index verify --repair` writes it anew.",
        ) from error
    column = {name: table.column(name).to_numpy() for name in _COLUMNS}
    if len(column["id"]) != count:
        raise IndexFolderError(
            f"the chips' table holds {len(column['id'])} chips, the index {count}",
            path=path,
            hint="`geolocator index verify --repair` writes it anew.",
        )
    grid = Chips(
        column["id"], column["lon"], column["lat"], column["side_m"],
        column["row"], column["col"], column["level"],
    )  # fmt: skip
    return ChipTable(grid, column["source"], column["missing"])


def _groups(
    folder: Path, manifest: Manifest, cells: Cells, commits: Sequence[Commit], schema: Any
) -> Iterator[Any]:
    import pyarrow as arrow

    held: list[Any] = []
    rows = 0
    for commit in commits:
        if not commit.rows:
            continue
        _, data = batch_bytes(folder, manifest.generation, manifest.dimension, commit)
        records = np.frombuffer(data, dtype=CELL)
        held.append(_table(commit.first, cells.kept(commit.batch, records), records, schema))
        rows += commit.rows
        if rows >= _GROUP_ROWS:
            yield arrow.concat_tables(held).combine_chunks()
            held, rows = [], 0
    if held:
        yield arrow.concat_tables(held).combine_chunks()


def _table(first: int, chips: Chips, records: NDArray[np.void], schema: Any) -> Any:
    import pyarrow as arrow
    import shapely

    west, south, east, north = chips.bounds().T
    outlines = shapely.box(west, south, east, north)
    for row in np.flatnonzero(west > east):
        halves = [shapely.box(west[row], south[row], 180, north[row])]
        halves.append(shapely.box(-180, south[row], east[row], north[row]))
        outlines[row] = shapely.MultiPolygon(halves)
    columns = [
        np.arange(first, first + len(chips), dtype=np.int64),
        chips.lon,
        chips.lat,
        chips.level,
        chips.side_m,
        chips.row,
        chips.col,
        records["source"].astype(np.uint16),
        records["missing"].astype(np.float32),
        shapely.to_wkb(outlines, byte_order=1),
    ]
    return arrow.Table.from_arrays(
        [arrow.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)],
        schema=schema,
    )


def _schema(manifest: Manifest) -> Any:
    import pyarrow as arrow

    fields = [
        ("id", arrow.int64()),
        ("lon", arrow.float64()),
        ("lat", arrow.float64()),
        ("level", arrow.int8()),
        ("side_m", arrow.float64()),
        ("row", arrow.int32()),
        ("col", arrow.int32()),
        ("source", arrow.uint16()),
        ("missing", arrow.float32()),
        ("geometry", arrow.binary()),
    ]
    # Without "crs" GeoParquet means longitude and latitude on WGS 84.
    geo = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Polygon", "MultiPolygon"]}},
    }
    return arrow.schema(
        [arrow.field(name, kind, nullable=False) for name, kind in fields],
        metadata={
            "geo": json.dumps(geo),
            "attribution": manifest.attribution,
            "fingerprint": manifest.fingerprint,
        },
    )
