"""What is added to a workspace: imagery, areas, checkpoints; and the demo town, which brings all of it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QFileDialog, QWidget

from geolocator_gui.errors import FaultError
from geolocator_gui.gui import wording
from geolocator_gui.gui.drops import Dropped
from geolocator_gui.gui.session import Session
from geolocator_gui.runs import RunFolder, program
from geolocator_gui.workspace import ImageryEntry

if TYPE_CHECKING:
    from geolocator_gui.geo.area import Area

_IMAGERY = "GeoTIFF, MBTiles, PMTiles, VRT (*.tif *.tiff *.mbtiles *.pmtiles *.vrt *.gpkg)"
_AREAS = "GeoJSON, KML, GPX, Shapefile, GeoPackage (*.geojson *.json *.kml *.kmz *.gpx *.shp *.gpkg)"
_WEIGHTS = "Checkpoints (*.pth *.pt *.safetensors)"


class Adding(QObject):
    """Asks for files and takes them."""

    def __init__(self, session: Session, window: QWidget) -> None:
        super().__init__(window)
        self._session, self._window = session, window

    def take(self, found: Dropped) -> None:
        """Take what was dropped or pasted, each kind to its page."""
        session = self._session
        window: Any = self._window
        if found.workspaces:
            self._then(found.workspaces[0], lambda: self.take(replace(found, workspaces=())))
            return
        if session.workspace is None:
            if not found.is_empty or not found.unknown:
                text = self.tr("Open a workspace first: it keeps what you drop.")
                session.notifications.tell(text, self.tr("The demo town is one too."), "warning")
            return
        if found.photos:
            window.show_page("photos")
            session.add_photos(list(found.photos))
        if found.imagery or found.areas:
            window.show_page("area")
        for path in found.imagery:
            self.take_imagery(path)
        if len(found.areas) > 1:
            words = self.tr("One area at a time: {name} is taken.")
            session.notifications.tell(words.format(name=wording.isolated(found.areas[0].name)))
        for path in found.areas[:1]:
            self.take_area(path)
        for path in found.weights[:1]:
            self.take_weights(path)

    # -- imagery ------------------------------------------------------------------------------------------

    def ask_imagery(self, kind: str) -> None:
        """Ask for imagery of a kind: "file", "folder", "address" or "provider"."""
        if kind == "file":
            path = self._ask_file(self.tr("Add imagery"), _IMAGERY)
            if path is not None:
                self.take_imagery(path)
        elif kind == "folder":
            chosen = QFileDialog.getExistingDirectory(self._window, self.tr("Folder of tiles"), self._start())
            if chosen:
                self.take_imagery(Path(chosen))
        elif kind == "address":
            from geolocator_gui.gui.dialogs import AddressDialog

            dialog = AddressDialog(self._window)
            if dialog.exec():
                self._session.add_imagery(dialog.entry())
        else:
            from geolocator_gui.gui.providers import ask_provider

            entry = ask_provider(self._window)
            if entry is not None:
                self._session.add_imagery(entry)

    def take_imagery(self, path: Path) -> None:
        """Add a file or a folder of tiles."""
        self._session.add_imagery(
            ImageryEntry(wording.one_line(path.stem or path.name, 60), str(path.resolve()))
        )

    # -- areas --------------------------------------------------------------------------------------------

    def ask_area(self) -> None:
        """Ask for an area file."""
        path = self._ask_file(self.tr("Import an area"), _AREAS)
        if path is not None:
            self.take_area(path)

    def take_area(self, path: Path) -> None:
        """Work on the area of a file."""

        def work() -> Area:
            from geolocator_gui.geo.area import read_area

            return read_area(path)

        def success(area: Area) -> None:
            self._session.set_area(area)
            window: Any = self._window
            if window.map is not None:
                window.map.show_bounds(area.bounds)

        self._session.background.run(work, success)

    # -- checkpoints --------------------------------------------------------------------------------------

    def ask_weights(self) -> None:
        """Ask for a checkpoint."""
        path = self._ask_file(self.tr("Add a checkpoint"), _WEIGHTS)
        if path is not None:
            self.take_weights(path)

    def take_weights(self, path: Path) -> None:
        """Ask which release a checkpoint is, and add it through the command line's own verb."""
        from geolocator_gui.gui.dialogs import ModelDialog

        session = self._session
        presets = [row for row in session.lists.models if not row.has_weights]
        if not presets:
            session.notifications.tell(
                f"{wording.isolated(path.name)}: {self.tr('every known model has its weights already.')}",
                self.tr("Remove a model's folder first to replace its weights."),
            )
            return
        dialog = ModelDialog(self._window, path, presets)
        if not dialog.exec():
            return
        preset = dialog.preset()
        session.notifications.tell(f"{self.tr('Reading')} {wording.isolated(path.name)}…")

        failed = self.tr("the model could not be added")

        def work() -> None:
            command = [*program(), "model", "add", str(path), "--as", preset]
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
            )
            if done.returncode != 0:
                what, _, hint = done.stderr.strip().removeprefix("geolocator: ").partition("\n")
                raise FaultError(wording.one_line(what, 400) or failed, hint=hint)

        def success(_: None) -> None:
            session.notifications.tell(f"{preset} {self.tr('is ready to index with.')}", level="success")
            session.reload()

        session.background.run(work, success)

    # -- the demo town ------------------------------------------------------------------------------------

    def open_demo(self) -> None:
        """Open the demo's workspace with its photos in the tray; its index is built if it is not there."""
        session = self._session

        def work() -> tuple[Path, list[Path], bool]:
            from geolocator_gui.demo import INDEX, create_demo_workspace, demo_index_config, demo_photos

            workspace = create_demo_workspace()
            run = RunFolder(workspace.indexes / INDEX)
            ready = (run.thing / "search.faiss").exists() or (
                run.path.exists() and run.status().state in ("finished", "running")
            )
            if not ready and not (run.path / "config.toml").exists():
                run.write_config("index", demo_index_config(workspace))
            return workspace.root, [photo.path for photo in demo_photos()], ready

        def success(made: tuple[Path, list[Path], bool]) -> None:
            root, photos, ready = made

            def opened() -> None:
                window: Any = self._window
                window.show_page("photos")
                if not ready and session.workspace is not None:
                    from geolocator_gui.demo import INDEX

                    session.jobs.resume(session.workspace.indexes / INDEX)
                session.add_photos(photos)

            self._then(root, opened)

        session.background.run(work, success)

    # -- inside -------------------------------------------------------------------------------------------

    def _then(self, root: Path, do: Callable[[], object]) -> None:
        """Open a workspace, then do something in it."""
        session = self._session

        def opened() -> None:
            if session.workspace is not None and session.workspace.root == root:
                session.workspace_changed.disconnect(opened)
                session.background.run(lambda: None, lambda _: do())  # once all of it is there

        session.workspace_changed.connect(opened)
        session.open_workspace(root)

    def _start(self) -> str:
        return self._session.settings.text("open/folder", str(Path.home()))

    def _ask_file(self, title: str, pattern: str) -> Path | None:
        chosen, _ = QFileDialog.getOpenFileName(self._window, title, self._start(), pattern)
        if not chosen:
            return None
        self._session.settings.set_text("open/folder", str(Path(chosen).parent))
        return Path(chosen)
