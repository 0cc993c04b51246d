"""The files under `vectors/`: float16 vectors and, beside them, one small record per chip."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geolocator_gui.errors import IndexFolderError
from geolocator_gui.ml.index import durable, journal
from geolocator_gui.ml.index.durable import AppendFile
from geolocator_gui.ml.index.journal import Commit
from geolocator_gui.ml.index.manifest import SegmentRecord

Halves = NDArray[np.float16]
Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

# What the grid cannot say of an embedded chip; little-endian, packed.
CELL = np.dtype(
    [("cell", "<i8"), ("digest", "<u8"), ("missing", "<f4"), ("source", "<u2"), ("part", "<u2")], align=False
)
SEGMENT_BYTES = 2 << 30


def segment_name(generation: int, segment: int) -> str:
    """Stem of a segment's files."""
    return f"{generation:03d}-{segment:04d}"


def is_own_file(path: Path) -> bool:
    """Whether a file under `vectors/` is one that a generation is made of; nothing else is ever deleted."""
    return re.fullmatch(r"\d{3}(\.journal|-\d{4}\.(f16|cells))", path.name) is not None


def journal_path(folder: Path, generation: int) -> Path:
    """The journal of a generation."""
    return folder / "vectors" / f"{generation:03d}.journal"


def vectors_path(folder: Path, name: str) -> Path:
    """The vectors of a segment."""
    return folder / "vectors" / f"{name}.f16"


def cells_path(folder: Path, name: str) -> Path:
    """The cells of a segment."""
    return folder / "vectors" / f"{name}.cells"


class Vectors(Sequence[Halves]):
    """All vectors of an index as one array (N, D) float16 that stays on disk.

    Memory-mapped where the system can; indexing with a row, a slice or an array of rows copies just those.
    """

    def __init__(self, folder: Path, segments: Sequence[SegmentRecord], dimension: int) -> None:
        self.dimension = dimension
        self._maps: list[Halves] = []
        self._starts = [0]
        for segment in segments:
            path = vectors_path(folder, segment.name)
            self._maps.append(_open(path, segment.rows, dimension))
            self._starts.append(self._starts[-1] + segment.rows)

    def __len__(self) -> int:
        return self._starts[-1]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and length of a vector."""
        return len(self), self.dimension

    @property
    def dtype(self) -> np.dtype[np.float16]:
        """float16."""
        return np.dtype(np.float16)

    def __array__(
        self, dtype: np.dtype[np.generic] | None = None, copy: bool | None = None
    ) -> NDArray[np.generic]:
        whole = self._maps[0] if len(self._maps) == 1 else self[:]
        return np.asarray(whole, dtype=dtype)

    def __getitem__(self, rows: int | slice | ArrayLike) -> Halves:  # type: ignore[override]
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step != 1:
                return self.take(np.arange(start, stop, step))
            parts = [block for _, block in self._between(start, stop)]
            if len(parts) == 1:
                first: Halves = parts[0]
                return first
            return np.concatenate(parts) if parts else np.empty((0, self.dimension), dtype=np.float16)
        if isinstance(rows, int | np.integer):
            row = int(rows) + (len(self) if rows < 0 else 0)
            if not 0 <= row < len(self):
                raise IndexError(f"row {rows} of {len(self)}")
            one: Halves = self[row : row + 1][0]
            return one
        chosen = np.asarray(rows)
        return self.take(np.flatnonzero(chosen) if chosen.dtype == bool else chosen)

    def take(self, rows: ArrayLike) -> Halves:
        """The vectors of these rows, any order, float16 (K, D)."""
        wanted = np.asarray(rows, dtype=np.int64)
        if len(self._maps) == 1:
            return np.asarray(self._maps[0][wanted])
        result = np.empty((len(wanted), self.dimension), dtype=np.float16)
        where = np.searchsorted(np.asarray(self._starts), wanted, side="right") - 1
        for segment in np.unique(where):
            inside = where == segment
            result[inside] = self._maps[segment][wanted[inside] - self._starts[segment]]
        return result

    def blocks(self, size: int) -> Iterator[tuple[int, Halves]]:
        """First row and at most `size` vectors, in row order, without copying."""
        yield from self._between(0, len(self), size)

    def _between(self, start: int, stop: int, size: int | None = None) -> Iterator[tuple[int, Halves]]:
        for begin, data in zip(self._starts, self._maps, strict=False):
            low, high = max(start - begin, 0), min(stop - begin, len(data))
            for row in range(low, high, size or max(high - low, 1)):
                yield begin + row, data[row : min(row + (size or high), high)]


def _open(path: Path, rows: int, dimension: int) -> Halves:
    if rows == 0:
        return np.empty((0, dimension), dtype=np.float16)
    try:
        if path.stat().st_size < rows * dimension * 2:
            raise IndexFolderError(
                "vectors are missing at the end of this file",
                path=path,
                hint="`geolocator index verify --repair` embeds them anew.",
            )
        try:
            return np.memmap(path, dtype="<f2", mode="r", shape=(rows, dimension))
        except (OSError, ValueError):
            # No memory mapping here (some network and FUSE file systems): a plain read.
            return np.fromfile(path, dtype="<f2", count=rows * dimension).reshape(rows, dimension)
    except OSError as error:
        raise IndexFolderError(
            f"the vectors cannot be read ({error.strerror or error})",
            path=path,
            hint="`geolocator index verify --repair` embeds them anew.",
        ) from error


def read_cells(folder: Path, segments: Sequence[SegmentRecord]) -> NDArray[np.void]:
    """The records of all chips in row order, dtype `CELL` (N,)."""
    parts = [
        np.fromfile(cells_path(folder, segment.name), dtype=CELL, count=segment.rows) for segment in segments
    ]
    return np.concatenate(parts) if parts else np.empty(0, dtype=CELL)


class BatchWriter:
    """Appends batches to a generation and commits them; opening it cuts off what was never committed.

    Args:
        folder: Of the index.
        generation: Whose files to write.
        dimension: Length of a vector.
        segment_bytes: A batch that would make the vectors file longer starts a new segment.
    """

    def __init__(
        self, folder: Path, generation: int, dimension: int, *, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self._folder, self._generation, self._dimension = folder, generation, dimension
        self._limit = max(1, segment_bytes // (2 * dimension))
        self._journal_path = journal_path(folder, generation)
        found, _ = journal.read_committed(self._journal_path)
        self.commits = _trusted(folder, generation, dimension, found)
        length = sum(len(journal.to_line(commit)) for commit in self.commits)
        (folder / "vectors").mkdir(parents=True, exist_ok=True)
        self._journal = AppendFile(self._journal_path, length)
        self._segment = self.commits[-1].segment if self.commits else 0
        self._rows = self.commits[-1].offset + self.commits[-1].rows if self.commits else 0
        self._sweep()
        self._open_segment()

    def _sweep(self) -> None:
        """Delete segments of this generation beyond the last committed one."""
        for path in sorted((self._folder / "vectors").glob(f"{self._generation:03d}-*.*")):
            if is_own_file(path) and int(path.stem.split("-")[1]) > self._segment:
                durable.remove(path)

    def _open_segment(self) -> None:
        name = segment_name(self._generation, self._segment)
        self._vectors = AppendFile(vectors_path(self._folder, name), self._rows * self._dimension * 2)
        self._cells = AppendFile(cells_path(self._folder, name), self._rows * CELL.itemsize)

    @property
    def rows(self) -> int:
        """Rows committed."""
        return self.commits[-1].first + self.commits[-1].rows if self.commits else 0

    def commit(
        self, vectors: Halves, cells: NDArray[np.void], skipped: Mapping[str, int], filled: int = 0
    ) -> Commit:
        """Write one batch, then its line in the journal; when this returns the batch outlives a power cut."""
        if self._rows and self._rows + len(vectors) > self._limit:
            self._vectors.close()
            self._cells.close()
            self._segment, self._rows = self._segment + 1, 0
            self._open_segment()
        body, records = np.ascontiguousarray(vectors, dtype="<f2").tobytes(), cells.tobytes()
        commit = Commit(
            batch=len(self.commits),
            first=self.rows,
            rows=len(vectors),
            segment=self._segment,
            offset=self._rows,
            vectors=zlib.crc32(body),
            cells=zlib.crc32(records),
            skipped=dict(sorted(skipped.items())),
            filled=min(filled, len(vectors)),
        )
        if len(vectors):
            self._vectors.append(body)
            self._vectors.sync()
            self._cells.append(records)
            self._cells.sync()
        self._journal.append(journal.to_line(commit))
        self._journal.sync()
        self.commits.append(commit)
        self._rows += len(vectors)
        return commit

    def close(self) -> None:
        """Close the files."""
        self._vectors.close()
        self._cells.close()
        self._journal.close()


def batch_bytes(folder: Path, generation: int, dimension: int, commit: Commit) -> tuple[bytes, bytes]:
    """Bytes of a batch's vectors and cells as they lie on disk; shorter where a file ends early."""
    name = segment_name(generation, commit.segment)
    size, record = 2 * dimension, CELL.itemsize
    return (
        _read(vectors_path(folder, name), commit.offset * size, commit.rows * size),
        _read(cells_path(folder, name), commit.offset * record, commit.rows * record),
    )


def _read(path: Path, offset: int, length: int) -> bytes:
    if not length or not path.exists():
        return b""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


def _trusted(folder: Path, generation: int, dimension: int, found: list[Commit]) -> list[Commit]:
    """The commits up to the first whose bytes on disk are not those it names."""
    for number, commit in enumerate(found):
        vectors, cells = batch_bytes(folder, generation, dimension, commit)
        if zlib.crc32(vectors) != commit.vectors or zlib.crc32(cells) != commit.cells:
            return found[:number]
    return found
