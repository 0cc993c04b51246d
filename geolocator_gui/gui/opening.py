"""Reads a workspace for the window. What is damaged in it is told and left out; the rest opens."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import IO, Any

from geolocator_gui.errors import ConfigError, GeolocatorError
from geolocator_gui.gui import catalogue, tray, wording
from geolocator_gui.gui.catalogue import AreaRow, IndexRow, ModelRow
from geolocator_gui.gui.translation import translate
from geolocator_gui.runs import lock_file
from geolocator_gui.workspace import ImageryEntry, Workspace


@dataclass(frozen=True)
class Lists:
    """What a workspace holds, read in one go.

    Attributes:
        trouble: Why the list of imagery could not be read, None when it could.
    """

    models: list[ModelRow] = field(default_factory=list)
    indexes: list[IndexRow] = field(default_factory=list)
    areas: list[AreaRow] = field(default_factory=list)
    imagery: list[ImageryEntry] = field(default_factory=list)
    trouble: GeolocatorError | None = None


@dataclass(frozen=True)
class Opened:
    """A workspace that was read.

    Attributes:
        photos: Fields of the photos' cards.
        troubles: What could not be read.
    """

    workspace: Workspace
    lists: Lists
    photos: list[dict[str, Any]]
    troubles: list[GeolocatorError]


@dataclass(frozen=True)
class Claim:
    """The right to write the list of photos; one window of a workspace has it.

    Attributes:
        file: Holds the lock while it is open, None without the right.
        why: Why there is none.
    """

    file: IO[bytes] | None
    why: str = ""

    def give_up(self) -> None:
        """Let another window have it."""
        if self.file is not None:
            self.file.close()


def read_workspace(root: Path, *, create: bool = False) -> Opened:
    """Open or create a workspace and read what it holds; raises `WorkspaceError`."""
    workspace = Workspace.create(root) if create else Workspace.open(root)
    lists = read_lists(workspace)
    troubles = [] if lists.trouble is None else [lists.trouble]
    file = workspace.photos / "tray.json"
    photos: list[dict[str, Any]] = []
    with contextlib.suppress(OSError):  # a folder that cannot be written will not be written over either
        try:
            photos, left_out = tray.load(file)
            if left_out:
                words = translate("Opening", "in the list of photos, the entries of {photos} are damaged")
                hint = translate("Opening", "The list as it was lies beside it; drop those photos again.")
                what = words.format(photos=wording.counted(left_out, "photo"))
                troubles.append(ConfigError(what, path=file, hint=hint))
                shutil.copyfile(file, _aside(file))
        except ConfigError as error:
            troubles.append(error)
            file.rename(_aside(file))
    return Opened(workspace, lists, photos, troubles)


def _aside(file: Path) -> Path:
    """Where a list that cannot be read is kept."""
    places = (file.with_name(f"tray-unread-{number}.json") for number in count(1))
    return next(place for place in places if not place.exists())


def read_lists(workspace: Workspace) -> Lists:
    """Everything that is listed (reads many small files)."""
    models = catalogue.list_models(workspace)
    imagery, trouble = [], None
    try:
        imagery = workspace.imagery()
    except GeolocatorError as error:
        trouble = error  # a damaged imagery.toml must not keep the workspace shut
    indexes, areas = catalogue.list_indexes(workspace, models), catalogue.list_areas(workspace)
    return Lists(models, indexes, areas, imagery, trouble)


def claim(workspace: Workspace) -> Claim:
    """Ask for the right to write the list of photos; the system takes it back when the window dies."""
    try:
        file = (workspace.photos / "window.lock").open("ab")
    except OSError as error:
        words = translate("Opening", "This workspace cannot be written ({reason}).")
        return Claim(None, words.format(reason=error.strerror or error))
    try:
        lock_file(file)
    except OSError:
        file.close()
        return Claim(None, translate("Opening", "This workspace is open in another window."))
    return Claim(file)
