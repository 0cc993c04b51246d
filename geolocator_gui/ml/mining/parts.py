"""The first half of a mining: neighbours and ranks, kept as parts so that a stopped mining goes on.

A part holds the lists of `PART_QUERIES` queries. It is written to a temporary name and renamed, so a part
that exists is whole; `plan.json` says which inputs the parts belong to; parts of other inputs are discarded.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, fields
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import DataError
from geolocator_gui.events import Note, Pace, Steps
from geolocator_gui.ml.neighbours import neighbours_by_position
from geolocator_gui.ml.ranks import BLOCK_BYTES, RankBlock, RowLists, stream_ranks
from geolocator_gui.workspace import write_atomically

PART_QUERIES = 4096
"""Queries of a part."""
_SAMPLED_ROWS = 1024


@dataclass(frozen=True)
class MiningData:
    """What is mined: queries (photos), chips, and what belongs together.

    Attributes:
        query_vectors: (Q, D) unit vectors, float16 or float32, an array or a memmap.
        chip_vectors: (R, D) likewise.
        query_ids: (Q,) stable ids (see `marks`).
        chip_ids: (R,) stable ids.
        positive: (Q,) chip row that belongs to each query, -1 for none.
        query_lonlat: (Q, 2) degrees where each photo was taken, NaN where unknown; None without positions.
        chip_lonlat: (R, 2) degrees of the chips' centres, NaN where unknown; None without positions.
        side_m: Chip side in metres, one for all or (R,); None where unknown.
        also_right: Per query chips that must never be listed (the same label on several chips).
        query_files: (Q,) image files, "" for none; None without files.
        chip_files: (R,) likewise.
        query_area: (Q,) city or area names; None without.
    """

    query_vectors: NDArray[np.floating]
    chip_vectors: NDArray[np.floating]
    query_ids: NDArray[np.str_]
    chip_ids: NDArray[np.str_]
    positive: NDArray[np.integer]
    query_lonlat: NDArray[np.floating] | None = None
    chip_lonlat: NDArray[np.floating] | None = None
    side_m: float | NDArray[np.floating] | None = None
    also_right: RowLists | None = None
    query_files: NDArray[np.str_] | None = None
    chip_files: NDArray[np.str_] | None = None
    query_area: NDArray[np.str_] | None = None

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit together."""
        queries, chips = len(self.query_vectors), len(self.chip_vectors)
        if queries == 0 or chips == 0:
            raise DataError("there is nothing to mine: no photos or no chips", hint="Check the data given.")
        if self.query_vectors.shape[1:] != self.chip_vectors.shape[1:]:
            raise DataError(
                f"photos have vectors of {self.query_vectors.shape[1]} numbers, chips of "
                f"{self.chip_vectors.shape[1]}",
                hint="Embed both with the same model.",
            )
        for name, count in (("query", queries), ("chip", chips)):
            for field in ("ids", "lonlat", "files", "area"):
                value = getattr(self, f"{name}_{field}", None)
                if value is not None and len(value) != count:
                    raise DataError(f"{len(value)} {name}_{field} for {count} vectors")
        if len(self.positive) != queries or int(np.max(self.positive)) >= chips:
            raise DataError("the positives do not fit the photos and chips")

    def refuse_no_numbers(self) -> None:
        """Raise `DataError` if a vector holds NaN or infinite numbers: every rank would be wrong."""
        for what, vectors, ids in (
            ("photo", self.query_vectors, self.query_ids),
            ("chip", self.chip_vectors, self.chip_ids),
        ):
            for start in range(0, len(vectors), PART_QUERIES):
                sums = np.asarray(vectors[start : start + PART_QUERIES]).sum(axis=1, dtype=np.float32)
                bad = np.flatnonzero(~np.isfinite(sums))
                if len(bad):
                    raise DataError(
                        f"the vector of {what} {ids[start + int(bad[0])]} holds values that are no numbers",
                        hint="The model's weights or the index may be damaged: verify them, or embed again.",
                    )

    @property
    def truth(self) -> NDArray[np.float64]:
        """(Q, 2) where each photo was taken: its own position, else its chip's centre, else NaN."""
        truth = np.full((len(self.query_vectors), 2), np.nan)
        if self.chip_lonlat is not None:
            has = self.positive >= 0
            truth[has] = np.asarray(self.chip_lonlat)[self.positive[has]]
        if self.query_lonlat is not None:
            known = np.isfinite(self.query_lonlat).all(1)
            truth[known] = np.asarray(self.query_lonlat)[known]
        return truth

    def fingerprint(self, *settings: object) -> str:
        """Of ids, positives, positives' lists, positions and evenly spaced vectors, and of the settings."""
        digest = hashlib.sha256(json.dumps([str(one) for one in settings]).encode())
        for vectors in (self.query_vectors, self.chip_vectors):
            digest.update(str((vectors.shape, vectors.dtype)).encode())
            digest.update(np.ascontiguousarray(vectors[:: -(-len(vectors) // _SAMPLED_ROWS)]).tobytes())
        for names in (self.query_ids, self.chip_ids):
            digest.update("\n".join(map(str, names)).encode())
        out = () if self.also_right is None else (self.also_right.offsets, self.also_right.rows)
        for values in (self.positive, self.query_lonlat, self.chip_lonlat, *out):
            digest.update(b"-" if values is None else np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Part:
    """Lists of the queries from `start` on (B of them).

    Attributes:
        start: First query.
        score: (B,) float32 of the positive, NaN without one.
        rank: (B,) int32 chips strictly above it, -1 without one.
        top: (B, k) int32 visual neighbours, -1 fills up.
        top_score: (B, k) float32.
        ground: (B, g) int32 geographic neighbours, -1 fills up.
        ground_score: (B, g) float32.
        ground_rank: (B, g) int32 chips strictly above each.
    """

    start: int
    score: NDArray[np.float32]
    rank: NDArray[np.int32]
    top: NDArray[np.int32]
    top_score: NDArray[np.float32]
    ground: NDArray[np.int32]
    ground_score: NDArray[np.float32]
    ground_rank: NDArray[np.int32]


class Parts:
    """The folder of parts of one mining."""

    def __init__(self, folder: Path, queries: int) -> None:
        self.folder, self.queries = folder, queries

    def prepare(self, fingerprint: str) -> bool:
        """Make the folder; returns whether parts of the same inputs are there, and discards others."""
        plan = self.folder / "plan.json"
        try:
            same = json.loads(plan.read_text("utf-8")).get("fingerprint") == fingerprint
        except (OSError, ValueError, AttributeError):
            same = False
        if not same:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            write_atomically(plan, json.dumps({"schema": 1, "fingerprint": fingerprint}))
        return same and any(self.folder.glob("*.npz"))

    def starts(self) -> range:
        """First query of every part."""
        return range(0, self.queries, PART_QUERIES)

    def path(self, start: int) -> Path:
        """File of the part that starts there."""
        return self.folder / f"{start // PART_QUERIES:06d}.npz"

    def write(self, part: Part) -> None:
        """Write a part whole."""
        content = BytesIO()
        arrays: dict[str, Any] = {field.name: np.asarray(getattr(part, field.name)) for field in fields(Part)}
        np.savez(content, **arrays)
        write_atomically(self.path(part.start), content.getvalue())

    def read(self, start: int) -> Part | None:
        """A part; None if it is not there or damaged."""
        try:
            with np.load(self.path(start), allow_pickle=False) as stored:
                values = {field.name: stored[field.name] for field in fields(Part)}
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return None
        return Part(**{**values, "start": int(values["start"])})

    def all(self) -> Iterator[Part]:
        """All parts in order; every one must be there."""
        for start in self.starts():
            part = self.read(start)
            if part is None:
                raise DataError(
                    "a part of the mining is damaged", path=self.path(start), hint="Run the command again."
                )
            yield part

    def remove(self) -> None:
        """Forget the parts once the results are written."""
        shutil.rmtree(self.folder, ignore_errors=True)


def make_parts(
    data: MiningData,
    parts: Parts,
    *,
    neighbours: int,
    geographic: int,
    device: str = "cpu",
    block_bytes: int = BLOCK_BYTES,
) -> Steps[None]:
    """Compute the parts that are missing."""
    missing = [start for start in parts.starts() if parts.read(start) is None]
    count = parts.queries
    ground = ground_neighbours(data, geographic) if missing and geographic else None
    done = count - sum(min(PART_QUERIES, count - start) for start in missing)
    if done:
        yield Note(f"{done:,} of {count:,} photos were mined before; going on from there.")
    pace = Pace("Mining neighbours", count, "photos", done=done)
    for start in missing:
        blocks = []
        stop = min(start + PART_QUERIES, count)
        for block in stream_ranks(
            data.query_vectors,
            data.chip_vectors,
            k=neighbours,
            positive=data.positive,
            leave_out=data.also_right,
            probes=ground,
            start=start,
            stop=stop,
            device=device,
            block_bytes=block_bytes,
        ):
            blocks.append(block)
            yield from pace.at(done + block.stop - start)
        none = np.zeros((stop - start, 0), np.int32)
        parts.write(_joined(start, blocks, none if ground is None else ground[start:stop]))
        done += stop - start


def ground_neighbours(data: MiningData, count: int) -> NDArray[np.int32]:
    """(Q, count) chips nearest to where each photo was taken, without its own; -1 where unknown."""
    found = np.full((len(data.query_vectors), count), -1, np.int32)
    truth = data.truth
    known = np.flatnonzero(np.isfinite(truth).all(1))
    if data.chip_lonlat is None or len(known) == 0:
        return found
    chips = np.flatnonzero(np.isfinite(data.chip_lonlat).all(1))
    near = neighbours_by_position(
        truth[known],
        np.asarray(data.chip_lonlat)[chips],
        k=count,
        query_label=np.asarray(data.positive)[known],
        reference_label=chips,
        workers=-1,
    )
    found[known] = np.where(near >= 0, chips[near], -1)
    if data.also_right is not None:
        for query in np.flatnonzero(np.diff(data.also_right.offsets)):
            right = data.also_right.rows[data.also_right.offsets[query] : data.also_right.offsets[query + 1]]
            found[query][np.isin(found[query], right)] = -1
    return found


def _joined(start: int, blocks: list[RankBlock], ground: NDArray[np.int32]) -> Part:
    def whole(name: str) -> NDArray[np.generic]:
        return np.concatenate([getattr(block, name) for block in blocks])

    return Part(
        start=start,
        score=whole("score"),  # type: ignore[arg-type]
        rank=whole("rank"),  # type: ignore[arg-type]
        top=whole("top"),  # type: ignore[arg-type]
        top_score=whole("top_score"),  # type: ignore[arg-type]
        ground=ground,
        ground_score=whole("probe_score"),  # type: ignore[arg-type]
        ground_rank=whole("probe_rank"),  # type: ignore[arg-type]
    )
