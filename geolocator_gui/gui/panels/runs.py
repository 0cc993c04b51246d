"""The Runs page: every run of the workspace, what it does, how it ended, stop, continue, log."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QStackedWidget, QVBoxLayout, QWidget

from geolocator_gui.gui import wording
from geolocator_gui.gui.panels.page import Panel
from geolocator_gui.gui.run_rows import RunRow
from geolocator_gui.gui.session import Session
from geolocator_gui.gui.widgets.basics import Empty, Glyph, Label, button, tool

_ICONS = {
    "waiting": ("timer-sand", "text_secondary"),
    "running": ("progress-clock", "accent"),
    "finished": ("check-circle-outline", "positive"),
    "stopped": ("pause-circle-outline", "warning"),
    "interrupted": ("alert-outline", "warning"),
    "failed": ("alert-circle-outline", "negative"),
}


class RunCard(QFrame):
    """One run; updated in place, so that a progress never flickers."""

    def __init__(self, panel: RunsPanel, row: RunRow) -> None:
        super().__init__()
        self.setObjectName("Card")
        self.thing: Path = row.thing
        self._glyph = Glyph(*_ICONS[row.state])
        self._title, self._line = Label("", "Strong"), Label("", "Secondary", wrap=True)
        self._hint = Label("", "Warning", wrap=True)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        session = panel.session
        self.stop = tool(
            "stop-circle-outline",
            self.tr("Stop: what is done is kept"),
            lambda: session.jobs.stop(self.thing),
        )
        self.resume = tool(
            "play-circle-outline",
            self.tr("Continue"),
            lambda: session.jobs.resume(self.thing),
            role="accent_text",
        )
        self._log = tool("text-box-outline", self.tr("Show log"), lambda: panel.show_log(self.thing))
        self._folder = tool("folder-outline", self.tr("Open folder"), lambda: panel.show_folder(self.thing))
        self.remove = tool(
            "trash-can-outline",
            self.tr("Remove this run and what it made"),
            lambda: session.throw_away(self.thing),
        )
        head = QHBoxLayout()
        head.setSpacing(4)
        head.addWidget(self._glyph)
        head.addSpacing(4)
        head.addWidget(self._title, 1)
        for made in (self.resume, self.stop, self._log, self._folder, self.remove):
            head.addWidget(made)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 8, 10)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self._line)
        layout.addWidget(self._bar)
        layout.addWidget(self._hint)
        self.show_row(row)

    def show_row(self, row: RunRow) -> None:
        """Show where the run stands."""
        self._glyph.set(*_ICONS[row.state])
        self._title.setText(row.title)
        self._line.setText(wording.one_line(row.line(), 300))
        live = row.works
        self._bar.setVisible(live)
        if row.fraction is None:
            self._bar.setRange(0, 0 if live else 1)
        else:
            self._bar.setRange(0, 1000)
            self._bar.setValue(round(row.fraction * 1000))
        self.stop.setVisible(live)
        self.stop.setEnabled(not row.stopping)
        self.resume.setVisible(row.can_continue)
        self.remove.setVisible(not live and row.queued is None)
        hint = (
            row.hint
            if row.can_continue and row.state != "stopped"
            else (row.warnings[-1] if row.warnings else "")
        )
        self._hint.setText(wording.one_line(hint, 300))
        self._hint.setVisible(bool(hint))


class RunsPanel(Panel):
    """The page.

    Signals:
        area_wanted: Go to the Area page.
    """

    area_wanted = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session, "", scrolls=True)
        self.title.setText(self.tr("Runs"))
        self._stack = QStackedWidget()
        self._stack.addWidget(
            Empty(
                "playlist-play",
                self.tr("Nothing has run yet"),
                self.tr(
                    "A run is work longer than a few seconds: building an index, mining, training. It works "
                    "on when this window closes, can be stopped at any time, and continues where it was."
                ),
                button(self.tr("Go to Area"), self.area_wanted.emit, icon="vector-square"),
            )
        )
        self._list = QWidget()
        self._rows = QVBoxLayout(self._list)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(8)
        self._rows.addStretch(1)
        self._stack.addWidget(self._list)
        self.body.addWidget(self._stack, 1)
        self.cards: dict[Path, RunCard] = {}
        session.jobs.changed.connect(self._on_changed)
        self._on_changed()

    def show_log(self, thing: Path) -> None:
        """Open a run's log with the system's viewer."""
        job = self.session.jobs.job(thing)
        if job is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(job.run.log_path)))

    def show_folder(self, thing: Path) -> None:
        """Open a run's folder in the file manager."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(thing)))

    def _on_changed(self) -> None:
        rows = self.session.jobs.rows
        self._stack.setCurrentIndex(1 if rows else 0)
        working = len(self.session.jobs.working)
        queued = sum(row.queued is not None for row in rows)
        ended = len(rows) - working - queued
        parts = []
        if working:
            parts.append(self.tr("{runs} working").format(runs=wording.counted(working, "run")))
        if queued:
            parts.append(self.tr("{n} in the queue").format(n=wording.count(queued)))
        if ended:
            parts.append(self.tr("{runs} ended").format(runs=wording.counted(ended, "run")))
        self.set_subtitle(" · ".join(parts))
        for thing in set(self.cards) - {row.thing for row in rows}:
            self.cards.pop(thing).deleteLater()
        for place, row in enumerate(rows):
            card = self.cards.get(row.thing)
            if card is None:
                card = self.cards[row.thing] = RunCard(self, row)
            else:
                card.show_row(row)
            if self._rows.indexOf(card) != place:
                self._rows.removeWidget(card)
                self._rows.insertWidget(place, card)
