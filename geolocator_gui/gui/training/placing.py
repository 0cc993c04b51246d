"""The Training page in the window: its curves lie where the map is while it is open."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QStackedWidget

from geolocator_gui.gui.panels.training import TrainingPanel


class TrainingPlace(QObject):
    """Swaps map and curves.

    Args:
        panel: The page.
        place: Holds the map's side of the window as its first page.
    """

    def __init__(self, panel: TrainingPanel, place: QStackedWidget) -> None:
        super().__init__(panel)
        self._place = place
        self._map = place.currentWidget()
        place.addWidget(panel.live)
        self._live = panel.live
        panel.shown.connect(self._on_shown)

    def _on_shown(self, on: bool) -> None:
        shown = self._live if on else self._map
        if shown is not None:
            self._place.setCurrentWidget(shown)
