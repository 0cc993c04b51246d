"""Where the window stood and how it was divided: remembered when it closes, restored when it opens."""

from __future__ import annotations

from PySide6.QtWidgets import QApplication, QMainWindow, QSplitter

from geolocator_gui.gui.settings import Settings

ANSWER_HEIGHT = 248
_PANEL_WIDTH, _RAIL_WIDTH = 336, 76


class Layout:
    """The window's place and its two splitters.

    Args:
        settings: Where it is kept.
        window: The window.
        split: Panel and map, side by side.
        right: Map and answer, above each other; further parts are as high as the answer.
    """

    def __init__(self, settings: Settings, window: QMainWindow, split: QSplitter, right: QSplitter) -> None:
        self._settings, self._window = settings, window
        self._splitters = {"split": split, "right": right}

    def restore(self) -> None:
        """As it was, or as it suits the screen."""
        window = self._window
        geometry = self._settings.layout("window")
        if geometry is None or not window.restoreGeometry(geometry):
            screen = QApplication.primaryScreen().availableGeometry()
            window.resize(min(1440, screen.width() - 40), min(900, screen.height() - 60))
        panel = _PANEL_WIDTH if window.width() >= 1200 else _PANEL_WIDTH - 32
        self._splitters["split"].setSizes([panel, window.width() - _RAIL_WIDTH - panel])
        self._splitters["right"].setSizes([window.height(), ANSWER_HEIGHT, ANSWER_HEIGHT])
        for name, splitter in self._splitters.items():
            state = self._settings.layout(name)
            if state is not None:
                splitter.restoreState(state)
            splitter.setHandleWidth(1)

    def save(self) -> None:
        """Remember it."""
        self._settings.set_layout("window", self._window.saveGeometry())
        for name, splitter in self._splitters.items():
            self._settings.set_layout(name, splitter.saveState())
