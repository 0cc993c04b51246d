"""The user's verdicts on candidates: `marks.csv` read, appended, rewritten, merged; undo and redo as data.

A row says of one candidate of one query what a person decided. Both are named by stable ids, so verdicts
outlive the mining in which they were given:

- a photo is named by its content (`photo_id`), a chip by source and grid cell (`chip_id`),
- photo and satellite image of a published pair by data set and file (`pair_id`).

The verdict on a pair itself (`bad_pair`) has the pair's own chip as candidate. The last row about a query
and a candidate counts; a row without a verdict withdraws it. So appending is enough while judging.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple, cast

from geolocator_gui.errors import DataError

Verdict = Literal["same_place", "hard", "bad_pair", "unsure"]
VERDICTS: tuple[Verdict, ...] = ("same_place", "hard", "bad_pair", "unsure")
COLUMNS = ("query", "candidate", "verdict", "note", "time", "mining")
Key = tuple[str, str]
_CHIP = re.compile(r"chip:[^/]*/([0-9.e+-]+)m/(-?[0-9.]+),(-?[0-9.]+)")


@dataclass(frozen=True)
class Mark:
    """One verdict.

    Attributes:
        query: Stable id of the photo.
        candidate: Stable id of the chip.
        verdict: "same_place" (not a negative), "hard" (keep it), "bad_pair" (leave the pair out of training),
            "unsure"; "" withdraws what was said before.
        note: Free text.
        time: ISO 8601 in UTC, to the second.
        mining: Name of the mining it was given in.
    """

    query: str
    candidate: str
    verdict: Verdict | Literal[""]
    note: str = ""
    time: str = ""
    mining: str = ""

    @property
    def key(self) -> Key:
        """What the verdict is about."""
        return self.query, self.candidate

    def at(self, time: str) -> Mark:
        """The same said at another time."""
        return Mark(self.query, self.candidate, self.verdict, self.note, time, self.mining)


def now() -> str:
    """The time of a mark given now."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def photo_id(path: Path) -> str:
    """Stable id of a photo: a hash of the file's content, so that it may be renamed and moved."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return f"photo:{digest.hexdigest()[:20]}"


def chip_id(source: str, side_m: float, lon: float, lat: float) -> str:
    """Stable id of a chip: imagery source and grid cell; not the row of an index that happens to hold it.

    Args:
        source: Name of the imagery.
        side_m: Ground metres per side, rounded to a centimetre.
        lon: Degrees of the cell's centre, which is its name, rounded to a decimetre (1e-6 degrees).
        lat: Degrees, likewise.
    """
    return f"chip:{_word(source)}/{round(side_m, 2):g}m/{lon:.6f},{lat:.6f}"


def chip_place(name: str) -> tuple[float, float, float] | None:
    """Side in metres, longitude and latitude of a chip named by `chip_id`; None for other ids."""
    found = _CHIP.fullmatch(name)
    return None if found is None else (float(found[1]), float(found[2]), float(found[3]))


def pair_id(data: str, name: str, view: Literal["ground", "satellite"]) -> str:
    """Stable id of one image of a published or own pair: data set, view and file name or label."""
    return f"{view}:{_word(data)}/{name}"


def _word(text: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in text)


class Marks:
    """All that was said, the last word first; with undo and redo of what was said in this sitting.

    Args:
        marks: Rows in the order in which they were given.
    """

    def __init__(self, marks: Iterable[Mark] = ()) -> None:
        self._said: dict[Key, Mark] = {}
        self._given: dict[Key, Mark] = {}
        self._undo: list[tuple[Change, ...]] = []
        self._redo: list[tuple[Change, ...]] = []
        for mark in marks:
            self._take(mark)

    def __len__(self) -> int:
        return len(self._said)

    def get(self, query: str, candidate: str) -> Mark | None:
        """What was said last, None if nothing or withdrawn."""
        return self._said.get((query, candidate))

    def all(self) -> list[Mark]:
        """Verdicts that stand, oldest first."""
        return sorted(self._said.values(), key=lambda mark: (mark.time, mark.key))

    def judged(self, keys: Iterable[Key]) -> int:
        """How many of these stand judged, for "judged n of m"."""
        return sum(key in self._said for key in keys)

    def say(self, marks: Sequence[Mark]) -> list[Mark]:
        """Give verdicts, all undone in one step; returns the rows to append to the file."""
        said = self._said.get
        changes = tuple([Change(said((mark.query, mark.candidate)), mark) for mark in marks])
        if changes:
            self._undo.append(changes)
            self._redo.clear()
        return self._apply(marks)

    def undo(self) -> list[Mark]:
        """Take the last step back; returns the rows to append, [] when there is nothing to undo.

        What somebody else has said since stays: only own words are taken back.
        """
        while self._undo:
            changes = tuple(change for change in self._undo.pop() if self._is_own(change.after.key))
            if changes:
                self._redo.append(changes)
                time = now()
                return self._apply([change.back(time) for change in reversed(changes)])
        return []

    def redo(self) -> list[Mark]:
        """Do the last undone step again; returns the rows to append, [] when there is nothing to redo."""
        while self._redo:
            changes = tuple(change for change in self._redo.pop() if self._is_own(change.after.key))
            if changes:
                self._undo.append(changes)
                time = now()
                return self._apply([change.after.at(time) for change in changes])
        return []

    def rebase(self, marks: Iterable[Mark]) -> None:
        """Take over the rows of the file, in which others wrote too; own steps can still be undone."""
        self._said = {}
        for mark in marks:
            self._take(mark)

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to undo."""
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to redo."""
        return bool(self._redo)

    def bad_pairs(self) -> set[str]:
        """Ids of queries whose pair is left out of training."""
        return {mark.query for mark in self._said.values() if mark.verdict == "bad_pair"}

    def not_negatives(self) -> set[Key]:
        """Query and candidate that must never meet in a batch as negatives."""
        return {mark.key for mark in self._said.values() if mark.verdict == "same_place"}

    def hard(self) -> set[Key]:
        """Query and candidate that training prefers to put together."""
        return {mark.key for mark in self._said.values() if mark.verdict == "hard"}

    def _apply(self, marks: Sequence[Mark]) -> list[Mark]:
        said, given = self._said, self._given
        for mark in marks:  # 100 000 at once must take no noticeable time
            key = mark.query, mark.candidate
            given[key] = mark
            if mark.verdict:
                said[key] = mark
            else:
                said.pop(key, None)
        return list(marks)

    def _is_own(self, key: Key) -> bool:
        given, stands = self._given.get(key), self._said.get(key)
        return given is not None and stands == (given if given.verdict else None)

    def _take(self, mark: Mark) -> None:
        if mark.verdict:
            self._said[mark.key] = mark
        else:
            self._said.pop(mark.key, None)


class Change(NamedTuple):
    """A verdict before and after a step."""

    before: Mark | None
    after: Mark

    def back(self, time: str) -> Mark:
        """The row that undoes it, given at a time."""
        if self.before is None:
            return Mark(self.after.query, self.after.candidate, "", "", time, self.after.mining)
        return self.before.at(time)


def read_marks(path: Path) -> list[Mark]:
    """Rows of a marks file in order; [] if there is none.

    Raises:
        DataError: The file is not a marks file or a row cannot be understood; says which line.
    """
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the marks cannot be read ({error})", path=path) from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    if text.strip() and not {"query", "candidate", "verdict"} <= set(reader.fieldnames or ()):
        raise DataError(
            "this is not a marks file: the columns query, candidate and verdict are missing",
            path=path,
            hint=f"Its first line must read {','.join(COLUMNS)}.",
        )
    marks = []
    # A last line without its end was being written when the power went; it may be cut short and is left out.
    whole_lines = text.count("\n")
    try:
        for row in reader:
            if reader.line_num > whole_lines and not _is_whole(row):
                break
            marks.append(_mark(row, path, reader.line_num))
    except csv.Error as error:
        if reader.reader.line_num > whole_lines:
            return marks
        raise DataError(f"line {reader.reader.line_num} cannot be read ({error})", path=path) from error
    return marks


def readable_marks(path: Path) -> list[Mark]:
    """The rows of a damaged marks file that can be understood; [] where there is none."""
    try:
        text = path.read_bytes().decode("utf-8-sig", errors="replace").replace("\0", "")
    except OSError:
        return []
    marks = []
    rows = csv.DictReader(io.StringIO(text, newline=""))
    with contextlib.suppress(csv.Error):  # what came before stands
        for row in rows:
            with contextlib.suppress(DataError):  # of the damaged ones `read_marks` tells the first
                marks.append(_mark(row, path, rows.line_num))
    return marks


def _is_whole(row: Mapping[str | None, object]) -> bool:
    return all(value is not None for value in row.values()) and row.get("verdict") in (*VERDICTS, "")


def _mark(row: Mapping[str, str | None], path: Path, line: int) -> Mark:
    verdict, query, candidate = (row.get("verdict") or "").strip(), row.get("query"), row.get("candidate")
    if verdict not in (*VERDICTS, "") or not query or not candidate:
        wrong = f'"{verdict}" is not a verdict' if query and candidate else "query or candidate is missing"
        raise DataError(
            f"line {line}: {wrong}",
            path=path,
            hint=f"Verdicts are {', '.join(VERDICTS)}, or nothing to withdraw.",
        )
    return Mark(
        query,
        candidate,
        cast(Verdict, verdict),
        row.get("note") or "",
        row.get("time") or "",
        row.get("mining") or "",
    )


def append_marks(path: Path, marks: Sequence[Mark]) -> None:
    """Append rows in one write that reaches the disk; the first one brings the header."""
    if not marks:
        return
    if path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n"):
        # A row cut short by a power failure must not swallow the next one.
        write_marks(path, read_marks(path))
    with path.open("ab") as file:
        start = "" if file.tell() else _line(COLUMNS)
        file.write((start + _rows(marks)).encode())
        file.flush()
        os.fsync(file.fileno())


def write_marks(path: Path, marks: Iterable[Mark]) -> None:
    """Rewrite the file whole: a reader, or a power cut, sees the old one or the new one."""
    content = marks_text(marks)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode())
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def marks_text(marks: Iterable[Mark]) -> str:
    """A whole marks file."""
    return _line(COLUMNS) + _rows(marks)


def _rows(marks: Iterable[Mark]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(
        (mark.query, mark.candidate, mark.verdict, mark.note, mark.time, mark.mining) for mark in marks
    )
    return out.getvalue()


def _line(values: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(values)
    return out.getvalue()


@dataclass(frozen=True)
class Merged:
    """Two people's marks in one.

    Attributes:
        marks: All verdicts; of a conflict the newer one.
        conflicts: Mine and theirs where the verdicts differ.
        added: Verdicts that only they gave.
    """

    marks: tuple[Mark, ...]
    conflicts: tuple[tuple[Mark, Mark], ...] = field(default=())
    added: int = 0


def merge_marks(mine: Iterable[Mark], theirs: Iterable[Mark]) -> Merged:
    """Merge two files' rows; equal verdicts with different notes keep both notes and are no conflict."""
    own, other = Marks(mine), Marks(theirs)
    merged = {mark.key: mark for mark in own.all()}
    conflicts, added = [], 0
    for mark in other.all():
        here = merged.get(mark.key)
        if here is None:
            merged[mark.key], added = mark, added + 1
        elif here.verdict != mark.verdict:
            conflicts.append((here, mark))
            merged[mark.key] = max(here, mark, key=lambda one: one.time)
        elif mark.note and mark.note not in here.note:
            notes = f"{here.note} | {mark.note}" if here.note else mark.note
            merged[mark.key] = replace(max(here, mark, key=lambda one: one.time), note=notes)
    ordered = sorted(merged.values(), key=lambda mark: (mark.time, mark.key))
    return Merged(tuple(ordered), tuple(conflicts), added)
