"""What the next index will cost, as a table above the button that starts it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QVBoxLayout, QWidget

from geolocator_gui.gui import wording
from geolocator_gui.gui.estimate import Estimate
from geolocator_gui.gui.widgets.basics import Label
from geolocator_gui.records import ImageryInfo

_LINES = 5


class CostCard(QFrame):
    """The card."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("Card")
        grid = QWidget()
        table = QGridLayout(grid)
        table.setContentsMargins(0, 0, 0, 0)
        table.setVerticalSpacing(2)
        table.setColumnStretch(1, 1)
        table.setColumnMinimumWidth(0, 96)
        self._lines: list[tuple[Label, Label]] = []
        for place in range(_LINES):
            name, value = Label("", "Secondary"), Label("")
            value.setAlignment(Qt.AlignmentFlag.AlignRight)
            table.addWidget(name, place, 0)
            table.addWidget(value, place, 1)
            self._lines.append((name, value))
        self._licence = Label("", "Secondary", wrap=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 12, 12, 12)
        layout.setSpacing(8)
        layout.addWidget(grid)
        layout.addWidget(self._licence)

    def show_cost(self, found: Estimate, info: ImageryInfo | None) -> None:
        """Show numbers, and whether the imagery's terms allow it."""
        for (name, value), (words, number) in zip(self._lines, found.lines(), strict=True):
            name.setText(words)
            value.setText(number)
        self._licence.setObjectName("Secondary" if found.allowed else "Warning")
        licence = wording.one_line(info.licence or info.attribution, 80) if info is not None else ""
        may, may_not = self.tr("whole areas may be fetched"), self.tr("whole areas may not be fetched")
        allowed = may if found.allowed else may_not
        self._licence.setText(f"{licence} · {allowed}" if licence else allowed)
        self._licence.setVisible(not found.allowed or found.tiles > 0)
        self._licence.style().polish(self._licence)
