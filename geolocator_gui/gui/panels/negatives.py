"""The Hard negatives page: minings, the table of photos, filters, and the keys that judge."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QGridLayout,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from geolocator_gui.gui import icons, wording
from geolocator_gui.gui.negatives import verdicts
from geolocator_gui.gui.negatives.bench import Bench
from geolocator_gui.gui.negatives.filters import FilterBar
from geolocator_gui.gui.negatives.inspector import Inspector
from geolocator_gui.gui.negatives.map_link import MapLink
from geolocator_gui.gui.negatives.menu import MiningMenu
from geolocator_gui.gui.negatives.note_field import NoteField
from geolocator_gui.gui.negatives.query_list import QueryList
from geolocator_gui.gui.negatives.start_form import StartForm
from geolocator_gui.gui.negatives.unsaved import UnsavedBanner
from geolocator_gui.gui.panels.page import Panel
from geolocator_gui.gui.run_rows import RunRow
from geolocator_gui.gui.session import Session
from geolocator_gui.gui.widgets.basics import Label, button, narrow_combo, tool
from geolocator_gui.marks import Verdict


class NegativesPanel(Panel):
    """The page; `bench` belongs under the map while it is open.

    Signals:
        photos_wanted: Go to the Photos page.
        index_wanted: Go to the Area page.
    """

    photos_wanted = Signal()
    index_wanted = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session, "")
        self.title.setText(self.tr("Hard negatives"))
        self.inspector = Inspector(session, self)
        self.bench = Bench(self.inspector)
        self.link: MapLink | None = None
        self.minings = narrow_combo()
        self.minings.setToolTip(self.tr("Finished minings of this workspace, the newest first"))
        self.minings.activated.connect(self._on_mining)
        self.new_button = tool("plus", self.tr("Mine again, or something else"), self.show_form)
        self.menu = MiningMenu(self.inspector, self)
        self.more_button = tool("dots-horizontal", self.tr("Compare, merge, export"), self._open_menu)
        self.weak_button = tool("map-search-outline", self.tr("Weak places on the map (W)"), lambda: None)
        self.weak_button.setCheckable(True)
        self.weak_button.toggled.connect(self._on_weak)
        self.list = QueryList(self.inspector)
        self.filters = FilterBar(self.inspector)
        self.form = StartForm(session)
        self._run = _RunCard(session)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.form)
        self._stack.addWidget(self._make_table())
        self.unsaved = UnsavedBanner(self.inspector.judging, session.notifications)
        self.body.addWidget(self._run)
        self.body.addWidget(self.unsaved)
        self.body.addWidget(self._stack, 1)
        self._make_foot()
        self._connect()
        self._on_minings()
        self._on_result()

    def attach_map(self, link: MapLink) -> None:
        """The map is there now."""
        self.link = link
        self.bench.opened.connect(link.look_at)
        self.list.opened.connect(lambda row: link.look())

    def take_key(self, key: Qt.Key) -> bool:
        """A key of the window while this page is open; False when it is none of its own."""
        if self.inspector.result is None:
            return False
        match key:
            case Qt.Key.Key_Space:
                self.bench.compare_button.toggle()
            case Qt.Key.Key_O:
                self.bench.overview_button.toggle()
            case Qt.Key.Key_H if self.bench.compare_button.isChecked():
                self.bench.triptych.alike.toggle()
            case Qt.Key.Key_W:
                self.weak_button.toggle()
            case Qt.Key.Key_N:
                self.note.setFocus()
            case Qt.Key.Key_Left | Qt.Key.Key_Right:
                place = self.inspector.place if self.inspector.place is not None else -1
                self.inspector.lift(place + (1 if key == Qt.Key.Key_Right else -1))
            case Qt.Key.Key_Down | Qt.Key.Key_Up:
                self.inspector.step(1 if key == Qt.Key.Key_Down else -1)
            case Qt.Key.Key_Escape:
                return self.bench.close_tall()
            case _:
                verdict = verdicts.verdict_for_key(chr(key) if 0 < key < 128 else "")
                if verdict is None:
                    return False
                self._judge_now(verdict)
        return True

    def undo(self) -> bool:
        """Take the last verdict back; False when there is none."""
        return self.inspector.judging.undo()

    def redo(self) -> bool:
        """Give it again; False when there is none."""
        return self.inspector.judging.redo()

    def show_form(self) -> None:
        """Offer to start a mining."""
        self.form.back_button.setVisible(self.inspector.result is not None)
        self.form.fill()
        self._stack.setCurrentIndex(0)
        self._judge.hide()

    def close_page(self) -> None:
        """Write what waits; the last call."""
        self.note.commit()
        self.bench.close_tall()
        self.inspector.judging.flush()
        self.bench.close_scratch()

    def showEvent(self, event: QShowEvent) -> None:
        """Another window may have judged meanwhile."""
        super().showEvent(event)
        self.inspector.judging.look_again()

    def changeEvent(self, event: QEvent) -> None:
        """Come back to this window: likewise."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ActivationChange and self.isActiveWindow() and self.isVisible():
            self.inspector.judging.look_again()

    # -- making -------------------------------------------------------------------------------------------

    def _make_table(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        line = QHBoxLayout()
        line.setSpacing(2)
        line.addWidget(self.minings, 1)
        for made in (self.weak_button, self.new_button, self.more_button):
            line.addWidget(made)
        column.addLayout(line)
        column.addWidget(self.filters)
        column.addWidget(self.list, 1)
        return page

    def _make_foot(self) -> None:
        self._judge = QWidget()
        column = QVBoxLayout(self._judge)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        self.note = NoteField()
        self.note.written.connect(self.inspector.judging.note)
        self.note.left.connect(self.list.setFocus)
        self.inspector.leaving.connect(self.note.commit)
        grid = QGridLayout()
        grid.setSpacing(6)
        self.buttons: dict[Verdict, QPushButton] = {}
        self._group = QButtonGroup(self)
        self._group.setExclusive(False)
        for place, (name, look) in enumerate(verdicts.LOOKS.items()):
            made = button(f"{look.key}   {look.word}", lambda name=name: self._press(name), tip=look.tip)  # type: ignore[misc]
            made.setIcon(icons.icon(look.icon, look.role))
            made.setIconSize(icons.SIZE)
            made.setObjectName("Verdict")
            made.setCheckable(True)
            made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            self._group.addButton(made)
            self.buttons[name] = made
            grid.addWidget(made, place // 2, place % 2)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self.progress_words = Label("", "Secondary")
        self._hint = Label(self.tr("↑↓ photo · ←→ impostor · Ctrl+Z undo"), "Secondary")
        column.addWidget(self.note)
        column.addLayout(grid)
        column.addWidget(self._bar)
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(self.progress_words, 2)
        line.addWidget(self._hint, 5)
        column.addLayout(line)
        self.foot.addWidget(self._judge)

    def _connect(self) -> None:
        inspector, form = self.inspector, self.form
        form.photos_wanted.connect(self.photos_wanted)
        form.index_wanted.connect(self.index_wanted)
        form.cancelled.connect(self._on_result)
        form.started.connect(lambda thing: self._on_result())
        inspector.minings_changed.connect(self._on_minings)
        inspector.result_changed.connect(self._on_result)
        inspector.query_changed.connect(self._on_chosen)
        inspector.candidate_changed.connect(lambda place: self._on_chosen())
        inspector.judging.changed.connect(self._on_judged)
        inspector.moves_changed.connect(self._on_words)
        self.list.verdict_key.connect(self._on_key)
        self.bench.gallery.verdict_key.connect(self._on_key)
        self.bench.overview.lassoed.connect(self.filters.set_rows)
        self.bench.overview.margin_range.connect(self.filters.set_margin)
        self.bench.overview.metres_range.connect(self.filters.set_metres)
        self.session.jobs.ended.connect(self._on_run_ended)

    # -- what happens -------------------------------------------------------------------------------------

    def _on_key(self, text: str) -> None:
        verdict = verdicts.verdict_for_key(text)
        if verdict is not None:
            self._judge_now(verdict, walk_candidates=self.sender() is self.bench.gallery)

    def _press(self, verdict: Verdict) -> None:
        if not self.buttons[verdict].isChecked():
            # The button of the verdict that stands was pressed once more: it is taken back.
            keys = [key for key in (self._key_of(verdict),) if key is not None]
            self.note.commit()
            self.inspector.judging.withdraw(keys)
        else:
            self._judge_now(verdict)
        self._on_chosen()

    def _judge_now(self, verdict: Verdict, *, walk_candidates: bool = False) -> None:
        """Give a verdict; a note that is being typed goes along with it."""
        inspector = self.inspector
        listed = inspector.row is not None and inspector.table.line(inspector.row) is not None
        single = listed and len(inspector.selected) < 2 and self._key_of(verdict) is not None
        note = self.note.take() if single else None
        inspector.judge(verdict, walk_candidates=walk_candidates, note=note)

    def _key_of(self, verdict: Verdict) -> tuple[str, str] | None:
        inspector = self.inspector
        if inspector.result is None or inspector.row is None:
            return None
        return inspector.result.pair_key(inspector.row) if verdict == "bad_pair" else inspector.key()

    def _on_chosen(self) -> None:
        inspector = self.inspector
        judging = inspector.judging
        for name, made in self.buttons.items():
            key = self._key_of(name)
            made.setChecked(judging.verdict(key) == name)
            made.setEnabled(key is not None)
        # A pair said to be bad is what there is to note about; else the note is about the impostor.
        pair = self._key_of("bad_pair")
        about = pair if judging.verdict(pair) == "bad_pair" else inspector.key()
        mark = None if about is None else judging.marks.get(*about)
        self.note.setPlaceholderText(
            self.tr("Note on the pair (N)") if about == pair and pair is not None else self.tr("Note (N)")
        )
        self.note.show_note(about, "" if mark is None else mark.note)

    def _on_judged(self) -> None:
        progress = self.inspector.judging.progress
        self._bar.setRange(0, max(progress.of, 1))
        self._bar.setValue(progress.judged)
        done, whole = wording.count(progress.judged), wording.count(progress.of)
        self.progress_words.setText(f"{self.tr('judged')} {done} {self.tr('of')} {whole}")
        self._on_chosen()

    def _on_weak(self, on: bool) -> None:
        if self.link is not None:
            self.link.set_weak(on)

    def _on_mining(self, place: int) -> None:
        folder = self.minings.itemData(place)
        if folder is not None:
            self.inspector.open(Path(folder))

    def _on_minings(self) -> None:
        self.minings.clear()
        for folder in self.inspector.minings:
            self.minings.addItem(folder.name, str(folder))
        self._on_result()

    def _on_result(self) -> None:
        result = self.inspector.result
        self._stack.setCurrentIndex(0 if result is None else 1)
        self._judge.setVisible(result is not None)
        self.form.back_button.setVisible(result is not None)
        if result is not None:
            self.minings.setCurrentIndex(self.minings.findData(str(result.folder)))
        self._on_words()

    def _on_words(self) -> None:
        result = self.inspector.result
        if result is None:
            self.set_subtitle("")
            return
        words = [
            f"{wording.counted(len(result), 'photo')} · {wording.counted(len(result.chips.ids), 'chip')}",
            str(result.about.get("model", "")),
        ]
        text = " · ".join(part for part in words if part)
        self.set_subtitle(f"{text}\n{self.inspector.moves_sentence}".strip())

    def _on_run_ended(self, row: RunRow) -> None:
        if row.verb == "mine" and row.state == "finished":
            self.inspector.refresh()
            self.inspector.open(row.thing)

    def _open_menu(self) -> None:
        place = self.more_button.mapToGlobal(self.more_button.rect().bottomLeft())
        self.menu.open_at(place)


class _RunCard(QWidget):
    """The mining that works now: how far, how long, stop."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._thing: Path | None = None
        self._words = Label("", "Secondary")
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        stop = tool("stop-circle-outline", self.tr("Stop: what is done is kept"), self._stop)
        line = QHBoxLayout()
        line.addWidget(self._words, 1)
        line.addWidget(stop)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 8)
        column.setSpacing(2)
        column.addLayout(line)
        column.addWidget(self._bar)
        session.jobs.changed.connect(self._refresh)
        self._refresh()

    def _refresh(self) -> None:
        row = next((row for row in self._session.jobs.working if row.verb == "mine"), None)
        self._thing = None if row is None else row.thing
        self.setVisible(row is not None)
        if row is not None:
            self._words.setText(f"{row.title}: {wording.one_line(row.line(), 160)}")
            self._bar.setRange(0, 0 if row.fraction is None else 1000)
            self._bar.setValue(round((row.fraction or 0) * 1000))

    def _stop(self) -> None:
        if self._thing is not None:
            self._session.jobs.stop(self._thing)
