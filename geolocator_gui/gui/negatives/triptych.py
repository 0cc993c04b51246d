"""Photo, own chip and impostor side by side; zoom and pan go together, so that one spot is seen thrice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QMargins, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QPixmap, QWheelEvent
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from geolocator_gui.gui import icons, theme, wording
from geolocator_gui.gui.negatives import verdicts
from geolocator_gui.gui.negatives.inspector import LARGE_PX, Inspector
from geolocator_gui.gui.tokens import GRID
from geolocator_gui.gui.widgets.basics import Label, tool
from geolocator_gui.gui.widgets.compare import ImagePane
from geolocator_gui.gui.widgets.photo_list import rounded


class LinkedPane(ImagePane):
    """A pane that tells how it is zoomed and moved, and can be told.

    Signals:
        looked: Zoom, and shift as fractions of the picture as shown.
    """

    looked = Signal(float, QPointF)

    def __init__(self, icon: str) -> None:
        super().__init__(icon)
        self.words = ""

    def say(self, words: str) -> None:
        """Lay a line of words over the picture, "" for none."""
        self.words = words
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """The picture, and what is said of it."""
        super().paintEvent(event)
        if not self.words:
            return
        look, painter = theme.current(), QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        words = painter.fontMetrics().elidedText(
            self.words, Qt.TextElideMode.ElideRight, max(self.width() - 40, 8)
        )
        size = painter.fontMetrics().size(0, words).grownBy(QMargins(12, 6, 12, 6))
        plate = QRectF((self.width() - size.width()) / 2, 12, size.width(), size.height())
        rounded(painter, plate, look.colour("raised"), 6)
        painter.setPen(look.colour("text"))
        painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, words)

    def look(self, zoom: float, shift: QPointF) -> None:
        """Zoom and move without telling."""
        size = self._shown()
        self._zoom = zoom
        self._shift = QPointF(shift.x() * size[0], shift.y() * size[1])
        self.update()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoomed."""
        super().wheelEvent(event)
        self._tell()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Moved."""
        super().mouseMoveEvent(event)
        if event.buttons():
            self._tell()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Whole again."""
        super().mouseDoubleClickEvent(event)
        self._tell()

    def _shown(self) -> tuple[float, float]:
        if self._picture is None:
            return 1.0, 1.0
        target = self._target(self._picture)
        return max(target.width(), 1.0), max(target.height(), 1.0)

    def _tell(self) -> None:
        width, height = self._shown()
        self.looked.emit(self._zoom, QPointF(self._shift.x() / width, self._shift.y() / height))


class Triptych(QWidget):
    """The view.

    Signals:
        alike_toggled: The similarity map is wanted, or not.
    """

    alike_toggled = Signal(bool)

    def __init__(self, inspector: Inspector) -> None:
        super().__init__()
        self._inspector = inspector
        self._alike: tuple[QPixmap, QPixmap] | None = None
        self.photo = LinkedPane("image-outline")
        self.own = LinkedPane("satellite-variant")
        self.impostor = LinkedPane("satellite-variant")
        self._words = [Label("", "Secondary") for _ in range(3)]
        self.linked = _toggle("link-variant", self.tr("Zoom and move all three together"), checked=True)
        self.alike = _toggle("fire", self.tr("Show which regions make photo and impostor alike (H)"))
        self.alike.toggled.connect(self.alike_toggled)
        whole = tool("fit-to-screen-outline", self.tr("Show the whole pictures"), self.reset)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        # The widest picture has room for the tools; what the other two are is not to be cut short.
        layout.addLayout(_side(self._words[0], (self.alike, self.linked, whole), self.photo), 3)
        layout.addLayout(_side(self._words[1], (), self.own), 2)
        layout.addLayout(_side(self._words[2], (), self.impostor), 2)
        for pane in self.panes:
            pane.looked.connect(self._on_looked)
        inspector.query_changed.connect(self._on_query)
        inspector.candidate_changed.connect(lambda place: self.show_alike(None))
        inspector.session.pictures.ready.connect(lambda name: self.refresh())

    @property
    def panes(self) -> tuple[LinkedPane, LinkedPane, LinkedPane]:
        """The three pictures."""
        return self.photo, self.own, self.impostor

    def reset(self) -> None:
        """The whole pictures again."""
        for pane in self.panes:
            pane.reset()

    def show_alike(self, files: Sequence[Path] | None) -> None:
        """Show the similarity map of photo and impostor, or the pictures themselves."""
        pictures = [QPixmap(str(file)) for file in files or ()]
        self._alike = (pictures[0], pictures[1]) if len(pictures) == 2 else None
        self.set_computing(False)
        if self._alike is None and files is None and self.alike.isChecked():
            self.alike_toggled.emit(True)

    def set_computing(self, on: bool) -> None:
        """Say over both pictures that their similarity map is on its way, or no longer."""
        for pane in (self.photo, self.impostor):
            pane.say(self.tr("Computing what makes them alike…") if on else "")
        self.refresh()

    def showEvent(self, event: object) -> None:
        """Pictures are only read when somebody looks."""
        super().showEvent(event)  # type: ignore[arg-type]
        self.refresh()

    def refresh(self) -> None:
        """Show what is chosen."""
        inspector, result = self._inspector, self._inspector.result
        if not self.isVisible() or result is None or inspector.row is None:
            return
        row, candidate = inspector.row, inspector.candidate
        own = int(result.positive[row])
        photo, chip = inspector.photo(2048), None
        self._words[0].setText(str(result.names[row]))
        self._words[1].setText(
            f"{self.tr('own chip')} · {wording.score(float(result.cosine[row]))} · "
            f"{self.tr('rank')} {wording.count(int(result.rank[row]))}"
            if own >= 0
            else self.tr("no own chip in this index")
        )
        words = ""
        if candidate is not None:
            chip = inspector.chip(candidate.chip, LARGE_PX)
            flag = verdicts.FLAGS[candidate.flag].word
            parts = [
                f"{self.tr('rank')} {wording.count(candidate.rank)}",
                wording.score(candidate.cosine),
                wording.metres(candidate.distance_m),
                flag,
            ]
            words = " · ".join(part for part in parts if part)
        self._words[2].setText(words)
        if self._alike is not None and self.alike.isChecked():
            photo, chip = self._alike
        self.photo.show_picture(photo)
        self.own.show_picture(inspector.chip(own, LARGE_PX))
        self.impostor.show_picture(chip)

    def _on_query(self) -> None:
        if not self._inspector.candidates:
            self.reset()
        self.refresh()

    def _on_looked(self, zoom: float, shift: QPointF) -> None:
        if self.linked.isChecked():
            for pane in self.panes:
                if pane is not self.sender():
                    pane.look(zoom, shift)


def _toggle(icon: str, tip: str, *, checked: bool = False) -> QToolButton:
    made = tool(icon, tip, lambda: None)
    made.setCheckable(True)
    made.setChecked(checked)
    made.setIcon(icons.icon(icon, "text_secondary"))
    made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return made


def _side(words: Label, tools: Sequence[QWidget], pane: QWidget) -> QVBoxLayout:
    side = QVBoxLayout()
    side.setSpacing(GRID // 2)
    line = QWidget()
    line.setFixedHeight(32)  # the same above every picture, with tools or without
    head = QHBoxLayout(line)
    head.setContentsMargins(0, 0, 0, 0)
    head.setSpacing(2)
    head.addWidget(words, 1)
    for widget in tools:
        head.addWidget(widget)
    side.addWidget(line)
    side.addWidget(pane, 1)
    return side
