"""The tables of a mining: Parquet files that pandas opens as they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.mined import CHIPS, FLAGS, QUERIES, SOURCES

if TYPE_CHECKING:
    from geolocator_gui.ml.mining.parts import MiningData


GROUP_QUERIES = 256
"""Queries of a row group of `negatives.parquet`: one that is looked at is read in some 20 ms."""


@dataclass(frozen=True)
class Candidates:
    """Candidates of the queries from `start` on: B queries, at most w each.

    Attributes:
        start: First query.
        valid: (B, w) whether there is a candidate.
        chip: (B, w) int32 chip rows.
        source: (B, w) int8 places in `SOURCES`.
        cosine: (B, w) float32.
        rank: (B, w) int32 from 1 among all chips.
        distance_m: (B, w) float32 from where the photo was taken, NaN where unknown.
        margin: (B, w) float32 cosine of the positive minus that of the candidate.
        flag: (B, w) int8 places in `FLAGS`.
    """

    start: int
    valid: NDArray[np.bool_]
    chip: NDArray[np.int32]
    source: NDArray[np.int8]
    cosine: NDArray[np.float32]
    rank: NDArray[np.int32]
    distance_m: NDArray[np.float32]
    margin: NDArray[np.float32]
    flag: NDArray[np.int8]


@dataclass(frozen=True)
class QueryColumns:
    """What is known per query, filled part by part; all arrays are (Q,)."""

    cosine: NDArray[np.float32]
    rank: NDArray[np.int32]
    z: NDArray[np.float32]
    deviation: NDArray[np.float32]
    suspect: NDArray[np.bool_]
    hardest: NDArray[np.int32]
    margin: NDArray[np.float32]
    hardest_distance: NDArray[np.float32]
    hardest_flag: NDArray[np.int8]

    @classmethod
    def empty(cls, count: int) -> QueryColumns:
        """Nothing known yet."""

        def numbers() -> NDArray[np.float32]:
            return np.full(count, np.nan, np.float32)

        def rows() -> NDArray[np.int32]:
            return np.full(count, -1, np.int32)

        suspect, flag = np.zeros(count, bool), np.zeros(count, np.int8)
        return cls(numbers(), rows(), numbers(), numbers(), suspect, rows(), numbers(), numbers(), flag)


class NegativesWriter:
    """Writes `negatives.parquet`, `GROUP_QUERIES` queries a row group, under another name until it is whole.

    Columns: query, candidate (stable ids), query_row, candidate_row, source, cosine, rank (from 1 among all
    chips), distance_m, margin (positive minus candidate; not above 0: the candidate outranks), flag,
    suspect_pair (said of the query).
    """

    def __init__(self, path: Path, data: MiningData) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._path, self._working, self._data = path, path.with_name(path.name + ".part"), data
        words = pa.dictionary(pa.int32(), pa.string())
        self._schema = pa.schema(
            [
                ("query", words),
                ("candidate", words),
                ("query_row", pa.int32()),
                ("candidate_row", pa.int32()),
                ("source", words),
                ("cosine", pa.float32()),
                ("rank", pa.int32()),
                ("distance_m", pa.float32()),
                ("margin", pa.float32()),
                ("flag", words),
                ("suspect_pair", pa.bool_()),
            ]
        )
        self._writer = pq.ParquetWriter(
            self._working,
            self._schema,
            compression="zstd",
            compression_level=1,
            # Floats of nearly distinct values gain nothing from a dictionary but the time to try one.
            use_dictionary=["query", "candidate", "query_row", "source", "flag"],
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        if kind is None:
            self._working.replace(self._path)
        else:
            self._working.unlink(missing_ok=True)

    def write(self, rows: Candidates, suspect: NDArray[np.bool_]) -> None:
        """Append the candidates of some queries.

        Args:
            rows: The candidates.
            suspect: (B,) of the same queries.
        """
        for first in range(0, len(suspect), GROUP_QUERIES):
            self._write_group(rows, suspect, slice(first, min(first + GROUP_QUERIES, len(suspect))))

    def _write_group(self, rows: Candidates, suspect: NDArray[np.bool_], some: slice) -> None:
        import pyarrow as pa

        line, place = np.nonzero(rows.valid[some])
        line += some.start
        chips = rows.chip[line, place]
        used, local = np.unique(chips, return_inverse=True)
        start = rows.start + some.start
        queries = self._data.query_ids[start : rows.start + some.stop]
        columns = [
            _words(line - some.start, queries),
            _words(local, self._data.chip_ids[used]),
            pa.array((line + rows.start).astype(np.int32)),
            pa.array(chips),
            _words(rows.source[line, place], SOURCES),
            _numbers(rows.cosine[line, place]),
            pa.array(rows.rank[line, place]),
            _numbers(rows.distance_m[line, place]),
            _numbers(rows.margin[line, place]),
            _words(rows.flag[line, place], FLAGS),
            pa.array(suspect[line]),
        ]
        table = pa.Table.from_arrays(columns, schema=self._schema)
        # Written even when it is empty: the place of a group says which queries it holds.
        self._writer.write_table(table, row_group_size=max(len(table), 1))


def write_queries(folder: Path, data: MiningData, queries: QueryColumns, plane: NDArray[np.float32]) -> None:
    """Write `queries.parquet`: a row per query, `plane` (Q, 2) being its place in the projection."""
    ids = data.chip_ids
    lonlat = data.truth
    _write(
        folder / QUERIES,
        {
            "query": data.query_ids,
            "file": _or_empty(data.query_files, len(lonlat)),
            "area": _or_empty(data.query_area, len(lonlat)),
            "lon": lonlat[:, 0],
            "lat": lonlat[:, 1],
            "positive": np.where(data.positive >= 0, ids[np.maximum(data.positive, 0)], ""),
            "positive_row": np.asarray(data.positive, np.int32),
            "cosine": queries.cosine,
            "rank": np.where(queries.rank >= 0, queries.rank + 1, 0).astype(np.int32),
            "z": queries.z,
            "margin": queries.margin,
            "hardest": np.where(queries.hardest >= 0, ids[np.maximum(queries.hardest, 0)], ""),
            "hardest_row": queries.hardest,
            "hardest_distance_m": queries.hardest_distance,
            "hardest_flag": np.asarray(FLAGS)[queries.hardest_flag],
            "suspect_pair": queries.suspect,
            "x": plane[:, 0],
            "y": plane[:, 1],
        },
    )


def write_chips(
    folder: Path, data: MiningData, plane: NDArray[np.float32], side_m: NDArray[np.float32]
) -> None:
    """Write `chips.parquet`: a row per chip, `plane` (R, 2) being its place in the projection."""
    lonlat = np.full((len(plane), 2), np.nan) if data.chip_lonlat is None else np.asarray(data.chip_lonlat)
    _write(
        folder / CHIPS,
        {
            "chip": data.chip_ids,
            "file": _or_empty(data.chip_files, len(plane)),
            "lon": lonlat[:, 0],
            "lat": lonlat[:, 1],
            "side_m": side_m,
            "x": plane[:, 0],
            "y": plane[:, 1],
        },
    )


def _write(path: Path, columns: dict[str, NDArray[Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Floats as Arrow nulls where unknown, text as text: pandas gives NaN and str.
    arrays = {
        name: _numbers(values)
        if values.dtype.kind == "f"
        else pa.array(values.tolist() if values.dtype.kind == "U" else values)
        for name, values in columns.items()
    }
    working = path.with_name(path.name + ".part")
    try:
        pq.write_table(pa.table(arrays), working, compression="zstd")
        working.replace(path)
    finally:
        working.unlink(missing_ok=True)


def _numbers(values: NDArray[np.floating]) -> Any:
    import pyarrow as pa

    return pa.array(values, from_pandas=True)


def _words(places: NDArray[np.integer], words: Any) -> Any:
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(
        pa.array(places.astype(np.int32)), pa.array([str(word) for word in words], pa.string())
    )


def _or_empty(values: NDArray[np.str_] | None, count: int) -> NDArray[np.str_]:
    return np.full(count, "", "U1") if values is None else values
