"""The window: rail, panels, map, answer pane; what connects them, and what it remembers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDragLeaveEvent, QDragMoveEvent, QDropEvent, QKeyEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QHBoxLayout,
    QMainWindow,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from geolocator_gui.gui import focus, theme
from geolocator_gui.gui.answer_pane import AnswerPane
from geolocator_gui.gui.commands import Commands
from geolocator_gui.gui.exports import Exports
from geolocator_gui.gui.inputs import Inputs
from geolocator_gui.gui.late_page import LatePage, Panels, make_training
from geolocator_gui.gui.layout import ANSWER_HEIGHT, Layout
from geolocator_gui.gui.map.controller import MapController
from geolocator_gui.gui.map.view import MapView
from geolocator_gui.gui.panels.area import AreaPanel
from geolocator_gui.gui.panels.photos import PhotosPanel
from geolocator_gui.gui.panels.runs import RunsPanel
from geolocator_gui.gui.session import Session
from geolocator_gui.gui.settings import Settings
from geolocator_gui.gui.status_bar import StatusBar
from geolocator_gui.gui.top_bar import TopBar
from geolocator_gui.gui.welcome import Welcome
from geolocator_gui.gui.widgets.rail import Page, Rail
from geolocator_gui.gui.widgets.toast import Toasts

if TYPE_CHECKING:
    from geolocator_gui.gui.panels.negatives import NegativesPanel

_MAP_MS = 1500  # a page that is not up by then no longer holds up anything


class MainWindow(QMainWindow):
    """The window.

    Args:
        settings: What is remembered.
        early_map: A map that was made before the window, so that Chromium started meanwhile.

    Signals:
        map_ready: The map page can show things.
    """

    map_ready = Signal()

    def __init__(self, settings: Settings, early_map: MapView | None = None) -> None:
        super().__init__()
        self.setObjectName("Surface")
        self.setWindowTitle("Geolocator")
        self.setAcceptDrops(True)
        self.setMinimumSize(820, 560)
        self.session = Session(settings, self, early_map.handlers if early_map is not None else None)
        self._early_map = early_map
        self.map_view: MapView | None = None
        self.map: MapController | None = None
        self.panels = Panels(
            area=AreaPanel(self.session),
            photos=PhotosPanel(self.session),
            runs=RunsPanel(self.session),
        )
        self.exports = Exports(self.session, self)
        self.answer = AnswerPane(self.session)
        self.commands = Commands(self)
        self.welcome = Welcome(settings)
        self._build()
        self.toasts = Toasts(self.session.notifications, self._desk)
        self.inputs = Inputs(self.session, self)
        self._layout = Layout(settings, self, self._split, self._right)
        theme.current().dress()
        self._connect()
        self._restore()
        self._closed = False

    @property
    def area_panel(self) -> AreaPanel:
        """The Area page."""
        panel = self.panels["area"]
        assert isinstance(panel, AreaPanel)
        return panel

    @property
    def photos_panel(self) -> PhotosPanel:
        """The Photos page."""
        panel = self.panels["photos"]
        assert isinstance(panel, PhotosPanel)
        return panel

    # -- making -------------------------------------------------------------------------------------------

    def _build(self) -> None:
        tr = self.tr
        pages = [
            ("area", "vector-square", tr("Area"), tr("Imagery, outline, index (Ctrl+1)")),
            ("photos", "image-multiple-outline", tr("Photos"), tr("Photos to locate (Ctrl+2)")),
            ("negatives", "select-compare", tr("Hard\nnegatives"), tr("What the model confuses (Ctrl+3)")),
            ("training", "chart-bell-curve-cumulative", tr("Training"), tr("Fine-tune a model (Ctrl+4)")),
            ("runs", "playlist-play", tr("Runs"), tr("Work in progress and done (Ctrl+5)")),
        ]
        self.rail = Rail([Page(*page) for page in pages])
        self.top_bar = TopBar(self.session, self.commands.workspace_menu())
        self.status = StatusBar(self.session)
        self._pages = QStackedWidget()
        self._pages.setObjectName("Panel")
        self._pages.setMinimumWidth(272)
        self._pages.setMaximumWidth(520)
        for panel in self.panels.values():
            self._pages.addWidget(panel)
        self._beside = QStackedWidget()
        self.judging = LatePage(self.session, self._pages, self)
        to_runs = partial(self.show_page, "runs")
        training = partial(make_training, self.session, self._pages, self._beside, to_runs)
        self.panels.later = {"negatives": lambda: self.judging.panel, "training": training}
        self._map_place = QWidget()
        self._map_place.setObjectName("MapPlace")
        self._map_place.setMinimumSize(240, 160)
        place = QVBoxLayout(self._map_place)
        place.setContentsMargins(0, 0, 0, 0)
        self._right = QSplitter(Qt.Orientation.Vertical)
        self._right.setChildrenCollapsible(False)
        self._right.addWidget(self._map_place)
        self._right.addWidget(self.answer)
        self._right.setStretchFactor(0, 1)
        self._split = QSplitter(Qt.Orientation.Horizontal)
        self._split.setChildrenCollapsible(False)
        self._split.addWidget(self._pages)
        self._beside.addWidget(self._right)
        self._split.addWidget(self._beside)
        self._split.setStretchFactor(1, 1)
        self.judging.put_under(self.answer, self._split, self._right)
        middle = QWidget()
        line = QHBoxLayout(middle)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(0)
        line.addWidget(self.rail)
        line.addWidget(self._split, 1)
        self._desk = QWidget()
        column = QVBoxLayout(self._desk)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.top_bar)
        column.addWidget(middle, 1)
        column.addWidget(self.status)
        self._front = QStackedWidget()
        self._front.addWidget(self.welcome)
        self._front.addWidget(self._desk)
        self.setCentralWidget(self._front)
        self.commands.fill(self.menuBar())

    def _connect(self) -> None:
        session, commands = self.session, self.commands
        self.rail.chosen.connect(self.show_page)
        self.welcome.demo_wanted.connect(commands.open_demo)
        self.welcome.create_wanted.connect(commands.create_workspace)
        self.welcome.open_wanted.connect(commands.open_workspace)
        self.welcome.recent_wanted.connect(session.open_workspace)
        session.workspace_changed.connect(self._on_workspace)
        session.notifications.posted.connect(self._on_message)
        area, photos = self.area_panel, self.photos_panel
        area.draw_wanted.connect(self._on_draw)
        area.import_area_wanted.connect(commands.import_area)
        area.add_imagery_wanted.connect(commands.add_imagery)
        area.add_model_wanted.connect(commands.add_model)
        area.show_index_wanted.connect(self._on_show_index)
        photos.add_wanted.connect(commands.add_photos)
        photos.show_wanted.connect(self.show_answer)
        photos.compare_wanted.connect(lambda: self.answer.show_compare(True))
        self.judging.made.connect(self._on_late_page)
        runs = self.panels["runs"]
        if isinstance(runs, RunsPanel):
            runs.area_wanted.connect(lambda: self.show_page("area"))
        self.status.runs_wanted.connect(lambda: self.show_page("runs"))
        self.top_bar.add_model_wanted.connect(commands.add_model)
        self.top_bar.build_wanted.connect(lambda: self.show_page("area"))
        go = self.top_bar.go_to
        go.position_wanted.connect(self.fly_to)
        go.area_wanted.connect(commands.open_area)
        go.index_wanted.connect(self._on_go_index)
        go.photo_wanted.connect(self._on_go_photo)
        self.inputs.position_pasted.connect(self.fly_to)
        self.inputs.sorted_out.connect(commands.take)
        self.answer.compare_toggled.connect(self._on_compare)
        self.answer.opened.connect(self.show_match)
        self.answer.menu_wanted.connect(commands.match_menu)
        self.answer.export_button.setMenu(commands.export_menu())

    def make_map(self) -> MapView:
        """Make the map, once; the welcome page is shown without it, so that it appears at once."""
        if self.map_view is None:
            self.map_view = self._early_map or MapView(self.session.handlers)
            self._early_map = None
            if not self.map_view.is_ready:  # first the map, then what is shown on it
                self.session.background.hold_until(self.map_view.ready, _MAP_MS)
            self.map = MapController(self.session, self.map_view)
            self._map_place.layout().addWidget(self.map_view)  # type: ignore[union-attr]
            self.map_view.dropped.connect(self.inputs.on_drag)
            self.map_view.ready.connect(self.map_ready)
            self.map.pointer.connect(self.status.show_pointer)
            self.map.menu_wanted.connect(self.commands.map_menu)
            self.map.match_chosen.connect(self._on_map_match)
            self.judging.attach_map(self.map, self.map_view)
            if self.map_view.is_ready:
                QTimer.singleShot(0, self.map_view.ready.emit)
        return self.map_view

    # -- pages --------------------------------------------------------------------------------------------

    def show_page(self, key: str) -> None:
        """Open a page of the rail; the open page's own button hides the panel."""
        panel = self.panels[key]
        same = self._pages.currentWidget() is panel and self._pages.isVisible()
        hide = same and self.sender() is self.rail
        self._pages.setVisible(not hide)
        self._pages.setCurrentWidget(panel)
        self.rail.show_page(key)
        self.session.settings.set_text("page", key)
        self.judging.arrange()
        if not hide and not focus.holds(self.rail):  # arrow keys walk on along the rail
            focus.enter(panel)

    def next_part(self) -> None:
        """Put the keyboard into the next part of the window: page, map, what lies under it, tool bar."""
        under = [self._right.widget(place) for place in range(1, self._right.count())]
        parts = [self._pages, self.map_view, *under, self.top_bar]
        focus.next_part([part for part in parts if part is not None])

    def toggle_map_only(self) -> None:
        """Hide everything but the map, or show it again."""
        alone = self.rail.isVisible()
        for widget in (self.rail, self._pages, self.top_bar, self.status, self.menuBar()):
            widget.setVisible(not alone)
        self.judging.arrange(hidden=alone)

    def fly_to(self, position: object) -> None:
        """Bring a position into view."""
        if self.map is not None:
            self.map.fly_to(position)  # type: ignore[arg-type]  # a LonLat through a Qt signal

    def show_answer(self) -> None:
        """Bring the matches of the chosen photo into view."""
        if self.map is not None:
            self.map.show_answer()

    def show_match(self, rank: int) -> None:
        """Zoom to a match."""
        if self.map is not None:
            self.map.show_match(rank)

    def set_heat(self, on: bool) -> None:
        """Show or hide the heat of scores."""
        if self.map is not None:
            self.map.set_heat(on)

    def _on_workspace(self) -> None:
        workspace = self.session.workspace
        self.setWindowTitle("Geolocator" if workspace is None else f"{workspace.name} – Geolocator")
        if workspace is None:
            self.welcome.refresh()
            self._front.setCurrentWidget(self.welcome)
        else:
            self.make_map()
            self._front.setCurrentWidget(self._desk)
            focus.enter(self._pages)
        self.commands.refresh()

    def _on_late_page(self, panel: NegativesPanel) -> None:
        panel.photos_wanted.connect(lambda: self.show_page("photos"))
        panel.index_wanted.connect(lambda: self.show_page("area"))
        QTimer.singleShot(0, self, lambda: None if self._closed else self.panels["training"])

    def _on_message(self, message: object) -> None:
        self.toasts.move_to(self.welcome if self.session.workspace is None else self._desk)

    def _on_draw(self, shape: str) -> None:
        if self.map is not None and self.map_view is not None:
            if shape == "view":
                self.map.outline_view()
                return
            self.map.draw(shape)  # type: ignore[arg-type]  # one of the literals, through a Qt signal
            self.map_view.take_keys()

    def _on_show_index(self, row: object) -> None:
        bounds = getattr(row, "bounds", None)
        if bounds is not None and self.map is not None:
            self.map.show_bounds(bounds)

    def _on_go_index(self, name: str) -> None:
        self._on_show_index(next((row for row in self.session.lists.indexes if row.name == name), None))

    def _on_go_photo(self, key: int) -> None:
        self.show_page("photos")
        self.session.select(key)
        self.show_answer()

    def _on_map_match(self, rank: int) -> None:
        self.answer.strip.setCurrentIndex(self.answer.strip.model().index(rank - 1, 0))

    def _on_compare(self, on: bool) -> None:
        whole = max(self._right.height(), 400)
        bottom = int(whole * 0.62) if on else ANSWER_HEIGHT
        self._right.setSizes([whole - bottom, bottom, bottom])
        QTimer.singleShot(120, self, self._look_again)  # once the map has its new height

    def _look_again(self) -> None:
        if self.answer.compare_button.isChecked():
            self.show_match(self.answer.rank or 1)
        else:
            self.show_answer()

    # -- what comes in ------------------------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Something is dragged over the window."""
        self.inputs.on_drag(event)

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        """It moves."""
        self.inputs.on_drag(event)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """It left."""
        self.inputs.on_leave()

    def dropEvent(self, event: QDropEvent) -> None:
        """It was dropped."""
        self.inputs.on_drag(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keys that no field wanted: walk matches, compare, judge, shortcuts."""
        if self.judging.take_key(event):
            return
        now = QApplication.focusWidget()
        match event.key():
            case Qt.Key.Key_Return | Qt.Key.Key_Enter if isinstance(now, QAbstractButton):
                now.click()  # Space presses a button everywhere; Return does so only in dialogs
            case Qt.Key.Key_Right:
                self.answer.strip.walk(1)
            case Qt.Key.Key_Left:
                self.answer.strip.walk(-1)
            case Qt.Key.Key_Space if self.answer.compare_button.isEnabled() and self.answer.isVisible():
                self.answer.compare_button.toggle()
            case Qt.Key.Key_Escape if self.answer.compare_button.isChecked():
                self.answer.compare_button.setChecked(False)
            case _:
                super().keyPressEvent(event)

    # -- what is remembered -------------------------------------------------------------------------------

    def _restore(self) -> None:
        self._layout.restore()
        page = self.session.settings.text("page", "photos")
        self.show_page(page if page in (*self.panels, *self.panels.later) else "photos")

    def closeEvent(self, event: QCloseEvent) -> None:
        """Remember the layout and end what belongs to the window; runs work on."""
        self._end()
        super().closeEvent(event)

    def deleteLater(self) -> None:
        """Delete the window; one that was never closed ends its page, worker and threads first."""
        self._end()
        super().deleteLater()

    def _end(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self.answer.compare_button.isChecked():
            self.answer.compare_button.setChecked(False)
        self.judging.close()
        if (training := self.panels.get("training")) is not None:
            training.close_page()  # type: ignore[attr-defined]  # a TrainingPanel
        self._layout.save()
        self.hide()  # what is left to write, or a slow disk, keeps nobody waiting
        # The page before the imagery: no tile may be read from a file that is being closed.
        for view in filter(None, (self.map_view, self._early_map)):
            view.close_page()
        self.session.close()

    def open_at_start(self, paths: list[Path]) -> None:
        """Open what was named on the command line, else what was open last."""
        recent = self.session.settings.recent()
        if paths:
            self.inputs.take_paths(paths)
        elif recent and self.session.settings.text("reopen", "yes") == "yes":
            self.session.open_workspace(recent[0])
