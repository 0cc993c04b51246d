"""The Area page: imagery, outline, model, what it will cost, build; and the indexes that there are."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QFormLayout,
    QGridLayout,
    QLineEdit,
    QMenu,
    QSlider,
    QToolButton,
    QWidget,
)

from geolocator_gui.configs import IndexConfig
from geolocator_gui.errors import GeolocatorError
from geolocator_gui.gui import estimate, icons, wording
from geolocator_gui.gui.catalogue import IndexRow
from geolocator_gui.gui.estimate import Estimate
from geolocator_gui.gui.map.messages import Shape
from geolocator_gui.gui.panels.cost_card import CostCard
from geolocator_gui.gui.panels.index_list import IndexList
from geolocator_gui.gui.panels.page import Panel
from geolocator_gui.gui.session import Session
from geolocator_gui.gui.widgets.basics import Label, button, narrow_combo, number_box, row, tool

_SLOW_MS = 400


class AreaPanel(Panel):
    """The page.

    Signals:
        draw_wanted: Draw this shape on the map; "view" takes what the map shows, "edit" moves corners.
        import_area_wanted: Choose an area file.
        add_imagery_wanted: "file", "folder", "address" or "provider".
        add_model_wanted: Choose a checkpoint.
        show_index_wanted: Bring an index into view.
    """

    draw_wanted = Signal(str)
    import_area_wanted = Signal()
    add_imagery_wanted = Signal(str)
    add_model_wanted = Signal()
    show_index_wanted = Signal(object)

    def __init__(self, session: Session) -> None:
        super().__init__(session, "", scrolls=True)
        self.title.setText(self.tr("Area"))
        self._estimate: Estimate | None = None
        self._wish: tuple[object, ...] | None = None  # what shall be built once it is counted
        self._filling = False
        self._overlap, self._grid_of = 0.5, ""
        self._asked = self._answered = 0  # questions about the cost: only the last one's answer counts
        self._wait = QTimer(self, interval=120, singleShot=True)
        self._wait.timeout.connect(self._count)
        self._make_imagery()
        self._make_outline()
        self._make_model()
        self._make_indexes()
        self.body.addStretch(1)
        self._make_foot()
        session.lists_changed.connect(self._on_lists)
        session.imagery_changed.connect(lambda info: self._on_imagery())
        session.area_changed.connect(self._on_area)
        session.model_changed.connect(self._on_model)
        session.index_changed.connect(self._on_lists)
        self._on_lists()
        self._on_area()

    # -- making -------------------------------------------------------------------------------------------

    def _make_imagery(self) -> None:
        self.section(self.tr("Imagery"))
        self.imagery = narrow_combo()
        self.imagery.setToolTip(self.tr("Where the satellite pixels come from; also the map's base layer"))
        self.imagery.setAccessibleName(self.tr("Imagery"))
        self.imagery.currentIndexChanged.connect(self._on_imagery_picked)
        add = QToolButton()
        add.setIcon(icons.icon("plus"))
        add.setToolTip(self.tr("Add imagery"))
        add.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(add)
        for kind, words in (
            ("file", self.tr("File (GeoTIFF, MBTiles, PMTiles)…")),
            ("folder", self.tr("Folder of tiles…")),
            ("address", self.tr("Address on the web…")),
            ("provider", self.tr("Known provider…")),
        ):
            menu.addAction(words, partial(self.add_imagery_wanted.emit, kind))
        add.setMenu(menu)
        self._imagery_facts = Label("", "Secondary", wrap=True)
        line = row(self.imagery, add, spacing=4)
        line.layout().setStretch(0, 1)  # type: ignore[union-attr]
        self.body.addWidget(line)
        self.body.addWidget(self._imagery_facts)

    def _make_outline(self) -> None:
        self.section(self.tr("Outline"))
        shapes: list[tuple[Shape, str, str]] = [
            ("rectangle", "rectangle-outline", self.tr("Rectangle")),
            ("polygon", "vector-polygon", self.tr("Polygon")),
            ("circle", "circle-outline", self.tr("Circle")),
        ]
        grid = QWidget()
        layout = QGridLayout(grid)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        for at, (shape, icon, words) in enumerate(shapes):
            layout.addWidget(button(words, partial(self.draw_wanted.emit, shape), icon=icon), at // 2, at % 2)
        layout.addWidget(
            button(self.tr("Import…"), self.import_area_wanted.emit, icon="file-import-outline"), 1, 1
        )
        in_view = partial(self.draw_wanted.emit, "view")
        layout.addWidget(
            button(self.tr("What the map shows"), in_view, icon="fit-to-screen-outline"), 2, 0, 1, 2
        )
        self._draw = grid
        self.area_name = QLineEdit()
        self.area_name.setPlaceholderText(self.tr("Name of this area"))
        self.area_name.setMaxLength(48)
        self.area_name.textEdited.connect(self.session.name_area)
        self._area_facts = Label("", "Secondary", wrap=True)
        self._area_row = row(
            self.area_name,
            tool("vector-polyline-edit", self.tr("Move the corners"), partial(self.draw_wanted.emit, "edit")),
            tool("trash-can-outline", self.tr("Remove this outline"), self.session.delete_area),
            spacing=4,
        )
        self._area_row.layout().setStretch(0, 1)  # type: ignore[union-attr]
        for made in (self._draw, self._area_row, self._area_facts):
            self.body.addWidget(made)

    def _make_model(self) -> None:
        self.section(self.tr("Model"))
        self.model = narrow_combo()
        self.model.setAccessibleName(self.tr("Model"))
        self.model.currentIndexChanged.connect(self._on_model_picked)
        add = tool("plus", self.tr("Add a checkpoint (.pth)…"), self.add_model_wanted.emit, role="text")
        line = row(self.model, add, spacing=4)
        line.layout().setStretch(0, 1)  # type: ignore[union-attr]
        self._model_facts = Label("", "Secondary", wrap=True)
        tip = self.tr("A chip is the square of imagery that is compared as one image")
        self.side = number_box(0, 5000, " m", self.tr("as trained"), tip)
        self.overlap = QSlider(Qt.Orientation.Horizontal)
        self.overlap.setRange(0, 15)
        self.overlap.setValue(10)
        self.overlap.setPageStep(1)
        self.overlap.setToolTip(
            self.tr("Neighbouring chips share this much: more finds places between chips, and takes longer")
        )
        self._overlap_words = Label("", "Secondary")
        self._overlap_words.setFixedWidth(36)
        form = QWidget()
        layout = QFormLayout(form)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(12)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        layout.addRow(self.tr("Chip side"), self.side)
        overlap = row(self.overlap, self._overlap_words)
        overlap.layout().setStretch(0, 1)  # type: ignore[union-attr]
        layout.addRow(self.tr("Overlap"), overlap)
        self.side.valueChanged.connect(self._changed)
        self.overlap.valueChanged.connect(self._on_overlap)
        for made in (line, self._model_facts, form):
            self.body.addWidget(made)

    def _make_indexes(self) -> None:
        self._indexes_title = self.section(self.tr("Indexes"))
        self.indexes = IndexList(self.imagery)
        self.indexes.chosen.connect(self._on_index_chosen)
        self.indexes.thrown.connect(lambda index: self.session.throw_away(index.folder))
        self.body.addWidget(self.indexes)

    def _make_foot(self) -> None:
        self._costs = Label("", "Secondary", wrap=True)
        self.build = button(self.tr("Build index"), self._on_build, icon="play", primary=True)
        self._cost_card = CostCard()
        self.foot.addWidget(self._cost_card)
        self.foot.addWidget(self._costs)
        self.foot.addWidget(self.build)

    # -- what is chosen -----------------------------------------------------------------------------------

    def _on_lists(self) -> None:
        self._filling = True
        session = self.session
        self.imagery.clear()
        for entry in session.lists.imagery:
            self.imagery.addItem(entry.name, entry)
        if session.imagery is not None:
            self.imagery.setCurrentIndex(self.imagery.findText(session.imagery.name))
        self.imagery.setEnabled(self.imagery.count() > 0)
        if not self.imagery.count():
            self.imagery.addItem(self.tr("No imagery yet: drop a file, or add one"), None)
        self.model.clear()
        for item in session.lists.models:
            suffix = "" if item.has_weights else self.tr(" (weights missing)")
            self.model.addItem(item.title + suffix, item)
        if session.model is not None:
            names = [item.name for item in session.lists.models]
            self.model.setCurrentIndex(names.index(session.model.name) if session.model.name in names else -1)
        self._filling = False
        index, rows = session.index, session.lists.indexes
        self._indexes_title.setVisible(bool(rows))
        self.indexes.fill(rows, "" if index is None else index.name)
        self._on_imagery()
        self._on_model()

    def _on_index_chosen(self, index: IndexRow) -> None:
        if index.state == "ready":
            self.session.set_index(index)
        self.show_index_wanted.emit(index)

    def _on_imagery_picked(self) -> None:
        entry = self.imagery.currentData()
        if not self._filling and entry is not None:
            self.session.set_imagery(entry)

    def _on_imagery(self) -> None:
        info = self.session.imagery_info
        if info is None:
            words = self.tr("cannot be opened") if self.session.imagery_failed else self.tr("opening…")
            self._imagery_facts.setText(words if self.session.imagery is not None else "")
        else:
            parts = [self.tr("{metres} m per pixel").format(metres=f"{info.metres_per_pixel:.2f}"), info.kind]
            parts += [wording.one_line(info.attribution, 120)] if info.attribution else []
            self._imagery_facts.setText(" · ".join(parts))
        self._imagery_facts.setVisible(bool(self._imagery_facts.full_text()))
        self._changed()

    def _on_area(self) -> None:
        area = self.session.area
        self._area_row.setVisible(area is not None)
        if area is not None:
            self.area_name.setText(area.name)
            self._area_facts.setText(" ".join(area.notes))
        else:
            self._area_facts.setText(self.tr("Without an outline the whole imagery is indexed."))
        self._area_facts.setVisible(bool(self._area_facts.full_text()))
        self._changed()

    def _on_model_picked(self) -> None:
        item = self.model.currentData()
        if not self._filling and item is not None:
            self.session.set_model(item)

    def _on_model(self) -> None:
        model = self.session.model
        if model is None:
            self._model_facts.setText(
                self.tr("Drop a Sample4Geo checkpoint (.pth) on the window to add a model.")
            )
        else:
            config = model.config
            views = {
                "panorama": self.tr("Compares full 360° panoramas."),
                "panorama_strip": self.tr("Compares 360° panoramas, a band around the horizon."),
                "perspective": self.tr("Compares ordinary photos."),
                "drone": self.tr("Compares drone photos."),
            }
            parts = [views[config.ground_view]]
            if config.side_m:
                parts.append(self.tr("Chips are {metres} m wide.").format(metres=f"{config.side_m:.0f}"))
            self._model_facts.setText(" ".join(parts))
            if model.name != self._grid_of:  # else what the user chose stays
                self._grid_of = model.name
                self._filling = True
                self.overlap.setValue(round(config.recommended_overlap * 20))
                self.side.setValue(0)
                self._filling = False
                self._overlap = config.recommended_overlap  # finer than the slider's steps
        self._changed()

    # -- the cost -----------------------------------------------------------------------------------------

    def _on_overlap(self, steps: int) -> None:
        if not self._filling:
            self._overlap = steps / 20
            self._changed()

    def _changed(self) -> None:
        self._overlap_words.setText(f"{self._overlap * 100:.0f} %")
        self._asked += 1
        self._estimate = None
        self._wait.start()

    def _count(self) -> None:
        session, info, model = self.session, self.session.imagery_info, self.session.model
        if info is None or model is None:
            self._wish = None
            missing = self.tr("Add a model to begin.")
            if info is None:
                here = session.imagery is not None
                missing = self.tr("Its imagery is needed.") if here else self.tr("Add imagery to begin.")
            self._show_estimate(None, missing if session.workspace is not None else "")
            return
        area, side = session.area, self.side.value() or None
        bulk = info.bulk and (session.imagery is None or session.imagery.bulk)
        info = replace(info, bulk=bulk)
        overlap, asked = self._overlap, self._asked

        def work() -> Estimate:
            rate = estimate.known_rate(model.name)
            return estimate.estimate(area, info, model.config, overlap, side, rate)

        def show(found: Estimate | None, trouble: str) -> None:
            if asked == self._asked:
                self._answered = asked
                self._show_estimate(found, trouble)
                wish, self._wish = self._wish, None
                if wish is not None and wish == self._chosen() and self.build.isEnabled():
                    self._on_build()

        def slow() -> None:
            if self._answered < asked == self._asked:  # the numbers that are shown are of something else
                self._show_estimate(None, self.tr("Counting the chips…"))

        def failure(error: Exception) -> None:
            show(None, error.what if isinstance(error, GeolocatorError) else str(error))

        session.background.run(work, lambda found: show(found, found.trouble), failure, owner=self)
        QTimer.singleShot(_SLOW_MS, self, slow)

    def _show_estimate(self, found: Estimate | None, trouble: str) -> None:
        self._estimate = found
        ready = found is not None and not trouble and found.chips > 0
        self._cost_card.setVisible(ready)
        if found is not None and ready:
            self._cost_card.show_cost(found, self.session.imagery_info)
        self._costs.setText(trouble)
        self._costs.setVisible(bool(trouble))
        self.build.setEnabled(ready and found is not None and found.allowed)

    def _chosen(self) -> tuple[object, ...]:
        """What would be built now; another name of the area makes no other index."""
        session = self.session
        outline = None if session.area is None else session.area.geometry
        folder = None if session.model is None else session.model.folder
        return session.workspace, session.imagery, folder, outline, self._overlap, self.side.value()

    def _on_build(self) -> None:
        session = self.session
        workspace, imagery, model = session.workspace, session.imagery, session.model
        if workspace is None or imagery is None or model is None:
            return
        if self._estimate is None:  # it is being counted: the build begins as soon as the count allows it
            self._wish = self._chosen()
            return
        area, name = session.area, self.area_name.text().strip()
        title = (name or area.name) if area is not None else imagery.name
        overlap, side = self._overlap, self.side.value() or None

        def work() -> tuple[Path, IndexConfig]:
            file: Path | None = None
            if area is not None:
                from geolocator_gui.geo.area import Area

                file = workspace.keep_area(title, Area(title, area.geometry).geojson_text())
            thing = workspace.new_folder(workspace.indexes, title)
            config = IndexConfig(
                imagery=(imagery.source,),
                area=None if file is None else str(file),
                model=str(model.folder),
                overlap=overlap,
                side_m=side,
            )
            return thing, config

        words = self.tr("Building the index. It works on when this window closes.")
        began = partial(session.notifications.tell, words)
        session.background.run(work, lambda made: session.jobs.start("index", *made, began))
