"""A list of choices, each a title and a sentence; one is chosen."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from geolocator_gui.gui import focus, theme, tokens
from geolocator_gui.gui.widgets.photo_list import text


class _Delegate(QStyledItemDelegate):
    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(200, 50)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        look = theme.current()
        rect: QRect = option.rect  # type: ignore[attr-defined]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if option.state & QStyle.StateFlag.State_Selected:  # type: ignore[attr-defined]
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(look.colour("accent_soft"))
            painter.drawRoundedRect(QRectF(rect).adjusted(0, 1, 0, -1), tokens.RADIUS, tokens.RADIUS)
        if option.state & QStyle.StateFlag.State_HasFocus:  # type: ignore[attr-defined]
            focus.paint_ring(painter, QRectF(rect).adjusted(0, 1, 0, -1))
        inner = rect.adjusted(12, 5, -12, -5)
        title = index.data(Qt.ItemDataRole.DisplayRole)
        words = index.data(Qt.ItemDataRole.ToolTipRole)
        text(
            painter,
            QRect(inner.left(), inner.top(), inner.width(), 20),
            title,
            look.colour("text"),
            bold=True,
        )
        second = QRect(inner.left(), inner.top() + 20, inner.width(), 18)
        text(painter, second, words, look.colour("text_secondary"), small=True)
        painter.restore()


class ChoiceList(QListWidget):
    """The list."""

    def __init__(self) -> None:
        super().__init__()
        self.setItemDelegate(_Delegate(self))
        self.setObjectName("Card")

    def add(self, key: str, title: str, words: str) -> None:
        """Add a choice."""
        item = QListWidgetItem(title)
        item.setData(Qt.ItemDataRole.UserRole, key)
        item.setToolTip(words)
        self.addItem(item)

    def current(self) -> str:
        """Key of the choice, "" without one."""
        item = self.currentItem()
        return "" if item is None else str(item.data(Qt.ItemDataRole.UserRole))
