"""Everything that can be asked for: menus, shortcuts, and what they do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPoint, QUrl
from PySide6.QtGui import QAction, QActionGroup, QDesktopServices, QGuiApplication, QKeySequence
from PySide6.QtWidgets import QFileDialog, QMenu, QMenuBar, QMessageBox

from geolocator_gui.gui import coordinates, theme, wording
from geolocator_gui.gui.adding import Adding
from geolocator_gui.gui.drops import PHOTO_SUFFIXES, Dropped
from geolocator_gui.gui.theme import Choice
from geolocator_gui.records import LonLat

if TYPE_CHECKING:
    from geolocator_gui.gui.main_window import MainWindow


class Commands(QObject):
    """The window's commands."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window, self._session = window, window.session
        self._adding = Adding(window.session, window)
        self._needs_workspace: list[QAction] = []
        self._shown: list[tuple[str, str]] = []
        self.add_imagery: Callable[[str], None] = self._adding.ask_imagery
        self.take: Callable[[Dropped], None] = self._adding.take
        self.take_imagery: Callable[[Path], None] = self._adding.take_imagery
        self.take_area: Callable[[Path], None] = self._adding.take_area
        self.take_weights: Callable[[Path], None] = self._adding.take_weights
        self.add_model: Callable[[], None] = self._adding.ask_weights
        self.import_area: Callable[[], None] = self._adding.ask_area

    # -- menus --------------------------------------------------------------------------------------------

    def fill(self, bar: QMenuBar) -> None:
        """Fill the menu bar."""
        tr, window = self.tr, self._window
        file = bar.addMenu(tr("&File"))
        self._add(file, tr("Open the demo town"), self.open_demo)
        self._add(file, tr("Create a workspace…"), self.create_workspace, "Ctrl+N")
        self._add(file, tr("Open a workspace…"), self.open_workspace, "Ctrl+O")
        recent = file.addMenu(tr("Recent workspaces"))
        recent.aboutToShow.connect(lambda: self._fill_recent(recent))
        self._add(file, tr("Close the workspace"), self._session.close_workspace, "Ctrl+W", needs=True)
        file.addSeparator()
        self._add(file, tr("Add photos…"), self.add_photos, "Ctrl+I", needs=True)
        self._add(file, tr("Import an area…"), self.import_area, needs=True)
        self._add(file, tr("Add imagery…"), lambda: self.add_imagery("file"), needs=True)
        self._add(file, tr("Add a checkpoint…"), self.add_model, needs=True)
        file.addSeparator()
        self._add(file, tr("Quit"), window.close, "Ctrl+Q")
        edit = bar.addMenu(tr("&Edit"))
        self._add(edit, tr("Undo a verdict, a removal, an outline"), lambda: window.judging.undo(), "Ctrl+Z")
        self._add(edit, tr("Redo the verdict"), lambda: window.judging.redo(), "Ctrl+Shift+Z")
        self._add(edit, tr("Paste a photo or a position"), self.paste, "Ctrl+V")
        self._add(edit, tr("Locate all photos again"), self.locate_all, "Ctrl+R", needs=True)
        view = bar.addMenu(tr("&View"))
        for place, (key, words) in enumerate(
            {"area": tr("Area"), "photos": tr("Photos"), "negatives": tr("Hard negatives"),
             "training": tr("Training"), "runs": tr("Runs")}.items(), 1
        ):  # fmt: skip
            self._add(view, words, partial(window.show_page, key), f"Ctrl+{place}", needs=True)
        view.addSeparator()
        self._add(view, tr("Map only"), window.toggle_map_only, "F11", needs=True)
        self._add(view, tr("Next part of the window"), window.next_part, "F6", needs=True)
        self._add(view, tr("Go to…"), self.go_to, "Ctrl+L", needs=True)
        heat = self._add(view, tr("Heat of scores"), lambda: None, "Ctrl+H", needs=True)
        heat.setCheckable(True)
        heat.setChecked(True)
        heat.toggled.connect(window.set_heat)
        view.addSeparator()
        self._fill_theme(view.addMenu(tr("Appearance")))
        search = bar.addMenu(tr("&Search"))
        self._fill_search(search)
        export = bar.addMenu(tr("E&xport"))
        window.exports.fill(export)
        self._needs_workspace.append(export.menuAction())
        help_ = bar.addMenu(tr("&Help"))
        shortcuts = self._add(help_, tr("Shortcuts"), self.show_shortcuts, "F1")
        shortcuts.setShortcuts([QKeySequence("F1"), QKeySequence("?")])  # fields keep their question marks
        self._add(help_, tr("About Geolocator"), self.about)
        self._shown += [
            ("← →", tr("Walk the matches")),
            ("Enter", tr("Zoom to the match")),
            ("Space", tr("Photo and chip side by side")),
            ("Delete", tr("Remove photos from the list")),
            ("S, K, B, U", tr("Judge: same place, keep as hard, bad pair, unsure")),
            ("N", tr("Note on the judged impostor")),
            ("O, H, W", tr("Overview, what looks alike, weak places")),
            ("Esc", tr("Stop drawing, close the compare view")),
            (tr("+ − arrows"), tr("Zoom and move the map, or a compared picture")),
            ("?", tr("These shortcuts")),
        ]
        self.refresh()

    def workspace_menu(self) -> QMenu:
        """The menu of the workspace's button."""
        menu = QMenu(self._window)
        menu.aboutToShow.connect(lambda: self._fill_recent(menu, actions=True))
        return menu

    def export_menu(self) -> QMenu:
        """The menu of the Export button."""
        menu = QMenu(self._window)
        self._window.exports.fill(menu)
        return menu

    def refresh(self) -> None:
        """What needs a workspace is disabled without one."""
        for action in self._needs_workspace:
            action.setEnabled(self._session.workspace is not None)

    def map_menu(self, position: LonLat, where: QPoint) -> None:
        """The right button on the map."""
        menu = QMenu(self._window)
        self._add_copy(menu, position)
        menu.addSeparator()
        for radius, words in ((100, "100 m"), (500, "500 m"), (2000, "2 km")):
            menu.addAction(
                f"{self.tr('Search only within')} {words} {self.tr('of here')}",
                partial(self._search_around, position, radius),
            )
        if self._session.locator.options.within_circle is not None:
            menu.addAction(self.tr("Search everywhere again"), self._search_everywhere)
        menu.popup(where)

    def match_menu(self, rank: int, where: QPoint) -> None:
        """The right button on a match."""
        window = self._window
        match = window.answer.match(rank)
        if match is None:
            return
        menu = QMenu(window)
        menu.addAction(self.tr("Show on the map"), partial(window.show_match, rank))
        menu.addAction(self.tr("Compare with the photo"), lambda: window.answer.show_compare(True))
        menu.addSeparator()
        self._add_copy(menu, match.position)
        menu.addSeparator()
        menu.addAction(
            self.tr("Search only around this match"), lambda: self._search_around(match.position, 500)
        )
        report = menu.addMenu(self.tr("Report this photo as"))
        for title, suffix in (("GPX", ".gpx"), ("GeoJSON", ".geojson"), ("KML", ".kml")):
            report.addAction(f"{title}…", partial(window.exports.table, suffix, everything=False))
        menu.popup(where)

    # -- what they do -------------------------------------------------------------------------------------

    def open_demo(self) -> None:
        """Open the demo town, and build its index if it has none yet."""
        self._adding.open_demo()

    def create_workspace(self) -> None:
        """Ask for a folder and make a workspace in it."""
        chosen, _ = QFileDialog.getSaveFileName(
            self._window, self.tr("Create a workspace"), str(Path.home() / "my-town"), options=_FOLDERS
        )
        if chosen:
            self._session.open_workspace(Path(chosen), create=True)

    def open_workspace(self) -> None:
        """Ask for a workspace."""
        chosen = QFileDialog.getExistingDirectory(self._window, self.tr("Open a workspace"), str(Path.home()))
        if chosen:
            self._session.open_workspace(Path(chosen))

    def add_photos(self) -> None:
        """Ask for photos."""
        pattern = " ".join(
            f"*{suffix} *{suffix.upper()}" for suffix in sorted({*PHOTO_SUFFIXES, ".tif", ".tiff"})
        )
        chosen, _ = QFileDialog.getOpenFileNames(
            self._window, self.tr("Add photos"), str(Path.home()), f"{self.tr('Photos')} ({pattern})"
        )
        if chosen:
            self._window.inputs.take_paths([Path(name) for name in chosen])

    def open_area(self, name: str) -> None:
        """Work on a named area."""
        for row in self._session.lists.areas:
            if row.name == name:
                self.take_area(row.file)

    def paste(self) -> None:
        """Take what is on the clipboard."""
        if not self._window.inputs.take(QGuiApplication.clipboard().mimeData()):
            self._session.notifications.tell(self.tr("There is no photo and no position on the clipboard."))

    def go_to(self) -> None:
        """Go to the go-to box."""
        self._window.top_bar.go_to.setFocus()
        self._window.top_bar.go_to.selectAll()

    def locate_all(self) -> None:
        """Locate every photo again, with the index and the search as they are now."""
        self._session.locator.enqueue([card.key for card in self._session.tray])

    def show_shortcuts(self) -> None:
        """Show every shortcut."""
        from geolocator_gui.gui.dialogs import ShortcutsDialog

        ShortcutsDialog(self._window, self._shown).exec()

    def about(self) -> None:
        """Say what this is."""
        from geolocator_gui import __version__

        text = self.tr(
            "Finds where a photo was taken by matching it against satellite imagery, on your own machine."
        )
        credit = "Leaflet, Leaflet.draw, folium, Qt, PyTorch. Licences: resources/THIRD_PARTY.md"
        QMessageBox.about(self._window, "Geolocator", f"Geolocator {__version__}\n\n{text}\n\n{credit}")

    # -- inside -------------------------------------------------------------------------------------------

    def _add(
        self, menu: QMenu, words: str, do: Callable[[], object], keys: str = "", *, needs: bool = False
    ) -> QAction:
        action = menu.addAction(words)
        action.triggered.connect(lambda checked=False: do())
        if keys:
            action.setShortcut(QKeySequence(keys))
            self._shown.append((keys, words.rstrip("…")))
            self._window.addAction(action)  # works while the menu bar is hidden, too
        if needs:
            self._needs_workspace.append(action)
        return action

    def _fill_theme(self, menu: QMenu) -> None:
        group = QActionGroup(menu)
        choices: list[tuple[Choice, str]] = [
            ("system", self.tr("As the system")),
            ("light", self.tr("Light")),
            ("dark", self.tr("Dark")),
        ]
        for choice, words in choices:
            action = QAction(words, group, checkable=True)
            action.setChecked(theme.current().choice == choice)
            action.triggered.connect(lambda checked=False, choice=choice: self.choose_theme(choice))
            menu.addAction(action)

    def choose_theme(self, choice: Choice) -> None:
        """Light, dark, or as the system."""
        theme.current().choose(choice)
        self._session.settings.theme = choice

    def _fill_recent(self, menu: QMenu, *, actions: bool = False) -> None:
        menu.clear()
        recent = self._session.settings.recent()
        names = [path.name for path in recent]
        twice = {name for name in names if names.count(name) > 1}
        for path in recent:
            name = wording.menu(f"{path.name} – {path.parent}" if path.name in twice else path.name)
            menu.addAction(name, partial(self._session.open_workspace, path))
        if actions:
            menu.addSeparator()
            menu.addAction(self.tr("Create a workspace…"), self.create_workspace)
            menu.addAction(self.tr("Open a workspace…"), self.open_workspace)

    def _fill_search(self, menu: QMenu) -> None:
        self._add(menu, self.tr("Search everywhere"), self._search_everywhere, needs=True)
        self._add(menu, self.tr("Search only inside the area"), self._search_area, needs=True)
        apart = menu.addMenu(self.tr("Distance between matches"))
        group = QActionGroup(apart)
        for metres, words in (
            (None, self.tr("half a chip: overlapping chips are one place")),
            (0.0, self.tr("none: every chip")),
            (250.0, "250 m"),
            (1000.0, "1 km"),
        ):
            action = QAction(words, group, checkable=True)
            action.setChecked(metres is None)
            action.triggered.connect(
                lambda checked=False, metres=metres: self._search_with(min_distance_m=metres)
            )
            apart.addAction(action)

    def _search_around(self, position: LonLat, radius_m: float) -> None:
        circle = ((position.lon + 180) % 360 - 180, position.lat, radius_m)
        self._search_with(within_circle=circle, within=None)

    def _search_everywhere(self) -> None:
        self._search_with(within_circle=None, within=None)

    def _search_area(self) -> None:
        area, workspace = self._session.area, self._session.workspace
        if area is None or workspace is None:
            self._session.notifications.tell(self.tr("Draw an area on the map first."), level="warning")
            return
        file = workspace.photos / "search-area.geojson"

        def success(_: None) -> None:
            self._search_with(within=str(file), within_circle=None)

        self._session.background.run(lambda: area.write_geojson(file), success)

    def _search_with(self, **fields: object) -> None:
        locator = self._session.locator
        locator.options = locator.options.model_copy(update=fields)
        if self._window.map is not None:
            self._window.map.set_prior(locator.options.within_circle)
        if self._session.selected is not None:
            locator.enqueue([self._session.selected], first=True)

    def _add_copy(self, menu: QMenu, position: LonLat) -> None:
        wrapped = LonLat((position.lon + 180) % 360 - 180, position.lat)
        texts = [coordinates.decimal(wrapped), coordinates.dms(wrapped)]
        if -80 <= wrapped.lat <= 84:
            texts += [coordinates.to_mgrs(wrapped), coordinates.utm(wrapped)]
        copy = menu.addMenu(self.tr("Copy coordinates"))
        for text in texts:
            copy.addAction(text, partial(QGuiApplication.clipboard().setText, text))
        menu.addAction(self.tr("Open in an outside map…"), lambda: self._open_outside(wrapped))

    def _open_outside(self, position: LonLat) -> None:
        address = f"https://www.openstreetmap.org/?mlat={position.lat:.6f}&mlon={position.lon:.6f}#map=18/{position.lat:.6f}/{position.lon:.6f}"
        answer = QMessageBox.question(
            self._window,
            self.tr("Open in an outside map?"),
            self.tr("Your browser would send this position to openstreetmap.org:")
            + f"\n\n{coordinates.decimal(position)}\n\n"
            + self.tr("It leaves this machine."),
        )
        if answer == QMessageBox.StandardButton.Yes:
            QDesktopServices.openUrl(QUrl(address))


# An empty folder may become a workspace, one that holds something is refused: nothing is ever replaced.
_FOLDERS = QFileDialog.Option.ShowDirsOnly | QFileDialog.Option.DontConfirmOverwrite
