"""Small pieces that every panel is made of."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from geolocator_gui.gui import icons, theme, wording
from geolocator_gui.gui.tokens import GRID, MARGIN

_EASY_TO_READ = 480  # pixels of small text on a line


class Label(QLabel):
    """Plain text, never markup; elided on one line unless it wraps."""

    def __init__(
        self, text: str = "", role: str = "", *, wrap: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        if role:
            self.setObjectName(role)
        self._full = ""
        self._wrap = wrap
        self.setWordWrap(wrap)
        if not wrap:
            self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setText(text)

    def setText(self, text: str) -> None:
        """Show a text, elided to the width."""
        self._full = text
        if self._wrap:
            super().setText(text)
        else:
            self._elide()

    def full_text(self) -> str:
        """The text before it was elided."""
        return self._full

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Elide anew."""
        super().resizeEvent(event)
        if not self._wrap:
            self._elide()

    def _elide(self) -> None:
        shown = QFontMetrics(self.font()).elidedText(
            self._full, Qt.TextElideMode.ElideRight, max(self.width(), 8)
        )
        super().setText(shown)
        self.setToolTip(wording.tip(self._full) if shown != self._full else "")

    def minimumSizeHint(self) -> QSize:
        """Any width will do."""
        hint = super().minimumSizeHint()
        return hint if self._wrap else QSize(0, hint.height())


def button(
    text: str, clicked: Callable[[], object], *, icon: str = "", primary: bool = False, tip: str = ""
) -> QPushButton:
    """A push button."""
    made = QPushButton(text)
    if primary:
        made.setObjectName("Primary")
    if icon:
        made.setIcon(icons.icon(icon, "on_accent" if primary else "text"))
        made.setIconSize(icons.SIZE)
    if tip:
        made.setToolTip(tip)
    made.clicked.connect(lambda: clicked())
    return made


def link(text: str, clicked: Callable[[], object]) -> QPushButton:
    """A button that looks like a link."""
    made = QPushButton(text)
    made.setObjectName("Link")
    made.setCursor(Qt.CursorShape.PointingHandCursor)
    made.clicked.connect(lambda: clicked())
    return made


def tool(icon: str, tip: str, clicked: Callable[[], object], *, role: str = "text_secondary") -> QToolButton:
    """An icon alone, with the tooltip that it never goes without."""
    made = QToolButton()
    made.setIcon(icons.icon(icon, role))
    made.setIconSize(icons.SIZE)
    made.setToolTip(tip)
    made.setAccessibleName(tip)
    made.clicked.connect(lambda: clicked())
    return made


def column(
    *widgets: QWidget | int, margins: int = 0, spacing: int = GRID, parent: QWidget | None = None
) -> QWidget:
    """Widgets under each other; a number is a gap of so many pixels, 0 stretches."""
    box = QWidget(parent)
    layout = QVBoxLayout(box)
    layout.setContentsMargins(margins, margins, margins, margins)
    layout.setSpacing(spacing)
    for widget in widgets:
        if isinstance(widget, int):
            layout.addStretch(1) if widget == 0 else layout.addSpacing(widget)
        else:
            layout.addWidget(widget)
    return box


def row(*widgets: QWidget | int, spacing: int = GRID) -> QWidget:
    """Widgets beside each other; a number is a gap, 0 stretches."""
    box = QWidget()
    layout = QHBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(spacing)
    for widget in widgets:
        if isinstance(widget, int):
            layout.addStretch(1) if widget == 0 else layout.addSpacing(widget)
        else:
            layout.addWidget(widget, 1 if isinstance(widget, Label) and not widget.wordWrap() else 0)
    return box


def card(*widgets: QWidget | int) -> QFrame:
    """Widgets in a raised frame."""
    frame = QFrame()
    frame.setObjectName("Card")
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(12, 12, 12, 12)
    layout.setSpacing(GRID)
    for widget in widgets:
        if isinstance(widget, int):
            layout.addSpacing(widget)
        else:
            layout.addWidget(widget)
    return frame


class Glyph(QWidget):
    """One icon, painted in a token's colour."""

    def __init__(
        self, name: str, role: str = "text_secondary", size: int = 18, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._name, self._role = name, role
        self.setFixedSize(size, size)
        theme.current().changed.connect(self.update)

    def set(self, name: str, role: str) -> None:
        """Show another icon."""
        self._name, self._role = name, role
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint."""
        painter = QPainter(self)
        rect = QRect(0, 0, self.width(), self.height())
        icons.paint(painter, rect, self._name, theme.current().colour(self._role))


class Empty(QWidget):
    """What a page is for while it is empty, and the next step as a button."""

    def __init__(
        self, icon: str, title: str, text: str, *buttons: QWidget, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN, 2 * MARGIN, MARGIN, 2 * MARGIN)
        layout.setSpacing(GRID)
        layout.addStretch(2)
        layout.addWidget(Glyph(icon, "text_secondary", 40), 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addSpacing(GRID)
        heading = Label(title, "Strong", wrap=True)
        heading.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        layout.addWidget(heading)
        words = Label(text, "Secondary", wrap=True)
        words.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        words.setMaximumWidth(_EASY_TO_READ)
        middle = QHBoxLayout()
        middle.addStretch(1)
        middle.addWidget(words, 1000)  # as wide as it may be, and in the middle
        middle.addStretch(1)
        layout.addLayout(middle)
        layout.addSpacing(GRID)
        for made in buttons:
            layout.addWidget(made, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(3)


def number_box(low: float, high: float, suffix: str, special: str, tip: str) -> QDoubleSpinBox:
    """A field for a whole number with a unit; its lowest value reads as `special`."""
    box = QDoubleSpinBox()
    box.setRange(low, high)
    box.setDecimals(0)
    box.setSuffix(suffix)
    box.setSpecialValueText(special)
    box.setToolTip(tip)
    box.lineEdit().setTextMargins(8, 0, 8, 0)
    return box


def narrow_combo() -> QComboBox:
    """A combo box whose longest entry does not push the panel apart."""
    combo = QComboBox()
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(8)
    return combo
