"""Removing indexes, minings and trainings: into the workspace's trash, with a way back."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from geolocator_gui.errors import InputError
from geolocator_gui.gui.background import Background
from geolocator_gui.gui.translation import translate
from geolocator_gui.gui.undo import Undo
from geolocator_gui.runs import RunFolder
from geolocator_gui.workspace import Workspace


class Trash(QObject):
    """Throws away what a run made, with the run.

    Signals:
        leaving: This folder is about to go: whoever shows it or holds it open lets go.
        gone: A folder went.
        returned: This folder is back.
    """

    leaving = Signal(object)
    gone = Signal()
    returned = Signal(object)

    def __init__(self, background: Background, undo: Undo, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._background, self._undo = background, undo

    def throw(self, workspace: Workspace, thing: Path) -> None:
        """Remove a folder of the workspace, unless a process works in it."""

        def look() -> None:
            if RunFolder(thing).is_locked():
                what, hint = translate("Trash", "a run works on it"), translate("Trash", "Stop it first.")
                raise InputError(what, path=thing, hint=hint)

        def free(_: None) -> None:
            self.leaving.emit(thing)
            self._background.run(partial(workspace.throw_away, thing), done)

        def done(place: Path) -> None:
            def back() -> Path:
                workspace.bring_back(place, thing)
                return thing

            self.gone.emit()
            words = self.tr("{name} was removed.").format(name=thing.name)
            self._undo.offer(words, lambda: self._background.run(back, self.returned.emit))

        self._background.run(look, free)
