"""The photos as a list of cards: thumbnail, state, what is known, score. Holds 100 000 of them."""

from __future__ import annotations

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFont, QKeyEvent, QPainter, QPainterPath, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from geolocator_gui.gui import focus, icons, theme, tokens, wording
from geolocator_gui.gui.pictures import Pictures
from geolocator_gui.gui.tray import PhotoCard, Tray

_HEIGHT, _GAP, _PAD = 66, 8, 8
_THUMB = QSize(72, 50)
SCROLL_BAR = 10  # as wide as the style sheet makes it
_Index = QModelIndex | QPersistentModelIndex


class PhotoModel(QAbstractListModel):
    """The tray as a Qt model."""

    def __init__(self, tray: Tray, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tray = tray

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's default
        """Number of photos."""
        return 0 if parent.isValid() else len(self._tray)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """The card, and words for those who listen rather than look."""
        if not index.isValid() or index.row() >= len(self._tray):
            return None
        card = self._tray.at(index.row())
        if role == Qt.ItemDataRole.UserRole:
            return card
        if role == Qt.ItemDataRole.DisplayRole:
            return card.path.name
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{card.path.name}, {card.line()}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return wording.tip("\n".join(part for part in (str(card.path), card.error, card.hint) if part))
        return None

    def reset(self) -> None:
        """Photos came or went."""
        self.beginResetModel()
        self.endResetModel()

    def touch(self, keys: list[int]) -> None:
        """These cards changed."""
        for key in keys:
            row = self._tray.row(key)
            if row is not None:
                self.dataChanged.emit(self.index(row), self.index(row))


class _Delegate(QStyledItemDelegate):
    def __init__(self, pictures: Pictures, parent: QObject) -> None:
        super().__init__(parent)
        self._pictures = pictures

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        return QSize(120, _HEIGHT + _GAP)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        card: PhotoCard | None = index.data(Qt.ItemDataRole.UserRole)
        if card is None:
            return
        look = theme.current()
        view = option.widget  # type: ignore[attr-defined]
        bar = isinstance(view, QListView) and view.verticalScrollBar().isVisible()
        room = 0 if bar else SCROLL_BAR
        rect: QRect = option.rect.adjusted(0, 1, -1 - room, -_GAP + 1)  # type: ignore[attr-defined]
        state = option.state  # type: ignore[attr-defined]
        chosen = bool(state & QStyle.StateFlag.State_Selected)
        hovered = bool(state & QStyle.StateFlag.State_MouseOver)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(look.colour("accent" if chosen else "border"))
        painter.setBrush(look.colour("hover" if hovered and not chosen else "raised"))
        frame = QRectF(rect).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.drawRoundedRect(frame, tokens.RADIUS, tokens.RADIUS)
        if chosen:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(frame.adjusted(1, 1, -1, -1), tokens.RADIUS - 1, tokens.RADIUS - 1)
        if state & QStyle.StateFlag.State_HasFocus:
            focus.paint_ring(painter, QRectF(rect))
        thumb = QRect(rect.left() + _PAD, rect.top() + _PAD, _THUMB.width(), _THUMB.height())
        failed = card.state == "failed"
        picture = None if failed and card.facts is None else self._pictures.photo(card.path, 288)
        draw_picture(painter, thumb, picture, "image-broken-variant" if failed else "image-outline")
        self._words(painter, rect, thumb, card)
        painter.restore()

    def _words(self, painter: QPainter, rect: QRect, thumb: QRect, card: PhotoCard) -> None:
        look = theme.current()
        left, right = thumb.right() + 1 + tokens.GRID, rect.right() - _PAD
        best = card.best if card.state == "located" else None
        side, metres = 0, ""
        middle = QRect(right - 18, thumb.center().y() - 9, 18, 18)
        if best is not None:
            side = 42
            column = QRect(right - 55, rect.top() + _PAD - 2, 56, 20)
            text(painter, column, wording.score(best.score), look.colour("text"), bold=True, right=True)
            error = card.answer.error_m if card.answer is not None else None
            metres = "" if error is None else wording.metres(error)
        elif card.state == "failed":
            side = 24
            icons.paint(painter, middle, "alert-circle-outline", look.colour("negative"))
        elif card.state == "locating":
            side = 24
            icons.paint(painter, middle, "crosshairs", look.colour("accent"))
        width = right - left - (side + tokens.GRID if side else 0)
        name = QRect(left, rect.top() + _PAD - 2, width, 20)
        text(painter, name, card.path.name, look.colour("text"), bold=True)
        colour = look.colour("negative" if card.state == "failed" else "text_secondary")
        line = QRect(left, rect.top() + _PAD + 17, width if best is None else right - left, 16)
        if card.state == "failed":
            both = QRect(line.left(), line.top(), line.width(), 2 * line.height())
            text(painter, both, card.line(), colour, small=True, lines=2)
        else:
            text(painter, line, card.line(), colour, small=True)
        if best is not None:
            last = QRect(right - 55, thumb.bottom() - 13, 56, 16)
            text(painter, last, metres, look.colour("text_secondary"), small=True, right=True)
            taken = painter.fontMetrics().horizontalAdvance(metres) + tokens.GRID if metres else 0
            bar = QRectF(left, last.center().y() - 1, right - left - taken, 4)
            rounded(painter, bar, look.colour("border"), 2)
            filled = max(4.0, bar.width() * max(0.0, min(1.0, best.score)))
            certain = card.answer is None or card.answer.stands_out
            shade = look.colour("accent" if certain else "text_secondary")
            rounded(painter, QRectF(left, bar.top(), filled, 4), shade, 2)


class PhotoList(QListView):
    """The view.

    Signals:
        chosen: Key of the card that is current.
        removal_wanted: Keys of the selected cards (Delete).
        activated_card: Key of a card that was double-clicked or entered.
        menu_wanted: Key and global position of the right button.
    """

    chosen = Signal(int)
    removal_wanted = Signal(list)
    activated_card = Signal(int)
    menu_wanted = Signal(int, object)

    def __init__(self, tray: Tray, pictures: Pictures, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tray = tray
        self.cards = PhotoModel(tray, self)
        self.setModel(self.cards)
        self.setItemDelegate(_Delegate(pictures, self))
        self.setUniformItemSizes(True)
        self.setLayoutMode(QListView.LayoutMode.Batched)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setMouseTracking(True)
        self.setAccessibleName(self.tr("Photos"))
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._on_menu)
        self.doubleClicked.connect(lambda index: self.activated_card.emit(self._tray.at(index.row()).key))
        pictures.ready.connect(self._on_picture)
        theme.current().changed.connect(self.viewport().update)

    def currentChanged(self, current: _Index, previous: _Index) -> None:
        """Another card is current."""
        super().currentChanged(current, previous)
        if current.isValid():
            self.chosen.emit(self._tray.at(current.row()).key)

    def show_card(self, key: int | None) -> None:
        """Make a card current."""
        row = None if key is None else self._tray.row(key)
        if row is not None and self.currentIndex().row() != row:
            self.setCurrentIndex(self.cards.index(row))

    def selected_keys(self) -> list[int]:
        """Keys of the selected cards, in order."""
        return [
            self._tray.at(index.row()).key for index in sorted(self.selectedIndexes(), key=lambda i: i.row())
        ]

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Delete takes cards out, Return opens one."""
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.removal_wanted.emit(self.selected_keys())
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.activated_card.emit(self._tray.at(self.currentIndex().row()).key)
        elif event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Space, Qt.Key.Key_Escape):
            event.ignore()  # the window walks matches with these
        else:
            super().keyPressEvent(event)

    def _on_picture(self, name: object) -> None:
        if isinstance(name, tuple) and name[0] == "photo":
            self.viewport().update()

    def _on_menu(self, position: object) -> None:
        index = self.indexAt(position)  # type: ignore[arg-type]
        if index.isValid():
            self.menu_wanted.emit(self._tray.at(index.row()).key, self.viewport().mapToGlobal(position))  # type: ignore[call-overload]


def text(
    painter: QPainter,
    rect: QRect,
    words: str,
    colour: QColor,
    *,
    bold: bool = False,
    small: bool = False,
    right: bool = False,
    lines: int = 1,
) -> None:
    """Elided text on one line, or wrapped on a few."""
    font = QFont(painter.font())
    font.setPixelSize(tokens.SMALL if small else tokens.BODY)
    font.setWeight(QFont.Weight.DemiBold if bold else QFont.Weight.Normal)
    painter.setFont(font)
    painter.setPen(colour)
    side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
    if lines > 1:
        # Words do not fill a line to its end: a little less room keeps the last one from being cut.
        room = int(rect.width() * (lines - 0.3))
        shown = painter.fontMetrics().elidedText(wording.one_line(words), Qt.TextElideMode.ElideRight, room)
        painter.drawText(rect, side | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap, shown)
        return
    shown = painter.fontMetrics().elidedText(
        wording.one_line(words), Qt.TextElideMode.ElideRight, rect.width()
    )
    painter.drawText(rect, side | Qt.AlignmentFlag.AlignVCenter, shown)


def rounded(painter: QPainter, rect: QRectF, colour: QColor, radius: float) -> None:
    """A filled rounded rectangle."""
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    painter.drawRoundedRect(rect, radius, radius)


def draw_picture(
    painter: QPainter, rect: QRect, picture: QPixmap | None, icon: str = "image-outline"
) -> None:
    """A picture that fills a rounded rectangle, cut at its edges; an icon while there is none."""
    path = QPainterPath()
    path.addRoundedRect(QRectF(rect), 4, 4)
    look = theme.current()
    if picture is None or picture.isNull():
        painter.fillPath(path, look.colour("hover"))
        side = min(24, rect.height() // 2)
        place = QRect(rect.center().x() - side // 2, rect.center().y() - side // 2, side, side)
        icons.paint(painter, place, icon, look.colour("text_secondary"))
        return
    painter.save()
    painter.setClipPath(path)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    scale = max(rect.width() / picture.width(), rect.height() / picture.height())
    width, height = rect.width() / scale, rect.height() / scale
    part = QRectF((picture.width() - width) / 2, (picture.height() - height) / 2, width, height)
    painter.drawPixmap(QRectF(rect), picture, part)
    painter.restore()
