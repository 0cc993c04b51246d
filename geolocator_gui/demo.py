"""The demo town as a workspace: its imagery copied in, its photos where they ship."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from geolocator_gui.configs import IndexConfig
from geolocator_gui.errors import FaultError, WorkspaceError
from geolocator_gui.paths import demo_dir, models_dir, user_data_dir
from geolocator_gui.workspace import ImageryEntry, Workspace

INDEX = "demo-town"
MODEL = "demo-town"


@dataclass(frozen=True)
class DemoPhoto:
    """A shipped photo.

    Attributes:
        path: The file.
        kind: "panorama", "perspective" or "outside" (taken in another town).
    """

    path: Path
    kind: str


def default_root() -> Path:
    """Where the demo workspace lies unless the user says otherwise."""
    return user_data_dir() / "workspaces" / "demo-town"


def demo_photos() -> list[DemoPhoto]:
    """The shipped photos, in the order of their names."""
    folder = demo_dir()
    try:
        rows = json.loads((folder / "demo.json").read_text("utf-8"))["photos"]
        photos = [DemoPhoto(folder / "photos" / row["file"], row["kind"]) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FaultError(
            f"the demo town that ships with the program cannot be read ({error})",
            path=folder,
            hint="Install Geolocator again.",
        ) from error
    return sorted(photos, key=lambda photo: photo.path.name)


def create_demo_workspace(root: Path | None = None) -> Workspace:
    """Create the demo workspace, or open it where it already is.

    Raises:
        WorkspaceError: The folder holds something else or cannot be written.
    """
    workspace = Workspace.create(root or default_root(), "Demo town")
    shipped = demo_dir() / "town.mbtiles"
    imagery = workspace.root / "imagery" / "town.mbtiles"
    try:
        if not imagery.exists() or imagery.stat().st_size != shipped.stat().st_size:
            imagery.parent.mkdir(exist_ok=True)
            partial = imagery.with_suffix(".part")
            shutil.copyfile(shipped, partial)
            partial.replace(imagery)
    except OSError as error:
        raise WorkspaceError(
            f"the demo town cannot be copied into the workspace ({error.strerror or error})",
            path=imagery,
            hint="Check free space and permissions, or choose another folder with --workspace.",
        ) from error
    _set_older_index_aside(workspace)
    if not any(entry.name == "Demo town" for entry in workspace.imagery()):
        workspace.add_imagery(
            ImageryEntry("Demo town", str(imagery), attribution="Geolocator demo town (generated)")
        )
    return workspace


def _set_older_index_aside(workspace: Workspace) -> None:
    """Make room for the index of the model that ships now; one of an earlier model is kept beside."""
    folder = workspace.indexes / INDEX
    try:
        made = json.loads((folder / "index.json").read_text("utf-8"))["model"]["weights_sha256"]
        ships = json.loads((models_dir() / MODEL / "model.json").read_text("utf-8"))["weights_sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # none yet, or one that opening it will complain about
    if made == ships:
        return
    number = 1
    while (aside := folder.with_name(f"{INDEX}-before-{number}")).exists():
        number += 1
    try:
        folder.rename(aside)
    except OSError as error:
        raise WorkspaceError(
            f"the index of an earlier demo model is in the way ({error.strerror or error})",
            path=folder,
            hint="Delete this folder; the index is built anew in seconds.",
        ) from error


def demo_index_config(workspace: Workspace) -> IndexConfig:
    """What the demo's index run builds: the whole town, the demo model, its recommended overlap."""
    return IndexConfig(imagery=(str(workspace.root / "imagery" / "town.mbtiles"),), model=MODEL)
