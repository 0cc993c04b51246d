"""The chosen query's own chip and its impostors in rank order, as cards in a row under the map."""

from __future__ import annotations

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QFontMetrics, QKeyEvent, QMouseEvent, QPainter, QPen, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QListView, QStyledItemDelegate, QStyleOptionViewItem

from geolocator_gui.gui import icons, theme, tokens, wording
from geolocator_gui.gui.negatives import verdicts
from geolocator_gui.gui.negatives.inspector import SMALL_PX, Inspector
from geolocator_gui.gui.negatives.painting import draw_flag
from geolocator_gui.gui.negatives.result import Candidate
from geolocator_gui.gui.widgets.photo_list import draw_picture, rounded, text

Index = QModelIndex | QPersistentModelIndex
_WORDS, _GAP = 46, 12
ENTRY = Qt.ItemDataRole.UserRole


class Cards(QAbstractListModel):
    """Line 0 is the photo's own chip if it has one (None as data), then the candidates."""

    def __init__(self, inspector: Inspector) -> None:
        super().__init__(inspector)
        self._inspector = inspector
        inspector.query_changed.connect(self._reset)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """Cards."""
        return 0 if parent.isValid() else len(self._inspector.candidates) + self.first

    @property
    def first(self) -> int:
        """1 if there is an own chip, else 0."""
        i = self._inspector
        return int(i.result is not None and i.row is not None and i.result.positive[i.row] >= 0)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """The candidate, None for the own chip."""
        place = index.row() - self.first
        if not index.isValid() or place >= len(self._inspector.candidates):
            return None
        candidate = None if place < 0 else self._inspector.candidates[place]
        if role == ENTRY:
            return candidate
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self.tr("The photo's own chip") if candidate is None else in_words(candidate)
        if role == Qt.ItemDataRole.ToolTipRole:
            if candidate is None:
                return self.tr("The photo's own chip: where it was taken")
            tip = verdicts.FLAGS[candidate.flag].tip
            return in_words(candidate) + (f"\n{tip}" if tip else "")
        return None

    def _reset(self) -> None:
        self.beginResetModel()
        self.endResetModel()


def in_words(candidate: Candidate) -> str:
    """A candidate on one line."""
    margin = "" if candidate.margin is None else f", margin {wording.score(candidate.margin)}"
    flag = verdicts.FLAGS[candidate.flag].word
    return (
        f"rank {wording.count(candidate.rank)}, {wording.score(candidate.cosine)}{margin}, "
        f"{wording.metres(candidate.distance_m)}" + (f", {flag}" if flag else "")
    )


class _Delegate(QStyledItemDelegate):
    def __init__(self, gallery: Gallery) -> None:
        super().__init__(gallery)
        self._gallery = gallery

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        side = self._gallery.side()
        return QSize(side + _GAP, side + _WORDS)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        gallery, inspector = self._gallery, self._gallery.inspector
        result, row = inspector.result, inspector.row
        if result is None or row is None:
            return
        candidate: Candidate | None = index.data(ENTRY)
        look, side = theme.current(), gallery.side()
        rect = QRect(option.rect.left(), option.rect.top(), side, side)  # type: ignore[attr-defined]
        chip = int(result.positive[row]) if candidate is None else candidate.chip
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        draw_picture(
            painter, rect.adjusted(2, 2, -2, -2), inspector.chip(chip, SMALL_PX), "satellite-variant"
        )
        chosen = candidate is not None and candidate.place in (inspector.place, gallery.lifted)
        if chosen or candidate is None:
            pen = QPen(look.colour("accent" if chosen else "positive"), 2)
            painter.setPen(pen)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(rect).adjusted(1, 1, -1, -1), 5, 5)
        line = QRect(rect.left(), rect.bottom() + 4, side, 18)
        if candidate is None:
            self._own(painter, line)
        else:
            self._impostor(painter, line, rect, candidate)
        painter.restore()

    def _own(self, painter: QPainter, line: QRect) -> None:
        look, inspector = theme.current(), self._gallery.inspector
        result, row = inspector.result, inspector.row
        assert result is not None
        assert row is not None
        icons.paint(
            painter, QRect(line.left(), line.top() + 1, 16, 16), "check-circle", look.colour("positive")
        )
        score = wording.score(float(result.cosine[row]))
        text(painter, line.adjusted(22, 0, 0, 0), score, look.colour("text"), bold=True)
        rank = f"rank {wording.count(int(result.rank[row]))}"
        text(painter, line, rank, look.colour("text_secondary"), small=True, right=True)
        below = line.translated(0, 20)
        text(painter, below, self.tr("own chip"), look.colour("positive"), small=True)
        if result.suspect[row]:
            draw_flag(painter, below, "suspect_pair", right=True)

    def _impostor(self, painter: QPainter, line: QRect, rect: QRect, candidate: Candidate) -> None:
        look, inspector = theme.current(), self._gallery.inspector
        outranks = candidate.margin is not None and candidate.margin <= 0
        words = wording.count(candidate.rank)
        font = painter.font()
        font.setPixelSize(tokens.SMALL)
        font.setBold(True)
        width = max(18, QFontMetrics(font).horizontalAdvance(words) + 10)
        badge = QRectF(line.left() + 1, line.top() + 1, width, 16)
        rounded(painter, badge, look.colour("accent" if outranks else "border"), 8)
        painter.setFont(font)
        painter.setPen(look.colour("on_accent" if outranks else "text"))
        painter.drawText(badge, Qt.AlignmentFlag.AlignCenter, words)
        score = line.adjusted(width + 6, 0, 0, 0)
        text(painter, score, wording.score(candidate.cosine), look.colour("text"), bold=True)
        text(
            painter,
            line,
            wording.metres(candidate.distance_m),
            look.colour("text_secondary"),
            small=True,
            right=True,
        )
        below = line.translated(0, 20)
        if candidate.flag:
            draw_flag(painter, below, candidate.flag)
        if candidate.margin is not None and (not candidate.flag or below.width() > 120):
            margin = f"{'+' if candidate.margin > 0 else ''}{wording.score(candidate.margin)}"
            right = bool(candidate.flag)
            text(painter, below, margin, look.colour("text_secondary"), small=True, right=right)
        said = inspector.judging.verdict(inspector.key(candidate.place))
        if said:
            seal = verdicts.LOOKS[said]  # type: ignore[index]  # a verdict that stands is one of the four
            spot = QRect(rect.right() - 29, rect.top() + 6, 24, 24)
            rounded(painter, QRectF(spot), look.colour("raised"), 12)
            icons.paint(painter, spot.adjusted(4, 4, -4, -4), seal.icon, look.colour(seal.role))


class Gallery(QListView):
    """The row of cards.

    Signals:
        opened: Place of a candidate that was double-clicked or entered: show it on the map.
        verdict_key: A letter that may give a verdict.
    """

    opened = Signal(int)
    verdict_key = Signal(str)

    def __init__(self, inspector: Inspector) -> None:
        super().__init__()
        self.inspector = inspector
        self.lifted: int | None = None
        self.cards = Cards(inspector)
        self.setModel(self.cards)
        self.setItemDelegate(_Delegate(self))
        self.setFlow(QListView.Flow.LeftToRight)
        self.setWrapping(False)
        self.setUniformItemSizes(True)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMouseTracking(True)
        self.setMinimumHeight(120)
        self.setAccessibleName(self.tr("Own chip and impostors"))
        self.clicked.connect(self._on_clicked)
        self.doubleClicked.connect(self._on_opened)
        inspector.candidate_changed.connect(self._on_candidate)
        inspector.pointed.connect(self._on_pointed)
        inspector.judging.changed.connect(self.viewport().update)
        inspector.session.pictures.ready.connect(lambda name: self.viewport().update())
        theme.current().changed.connect(self.viewport().update)

    def side(self) -> int:
        """Side of a chip's picture, pixels."""
        return max(64, min(220, self.viewport().height() - _WORDS))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows walk, Return shows on the map, letters judge."""
        step = {Qt.Key.Key_Right: 1, Qt.Key.Key_Left: -1}.get(Qt.Key(event.key()), 0)
        if step:
            self.inspector.lift((self.inspector.place if self.inspector.place is not None else -1) + step)
        elif event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Up):
            self.inspector.step(1 if event.key() == Qt.Key.Key_Down else -1)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.inspector.place is not None:
            self.opened.emit(self.inspector.place)
        elif event.text() and not event.modifiers() and verdicts.verdict_for_key(event.text()):
            if not event.isAutoRepeat():  # one press, one verdict
                self.verdict_key.emit(event.text())
        else:
            event.ignore()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """A card is under the pointer."""
        index = self.indexAt(event.position().toPoint())
        candidate = index.data(ENTRY) if index.isValid() else None
        self.inspector.pointed.emit(None if candidate is None else candidate.place)
        super().mouseMoveEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        """None is."""
        self.inspector.pointed.emit(None)
        super().leaveEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Cards are as high as the row."""
        super().resizeEvent(event)
        self.scheduleDelayedItemsLayout()

    def _on_clicked(self, index: QModelIndex) -> None:
        candidate: Candidate | None = index.data(ENTRY)
        if candidate is not None:
            self.inspector.lift(candidate.place)

    def _on_opened(self, index: QModelIndex) -> None:
        candidate: Candidate | None = index.data(ENTRY)
        if candidate is not None:
            self.opened.emit(candidate.place)

    def _on_candidate(self, place: int | None) -> None:
        if place is not None:
            self.scrollTo(self.cards.index(place + self.cards.first, 0))
        self.viewport().update()

    def _on_pointed(self, place: int | None) -> None:
        self.lifted = place
        self.viewport().update()
