"""The rail of pages: an icon and a word each, one chosen."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QToolButton, QVBoxLayout, QWidget

from geolocator_gui.gui import icons


@dataclass(frozen=True)
class Page:
    """A page of the rail."""

    key: str
    icon: str
    words: str
    tip: str


class Rail(QWidget):
    """The rail.

    Signals:
        chosen: Key of the page; choosing the open page again asks to hide it.
    """

    chosen = Signal(str)

    def __init__(self, pages: list[Page]) -> None:
        super().__init__()
        self.setObjectName("Rail")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedWidth(76)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 8)
        layout.setSpacing(4)
        self._group = QButtonGroup(self)
        self.buttons: dict[str, QToolButton] = {}
        for page in pages:
            made = QToolButton()
            made.setObjectName("RailButton")
            made.setIcon(icons.icon(page.icon, "text_secondary"))
            made.setIconSize(QSize(20, 20))
            made.setText(page.words)
            made.setToolTip(page.tip)
            made.setCheckable(True)
            made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
            made.setFixedWidth(75)
            made.clicked.connect(lambda checked=False, key=page.key: self.chosen.emit(key))
            self._group.addButton(made)
            self.buttons[page.key] = made
            layout.addWidget(made)
        layout.addStretch(1)

    def show_page(self, key: str) -> None:
        """Mark a page as open."""
        self.buttons[key].setChecked(True)
