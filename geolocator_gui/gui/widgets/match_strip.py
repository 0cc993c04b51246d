"""The matches of the chosen photo as cards in a row under the map, linked with it by hover and keys."""

from __future__ import annotations

from PySide6.QtCore import (
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPixmap,
    QResizeEvent,
    QStandardItem,
    QStandardItemModel,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from geolocator_gui.gui import focus, theme, wording
from geolocator_gui.gui.pictures import Pictures
from geolocator_gui.gui.widgets.photo_list import draw_picture, rounded, text
from geolocator_gui.records import Localisation, LonLat, Match

_WORDS, _GAP = 44, 12
_Index = QModelIndex | QPersistentModelIndex


class _Delegate(QStyledItemDelegate):
    def __init__(self, strip: MatchStrip) -> None:
        super().__init__(strip)
        self._strip = strip

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        side = self._strip.side()
        return QSize(side + _GAP, side + _WORDS)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        match: Match | None = index.data(Qt.ItemDataRole.UserRole)
        if match is None:
            return
        look = theme.current()
        side = self._strip.side()
        rect = QRect(option.rect.left(), option.rect.top(), side, side)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        draw_picture(painter, rect.adjusted(2, 2, -2, -2), self._strip.picture(match), "satellite-variant")
        lifted = match.rank == self._strip.lifted or bool(option.state & QStyle.StateFlag.State_Selected)
        if lifted:
            pen = painter.pen()
            pen.setColor(look.colour("accent"))
            pen.setWidth(2)
            painter.setPen(pen)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(rect).adjusted(1, 1, -1, -1), 5, 5)
        if option.state & QStyle.StateFlag.State_HasFocus:
            focus.paint_ring(painter, QRectF(rect), 5)
        line = QRect(rect.left(), rect.bottom() + 4, side, 18)
        badge = QRectF(line.left() + 1, line.top() + 1, 18, 16)
        rounded(painter, badge, look.colour("accent"), 8)
        painter.setPen(look.colour("on_accent"))
        font = painter.font()
        font.setPixelSize(11)
        font.setBold(True)
        painter.setFont(font)
        painter.drawText(badge, Qt.AlignmentFlag.AlignCenter, str(match.rank))
        font.setBold(False)
        painter.setFont(font)
        text(painter, line.adjusted(24, 0, 0, 0), wording.score(match.score), look.colour("text"), bold=True)
        distance = self._strip.distance(match)
        text(painter, line, distance, look.colour("text_secondary"), small=True, right=True)
        bar = QRectF(rect.left() + 1, line.bottom() + 5, side - 2, 4)
        rounded(painter, bar, look.colour("border"), 2)
        filled = QRectF(bar.left(), bar.top(), max(4.0, bar.width() * max(0.0, min(1.0, match.score))), 4)
        rounded(painter, filled, look.colour("accent" if match.rank == 1 else "text_secondary"), 2)
        painter.restore()


class MatchStrip(QListView):
    """The row of matches.

    Signals:
        pointed: Rank under the pointer, or None.
        picked: Rank that was clicked or walked to.
        opened: Rank that was double-clicked or entered: show it on the map.
        menu_wanted: Rank and global position.
    """

    pointed = Signal(object)
    picked = Signal(int)
    opened = Signal(int)
    menu_wanted = Signal(int, object)

    def __init__(self, pictures: Pictures, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pictures = pictures
        self._answer: Localisation | None = None
        self._source = ""
        self.lifted: int | None = None
        self._items = QStandardItemModel(self)
        self.setModel(self._items)
        self.setItemDelegate(_Delegate(self))
        self.setFlow(QListView.Flow.LeftToRight)
        self.setWrapping(False)
        self.setUniformItemSizes(True)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setMouseTracking(True)
        self.setMinimumHeight(120)
        self.setAccessibleName(self.tr("Matches"))
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._on_menu)
        self.doubleClicked.connect(lambda index: self.opened.emit(self._match(index).rank))
        pictures.ready.connect(self._on_picture)
        theme.current().changed.connect(self.viewport().update)

    def show_answer(self, answer: Localisation | None, source: str) -> None:
        """Show the matches of an answer; chips are cut from this imagery source."""
        self._answer, self._source, self.lifted = answer, source, None
        self._items.clear()
        for match in answer.matches if answer is not None else ():
            item = QStandardItem()
            item.setData(match, Qt.ItemDataRole.UserRole)
            item.setData(
                f"{self.tr('Match')} {match.rank}, {wording.score(match.score)}, {self.distance(match)}",
                Qt.ItemDataRole.AccessibleTextRole,
            )
            self._items.appendRow(item)

    def lift(self, rank: int | None) -> None:
        """Lift a match without telling anybody."""
        self.lifted = rank
        self.viewport().update()
        if rank is not None and 0 < rank <= self._items.rowCount():
            self.scrollTo(self._items.index(rank - 1, 0))

    def walk(self, step: int) -> None:
        """Go to the next or previous match."""
        count = self._items.rowCount()
        if count:
            row = self.currentIndex().row() if self.currentIndex().isValid() else (-1 if step > 0 else 0)
            self.setCurrentIndex(self._items.index(max(0, min(count - 1, row + step)), 0))

    def side(self) -> int:
        """Side of a chip's picture, pixels."""
        return max(64, min(220, self.viewport().height() - _WORDS))

    def picture(self, match: Match) -> QPixmap | None:
        """The chip's picture, None while it is cut."""
        return self._pictures.chip(self._source, match.bounds, 384) if self._source else None

    def distance(self, match: Match) -> str:
        """Metres to the photo's own position, else to the best match."""
        if self._answer is None:
            return ""
        facts = self._answer.facts
        if facts is not None and facts.position is not None:
            return wording.metres(metres_between(facts.position, match.position))
        if match.rank > 1:
            return "+" + wording.metres(metres_between(self._answer.matches[0].position, match.position))
        return ""

    def currentChanged(self, current: _Index, previous: _Index) -> None:
        """Another match is current."""
        super().currentChanged(current, previous)
        if current.isValid() and (match := self._match(current)) is not None:
            self.picked.emit(match.rank)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """The pointer is over a match."""
        index = self.indexAt(event.position().toPoint())
        self.pointed.emit(self._match(index).rank if index.isValid() else None)
        super().mouseMoveEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        """The pointer left."""
        self.pointed.emit(None)
        super().leaveEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Cards are as high as the strip."""
        super().resizeEvent(event)
        self.scheduleDelayedItemsLayout()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Return shows a match on the map."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.opened.emit(self._match(self.currentIndex()).rank)
        elif event.key() == Qt.Key.Key_Space:
            event.ignore()
        else:
            super().keyPressEvent(event)

    def _match(self, index: _Index) -> Match:
        match: Match = index.data(Qt.ItemDataRole.UserRole)
        return match

    def _on_picture(self, name: object) -> None:
        if isinstance(name, tuple) and name[0] == "chip":
            self.viewport().update()

    def _on_menu(self, position: object) -> None:
        index = self.indexAt(position)  # type: ignore[arg-type]
        if index.isValid():
            self.menu_wanted.emit(self._match(index).rank, self.viewport().mapToGlobal(position))  # type: ignore[call-overload]


def metres_between(first: LonLat, second: LonLat) -> float:
    """Great-circle metres (within 0.5 % of the ellipsoid), enough for a caption."""
    import math

    lat1, lat2 = math.radians(first.lat), math.radians(second.lat)
    half = math.sin((lat2 - lat1) / 2) ** 2
    half += math.cos(lat1) * math.cos(lat2) * math.sin(math.radians(second.lon - first.lon) / 2) ** 2
    return 2 * 6371008.8 * math.asin(min(1.0, math.sqrt(half)))
