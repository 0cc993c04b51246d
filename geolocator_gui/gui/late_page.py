"""The pages that bring numpy along: made when first asked for, or in a quiet moment once the map is up."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QSplitter, QStackedWidget

from geolocator_gui.gui.panels.page import Panel
from geolocator_gui.gui.session import Session

if TYPE_CHECKING:
    from geolocator_gui.gui.answer_pane import AnswerPane
    from geolocator_gui.gui.map.controller import MapController
    from geolocator_gui.gui.map.view import MapView
    from geolocator_gui.gui.negatives.placing import JudgingPlace
    from geolocator_gui.gui.panels.negatives import NegativesPanel
    from geolocator_gui.gui.panels.training import TrainingPanel

_MODULES = ("geolocator_gui.gui.panels.negatives", "geolocator_gui.gui.panels.training")
_AFTER_MAP_MS = 800


class LatePage(QObject):
    """Stands in for `JudgingPlace` until the page exists, and passes everything on to it afterwards.

    Signals:
        made: The panel, just made and in its place.
    """

    made = Signal(object)

    def __init__(self, session: Session, pages: QStackedWidget, parent: QObject) -> None:
        super().__init__(parent)
        self._session, self._pages = session, pages
        self._under: tuple[AnswerPane, QSplitter, QSplitter] | None = None
        self._map: tuple[MapController, MapView] | None = None
        self._place: JudgingPlace | None = None
        self._panel: NegativesPanel | None = None
        self._closed = False

    def put_under(self, answer: AnswerPane, split: QSplitter, right: QSplitter) -> None:
        """What the page shares its room with (see `JudgingPlace`)."""
        self._under = (answer, split, right)

    @property
    def panel(self) -> NegativesPanel:
        """The page, made now if it was not."""
        if self._panel is None:
            self._make()
        assert self._panel is not None
        return self._panel

    def attach_map(self, map_: MapController, view: MapView) -> None:
        """The map is there now; once it shows something, the page is made in a quiet moment."""
        self._map = (map_, view)
        if self._place is not None:
            self._place.attach_map(map_, view)
        else:
            view.ready.connect(lambda: QTimer.singleShot(_AFTER_MAP_MS, self, self._load))

    def arrange(self, *, hidden: bool = False) -> None:
        """Lay out what lies under the map."""
        if self._place is not None:
            self._place.arrange(hidden=hidden)
        elif self._under is not None:
            self._under[0].give_way(hidden)

    def take_key(self, event: QKeyEvent) -> bool:
        """A key that no field wanted; False when it is none of the page's own."""
        return self._place is not None and self._place.take_key(event)

    def undo(self) -> None:
        """Take back the last verdict or removal."""
        if self._place is not None:
            self._place.undo()
        else:
            self._session.undo()

    def redo(self) -> None:
        """Give the verdict again that was taken back."""
        if self._place is not None:
            self._place.redo()

    def close(self) -> None:
        """Write what waits; the last call."""
        self._closed = True
        if self._place is not None:
            self._place.close()

    def _load(self) -> None:
        if self._panel is None and not self._closed:
            self._session.background.run(
                lambda: [importlib.import_module(name) for name in _MODULES],
                lambda modules: None if self._closed else self.panel,
                owner=self,
            )

    def _make(self) -> None:
        from geolocator_gui.gui.negatives.placing import JudgingPlace
        from geolocator_gui.gui.panels.negatives import NegativesPanel

        assert self._under is not None, "the window is not built yet"
        panel = self._panel = NegativesPanel(self._session)
        self._pages.addWidget(panel)
        self._place = JudgingPlace(panel, *self._under)
        if self._map is not None:
            self._place.attach_map(*self._map)
        panel.inspector.refresh()  # a workspace may be open already
        self.made.emit(panel)


def make_training(
    session: Session, pages: QStackedWidget, beside: QStackedWidget, to_runs: Callable[[], object]
) -> TrainingPanel:
    """The Training page in its place, reading what the open workspace has trained."""
    from geolocator_gui.gui.panels.training import TrainingPanel
    from geolocator_gui.gui.training.placing import TrainingPlace

    panel = TrainingPanel(session)
    pages.addWidget(panel)
    TrainingPlace(panel, beside)
    panel.runs_wanted.connect(to_runs)
    panel.read()
    return panel


class Panels(dict[str, Panel]):
    """The pages by key; those in `later` are made when they are looked up."""

    later: Mapping[str, Callable[[], Panel]] = MappingProxyType({})

    def __missing__(self, key: str) -> Panel:
        self[key] = self.later[key]()
        return self[key]
