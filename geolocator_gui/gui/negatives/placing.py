"""The Hard negatives page in the window: what lies under the map while it is open, its keys, its undo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QSplitter

from geolocator_gui.gui.negatives.map_link import MapLink

if TYPE_CHECKING:
    from geolocator_gui.gui.answer_pane import AnswerPane
    from geolocator_gui.gui.map.controller import MapController
    from geolocator_gui.gui.map.view import MapView
    from geolocator_gui.gui.panels.negatives import NegativesPanel

_TABLE_WIDTH, _WIDE_WINDOW, _ROW_HEIGHT = 416, 1200, 248
_WALKING = (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down)


class JudgingPlace(QObject):
    """Puts the page's bench where the answer lies while the page is open.

    Args:
        panel: The page.
        answer: What lies under the map otherwise.
        split: Panel and map beside each other.
        right: Map and answer above each other.
    """

    def __init__(self, panel: NegativesPanel, answer: AnswerPane, split: QSplitter, right: QSplitter) -> None:
        super().__init__(panel)
        self._panel, self._answer, self._split, self._right = panel, answer, split, right
        panel.bench.hide()  # before: a splitter shows what it is given, and the map would jump
        right.addWidget(panel.bench)
        panel.inspector.result_changed.connect(self.arrange)
        panel.bench.tall_toggled.connect(self._give_height)

    @property
    def is_open(self) -> bool:
        """Whether the page is the chosen one."""
        pages = self._panel.parentWidget()
        return pages is not None and getattr(pages, "currentWidget", lambda: None)() is self._panel

    def attach_map(self, map_: MapController, view: MapView) -> None:
        """The map is there now."""
        self._panel.attach_map(MapLink(self._panel.inspector, map_, view))
        self.arrange()

    def arrange(self, *, hidden: bool = False) -> None:
        """Under the map: the bench on this page, the answer on every other, nothing while `hidden`."""
        panel, split = self._panel, self._split
        judging = self.is_open
        shown = judging and panel.inspector.result is not None and not hidden
        if not shown:
            panel.bench.close_tall()
        panel.bench.setVisible(shown)
        self._answer.give_way(judging or hidden)
        if panel.link is not None:
            panel.link.set_active(judging)
        if shown and panel.width() < _TABLE_WIDTH and panel.window().width() >= _WIDE_WINDOW:
            # A table wants more room than a list; the other pages keep what they are given here.
            split.setSizes([_TABLE_WIDTH, split.width() - _TABLE_WIDTH])

    def close(self) -> None:
        """Write what waits; the last call."""
        self._panel.close_page()

    def _give_height(self, tall: bool) -> None:
        whole = max(self._right.height(), 400)
        bottom = int(whole * 0.62) if tall else _ROW_HEIGHT
        self._right.setSizes([whole - bottom, bottom, bottom])

    def take_key(self, event: QKeyEvent) -> bool:
        """A key that no field wanted; False when it is none of the page's own."""
        plain = event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)
        if not (self.is_open and plain):
            return False
        key = Qt.Key(event.key())
        if event.isAutoRepeat() and key not in _WALKING:
            return self._panel.inspector.result is not None  # one press, one verdict, one toggle
        return self._panel.take_key(key)

    def undo(self) -> None:
        """Take back what was last; while the page is open: a verdict, else the removal of a mining."""
        if not self.is_open:
            self._panel.session.undo()
        elif not self._panel.undo() and not self._panel.session.undo_of("mining"):
            self._panel.session.notifications.tell(self.tr("There is no verdict left to take back."))

    def redo(self) -> None:
        """Give the verdict again that was taken back."""
        if self.is_open:
            self._panel.redo()
