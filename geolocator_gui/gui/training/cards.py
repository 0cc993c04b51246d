"""The list of training runs: state, progress, best recall, and which are drawn together."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from geolocator_gui.gui import wording
from geolocator_gui.gui.run_rows import RunRow
from geolocator_gui.gui.training.curves import percent
from geolocator_gui.gui.training.follow import Training
from geolocator_gui.gui.translation import translate
from geolocator_gui.gui.widgets.basics import Glyph, Label, tool

_ICONS = {
    "waiting": ("timer-sand", "text_secondary"),
    "running": ("progress-clock", "accent"),
    "finished": ("check-circle-outline", "positive"),
    "stopped": ("pause-circle-outline", "warning"),
    "interrupted": ("alert-outline", "warning"),
    "failed": ("alert-circle-outline", "negative"),
}


def line_of(row: RunRow, run: Training | None) -> str:
    """What a run does or how it ended, in one line."""
    if run is not None and run.published and row.state == "finished":
        return translate("Runs", "finished · published as {name}").format(name=run.published)
    return wording.one_line(row.line(), 160)


class TrainingCard(QFrame):
    """One run.

    Signals:
        chosen: It was clicked.
        drawn: It joins or leaves the plots.
    """

    chosen = Signal(object)
    drawn = Signal(object, bool)

    def __init__(self, thing: Path) -> None:
        super().__init__()
        self.thing = thing
        self.setObjectName("Card")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName(thing.name)
        self._glyph = Glyph("timer-sand")
        self._title, self._line = Label("", "Strong"), Label("", "Secondary", wrap=True)
        self._recall = Label("", "Secondary", wrap=True)
        self._recall.setWordWrap(False)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self.draw_button = tool("chart-multiple", self.tr("Draw it beside the chosen run"), lambda: None)
        self.draw_button.setCheckable(True)
        self.draw_button.toggled.connect(lambda on: self.drawn.emit(self.thing, on))
        head = QHBoxLayout()
        head.setSpacing(6)
        head.addWidget(self._glyph)
        head.addWidget(self._title, 1)
        head.addWidget(self._recall)
        head.addWidget(self.draw_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 6, 8, 10)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self._line)
        layout.addWidget(self._bar)

    def show_run(self, row: RunRow, run: Training | None, *, chosen: bool) -> None:
        """Show where it stands."""
        self._glyph.set(*_ICONS[row.state])
        self._title.setText(row.thing.name)
        self._line.setText(line_of(row, run))
        best = run.best if run is not None else None
        self._recall.setText("" if best is None else f"R@1 {percent(best.recall)}")
        live = row.state == "running"
        self._bar.setVisible(live)
        self._bar.setRange(0, 0 if row.fraction is None else 1000)
        self._bar.setValue(round((row.fraction or 0) * 1000))
        self.draw_button.setVisible(not chosen and run is not None and bool(run.lines))
        name = "CardChosen" if chosen else "Card"
        if self.objectName() != name:
            self.setObjectName(name)
            self.style().unpolish(self)
            self.style().polish(self)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose it."""
        self.chosen.emit(self.thing)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter or space choose it."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Space):
            self.chosen.emit(self.thing)
        else:
            super().keyPressEvent(event)


class CardList(QWidget):
    """The cards, updated in place.

    Signals:
        chosen: The folder of a run.
        drawn: A folder and whether it joins the plots.
    """

    chosen = Signal(object)
    drawn = Signal(object, bool)

    def __init__(self) -> None:
        super().__init__()
        self.cards: dict[Path, TrainingCard] = {}
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(8)

    def show_rows(self, rows: list[RunRow], runs: dict[Path, Training], chosen: Path | None) -> None:
        """Show these runs in this order."""
        for thing in set(self.cards) - {row.thing for row in rows}:
            self.cards.pop(thing).deleteLater()
        for place, row in enumerate(rows):
            card = self.cards.get(row.thing)
            if card is None:
                card = self.cards[row.thing] = TrainingCard(row.thing)
                card.chosen.connect(self.chosen)
                card.drawn.connect(self.drawn)
            card.show_run(row, runs.get(row.thing), chosen=row.thing == chosen)
            if self._layout.indexOf(card) != place:
                self._layout.removeWidget(card)
                self._layout.insertWidget(place, card)
