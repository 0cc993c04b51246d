"""What is looked at: mining, query and candidate; table, gallery, map and plots are views of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QPixmap

from geolocator_gui.gui import catalogue, wording
from geolocator_gui.gui.negatives.judging import Judging
from geolocator_gui.gui.negatives.result import Candidate, MiningResult, finished_minings, open_result
from geolocator_gui.gui.negatives.table_model import QueryTable
from geolocator_gui.gui.negatives.unsaved import unsaved_words
from geolocator_gui.gui.session import Session
from geolocator_gui.marks import Key, Verdict
from geolocator_gui.marks_file import MarksFile
from geolocator_gui.mined import SUMMARY
from geolocator_gui.workspace import Workspace

SMALL_PX, LARGE_PX = 384, 1024


@dataclass(frozen=True)
class _Opened:
    result: MiningResult
    source: str
    before: Path | None


class Inspector(QObject):
    """The state that the views of the Hard negatives page share.

    Signals:
        minings_changed: Other minings are finished.
        result_changed: Another mining is open, or none.
        query_changed: Another query is chosen, or its candidates have come.
        candidate_changed: Another candidate is chosen; its place, or None.
        pointed: A candidate is under the pointer; its place, or None.
        row_wanted: A query was chosen elsewhere (map, plot, undo); its row.
        moves_changed: Another mining is compared with, or none.
        leaving: What is shown is about to be another workspace or mining: hand over what is being typed.
    """

    minings_changed = Signal()
    result_changed = Signal()
    query_changed = Signal()
    candidate_changed = Signal(object)
    pointed = Signal(object)
    row_wanted = Signal(int)
    moves_changed = Signal()
    leaving = Signal()

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.judging = Judging(session.background, self)
        self.table = QueryTable(self.judging, self)
        self.minings: list[Path] = []
        self.result: MiningResult | None = None
        self.source = ""
        self.row: int | None = None
        self.candidates: list[Candidate] = []
        self.place: int | None = None
        self.selected: list[int] = []
        self.moves_sentence = ""
        self._opening: Path | None = None
        self._damaged: set[Path] = set()
        self.judging.moved_to.connect(self.row_wanted)
        session.workspace_changed.connect(self._on_workspace)
        session.lists_changed.connect(self.refresh)
        session.trash.leaving.connect(self._on_leaving)

    # -- minings ------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Look for finished minings; the newest is opened when none is."""
        workspace = self.session.workspace
        if workspace is None:
            return

        def success(found: list[Path]) -> None:
            if workspace is not self.session.workspace:
                return
            if found != self.minings:
                self.minings = found
                self.minings_changed.emit()
            self._open_newest()

        self.session.background.run(lambda: finished_minings(workspace.mining), success, owner=self)

    def _open_newest(self) -> None:
        """Show the newest mining that can be read, where none is shown or on its way."""
        if self.result is None and self._opening is None:
            newest = next((folder for folder in self.minings if folder not in self._damaged), None)
            if newest is not None:
                self.open(newest)

    def open(self, folder: Path) -> None:
        """Show a mining."""
        workspace = self.session.workspace
        if workspace is None:
            return
        self._opening = folder
        file = self._marks_file(workspace)

        def work() -> _Opened:
            result = open_result(folder)
            index = result.about.get("index")
            row = catalogue.read_index(Path(str(index)), []) if index else None
            source = row.imagery[0] if row is not None and row.imagery else ""
            file.write()
            return _Opened(result, source, _compared_with(result))

        def success(opened: _Opened) -> None:
            if workspace is not self.session.workspace or self._opening != folder:
                return  # another one was asked for meanwhile
            self._opening = None
            self._damaged.discard(folder)
            if opened.source:
                self.session.imagery_pool.add(opened.source, opened.source)
            self._show(opened.result, opened.source, file)
            if opened.before is not None:
                self.compare_with(opened.before)

        def failure(error: Exception) -> None:
            if workspace is not self.session.workspace:
                return
            self._damaged.add(folder)
            self.session.notifications.error(error)
            if self._opening == folder:
                self._opening = None
                self._open_newest()
            if self.result is not None:
                self.minings_changed.emit()  # the choice goes back to what is shown

        self.session.background.run(work, success, failure, owner=self)

    def _show(self, result: MiningResult | None, source: str, file: MarksFile | None) -> None:
        self.leaving.emit()
        self.result, self.source = result, source
        self.row, self.candidates, self.place, self.selected = None, [], None, []
        self.moves_sentence = ""
        self.judging.open(file, result)
        self.table.show(result)
        self.result_changed.emit()
        self.query_changed.emit()
        if len(self.table.rows):
            self.row_wanted.emit(int(self.table.rows[0]))

    def _on_leaving(self, folder: Path) -> None:
        """A mining is about to be removed; another one is shown once it is gone."""
        if self.result is not None and self.result.folder == folder:
            self._show(None, "", self.judging.file)

    def _on_workspace(self) -> None:
        self.leaving.emit()
        self.judging.flush()
        self.minings, self._opening, self._damaged = [], None, set()
        workspace = self.session.workspace
        left = self.judging.file
        self._show(None, "", None if workspace is None else self._marks_file(workspace))
        if left is not None and left.problem is not None and left is not self.judging.file:
            self.session.notifications.tell(*unsaved_words(left), "error")
        if workspace is not None:
            self._look_for_unsaved(workspace)
        self.minings_changed.emit()
        self.refresh()

    def _marks_file(self, workspace: Workspace) -> MarksFile:
        file = self.judging.file
        return file if file is not None and file.path == workspace.marks else MarksFile(workspace.marks)

    def _look_for_unsaved(self, workspace: Workspace) -> None:
        """Verdicts of an earlier sitting may lie beside the marks they could not be written to."""

        def success(found: list[Path]) -> None:
            if found and workspace is self.session.workspace:
                self.session.notifications.tell(
                    self.tr("Verdicts of an earlier sitting did not reach marks.csv: {files}.").format(
                        files=", ".join(file.name for file in found)
                    ),
                    self.tr('Take them over with "Merge another marks file", then delete the file.'),
                    "warning",
                )

        file = self._marks_file(workspace)
        self.session.background.run(file.left_behind, success, owner=self)

    def compare_with(self, folder: Path | None) -> None:
        """Show how ranks moved since another mining of the same photos; None hides it."""
        result = self.result
        if result is None or folder is None:
            self.moves_sentence = ""
            self.table.show_moves(None)
            self.moves_changed.emit()
            return
        marks = self.judging.marks.all()

        def work() -> tuple[str, NDArray[np.float32]]:
            from geolocator_gui.mined_moves import compare_minings

            moves = compare_minings(folder, result.folder, marks)
            of = dict(zip(moves.pairs["query"], moves.pairs["rank_move"], strict=True))
            values = np.array([of.get(key, np.nan) for key in result.ids.tolist()], np.float32)
            return moves.sentence(), values

        def success(found: tuple[str, NDArray[np.float32]]) -> None:
            if self.result is result:
                self.moves_sentence = found[0]
                self.table.show_moves(found[1])
                self.moves_changed.emit()

        self.session.background.run(work, success, owner=self)

    # -- what is chosen -----------------------------------------------------------------------------------

    def choose(self, row: int | None) -> None:
        """Look at a query; its candidates are read in the background."""
        if row == self.row:
            return
        self.row, self.candidates, self.place = row, [], None
        self.query_changed.emit()
        result = self.result
        if row is None or result is None:
            return

        def success(found: list[Candidate]) -> None:
            if self.result is result and self.row == row:
                self.candidates = found
                self.query_changed.emit()
                hardest = int(result.hardest[row])
                self.lift(next((c.place for c in found if c.chip == hardest), 0 if found else None))

        self.session.background.run(lambda: result.candidates(row), success, owner=self)

    def lift(self, place: int | None) -> None:
        """Choose a candidate."""
        if place is not None and not 0 <= place < len(self.candidates):
            return
        self.place = place
        self.candidate_changed.emit(place)

    @property
    def candidate(self) -> Candidate | None:
        """The chosen candidate."""
        return None if self.place is None else self.candidates[self.place]

    def key(self, place: int | None = None) -> Key | None:
        """What a verdict on a candidate is about; the chosen one by default, the hardest until they came."""
        if self.result is None or self.row is None:
            return None
        wanted = self.place if place is None else place
        if wanted is None or wanted >= len(self.candidates):
            return self.result.hardest_key(self.row)
        return str(self.result.ids[self.row]), self.candidates[wanted].id

    # -- judging ------------------------------------------------------------------------------------------

    def judge(self, verdict: Verdict, *, walk_candidates: bool = False, note: str | None = None) -> None:
        """Give a verdict on what is chosen and go on: to the next query, or the next candidate.

        Args:
            verdict: "bad_pair" is said of photo and own chip, the others of the chosen candidate.
            walk_candidates: Stay with the query until its candidates are through.
            note: Goes along with it; None keeps what was noted. A verdict on a selection takes none.
        """
        result, row = self.result, self.row
        if result is None or row is None:
            return
        tell = self.session.notifications.tell
        if len(self.selected) > 1:
            keys = result.keys(self.selected, pairs=verdict == "bad_pair")
            self.judging.say(keys, verdict)
            count = wording.counted(len(keys), "photo")
            tell(f"{count} {self.tr('judged together; Ctrl+Z undoes it.')}")
            return
        if self.table.line(row) is None:
            tell(
                self.tr("Not judged: the filters hide this photo."),
                self.tr("Choose one of the list, or show all."),
                "warning",
            )
            return
        key = result.pair_key(row) if verdict == "bad_pair" else self.key()
        if key is None:
            tell(
                self.tr("This photo has no chip of its own here, so there is no pair to judge.")
                if verdict == "bad_pair"
                else self.tr("There is no impostor to judge here."),
                level="warning",
            )
            return
        self.judging.say([key], verdict, note)
        place = len(self.candidates) if self.place is None or verdict == "bad_pair" else self.place + 1
        if walk_candidates and place < len(self.candidates):
            self.lift(place)
        else:
            self.step(1)

    def step(self, by: int) -> None:
        """Go to the next or previous listed query."""
        line = None if self.row is None else self.table.line(self.row)
        row = self.table.source(0 if line is None else line + by)
        if row is not None:
            self.row_wanted.emit(row)

    # -- pictures -----------------------------------------------------------------------------------------

    def photo(self, longest: int) -> QPixmap | None:
        """The chosen query's photo, None while it is read or when there is none."""
        if self.result is None or self.row is None or not self.result.files[self.row]:
            return None
        return self.session.pictures.photo(Path(str(self.result.files[self.row])), longest)

    def chip(self, row: int, side: int) -> QPixmap | None:
        """A chip's picture: its file, or cut from the index's imagery."""
        if self.result is None or row < 0:
            return None
        file = str(self.result.chips.files[row])
        if file:
            return self.session.pictures.photo(Path(file), side)
        bounds = self.result.chips.bounds(row)
        if bounds is None or not self.source:
            return None
        return self.session.pictures.chip(self.source, bounds, side)


def _compared_with(result: MiningResult) -> Path | None:
    """The earlier mining that the run compared itself with, if it is still there."""
    moves = result.summary.get("moves")
    if not isinstance(moves, dict) or not moves.get("with"):
        return None
    before = result.folder.parent / str(moves["with"])
    return before if (before / SUMMARY).is_file() else None
