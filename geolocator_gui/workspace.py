"""The project folder: areas, imagery, indexes, runs, models and marks of one piece of work.

Every id folder inside stands alone and can be zipped and moved; paths inside are relative.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
import time
import tomllib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

import tomlkit

from geolocator_gui.errors import WorkspaceError

SCHEMA = 1
_FOLDERS = ("areas", "tiles", "photos", "indexes", "mining", "training", "models")
_REMOVED = ".removed"
_KEPT_S = 86_400.0


@dataclass(frozen=True)
class ImageryEntry:
    """A line of `imagery.toml`.

    Attributes:
        name: For people, unique in the workspace.
        source: File, folder, URL template or service address.
        attribution: Shown with the imagery and in every export.
        bulk: Whether whole areas may be fetched.
    """

    name: str
    source: str
    attribution: str = ""
    bulk: bool = True


@dataclass(frozen=True)
class Workspace:
    """An open workspace; `Workspace.open` and `Workspace.create` are the ways to get one."""

    root: Path
    name: str

    @classmethod
    def create(cls, root: Path, name: str = "") -> Workspace:
        """Make a workspace in a new or empty folder; an existing workspace is opened instead.

        Raises:
            WorkspaceError: The folder holds something else or cannot be written.
        """
        root = root.expanduser()
        if (root / "workspace.toml").exists():
            return cls.open(root)
        if root.is_dir() and any(root.iterdir()):
            raise WorkspaceError(
                "this folder is not empty and not a workspace", path=root, hint="Choose an empty folder."
            )
        try:
            root.mkdir(parents=True, exist_ok=True)
            for folder in _FOLDERS:
                (root / folder).mkdir(exist_ok=True)
            write_atomically(
                root / "workspace.toml", tomlkit.dumps({"schema": SCHEMA, "name": name or root.name})
            )
        except OSError as error:
            raise WorkspaceError(
                f"a workspace cannot be made here ({error.strerror or error})",
                path=root,
                hint="Choose a folder that you may write to, on a disk with free space.",
            ) from error
        return cls(root, name or root.name)

    @classmethod
    def open(cls, root: Path) -> Workspace:
        """Open an existing workspace.

        Raises:
            WorkspaceError: It is not one, or a newer version of the program made it.
        """
        root = root.expanduser()
        file = root / "workspace.toml"
        try:
            fields = tomllib.loads(file.read_text("utf-8"))
        except FileNotFoundError as error:
            there = root.is_dir()
            raise WorkspaceError(
                "this folder is not a workspace (it has no workspace.toml)"
                if there
                else "this folder does not exist",
                path=root,
                hint="Open a folder that holds one, or create a new workspace."
                if there
                else "Was it moved, or is its disk not connected?",
            ) from error
        except (OSError, ValueError) as error:
            raise WorkspaceError(f"the workspace cannot be read ({error})", path=file) from error
        schema = fields.get("schema")
        if not isinstance(schema, int) or schema > SCHEMA:
            raise WorkspaceError(
                f"this workspace has schema {schema!r}; this version of Geolocator knows up to {SCHEMA}",
                path=file,
                hint="Open it with a newer Geolocator.",
            )
        for folder in _FOLDERS:
            try:
                (root / folder).mkdir(exist_ok=True)
            except OSError as error:
                raise WorkspaceError(
                    f"this folder of the workspace cannot be made ({error.strerror or error})",
                    path=root / folder,
                    hint="Check permissions, and whether a file of this name is in the way.",
                ) from error
        return cls(root, str(fields.get("name") or root.name))

    @property
    def areas(self) -> Path:
        """Area files, GeoJSON."""
        return self.root / "areas"

    @property
    def tiles(self) -> Path:
        """Tile caches, one sqlite file per source."""
        return self.root / "tiles"

    @property
    def photos(self) -> Path:
        """References to the user's photos and their results."""
        return self.root / "photos"

    @property
    def indexes(self) -> Path:
        """Indexes, one folder each."""
        return self.root / "indexes"

    @property
    def mining(self) -> Path:
        """Mining results, one folder each."""
        return self.root / "mining"

    @property
    def training(self) -> Path:
        """Training runs, one folder each."""
        return self.root / "training"

    @property
    def models(self) -> Path:
        """The workspace's own bundles, first on the search path."""
        return self.root / "models"

    @property
    def marks(self) -> Path:
        """The user's verdicts."""
        return self.root / "marks.csv"

    def imagery(self) -> list[ImageryEntry]:
        """The sources of this workspace, in the order they were added."""
        file = self.root / "imagery.toml"
        if not file.exists():
            return []
        try:
            rows: list[dict[str, Any]] = tomllib.loads(file.read_text("utf-8")).get("source", [])
            return [ImageryEntry(**row) for row in rows]
        except (OSError, ValueError, TypeError) as error:
            raise WorkspaceError(f"the list of imagery cannot be read ({error})", path=file) from error

    def add_imagery(self, entry: ImageryEntry) -> None:
        """Add a source, or replace the one of the same name."""
        kept = [old for old in self.imagery() if old.name != entry.name]
        self.write_imagery([*kept, entry])

    def imagery_name(self, entry: ImageryEntry) -> str:
        """The name of a source, numbered where another source has it: `ortho`, else `ortho (2)`."""
        taken = {old.name for old in self.imagery() if old.source != entry.source}
        names = chain([entry.name], (f"{entry.name} ({number})" for number in count(2)))
        return next(name for name in names if name not in taken)

    def write_imagery(self, entries: list[ImageryEntry]) -> None:
        """Replace the list of sources."""
        rows = [vars(entry) for entry in entries]
        write_atomically(self.root / "imagery.toml", tomlkit.dumps({"source": rows}))

    def new_folder(self, parent: Path, title: str) -> Path:
        """A folder under `parent` that does not exist yet, named after `title`; it is not made."""
        return next(place for place in _places(parent, title) if not place.exists())

    def keep_area(self, title: str, geojson: str) -> Path:
        """Write an area into a file named after `title`; the file that holds the same one is used again.

        A stopped index reads the file of its area when it continues: no other may replace it.
        """
        for file in _places(self.areas, title, ".geojson"):
            if not file.exists():
                write_atomically(file, geojson)
                return file
            if file.read_text("utf-8", errors="replace") == geojson:
                return file
        raise AssertionError("numbers do not end")

    @property
    def made(self) -> tuple[Path, ...]:
        """Where the folders lie that runs make."""
        return self.indexes, self.mining, self.training, self.root / "pairs"

    def throw_away(self, thing: Path) -> Path:
        """Move what a run made to a hidden folder beside it; returns where it lies.

        Raises:
            WorkspaceError: It cannot be moved.
        """
        aside = thing.parent / _REMOVED
        try:
            if thing.parent not in self.made or aside.is_symlink():
                raise PermissionError(errno.EPERM, "it is no folder that a run made")
            aside.mkdir(exist_ok=True)
            place = self.new_folder(aside, thing.name)
            thing.rename(place)
        except OSError as error:
            raise WorkspaceError(
                f"it cannot be removed ({error.strerror or error})",
                path=thing,
                hint="Close whatever else has it open, and check that its folder can be written.",
            ) from error
        return place

    def bring_back(self, place: Path, thing: Path) -> Path:
        """Undo `throw_away`; returns where it is now: under a number where something else has its name.

        Raises:
            WorkspaceError: It is gone for good, or cannot be moved.
        """
        target = self.new_folder(thing.parent, thing.name) if os.path.lexists(thing) else thing
        try:
            place.rename(target)
        except OSError as error:
            raise WorkspaceError(
                f"it cannot come back ({error.strerror or error})",
                path=thing,
                hint=f"Look into {place.parent}.",
            ) from error
        return target

    def forget_removed(self) -> None:
        """Delete what was thrown away more than a day ago, by windows that could not clear up themselves."""
        for parent in self.made:
            aside = parent / _REMOVED
            with contextlib.suppress(OSError):  # the next time
                if aside.is_symlink() or not aside.is_dir():
                    continue
                for place in list(aside.iterdir()):
                    found = place.lstat()
                    if time.time() - max(found.st_ctime, found.st_mtime) > _KEPT_S:
                        delete_folder(place)


def delete_folder(place: Path) -> None:
    """Delete a folder that was thrown away, never what a link leads to; what is in use stays."""
    with contextlib.suppress(OSError):
        if place.is_symlink():
            place.unlink()
        else:
            shutil.rmtree(place, ignore_errors=True)


def _places(parent: Path, title: str, suffix: str = "") -> Iterator[Path]:
    """`title`, `title-2`, `title-3`, … under a folder."""
    stem = slug(title)
    return (parent / f"{stem}{'' if number == 1 else f'-{number}'}{suffix}" for number in count(1))


def slug(title: str) -> str:
    """A file name made of a title: letters and digits of any script, dots, dashes and underscores."""
    whole = unicodedata.normalize("NFC", title)
    kept = "".join(c if c in "._-" or unicodedata.category(c)[0] in "LMN" else " " for c in whole)
    return "-".join(kept.split()).strip("-._")[:48].rstrip("-._") or "untitled"


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file so that a reader, or a power cut, sees the old one or the new one."""
    # A file name may hold bytes that are no text; they are written escaped.
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    scratch = path.with_name(f".{path.name[:80]}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with scratch.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except BaseException as error:
        if isinstance(error, OSError):
            error.filename = str(path)  # the scratch file's name says nothing to anybody
        with contextlib.suppress(OSError):  # what failed first is told, not what failed after it
            scratch.unlink()
        raise
