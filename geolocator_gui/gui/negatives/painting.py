"""Flags as outlined pills, painted alike in table and gallery."""

from __future__ import annotations

from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QFont, QFontMetrics, QPainter, QPen
from PySide6.QtWidgets import QApplication

from geolocator_gui.gui import theme, tokens
from geolocator_gui.gui.negatives import verdicts

HEIGHT = 16


def _font() -> QFont:
    font = QApplication.font()
    font.setPixelSize(tokens.SMALL)
    return font


def flag_width(flag: str, *, short: bool = False) -> int:
    """Pixels that a flag takes."""
    look = verdicts.FLAGS[flag]
    return QFontMetrics(_font()).horizontalAdvance(look.short if short else look.word) + 14


def draw_flag(painter: QPainter, rect: QRect, flag: str, *, right: bool = False, short: bool = False) -> None:
    """A flag at the left (or right) of a rectangle, in its middle; in one word where two do not fit."""
    look = verdicts.FLAGS[flag]
    if not look.word:
        return
    short = short or flag_width(flag) > rect.width()
    width = min(flag_width(flag, short=short), rect.width())
    left = rect.right() - width if right else rect.left()
    pill = QRectF(left + 0.5, rect.center().y() - HEIGHT / 2 + 0.5, width - 1, HEIGHT)
    colour = theme.current().colour(look.role)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(colour, 1))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRoundedRect(pill, HEIGHT / 2, HEIGHT / 2)
    font = _font()
    painter.setFont(font)
    shown = QFontMetrics(font).elidedText(
        look.short if short else look.word, Qt.TextElideMode.ElideRight, int(width) - 8
    )
    painter.drawText(pill, Qt.AlignmentFlag.AlignCenter, shown)
    painter.restore()
