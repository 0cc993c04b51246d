"""Giving verdicts: the workspace's marks with undo and redo, written behind in the order they were given."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from geolocator_gui.gui.background import Background
from geolocator_gui.gui.negatives.result import MiningResult
from geolocator_gui.marks import VERDICTS, Key, Mark, Marks, Merged, Verdict, now, read_marks
from geolocator_gui.marks_file import MarksFile


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
        trouble_changed: The verdicts can no longer be written, or can again; see `file.problem`.
    """

    changed = Signal()
    moved_to = Signal(int)
    trouble_changed = Signal()

    def __init__(self, background: Background, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._background = background
        self.file: MarksFile | None = None
        self._result: MiningResult | None = None
        self._rows: dict[str, int] = {}
        self._said: dict[str, dict[str, Mark]] = {}
        self._told = ""
        self.marks = Marks()
        self.judged: NDArray[np.bool_] = np.zeros(0, bool)
        self.codes: NDArray[np.int8] = np.zeros(0, np.int8)

    def open(self, file: MarksFile | None, result: MiningResult | None) -> None:
        """Judge a mining; the file was looked at (`MarksFile.write`) before."""
        same = file is self.file
        rows = None if file is None else file.take_fresh()
        if rows is None:
            rows = self.marks.all() if same else []
        self.file, self.marks = file, Marks(rows)
        self._result = result
        self._rows = {} if result is None else {key: row for row, key in enumerate(result.ids.tolist())}
        self._recount()
        self._tell_trouble()

    def say(self, keys: Iterable[Key], verdict: Verdict, note: str | None = None) -> None:
        """Give one verdict about several; one step for undo. A note of None keeps what was noted."""
        name, time = self._result.name if self._result is not None else "", now()
        clean = None if note is None else " ".join(note.split())
        with _at_one_go():
            given = []
            for query, candidate in dict.fromkeys(keys):
                old = self.marks.get(query, candidate)
                kept = (old.note if old is not None else "") if clean is None else clean
                given.append(Mark(query, candidate, verdict, kept, time, name))
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
        with _at_one_go():
            return self._take(self.marks.undo(), follow=True)

    def redo(self) -> bool:
        """Do the undone step again; False when there is none."""
        with _at_one_go():
            return self._take(self.marks.redo(), follow=True)

    def merge(self, theirs: Path, done: Callable[[Merged], object]) -> None:
        """Take over another person's marks; `done` gets what was added and the conflicts.

        The file is rewritten whole. Of a conflict the newer verdict stands.
        """
        file = self.file
        if file is None:
            return

        def success(merged: Merged) -> None:
            self._adopt(file)
            done(merged)

        self._background.run(lambda: file.merge(read_marks(theirs)), success, owner=self)

    def look_again(self) -> None:
        """Write what waits, and show what another window or program has written meanwhile."""
        file = self.file
        if file is not None:
            self._background.run(file.write, lambda done: self._adopt(file), owner=self)

    def set_aside(self, done: Callable[[Path | None], object]) -> None:
        """Rename a marks file that cannot be used, and go on with a new one; `done` gets the old one."""
        file, standing = self.file, self.marks.all()
        if file is None:
            return

        def success(moved: Path | None) -> None:
            self._adopt(file)
            done(moved)

        self._background.run(lambda: file.set_aside(standing), success, owner=self)

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
        return self.file is None or self.file.is_written

    def flush(self) -> None:
        """Write what waits, in the order given; called from any thread, and never raises."""
        if (file := self.file) is not None:
            file.write()

    def said(self, query: str) -> list[Mark]:
        """Everything that stands about a query."""
        return list(self._said.get(query, {}).values())

    def _take(self, rows: list[Mark], *, follow: bool) -> bool:
        if not rows:
            return False
        if (file := self.file) is not None:
            file.put(rows)
            self._background.run(file.write, lambda done: self._adopt(file), owner=self)
        said = self._said
        for mark in rows:
            about = said.get(mark.query)
            if about is None:
                about = said[mark.query] = {}
            if mark.verdict:
                about[mark.candidate] = mark
            else:
                about.pop(mark.candidate, None)
        self._count({mark.query for mark in rows})
        self.changed.emit()
        if follow and (row := self._rows.get(rows[0].query)) is not None:
            self.moved_to.emit(row)
        return True

    def _adopt(self, file: MarksFile) -> None:
        """Show what others wrote, and say whether writing works."""
        if file is not self.file:
            return
        rows = file.take_fresh()
        if rows is not None:
            self.marks.rebase(rows)
            self._recount()
        self._tell_trouble()

    def _tell_trouble(self) -> None:
        problem = None if self.file is None else self.file.problem
        told = "" if problem is None or self.file is None else f"{problem} {self.file.kept_in}"
        if told != self._told:
            self._told = told
            self.trouble_changed.emit()

    def _recount(self) -> None:
        count = 0 if self._result is None else len(self._result)
        self.judged, self.codes = np.zeros(count, bool), np.zeros(count, np.int8)
        self._said = {}
        for mark in self.marks.all():
            self._said.setdefault(mark.query, {})[mark.candidate] = mark
        self._count(self._said)
        self.changed.emit()

    def _count(self, queries: Iterable[str]) -> None:
        """Count some queries anew: whether anything is said of them, and which verdict is shown."""
        result = self._result
        if result is None:
            return
        known = [(row, query) for query in queries if (row := self._rows.get(query)) is not None]
        if not known:
            return
        rows = np.fromiter((row for row, _ in known), np.int64, len(known))
        pairs, hardest = _names(result, result.positive[rows]), _names(result, result.hardest[rows])
        abouts = [self._said.get(query, {}) for _, query in known]
        self.judged[rows] = [bool(about) for about in abouts]
        self.codes[rows] = [_code(*one) for one in zip(abouts, pairs, hardest, strict=True)]


@contextlib.contextmanager
def _at_one_go() -> Iterator[None]:
    """No search for garbage meanwhile: a batch makes many objects that all stay, and is searched in vain."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _names(result: MiningResult, chips: NDArray[np.int32]) -> Sequence[str]:
    """Ids of chips, "" for row -1."""
    found: list[str] = np.where(chips >= 0, result.chips.ids[np.maximum(chips, 0)], "").tolist()
    return found


def _code(about: dict[str, Mark], pair: str, hardest: str) -> int:
    """Code of the verdict shown of a query: that on a bad pair, else on the hardest, else the last one."""
    if not about:
        return 0
    own, impostor = about.get(pair), about.get(hardest)
    if own is not None and own.verdict == "bad_pair":
        return VERDICTS.index("bad_pair") + 1
    shown = list(about.values())[-1].verdict if impostor is None else impostor.verdict
    return VERDICTS.index(shown) + 1 if shown in VERDICTS else 0
