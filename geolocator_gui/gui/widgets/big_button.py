"""A button with an icon, a title and a sentence."""

from __future__ import annotations

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QSizePolicy

from geolocator_gui.gui import icons, theme, tokens


class BigButton(QAbstractButton):
    """The button; everything on it is read out as one."""

    def __init__(self, icon: str, title: str, words: str, *, primary: bool = False) -> None:
        super().__init__()
        self._icon, self._words, self._primary = icon, words, primary
        self.setText(title)
        self.setAccessibleDescription(words)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        theme.current().changed.connect(self.update)

    def sizeHint(self) -> QSize:
        """One height."""
        return QSize(420, 68)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint."""
        look = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        fill = "hover" if self.underMouse() else "raised"
        text, second = "text", "text_secondary"
        if self._primary:
            fill, text, second = "accent", "on_accent", "on_accent"
        painter.setBrush(look.colour(fill))
        pen = painter.pen()
        pen.setColor(
            look.colour(
                "accent" if self.hasFocus() and not self._primary else fill if self._primary else "border"
            )
        )
        pen.setWidthF(1.5 if self.hasFocus() else 1)
        painter.setPen(pen)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), tokens.RADIUS, tokens.RADIUS)
        if self._primary and self.hasFocus():
            pen.setColor(look.colour("on_accent"))
            pen.setWidthF(1)
            painter.setPen(pen)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(4, 4, -4, -4), 4, 4)
        side = 24
        icons.paint(
            painter, QRect(20, (self.height() - side) // 2, side, side), self._icon, look.colour(text)
        )
        font = QFont(self.font())
        font.setPixelSize(tokens.BODY + 1)
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        painter.setPen(look.colour(text))
        left, width = 64, self.width() - 64 - 16
        painter.drawText(QRect(left, 12, width, 22), Qt.AlignmentFlag.AlignVCenter, self.text())
        font.setPixelSize(tokens.BODY - 1)
        font.setWeight(QFont.Weight.Normal)
        painter.setFont(font)
        painter.setPen(look.colour(second))
        words = painter.fontMetrics().elidedText(self._words, Qt.TextElideMode.ElideRight, width)
        painter.drawText(QRect(left, 34, width, 20), Qt.AlignmentFlag.AlignVCenter, words)
