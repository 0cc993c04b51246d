"""Giving verdicts: the workspace's marks with undo and redo, written behind in the order they were given."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from geolocator_gui.gui.background import Background
from geolocator_gui.gui.negatives.result import MiningResult
from geolocator_gui.marks import (
    VERDICTS,
    Key,
    Mark,
    Marks,
    Merged,
    Verdict,
    append_marks,
    merge_marks,
    now,
    read_marks,
    write_marks,
)


@dataclass(frozen=True)
class Progress:
    """How far the judging is: "judged n of m"."""

    judged: int
    of: int


class Judging(QObject):
    """The marks of the workspace, seen through the open mining.

    Signals:
        changed: Verdicts stand differently.
        moved_to: Row of the query that an undo or redo was about.
    """

    changed = Signal()
    moved_to = Signal(int)

    def __init__(self, background: Background, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._background = background
        self._file: Path | None = None
        self._result: MiningResult | None = None
        self._rows: dict[str, int] = {}
        self._said: dict[str, dict[str, Mark]] = {}
        self._waiting: deque[tuple[Path, list[Mark]]] = deque()
        self._write_lock = threading.Lock()
        self.marks = Marks()
        self.judged: NDArray[np.bool_] = np.zeros(0, bool)
        self.codes: NDArray[np.int8] = np.zeros(0, np.int8)

    def open(self, file: Path, marks: Iterable[Mark], result: MiningResult | None) -> None:
        """Judge a mining; the marks were read from the file before."""
        self._file, self.marks = file, Marks(marks)
        self._result = result
        self._rows = {} if result is None else {key: row for row, key in enumerate(result.ids.tolist())}
        self._recount()

    def say(self, keys: Iterable[Key], verdict: Verdict, note: str | None = None) -> None:
        """Give one verdict about several; one step for undo. A note of None keeps what was noted."""
        name = self._result.name if self._result is not None else ""
        given = []
        for key in dict.fromkeys(keys):
            old = self.marks.get(*key)
            kept = (old.note if old is not None else "") if note is None else note
            given.append(Mark(*key, verdict, kept, now(), name))
        self._take(self.marks.say(given), follow=False)

    def note(self, key: Key, text: str) -> None:
        """Note something; without a verdict it stands as "unsure", for a row needs one."""
        old = self.marks.get(*key)
        clean = " ".join(text.split())
        if (old.note if old is not None else "") == clean:
            return
        self.say([key], (old.verdict or "unsure") if old is not None else "unsure", clean)

    def give(self, marks: Iterable[Mark]) -> None:
        """Give verdicts as they are, from now, as one step."""
        self._take(self.marks.say([replace(mark, time=now()) for mark in marks]), follow=False)

    def withdraw(self, keys: Iterable[Key]) -> None:
        """Take verdicts back, as a step of its own."""
        standing = [mark for key in keys if (mark := self.marks.get(*key)) is not None]
        rows = [replace(mark, verdict="", note="", time=now()) for mark in standing]
        self._take(self.marks.say(rows), follow=False)

    def undo(self) -> bool:
        """Take the last step back; False when there is none."""
        return self._take(self.marks.undo(), follow=True)

    def redo(self) -> bool:
        """Do the undone step again; False when there is none."""
        return self._take(self.marks.redo(), follow=True)

    def merge(self, file: Path, done: Callable[[Merged], object]) -> None:
        """Take over another person's marks; `done` gets what was added and the conflicts.

        The file is rewritten whole. Of a conflict the newer verdict stands.
        """
        own = self._file
        if own is None:
            return

        def work() -> Merged:
            theirs = read_marks(file)
            self.flush()
            with self._write_lock:
                merged = merge_marks(read_marks(own), theirs)
                write_marks(own, merged.marks)
            return merged

        def success(merged: Merged) -> None:
            self.marks = Marks(merged.marks)  # earlier steps can no longer be undone: the ground has moved
            self._recount()
            done(merged)

        self._background.run(work, success, owner=self)

    def verdict(self, key: Key | None) -> str:
        """What was said of a candidate, "" for nothing."""
        mark = None if key is None else self.marks.get(*key)
        return "" if mark is None else mark.verdict

    @property
    def progress(self) -> Progress:
        """Queries of the mining of which something was said."""
        return Progress(int(self.judged.sum()), len(self.judged))

    @property
    def is_written(self) -> bool:
        """Whether every verdict has reached the disk."""
        return not self._waiting and not self._write_lock.locked()

    def flush(self) -> None:
        """Write what waits, in the order given; called from any thread."""
        with self._write_lock:
            while self._waiting:
                append_marks(*self._waiting[0])
                self._waiting.popleft()

    def _take(self, rows: list[Mark], *, follow: bool) -> bool:
        if not rows:
            return False
        if self._file is not None:
            self._waiting.append((self._file, rows))
            self._background.run(self.flush)
        for mark in rows:
            self._remember(mark.key)
        for query in {mark.query for mark in rows}:
            self._recount_query(query)
        self.changed.emit()
        if follow and (row := self._rows.get(rows[0].query)) is not None:
            self.moved_to.emit(row)
        return True

    def said(self, query: str) -> list[Mark]:
        """Everything that stands about a query."""
        return list(self._said.get(query, {}).values())

    def _remember(self, key: Key) -> None:
        mark, about = self.marks.get(*key), self._said.setdefault(key[0], {})
        if mark is None:
            about.pop(key[1], None)
        else:
            about[key[1]] = mark

    def _recount(self) -> None:
        count = 0 if self._result is None else len(self._result)
        self.judged, self.codes = np.zeros(count, bool), np.zeros(count, np.int8)
        self._said = {}
        for mark in self.marks.all():
            self._said.setdefault(mark.query, {})[mark.candidate] = mark
        for query in self._said:
            self._recount_query(query)
        self.changed.emit()

    def _recount_query(self, query: str) -> None:
        row = self._rows.get(query)
        if row is None or self._result is None:
            return
        said = self.said(query)
        self.judged[row] = bool(said)
        shown = self.verdict(self._result.pair_key(row))
        if shown != "bad_pair":
            shown = self.verdict(self._result.hardest_key(row)) or (said[-1].verdict if said else "")
        self.codes[row] = VERDICTS.index(shown) + 1 if shown in VERDICTS else 0
