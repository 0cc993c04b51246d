"""The journal: one line per committed batch, each with its own checksum.

A batch counts as soon as its line is on disk, never before: vectors and cells are synced first. Whatever
lies in the files beyond the last whole line was being written when the process died, and is cut off.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Commit:
    """One committed batch.

    Attributes:
        batch: Counted over all parts.
        first: Row of its first chip in the index.
        rows: Chips embedded.
        segment: Position of its segment in the generation.
        offset: Row of its first chip in that segment.
        vectors: crc32 of its bytes in the vectors file.
        cells: crc32 of its bytes in the cells file.
        skipped: Chips left out by reason.
        filled: Chips in which a coarser level of detail stands in for missing tiles.
    """

    batch: int
    first: int
    rows: int
    segment: int
    offset: int
    vectors: int
    cells: int
    skipped: Mapping[str, int] = field(default_factory=dict)
    filled: int = 0


def to_line(commit: Commit) -> bytes:
    """`crc32 {json}` and a newline."""
    fields = asdict(commit)
    if not commit.filled:  # as versions wrote it that did not count them
        del fields["filled"]
    text = json.dumps(fields, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def from_line(line: bytes) -> Commit | None:
    """The commit of a line without its newline; None when it is damaged."""
    crc, _, text = line.partition(b" ")
    try:
        if len(crc) != 8 or int(crc, 16) != zlib.crc32(text) or crc != crc.lower():
            return None
        return Commit(**json.loads(text))
    except (ValueError, TypeError):
        return None


def read_committed(path: Path) -> tuple[list[Commit], int]:
    """The commits up to the first damaged or unfinished line, and their length in bytes.

    For continuing: batch numbers run without a gap from 0.
    """
    commits: list[Commit] = []
    length = 0
    if not path.exists():
        return commits, length
    with path.open("rb") as file:
        for line in file:
            commit = from_line(line[:-1]) if line.endswith(b"\n") else None
            if commit is None or commit.batch != len(commits):
                break
            commits.append(commit)
            length += len(line)
    return commits, length


def read_all(path: Path) -> tuple[dict[int, Commit], bool]:
    """Every readable commit by batch, and whether the file is exactly those lines in order.

    For verifying: a damaged line costs only its own batch.
    """
    commits: dict[int, Commit] = {}
    whole = True
    if not path.exists():
        return commits, False
    with path.open("rb") as file:
        for line in file:
            commit = from_line(line[:-1]) if line.endswith(b"\n") else None
            if commit is None or commit.batch != len(commits):
                whole = False
            if commit is not None:
                commits[commit.batch] = commit
    return commits, whole


def render(commits: Iterable[Commit]) -> bytes:
    """The bytes of a whole journal."""
    return b"".join(to_line(commit) for commit in commits)
