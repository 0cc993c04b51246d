"""Under the map: the answer in words, the photo, its matches, and the compare view."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QToolButton, QVBoxLayout, QWidget

from geolocator_gui.gui import focus, icons, wording
from geolocator_gui.gui.catalogue import IndexRow
from geolocator_gui.gui.session import Session
from geolocator_gui.gui.translation import translate
from geolocator_gui.gui.tray import PhotoCard
from geolocator_gui.gui.widgets.basics import Glyph, Label
from geolocator_gui.gui.widgets.compare import Compare
from geolocator_gui.gui.widgets.match_strip import MatchStrip
from geolocator_gui.gui.widgets.photo_list import draw_picture
from geolocator_gui.records import Match


class _Query(QWidget):
    """The photo in the strip, as wide as its shape asks for."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.setToolTip(self.tr("Compare (Space)"))
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        session.pictures.ready.connect(lambda name: self.update())

    clicked = Signal()

    def sizeHint(self) -> QSize:
        return QSize(300, 128)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self.clicked.emit()

    def paintEvent(self, event: QPaintEvent) -> None:
        card = self._session.card
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        picture = None
        if card is not None and not (card.state == "failed" and card.facts is None):
            picture = self._session.pictures.photo(card.path, 960)
        draw_picture(painter, self.rect(), picture)


class AnswerPane(QWidget):
    """The pane.

    Signals:
        compare_toggled: The compare view was opened or closed.
        opened: Rank of a match to show on the map.
        menu_wanted: Rank and global position.
    """

    compare_toggled = Signal(bool)
    opened = Signal(int)
    menu_wanted = Signal(int, object)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.setObjectName("Strip")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._session = session
        self._glyph = Glyph("map-marker-check-outline", "accent")
        self.sentence, self._facts = Label("", "Strong", wrap=True), Label("", "Secondary")
        self.compare_button = _head_tool(
            "compare", self.tr("Compare"), self.tr("Photo and chip side by side (Space)")
        )
        self.compare_button.setCheckable(True)
        self.compare_button.toggled.connect(self.show_compare)
        self.export_button = _head_tool(
            "export-variant", self.tr("Export"), self.tr("Matches, evidence report")
        )
        self.export_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self._glyph)
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(self.sentence)
        words.addWidget(self._facts)
        head.addLayout(words, 1)
        head.addWidget(self.compare_button)
        head.addWidget(self.export_button)
        self.strip = MatchStrip(session.pictures)
        self._query = _Query(session)
        self._query_words = Label("", "Strong")
        self._query_facts = Label("", "Secondary")
        side = QWidget()
        self._query_side = side
        side_layout = QVBoxLayout(side)
        side_layout.setContentsMargins(0, 0, 0, 0)
        side_layout.setSpacing(2)
        side_layout.addWidget(self._query, 1)
        side_layout.addSpacing(2)
        side_layout.addWidget(self._query_words)
        side_layout.addWidget(self._query_facts)
        self._row = QWidget()
        row = QHBoxLayout(self._row)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        row.addWidget(side)
        row.addWidget(self.strip, 1)
        self.compare = Compare(session.pictures)
        self.compare.closed.connect(lambda: self.compare_button.setChecked(False))
        self._query.clicked.connect(self.compare_button.toggle)
        self._stack = QStackedWidget()
        self._stack.addWidget(self._row)
        self._stack.addWidget(self.compare)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 8, 16, 8)
        layout.setSpacing(8)
        layout.addLayout(head)
        layout.addWidget(self._stack, 1)
        self._rank: int | None = None
        self._away = False
        session.selection_changed.connect(self.refresh)
        session.locator.answered.connect(lambda key: self.refresh() if key == session.selected else None)
        session.locator.cards_changed.connect(
            lambda keys: self._fill_words() if session.selected in keys else None
        )
        session.match_changed.connect(self._on_lifted)
        self.strip.pointed.connect(lambda rank: session.lift(rank if rank is not None else self._rank))
        self.strip.picked.connect(self._on_picked)
        self.strip.opened.connect(self.opened)
        self.strip.menu_wanted.connect(self.menu_wanted)
        self.refresh()

    @property
    def rank(self) -> int | None:
        """The match that was picked."""
        return self._rank

    def match(self, rank: int | None = None) -> Match | None:
        """A match of the shown answer, the picked one by default."""
        card = self._session.card
        wanted = rank if rank is not None else (self._rank or 1)
        if card is None or card.answer is None:
            return None
        return next((match for match in card.answer.matches if match.rank == wanted), None)

    def refresh(self) -> None:
        """Show the chosen photo."""
        card, source = self._session.card, self.source()
        self._rank = None
        self.setVisible(card is not None and not self._away)
        self.strip.show_answer(card.answer if card is not None else None, source)
        self.compare.show_pair(card, self.match(1), source)
        self._query.update()
        self._fill_words()

    def give_way(self, away: bool) -> None:
        """Stay hidden while another page has something of its own under the map."""
        self._away = away
        self.setVisible(self._session.card is not None and not away)

    def source(self) -> str:
        """The imagery that chips are cut from: the first source of the index that answered."""
        index = self._index()
        return index.imagery[0] if index is not None and index.imagery else ""

    def _index(self) -> IndexRow | None:
        card, rows = self._session.card, self._session.lists.indexes
        return next((row for row in rows if card is not None and card.answered_by(row)), None)

    def show_compare(self, on: bool) -> None:
        """Open or close the compare view."""
        self.compare_button.setChecked(on)
        inside = focus.holds(self._stack)  # what had the keyboard is about to be hidden
        self._stack.setCurrentWidget(self.compare if on else self._row)
        if inside:
            (self.compare.photo if on else self.strip).setFocus(Qt.FocusReason.OtherFocusReason)
        self.compare_toggled.emit(on)

    def resizeEvent(self, event: object) -> None:
        """The photo takes up to a third of the width."""
        super().resizeEvent(event)  # type: ignore[arg-type]
        self._query_side.setFixedWidth(max(140, min(336, self.width() * 3 // 10)))
        style = Qt.ToolButtonStyle.ToolButtonTextBesideIcon
        if self.width() < 720:
            style = Qt.ToolButtonStyle.ToolButtonIconOnly
        for made in (self.compare_button, self.export_button):
            made.setToolButtonStyle(style)

    def _on_picked(self, rank: int) -> None:
        self._rank = rank
        self._session.lift(rank)
        self.compare.show_pair(self._session.card, self.match(rank), self.source())

    def _on_lifted(self, rank: int | None) -> None:
        self.strip.lift(rank)

    def _fill_words(self) -> None:
        card = self._session.card
        if card is None:
            return
        index = self._index()
        sentence, facts, icon, role = in_words(card, 0 if index is None else index.chips)
        self.sentence.setText(sentence)
        self._facts.setText(facts)
        self._facts.setVisible(bool(facts))
        self._glyph.set(icon, role)
        self._query_words.setText(card.path.name)
        self._query_facts.setText(card.line() if card.state != "failed" else "")
        has = card.answer is not None and bool(card.answer.matches)
        self.compare_button.setEnabled(has)
        self.export_button.setEnabled(has)


def in_words(card: PhotoCard, chips: int) -> tuple[str, str, str, str]:
    """Sentence, facts, icon and its colour for a card."""
    answer = card.answer
    if card.state == "failed":
        return card.error[:1].upper() + card.error[1:], card.hint, "alert-circle-outline", "negative"
    if answer is None or not answer.matches:
        waiting = {
            "locating": translate("Answer", "Locating this photo…"),
            "queued": translate("Answer", "Waiting for its turn."),
        }
        words = waiting.get(card.state, translate("Answer", "Not located yet."))
        return words, "", "crosshairs", "text_secondary"
    # What a narrow window cuts off is the end: the margin and the chance level are what a score is judged by.
    facts = [translate("Answer", "best {score}").format(score=wording.score(answer.matches[0].score))]
    if answer.margin is not None:
        words = translate("Answer", "margin {score} to the next place")
        facts.append(words.format(score=wording.score(answer.margin)))
    if chips:
        facts.append(translate("Answer", "chance 1 in {chips}").format(chips=wording.count(chips)))
    if answer.fused is not None:
        spread = wording.metres(answer.fused.spread_m)
        facts.append(translate("Answer", "spread {metres}").format(metres=spread))
    if answer.error_m is not None:
        words = translate("Answer", "{metres} from the photo's own position")
        facts.append(words.format(metres=wording.metres(answer.error_m)))
    facts.append(translate("Answer", "{n} s").format(n=f"{answer.seconds:.2f}"))
    found = translate("Answer", "Found a place.")
    sentence = answer.sentence or (
        found if answer.stands_out else translate("Answer", "No place stands out.")
    )
    icon, role = (
        ("map-marker-check-outline", "accent")
        if answer.stands_out
        else ("map-marker-question-outline", "warning")
    )
    # What was assumed, and that a model knows nothing of the real world, belongs to the answer.
    return f"{sentence} {answer.note}".rstrip(), " · ".join(facts), icon, role


def _head_tool(icon: str, words: str, tip: str) -> QToolButton:
    made = QToolButton()
    made.setIcon(icons.icon(icon))
    made.setIconSize(icons.SIZE)
    made.setText(words)
    made.setToolTip(tip)
    made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    return made
