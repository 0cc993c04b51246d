"""The first page: open the demo town, create a workspace, open one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from geolocator_gui.gui import wording
from geolocator_gui.gui.settings import Settings
from geolocator_gui.gui.widgets.basics import Glyph, Label, link, row
from geolocator_gui.gui.widgets.big_button import BigButton


class Welcome(QWidget):
    """The page.

    Signals:
        demo_wanted: Open the demo town.
        create_wanted: Choose a folder for a new workspace.
        open_wanted: Choose a workspace.
        recent_wanted: A workspace's folder.
    """

    demo_wanted = Signal()
    create_wanted = Signal()
    open_wanted = Signal()
    recent_wanted = Signal(object)

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.setObjectName("Surface")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._settings = settings
        inner = QWidget()
        inner.setFixedWidth(560)
        layout = QVBoxLayout(inner)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        title = Label(self.tr("Find where a photo was taken"), "Title")
        words = Label(
            self.tr(
                "Geolocator compares a photo with satellite imagery of an area that you choose, and shows "
                "the best matches on a map. Everything runs on this machine; no photo leaves it."
            ),
            wrap=True,
        )
        layout.addWidget(row(Glyph("map-search-outline", "accent", 28), title))
        layout.addWidget(words)
        layout.addSpacing(8)
        self.demo = BigButton(
            "home-city-outline",
            self.tr("Open the demo town"),
            self.tr("A small invented town with imagery, a model and photos."),
            primary=True,
        )
        self.fresh = BigButton(
            "folder-plus-outline",
            self.tr("Create a workspace"),
            self.tr("A folder that keeps areas, indexes and results of one piece of work."),
        )
        self.existing = BigButton(
            "folder-open-outline", self.tr("Open a workspace"), self.tr("Continue where you were.")
        )
        for made, signal in (
            (self.demo, self.demo_wanted),
            (self.fresh, self.create_wanted),
            (self.existing, self.open_wanted),
        ):
            made.clicked.connect(lambda checked=False, signal=signal: signal.emit())
            layout.addWidget(made)
        self._recent_title = Label(self.tr("Recent"), "Section")
        self._recent = QVBoxLayout()
        self._recent.setSpacing(4)
        layout.addSpacing(8)
        layout.addWidget(self._recent_title)
        layout.addLayout(self._recent)
        outer = QVBoxLayout(self)
        outer.addStretch(2)
        line = QHBoxLayout()
        line.addStretch(1)
        line.addWidget(inner)
        line.addStretch(1)
        outer.addLayout(line)
        outer.addStretch(3)
        self.refresh()

    def refresh(self) -> None:
        """Show the recent workspaces that are still there."""
        while (item := self._recent.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        recent = self._settings.recent()[:5]
        self._recent_title.setVisible(bool(recent))
        for path in recent:
            made = link(wording.menu(path.name), partial(self.recent_wanted.emit, path))
            place = Label(_short(path.parent), "Secondary")
            self._recent.addWidget(row(made, place))

    def sizeHint(self) -> QSize:
        """Room for the three actions."""
        return QSize(640, 560)

    def showEvent(self, event: object) -> None:
        """The first action has the focus, so that Return is enough."""
        super().showEvent(event)  # type: ignore[arg-type]
        self.demo.setFocus(Qt.FocusReason.OtherFocusReason)


def _short(path: Path) -> str:
    try:
        return str(Path("~") / path.relative_to(Path.home()))
    except ValueError:
        return str(path)
