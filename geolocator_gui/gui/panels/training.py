"""The Training page: what it is for, until a run can be started here."""

from __future__ import annotations

from PySide6.QtCore import Signal

from geolocator_gui.gui.panels.page import Panel
from geolocator_gui.gui.session import Session
from geolocator_gui.gui.widgets.basics import Empty, button


class TrainingPanel(Panel):
    """The page.

    Signals:
        runs_wanted: Go to the Runs page.
    """

    runs_wanted = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session, "")
        self.title.setText(self.tr("Training"))
        self.body.addWidget(
            Empty(
                "chart-bell-curve-cumulative",
                self.tr("Teach the model your area"),
                self.tr(
                    "Fine-tuning takes your photos with known positions and the imagery under them as pairs, "
                    "and ends with a model that you can publish and index with. A run works on after this "
                    "window closes."
                ),
                button(self.tr("Show runs"), self.runs_wanted.emit, icon="playlist-play"),
            ),
            1,
        )
