"""A mining as arrays: what the table, the gallery, the map and the plots are drawn from. No Qt, no torch.

The queries and chips are read whole (a few megabytes per 100 000); the candidates of one query come from its
row group of `negatives.parquet` when it is looked at.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import DataError
from geolocator_gui.marks import Key
from geolocator_gui.mined import CHIPS, FLAGS, NEGATIVES, PICTURES, QUERIES, SOURCES, SUMMARY, Mined
from geolocator_gui.records import BoundingBox, LonLat

if TYPE_CHECKING:
    import pyarrow

EARTH = 6378137.0
SUSPECT = len(FLAGS)
"""Code of the flag that is said of a query: its own pair looks wrong."""
FLAG_NAMES = (*FLAGS, "suspect_pair")


@dataclass(frozen=True)
class Chips:
    """The chips of a mining.

    Attributes:
        ids: (R,) stable ids, object.
        files: (R,) image files, "" where chips are cut from imagery, object.
        lon: (R,) degrees, NaN where unknown.
        lat: (R,) degrees.
        side_m: (R,) metres.
        x: (R,) first axis of the projection.
        y: (R,) second axis.
    """

    ids: NDArray[np.object_]
    files: NDArray[np.object_]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    side_m: NDArray[np.float32]
    x: NDArray[np.float32]
    y: NDArray[np.float32]

    def place(self, row: int) -> LonLat | None:
        """Centre of a chip, None where unknown."""
        if not 0 <= row < len(self.ids) or not np.isfinite(self.lon[row]):
            return None
        return LonLat(float(self.lon[row]), float(self.lat[row]))

    def bounds(self, row: int) -> BoundingBox | None:
        """Outline of a chip (a square in Web Mercator), None where unknown."""
        centre = self.place(row)
        side = float(self.side_m[row]) if centre is not None else float("nan")
        if centre is None or not np.isfinite(side):
            return None
        half = side / np.cos(np.radians(centre.lat)) / 2
        x = np.radians(centre.lon) * EARTH
        y = np.arctanh(np.sin(np.radians(centre.lat))) * EARTH
        west, east = np.degrees((x - half) / EARTH), np.degrees((x + half) / EARTH)
        south, north = (float(np.degrees(np.arcsin(np.tanh(v / EARTH)))) for v in (y - half, y + half))
        return BoundingBox(float(west), south, float(east), north)


@dataclass(frozen=True)
class Candidate:
    """One impostor of a query.

    Attributes:
        place: Position in the list, from 0, by rank.
        chip: Row of the chip.
        id: Its stable id.
        cosine: Similarity.
        rank: From 1 among all chips.
        distance_m: From where the photo was taken, None where unknown.
        margin: Cosine of the positive minus this one; not above 0: it outranks the positive.
        flag: "", "same_place", "near_twin", "far_twin".
        source: "visual", "geographic" or "both".
    """

    place: int
    chip: int
    id: str
    cosine: float
    rank: int
    distance_m: float | None
    margin: float | None
    flag: str
    source: str


@dataclass(frozen=True)
class MiningResult:
    """A finished mining; all arrays have a row per query.

    Attributes:
        folder: Where it lies.
        summary: `mining.json`.
        ids: Stable ids, object.
        files: Photos, "" for none, object.
        areas: City or area names, object.
        lon: Degrees where each photo was taken, NaN where unknown.
        lat: Degrees.
        positive: Chip rows, -1 for none.
        cosine: Of the positive, NaN without one.
        rank: Of the positive from 1, 0 without one.
        margin: Positive minus the hardest negative, NaN without.
        hardest: Chip rows, -1 for none.
        distance_m: To the hardest negative, NaN where unknown.
        flag: Codes in `FLAG_NAMES`: suspect pair, else the flag of the hardest negative.
        suspect: Whether the pair looks wrong.
        x: First axis of the projection.
        y: Second axis.
        chips: The chips.
        names: File names (or ids) as shown, object.
    """

    folder: Path
    summary: dict[str, Any]
    ids: NDArray[np.object_]
    files: NDArray[np.object_]
    areas: NDArray[np.object_]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    positive: NDArray[np.int32]
    cosine: NDArray[np.float32]
    rank: NDArray[np.int32]
    margin: NDArray[np.float32]
    hardest: NDArray[np.int32]
    distance_m: NDArray[np.float32]
    flag: NDArray[np.int8]
    suspect: NDArray[np.bool_]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    chips: Chips
    names: NDArray[np.object_]
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def name(self) -> str:
        """Of the mining."""
        return self.folder.name

    @property
    def attribution(self) -> str:
        """Of the imagery, "" where none is recorded."""
        return str(self.about.get("attribution") or "")

    @property
    def about(self) -> dict[str, Any]:
        """What was mined with what."""
        about = self.summary.get("about")
        return about if isinstance(about, dict) else {}

    def place(self, row: int) -> LonLat | None:
        """Where a photo was taken, None where unknown."""
        if not np.isfinite(self.lon[row]):
            return None
        return LonLat(float(self.lon[row]), float(self.lat[row]))

    def hardest_key(self, row: int) -> Key | None:
        """What is judged first about a query: it and its hardest negative; None without one."""
        chip = int(self.hardest[row])
        return None if chip < 0 else (str(self.ids[row]), str(self.chips.ids[chip]))

    def pair_key(self, row: int) -> Key | None:
        """The pair itself, which "bad pair" is said of; None for a photo without a chip."""
        chip = int(self.positive[row])
        return None if chip < 0 else (str(self.ids[row]), str(self.chips.ids[chip]))

    def keys(self, rows: Sequence[int], *, pairs: bool) -> list[Key]:
        """`pair_key` or `hardest_key` of many rows, those that have one."""
        where = np.asarray(rows, np.int64)
        chips = (self.positive if pairs else self.hardest)[where]
        where, chips = where[chips >= 0], chips[chips >= 0]
        return list(zip(self.ids[where].tolist(), self.chips.ids[chips].tolist(), strict=True))

    def candidates(self, row: int) -> list[Candidate]:
        """The candidates of a query by rank; reads its row group.

        Raises:
            DataError: The table cannot be read.
        """
        import pyarrow.parquet as parquet

        path = self.folder / NEGATIVES
        try:
            with self._lock, parquet.ParquetFile(path) as file:
                group = row // max(int(self.summary["queries_per_group"]), 1)
                table = file.read_row_group(group)
        except (OSError, ValueError, KeyError, IndexError) as error:
            raise DataError(f"the candidates cannot be read ({error})", path=path) from error
        # The rows of a query lie together, in the order of the queries.
        first, last = table["query_row"].to_numpy().searchsorted([row, row + 1])
        table = table.slice(first, last - first)
        columns = {name: table[name].to_pylist() for name in table.column_names}
        order = sorted(range(table.num_rows), key=lambda line: (columns["rank"][line], line))
        return [
            Candidate(
                place,
                columns["candidate_row"][line],
                columns["candidate"][line],
                _known(columns["cosine"][line]) or 0.0,
                columns["rank"][line],
                _known(columns["distance_m"][line]),
                _known(columns["margin"][line]),
                _word(columns["flag"][line], FLAGS),
                _word(columns["source"][line], SOURCES),
            )
            for place, line in enumerate(order)
        ]


def open_result(folder: Path) -> MiningResult:
    """Read a mining; raises `DataError` if it is missing, unfinished or damaged."""
    import pyarrow
    import pyarrow.parquet as parquet

    summary = Mined.open(folder).summary
    try:
        queries, chips = parquet.read_table(folder / QUERIES), parquet.read_table(folder / CHIPS)
        return _result(folder, summary, queries, chips)
    except (OSError, ValueError, KeyError, TypeError, pyarrow.ArrowException) as error:
        raise DataError(
            f"the mining is damaged ({error})",
            path=folder / QUERIES,
            hint="Mine once more into a new folder.",
        ) from error


def finished_minings(root: Path) -> list[Path]:
    """Folders of finished minings, the newest first."""
    found = [file for file in root.glob(f"*/{SUMMARY}") if file.is_file()]
    return [file.parent for file in sorted(found, key=lambda file: file.stat().st_mtime, reverse=True)]


def _result(folder: Path, summary: dict[str, Any], q: pyarrow.Table, c: pyarrow.Table) -> MiningResult:
    suspect = _array(q, "suspect_pair", np.bool_)
    words = _array(q, "hardest_flag", np.object_)
    flag = np.zeros(len(words), np.int8)
    for code, name in enumerate(FLAGS):
        flag[words == name] = code
    ids, files = _array(q, "query", np.object_), _array(q, "file", np.object_)
    shown = [_shown(file, key) for file, key in zip(files.tolist(), ids.tolist(), strict=True)]
    names = np.empty(len(ids), np.object_)
    names[:] = shown
    return MiningResult(
        folder=folder,
        summary=summary,
        ids=ids,
        files=_beside(files, folder),
        areas=_array(q, "area", np.object_),
        lon=_array(q, "lon", np.float64),
        lat=_array(q, "lat", np.float64),
        positive=_array(q, "positive_row", np.int32),
        cosine=_array(q, "cosine", np.float32),
        rank=_array(q, "rank", np.int32),
        margin=_array(q, "margin", np.float32),
        hardest=_array(q, "hardest_row", np.int32),
        distance_m=_array(q, "hardest_distance_m", np.float32),
        flag=np.where(suspect, SUSPECT, flag).astype(np.int8),
        suspect=suspect,
        x=_array(q, "x", np.float32),
        y=_array(q, "y", np.float32),
        chips=Chips(
            _array(c, "chip", np.object_),
            _beside(_array(c, "file", np.object_), folder),
            _array(c, "lon", np.float64),
            _array(c, "lat", np.float64),
            _array(c, "side_m", np.float32),
            _array(c, "x", np.float32),
            _array(c, "y", np.float32),
        ),
        names=names,
    )


def _shown(file: str, key: str) -> str:
    """Name for people: the file's, or what an id says after its data set."""
    if file and not file.startswith(f"{PICTURES}/"):
        return Path(file).name
    return key.rpartition("/")[2] or key


def _beside(files: NDArray[np.object_], folder: Path) -> NDArray[np.object_]:
    """Files with the mining's own pictures found in its folder, which may have been moved."""
    found = np.empty(len(files), np.object_)
    found[:] = [str(folder / file) if file.startswith(f"{PICTURES}/") else file for file in files.tolist()]
    return found


def _array(table: pyarrow.Table, name: str, kind: Any) -> NDArray[Any]:
    values = table[name].combine_chunks()
    if np.dtype(kind).kind == "f":
        import pyarrow.compute as compute

        values = compute.fill_null(values, float("nan"))
    return np.asarray(values.to_numpy(zero_copy_only=False)).astype(kind)


def _known(value: float | None) -> float | None:
    return None if value is None or value != value else float(value)


def _word(value: object, words: tuple[str, ...]) -> str:
    return str(value) if value in words else words[0]
