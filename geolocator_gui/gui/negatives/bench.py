"""Under the map on the Hard negatives page: gallery, the three pictures side by side, the overview."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QToolButton, QVBoxLayout, QWidget

from geolocator_gui.errors import GeolocatorError
from geolocator_gui.gui import icons, wording
from geolocator_gui.gui.negatives.gallery import Gallery
from geolocator_gui.gui.negatives.inspector import Inspector
from geolocator_gui.gui.negatives.overview import Overview
from geolocator_gui.gui.negatives.result import MiningResult
from geolocator_gui.gui.negatives.triptych import Triptych
from geolocator_gui.gui.translation import translate
from geolocator_gui.gui.widgets.basics import Glyph, Label
from geolocator_gui.gui.widgets.photo_list import draw_picture


class _Photo(QWidget):
    """The chosen photo in the row of cards."""

    clicked = Signal()

    def __init__(self, inspector: Inspector) -> None:
        super().__init__()
        self._inspector = inspector
        self.setToolTip(self.tr("Side by side (Space)"))
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        inspector.query_changed.connect(self.update)
        inspector.session.pictures.ready.connect(lambda name: self.update())

    def sizeHint(self) -> QSize:
        return QSize(300, 128)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self.clicked.emit()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        draw_picture(painter, self.rect(), self._inspector.photo(960))


class Bench(QWidget):
    """The pane.

    Signals:
        tall_toggled: It wants most of the height (side by side, overview), or its row again.
        opened: Place of a candidate to show on the map.
    """

    tall_toggled = Signal(bool)
    opened = Signal(int)

    def __init__(self, inspector: Inspector) -> None:
        super().__init__()
        self.setObjectName("Strip")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._inspector = inspector
        self._scratch: Path | None = None
        self._maps = 0
        self._glyph = Glyph("select-compare", "accent")
        self._sentence, self._facts = Label("", "Strong"), Label("", "Secondary")
        self.gallery, self.triptych, self.overview = (
            Gallery(inspector),
            Triptych(inspector),
            Overview(inspector),
        )
        self._photo = _Photo(inspector)
        self._photo_words, self._photo_facts = Label("", "Strong"), Label("", "Secondary")
        self._photo_side = QWidget()
        side = QVBoxLayout(self._photo_side)
        side.setContentsMargins(0, 2, 0, 6)
        side.setSpacing(2)
        side.addWidget(self._photo, 1)
        side.addWidget(self._photo_words)
        side.addWidget(self._photo_facts)
        self._row = QWidget()
        line = QHBoxLayout(self._row)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(12)
        line.addWidget(self._photo_side)
        line.addWidget(self.gallery, 1)
        self._stack = QStackedWidget()
        for page in (self._row, self.triptych, self.overview):
            self._stack.addWidget(page)
        self.compare_button = _button(
            "compare", self.tr("Side by side"), self.tr("Photo, own chip, impostor (Space)")
        )
        self.overview_button = _button(
            "scatter-plot-outline", self.tr("Overview"), self.tr("All embeddings on a plane, histograms (O)")
        )
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self._glyph)
        head.addWidget(self._sentence, 3)
        head.addWidget(self._facts, 4)
        head.addWidget(self.compare_button)
        head.addWidget(self.overview_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 8, 16, 4)
        layout.setSpacing(6)
        layout.addLayout(head)
        layout.addWidget(self._stack, 1)
        self.compare_button.toggled.connect(lambda on: self._show(self.triptych if on else None))
        self.overview_button.toggled.connect(lambda on: self._show(self.overview if on else None))
        self._photo.clicked.connect(self.compare_button.toggle)
        self.gallery.opened.connect(self.opened)
        self.triptych.alike_toggled.connect(self._on_alike)
        inspector.query_changed.connect(self.refresh)
        inspector.result_changed.connect(self.refresh)

    @property
    def is_tall(self) -> bool:
        """Whether something large is open."""
        return self._stack.currentWidget() is not self._row

    def close_tall(self) -> bool:
        """Show the row of cards again; False when it is shown already."""
        was = self.is_tall
        self.compare_button.setChecked(False)
        self.overview_button.setChecked(False)
        return was

    def refresh(self) -> None:
        """Words about the chosen query."""
        inspector, result = self._inspector, self._inspector.result
        self.overview_button.setEnabled(result is not None)
        if result is None or inspector.row is None:
            self._sentence.setText(self.tr("Choose a photo in the table."))
            self._facts.setText("")
            self._photo_words.setText("")
            self._photo_facts.setText("")
            self.compare_button.setEnabled(False)
            return
        self.compare_button.setEnabled(True)
        sentence, facts, icon, role = in_words(result, inspector.row)
        self._sentence.setText(sentence)
        self._facts.setText(facts)
        self._glyph.set(icon, role)
        self._photo_words.setText(str(result.names[inspector.row]))
        area = str(result.areas[inspector.row])
        place = result.place(inspector.row)
        where = "" if place is None else f"{place.lat:.5f}, {place.lon:.5f}"
        self._photo_facts.setText(" · ".join(part for part in (area, where) if part))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The photo takes up to a third; a narrow pane says less."""
        super().resizeEvent(event)
        self._photo_side.setFixedWidth(max(140, min(336, self.width() * 3 // 10)))
        style = Qt.ToolButtonStyle.ToolButtonTextBesideIcon
        if self.width() < 720:
            style = Qt.ToolButtonStyle.ToolButtonIconOnly
        self._facts.setVisible(self.width() >= 640)
        for made in (self.compare_button, self.overview_button):
            made.setToolButtonStyle(style)

    def close_scratch(self) -> None:
        """Delete the similarity maps; the last call."""
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def _show(self, page: QWidget | None) -> None:
        other = self.overview_button if page is self.triptych else self.compare_button
        if page is not None:
            other.setChecked(False)
        elif self.compare_button.isChecked() or self.overview_button.isChecked():
            return  # one tall page gave way to the other
        before = self.is_tall
        self._stack.setCurrentWidget(page or self._row)
        if before != self.is_tall:
            self.tall_toggled.emit(self.is_tall)

    # -- what makes them alike ----------------------------------------------------------------------------

    def _on_alike(self, on: bool) -> None:
        inspector, result = self._inspector, self._inspector.result
        candidate = inspector.candidate
        if not on or result is None or inspector.row is None or candidate is None:
            self.triptych.set_computing(False)
            return
        about, file = result.about, str(result.files[inspector.row])
        index, chip_file = about.get("index"), str(result.chips.files[candidate.chip])
        if not file or not (index or chip_file):
            self.triptych.alike.setChecked(False)
            inspector.session.notifications.tell(
                self.tr("A similarity map needs the images; this mining has none of them on disk.")
            )
            return
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="geolocator-alike-"))
        self._maps += 1
        asked = (inspector.row, candidate.place)
        workspace = inspector.session.workspace
        fields: dict[str, object] = {
            "photo": file,
            "models": None if workspace is None else str(workspace.models),
            "out": str(self._scratch / f"{self._maps}"),
        }
        if index:
            fields |= {"index": str(index), "chip": candidate.chip}
        else:
            fields |= {"chip_file": chip_file, **{key: about.get(key) for key in ("data", "split", "model")}}

        self.triptych.set_computing(True)

        def success(answer: Mapping[str, Any]) -> None:
            if (inspector.row, inspector.place) == asked and self.triptych.alike.isChecked():
                self.triptych.show_alike([Path(str(answer["photo"])), Path(str(answer["chip"]))])

        def failure(error: GeolocatorError) -> None:
            if (inspector.row, inspector.place) == asked:
                self.triptych.alike.setChecked(False)
            inspector.session.notifications.error(error)

        inspector.session.locator.worker.ask("similarity", fields, success, failure)


def in_words(result: MiningResult, row: int) -> tuple[str, str, str, str]:
    """Sentence, facts, icon and its colour for a query."""
    chips = int(result.summary.get("chips", 0))
    rank, margin = int(result.rank[row]), float(result.margin[row])
    facts = []
    if margin == margin:
        facts.append(translate("Bench", "margin {score}").format(score=wording.score(margin)))
    distance = float(result.distance_m[row])
    if distance == distance:
        words = translate("Bench", "hardest negative {metres} off")
        facts.append(words.format(metres=wording.metres(distance)))
    if chips:
        facts.append(translate("Bench", "chance 1 in {chips}").format(chips=wording.count(chips)))
    told = " · ".join(facts)
    if rank <= 0:
        words = translate("Bench", "No chip of the index holds this photo.")
        if result.place(row) is None:
            words = translate(
                "Bench", "Where this photo was taken is not known, so none of the chips is its own."
            )
        return words, told, "map-marker-off-outline", "text_secondary"
    if result.suspect[row]:
        words = translate("Bench", "The own chip ranks {rank}: is the pair right?")
        return words.format(rank=wording.count(rank)), told, "link-variant-off", "negative"
    if rank == 1:
        words = translate("Bench", "The own chip ranks first.")
        return words, told, "check-circle-outline", "positive"
    words = translate("Bench", "{chips look} more like it than its own.")
    words = words.replace("{chips look}", wording.counted(rank - 1, "chip looks"))
    return words, told, "alert-outline", "warning"


def _button(icon: str, words: str, tip: str) -> QToolButton:
    made = QToolButton()
    made.setIcon(icons.icon(icon))
    made.setIconSize(icons.SIZE)
    made.setText(words)
    made.setToolTip(tip)
    made.setAccessibleName(tip)
    made.setCheckable(True)
    made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    return made
