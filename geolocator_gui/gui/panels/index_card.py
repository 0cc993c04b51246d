"""An index in the list of the Area page."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QVBoxLayout

from geolocator_gui.gui import focus, theme, tokens, wording
from geolocator_gui.gui.catalogue import IndexRow
from geolocator_gui.gui.translation import translate
from geolocator_gui.gui.widgets.basics import Glyph, Label, row, tool

_STATES = {
    "ready": ("database-check-outline", "positive"),
    "building": ("progress-clock", "accent"),
    "waiting": ("timer-sand", "text_secondary"),
    "stopped": ("pause-circle-outline", "warning"),
    "failed": ("alert-circle-outline", "negative"),
    "damaged": ("alert-circle-outline", "negative"),
    "newer": ("alert-outline", "warning"),
}


class IndexCard(QFrame):
    """The card.

    Signals:
        chosen: It was clicked or entered; carries its `IndexRow`.
        thrown: It shall go; carries its `IndexRow`.
    """

    chosen = Signal(object)
    thrown = Signal(object)

    def __init__(self, index: IndexRow, active: bool) -> None:
        super().__init__()
        self.setObjectName("Card")
        self.index, self._active = index, active
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName(index.name)
        parts = [] if index.state == "ready" else [state_in_words(index.state)]
        parts += [wording.counted(index.chips, "chip")] if index.chips or not parts else []
        parts += [part for part in (_model(index), wording.size(index.size) if index.size else "") if part]
        parts += [wording.ago(index.created)] if index.created else []
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 8, 10)
        layout.setSpacing(2)
        self.remove = tool(
            "trash-can-outline", self.tr("Remove this index (Delete)"), lambda: self.thrown.emit(index)
        )
        head = row(Glyph(*_STATES[index.state]), Label(index.name, "Strong"), self.remove)
        head.layout().setStretch(1, 1)  # type: ignore[union-attr]
        layout.addWidget(head)
        self.remove.setVisible(index.state not in ("building", "waiting"))
        layout.addWidget(Label(" · ".join(parts), "Secondary", wrap=True))
        if index.filled:
            words = self.tr("In {chips} coarser imagery stands in for missing tiles.")
            chips = wording.counted(index.filled, "chip")
            layout.addWidget(Label(words.format(chips=chips), "Secondary", wrap=True))
        if index.stale:
            words = self.tr("The model has changed since: build it anew to use the new one.")
            layout.addWidget(Label(words, "Warning", wrap=True))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Chosen by mouse."""
        if event.button() == Qt.MouseButton.LeftButton and self.rect().contains(event.position().toPoint()):
            self.chosen.emit(self.index)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Chosen by key."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.chosen.emit(self.index)
        elif event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace) and self.remove.isVisible():
            self.thrown.emit(self.index)
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The frame of the active index, and of the one with the focus, is the accent."""
        super().paintEvent(event)
        if self.hasFocus():
            focus.paint_ring(QPainter(self), QRectF(self.rect()))
        elif self._active:
            painter = QPainter(self)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            pen = painter.pen()
            pen.setColor(theme.current().colour("accent"))
            pen.setWidthF(2)
            painter.setPen(pen)
            frame = QRectF(QPointF(1, 1), QPointF(self.width() - 1, self.height() - 1))
            painter.drawRoundedRect(frame, tokens.RADIUS, tokens.RADIUS)


def state_in_words(state: str) -> str:
    """For people: whether an index can answer, and if not, why."""
    return {
        "ready": translate("IndexCard", "ready"),
        "building": translate("IndexCard", "building"),
        "waiting": translate("IndexCard", "waiting"),
        "stopped": translate("IndexCard", "stopped: continue it on the Runs page"),
        "failed": translate("IndexCard", "failed: see the Runs page"),
        "damaged": translate("IndexCard", "damaged: its index.json cannot be read"),
        "newer": translate("IndexCard", "made by a newer Geolocator: update to use it"),
    }[state]


def _model(index: IndexRow) -> str:
    return wording.isolated(index.model.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1])
