"""Icons of one family: Material Design Icons 6, from the font that `qtawesome` brings.

The font is read directly: importing qtawesome loads twelve fonts and costs a third of a second at start.
An icon paints itself in the colours of the theme in use, so that it follows a switch to dark at once.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QIcon, QIconEngine, QPainter, QPixmap

from geolocator_gui.gui import theme, tokens


@lru_cache(maxsize=1)
def _font() -> tuple[str, dict[str, str]]:
    spec = find_spec("qtawesome")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("qtawesome is not installed; run: pip install qtawesome")
    folder = Path(spec.origin).parent / "fonts"
    font = next(folder.glob("materialdesignicons6-webfont-6*.ttf"))
    names = json.loads(next(folder.glob("materialdesignicons6-webfont-charmap*.json")).read_text("utf-8"))
    family = QFontDatabase.applicationFontFamilies(QFontDatabase.addApplicationFont(str(font)))[0]
    return family, names


def glyph(name: str) -> str:
    """The character of an icon; raises `KeyError` for a name that is none."""
    return chr(int(_font()[1][name], 16))


def paint(painter: QPainter, rect: QRect, name: str, colour: QColor) -> None:
    """Paint an icon into a rectangle."""
    font = QFont(_font()[0])
    font.setPixelSize(min(rect.width(), rect.height()))
    painter.save()
    painter.setFont(font)
    painter.setPen(colour)
    painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, glyph(name))
    painter.restore()


class _Engine(QIconEngine):
    def __init__(self, name: str, role: str) -> None:
        super().__init__()
        self._name, self._role = name, role

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        role = self._role
        if mode == QIcon.Mode.Disabled:
            role = "text_secondary"
        elif state == QIcon.State.On:
            role = "accent_text"
        paint(painter, rect, self._name, theme.current().colour(role))

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        pixmap = QPixmap(size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        self.paint(painter, QRect(0, 0, size.width(), size.height()), mode, state)
        painter.end()
        return pixmap

    def clone(self) -> QIconEngine:
        return _Engine(self._name, self._role)


def icon(name: str, role: str = "text") -> QIcon:
    """An icon in the colour of a token."""
    glyph(name)
    return QIcon(_Engine(name, role))


SIZE = QSize(tokens.ICON, tokens.ICON)
