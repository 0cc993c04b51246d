"""What every panel is: a title, a scrolling body and, at its foot, what stays in sight."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from geolocator_gui.gui.session import Session
from geolocator_gui.gui.tokens import GRID, MARGIN
from geolocator_gui.gui.widgets.basics import Label


class Panel(QWidget):
    """One page of the rail."""

    def __init__(self, session: Session, title: str, *, scrolls: bool = False) -> None:
        super().__init__()
        self.session = session
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.title = Label(title, "Title")
        self.subtitle = Label("", "Secondary", wrap=True)
        self.subtitle.hide()
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, MARGIN, 0, 0)
        outer.setSpacing(0)
        head = QVBoxLayout()
        head.setContentsMargins(MARGIN, 0, MARGIN, GRID)
        head.setSpacing(2)
        head.addWidget(self.title)
        head.addWidget(self.subtitle)
        outer.addLayout(head)
        self.content = QWidget()
        self.body = QVBoxLayout(self.content)
        self.body.setContentsMargins(MARGIN, 0, MARGIN, MARGIN)
        self.body.setSpacing(GRID)
        if scrolls:
            area = QScrollArea()
            area.setWidgetResizable(True)
            area.setFrameShape(QFrame.Shape.NoFrame)
            area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # it follows the keyboard from field to field
            area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
            area.setWidget(self.content)
            outer.addWidget(area, 1)
        else:
            outer.addWidget(self.content, 1)
        self.foot = QVBoxLayout()
        self.foot.setContentsMargins(MARGIN, GRID, MARGIN, MARGIN)
        self.foot.setSpacing(GRID)
        outer.addLayout(self.foot)

    def set_subtitle(self, text: str) -> None:
        """Show a line under the title, or none."""
        self.subtitle.setText(text)
        self.subtitle.setVisible(bool(text))

    def section(self, text: str) -> Label:
        """A small heading inside the body."""
        label = Label(text, "Section")
        self.body.addSpacing(GRID)
        self.body.addWidget(label)
        return label
