"""Removing indexes, minings and trainings: set aside with a way back until the workspace is closed."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from geolocator_gui.errors import InputError, WorkspaceError
from geolocator_gui.gui import wording
from geolocator_gui.gui.background import Background
from geolocator_gui.gui.notifications import Notifications
from geolocator_gui.gui.translation import translate
from geolocator_gui.gui.undo import Undo
from geolocator_gui.runs import RunFolder
from geolocator_gui.workspace import Workspace, delete_folder


@dataclass
class _Removal:
    thing: Path
    key: str = ""
    place: Path | None = None
    taken_back: bool = False


class Trash(QObject):
    """Throws away what a run made, with the run.

    Signals:
        leaving: This folder is about to go: whoever shows it or holds it open lets go.
        gone: A folder went, or was gone already.
        returned: This folder is there (again).
    """

    leaving = Signal(object)
    gone = Signal()
    returned = Signal(object)

    def __init__(
        self, background: Background, notifications: Notifications, undo: Undo, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._background, self._notifications, self._undo = background, notifications, undo
        self._workspace: Workspace | None = None
        self._leaving: set[Path] = set()
        self._removed: list[_Removal] = []

    def open(self, workspace: Workspace) -> None:
        """Remove from this workspace from now on."""
        self._workspace = workspace

    def leave(self) -> None:
        """The workspace is closed: what was removed is deleted for good."""
        self._background.run(self.last_work())
        self._workspace = None

    def last_work(self) -> Callable[[], None]:
        """Deletes for good what was removed."""
        places = [removal.place for removal in self._removed if removal.place is not None]
        self._removed = []

        def work() -> None:
            for place in places:
                delete_folder(place)

        return work

    def throw(self, thing: Path, busy: Collection[Path]) -> None:
        """Remove a folder of the workspace, unless a run works in it or, one of `busy`, with it."""
        workspace = self._workspace
        if workspace is None or thing in self._leaving:
            return
        self._leaving.add(thing)
        removal = _Removal(thing)
        removal.key = self._undo.keep(lambda: self._back(removal), thing.parent.name)

        def done(place: Path) -> None:
            self._leaving.discard(thing)
            if workspace is not self._workspace:
                return  # it lies aside for a day
            removal.place = place
            self._removed.append(removal)
            self.gone.emit()
            if removal.taken_back:
                self._back(removal)
            else:
                self._undo.offer(_sentence(thing), removal.key)

        def failed(error: Exception) -> None:
            self._leaving.discard(thing)
            self._undo.drop(removal.key)
            self._notifications.error(error)
            self.returned.emit(thing)

        def free(_: None) -> None:
            self.leaving.emit(thing)
            self._background.run(lambda: workspace.throw_away(thing), done, failed)

        self._background.run(lambda: _check_free(thing, busy), free, failed)

    def _back(self, removal: _Removal) -> None:
        workspace, place = self._workspace, removal.place
        if place is None or workspace is None:
            removal.taken_back = True  # as soon as it has gone
            return
        self._removed.remove(removal)
        self._background.run(lambda: workspace.bring_back(place, removal.thing), self.returned.emit)


def _check_free(thing: Path, busy: Collection[Path]) -> None:
    """Raises where somebody works in a folder or with it, or where it is gone."""
    if not os.path.lexists(thing):
        hint = translate("Trash", "It was removed or moved outside this window.")
        raise WorkspaceError(translate("Trash", "it is no longer there"), path=thing, hint=hint)
    if thing in busy or RunFolder(thing).is_locked():
        what, hint = translate("Trash", "a run works on it"), translate("Trash", "Stop it first.")
        raise InputError(what, path=thing, hint=hint)
    for run in busy:
        if _names(RunFolder(run).path / "config.toml", thing):
            what = translate("Trash", "the run {name} works with it").format(name=wording.isolated(run.name))
            raise InputError(what, path=thing, hint=translate("Trash", "Stop it, or let it end."))


def _names(config: Path, thing: Path) -> bool:
    try:
        fields = tomllib.loads(config.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    values = [fields]
    while values:
        value = values.pop()
        if isinstance(value, dict):
            values += value.values()
        elif isinstance(value, list):
            values += value
        elif isinstance(value, str) and value and Path(value).is_relative_to(thing):
            return True
    return False


def _sentence(thing: Path) -> str:
    words = {
        "indexes": translate("Trash", "The index {name} was removed."),
        "mining": translate("Trash", "The mining {name} was removed."),
        "training": translate("Trash", "The training {name} was removed."),
        "pairs": translate("Trash", "The pairs {name} were removed."),
    }
    return words[thing.parent.name].format(name=wording.isolated(thing.name))
