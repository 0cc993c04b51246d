"""What to train on, from which model, how: the form, its plan, start and queue."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QCheckBox, QFileDialog, QGridLayout, QLineEdit, QVBoxLayout, QWidget

from geolocator_gui.errors import ConfigError
from geolocator_gui.gui.session import Session
from geolocator_gui.gui.training import planning
from geolocator_gui.gui.training.child import Child
from geolocator_gui.gui.training.planning import TOWN, Found, preset_title
from geolocator_gui.gui.training.prober import Prober
from geolocator_gui.gui.training.settings_dialog import SettingsDialog
from geolocator_gui.gui.training.tables import AsideDialog
from geolocator_gui.gui.translation import translate
from geolocator_gui.gui.widgets.basics import Label, button, link, narrow_combo, number_box, row, tool
from geolocator_gui.pairs_folder import PairsConfig
from geolocator_gui.training import PRESETS, TrainRun, with_settings

_PAUSE_MS = 500


class TrainForm(QWidget):
    """The form.

    Signals:
        wanted: A `TrainRun` and whether it waits in the queue.
    """

    wanted = Signal(object, bool)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._child: Child | None = None
        self.found: Found | None = None
        self.overrides: list[str] = []
        self._making: Path | None = None
        self._busy = False
        self.prober = Prober(self)
        self.data = narrow_combo()
        for key, title in (
            ("photos", self.tr("My photos over the imagery here")),
            ("pairs", self.tr("A folder of pairs")),
            ("town", self.tr("The demo town, to try it")),
            *((kind, translate("Planning", title)) for kind, title in planning.KINDS.items()),
        ):
            self.data.addItem(title, key)
        self.place = QLineEdit()
        self.place.setAccessibleName(self.tr("Folder of the data"))
        self.browse = tool("folder-open-outline", self.tr("Choose a folder"), self._choose)
        self._place_row = row(self.place, self.browse, spacing=4)
        self._place_row.layout().setStretch(0, 1)  # type: ignore[union-attr]
        self.make_button = button(self.tr("Make pairs"), self.make_pairs, icon="content-cut")
        self.model = narrow_combo()
        self.preset = narrow_combo()
        for key in PRESETS:
            self.preset.addItem(preset_title(key), key)
        self.views = QCheckBox(self.tr("Learn ordinary photos too"))
        self.views.setToolTip(
            self.tr(
                "Panoramas are also shown as cut-outs of 70° to 360° with unknown heading. Helps photos "
                "from a phone; the model sees harder pairs, so plan for about twice as many."
            )
        )
        self.negatives = narrow_combo()
        for key, title in (
            ("similarity", self.tr("Look-alikes (best, mines as it goes)")),
            ("position", self.tr("Neighbours on the ground")),
            ("random", self.tr("Random")),
        ):
            self.negatives.addItem(title, key)
        self.negatives.setToolTip(self.tr("Which places a photo is told apart from in one step"))
        preset_word = self.tr("preset")
        self.batch = number_box(
            1,
            1024,
            self.tr(" pairs"),
            preset_word,
            self.tr("Pairs per step; more is better and needs memory"),
        )
        self.length = number_box(
            0, 1e8, self.tr(" pairs"), preset_word, self.tr("Pairs seen in the whole run")
        )
        self.words = Label("", "Secondary", wrap=True)
        self.aside = link(self.tr("show what was set aside"), self._show_aside)
        self._needs = QGridLayout()
        self._needs.setVerticalSpacing(2)
        self.all_button = link(self.tr("All settings…"), self.show_settings)
        self.start_button = button(
            self.tr("Start training"), lambda: self._want(queued=False), icon="play", primary=True
        )
        self.queue_button = button(self.tr("Add to queue"), lambda: self._want(queued=True))
        self._lay_out()
        self._pause = QTimer(self, interval=_PAUSE_MS, singleShot=True)
        self._pause.timeout.connect(self._look)
        self.data.currentIndexChanged.connect(self._on_data)
        self.place.textChanged.connect(self._on_data)
        self.preset.currentIndexChanged.connect(self._on_preset)
        for combo in (self.model, self.negatives):
            combo.currentIndexChanged.connect(self.refresh)
        self.views.toggled.connect(self.refresh)
        for box in (self.batch, self.length):
            box.valueChanged.connect(self.refresh)
        session.lists_changed.connect(self.fill)
        session.workspace_changed.connect(self.fill)
        session.jobs.ended.connect(self._on_ended)
        session.jobs.changed.connect(self._on_jobs)
        self.prober.answered.connect(self.refresh)
        self.fill()
        self._on_data()

    def fill(self) -> None:
        """List the models."""
        kept = self.model.currentData()
        self.model.blockSignals(True)
        self.model.clear()
        for one in self._session.lists.models:
            if one.has_weights:
                self.model.addItem(one.title, str(one.folder))
        active = self._session.model
        wanted = kept or (str(active.folder) if active is not None else None)
        self.model.setCurrentIndex(max(0, self.model.findData(wanted)) if self.model.count() else -1)
        self.model.blockSignals(False)
        self.refresh()

    def show_data(self, data: str) -> None:
        """Choose pairs as `KIND:PATH`."""
        kind, _, place = data.partition(":")
        self.data.setCurrentIndex(max(0, self.data.findData(kind)))
        self.place.setText(place)

    def run(self) -> TrainRun:
        """The configuration as it stands; raises `ConfigError`."""
        return with_settings(self._preset_run(), [*self._simple(), *self.overrides])

    def refresh(self) -> None:
        """Show what it comes to, and whether it can start."""
        kind = self.data.currentData()
        photos = kind == "photos"
        self._place_row.setVisible(kind != "town")
        self.negatives.setVisible(kind != "town")
        self._negatives_label.setVisible(kind != "town")
        self.views.setVisible(kind != "town")
        self.make_button.setVisible(photos)
        imagery = self._session.lists.imagery
        self.make_button.setEnabled(
            photos and bool(self.place.text().strip()) and bool(imagery) and self._making is None
        )
        self.place.setPlaceholderText(
            self.tr("Folder of geotagged photos") if photos else self.tr("Folder of the data")
        )
        changed = len(self.overrides)
        self.all_button.setText(
            self.tr("All settings…") + (f" ({changed} {self.tr('changed')})" if changed else "")
        )
        words, rows, ready = self._says()
        self.words.setText(words)
        self._show_needs(rows)
        self.aside.setVisible(self.found is not None and bool(self.found.aside or self.found.notes))
        for made in (self.start_button, self.queue_button):
            made.setEnabled(ready)
        self.all_button.setEnabled(self.found is not None and self.model.count() > 0)

    def show_settings(self) -> None:
        """Let every setting be changed."""
        try:
            base = with_settings(self._preset_run(), self._simple())
            dialog = SettingsDialog(self, self.run(), base)
        except ConfigError as error:
            self._session.notifications.error(error)
            return
        if dialog.exec():
            self.overrides = dialog.settings()
            self.refresh()

    def make_pairs(self) -> None:
        """Cut pairs out of a folder of photos and the workspace's imagery, as a run."""
        workspace = self._session.workspace
        if workspace is None:
            return
        photos = Path(self.place.text().strip()).expanduser()
        sources = tuple(entry.source for entry in self._session.lists.imagery)
        folder = workspace.new_folder(workspace.root / "pairs", photos.name)
        self._making = folder
        config = PairsConfig(
            photos=str(photos), imagery=sources, model=str(self.model.currentData() or "demo-town")
        )
        self._session.jobs.start("pairs", folder, config)
        self.refresh()

    def showEvent(self, event: QShowEvent) -> None:
        """What a run needs is estimated while somebody looks."""
        super().showEvent(event)
        self.refresh()

    def close_page(self) -> None:
        """The window closes."""
        self._pause.stop()
        self.prober.close()
        if self._child is not None:
            self._child.cancel()
            self._child = None

    # -- inside -------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        self._negatives_label = Label(self.tr("Told apart from"), "Section")
        for widget in (
            Label(self.tr("Pairs"), "Section"),
            self.data,
            self._place_row,
            self.make_button,
            Label(self.tr("Start from"), "Section"),
            self.model,
            Label(self.tr("How"), "Section"),
            self.preset,
            self._negatives_label,
            self.negatives,
            self.views,
        ):
            layout.addWidget(widget)
        grid = QGridLayout()
        grid.setSpacing(6)
        for box in (self.batch, self.length):
            box.setMinimumWidth(64)
        for place, (name, box) in enumerate(
            ((self.tr("Batch"), self.batch), (self.tr("Length"), self.length))
        ):
            grid.addWidget(Label(name, "Section"), 0, place)
            grid.addWidget(box, 1, place)
        layout.addLayout(grid)
        layout.addWidget(self.all_button)
        layout.addSpacing(4)
        layout.addWidget(self.words)
        layout.addWidget(self.aside)
        layout.addLayout(self._needs)
        layout.addSpacing(4)
        layout.addWidget(row(self.start_button, self.queue_button, 0))

    def _says(self) -> tuple[str, list[tuple[str, str]], bool]:
        kind = self.data.currentData()
        if not self.model.count():
            return self.tr("No model has its weights yet; add one in the tool bar."), [], False
        if kind == "photos":
            if self._making is not None:
                return self.tr("Making pairs; the Runs page shows how far."), [], False
            if not self._session.lists.imagery:
                return self.tr("Add imagery on the Area page first: pairs are cut out of it."), [], False
            return (
                self.tr("A pair is a photo and the imagery under it. Make them once, then train on them."),
                [],
                False,
            )
        if self.found is None:
            if self._child is not None:
                return self.tr("Looking at the data…"), [], False
            return self._trouble or self.tr("Choose the folder of the pairs."), [], False
        try:
            run = self.run()
        except ConfigError as error:
            return str(error), [], False
        if self.found.pairs < run.train.batch_size and kind != "town":
            return self.tr("There are fewer pairs than a batch takes."), [], False
        busy = bool(self._session.jobs.working)  # a trial would slow the run down
        if self.isVisible() and not busy:
            self.prober.want(run)
        unknown = ""
        if busy or self.prober.failed(run):
            unknown = self.tr("estimated when no run works") if busy else self.tr("measured by the first run")
        rows = planning.needs(run, self.found, self.prober.of(run), unknown)
        return self.found.sentence(), rows, True

    def _show_needs(self, rows: list[tuple[str, str]]) -> None:
        while (item := self._needs.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.hide()
                old.deleteLater()
        for place, (name, value) in enumerate(rows):
            self._needs.addWidget(Label(name, "Secondary"), place, 0)
            self._needs.addWidget(Label(value), place, 1)
        self._needs.setColumnStretch(0, 2)
        self._needs.setColumnStretch(1, 5)

    def _preset_run(self) -> TrainRun:
        found = self.found if self.found is not None else TOWN
        return planning.make_run(
            found, str(self.model.currentData() or "demo-town"), self.preset.currentData(), []
        )

    def _simple(self) -> list[str]:
        town = self.data.currentData() == "town"
        settings = [] if town else [f"sampling.neighbours={self.negatives.currentData()}"]
        if self.views.isChecked() and not town:
            settings.append("views.enabled=true")
        if self.batch.value() > 1:
            settings.append(f"train.batch_size={int(self.batch.value())}")
        if self.length.value() > 0:
            settings.append(f"train.pairs={int(self.length.value())}")
        return settings

    _trouble = ""

    def _on_preset(self) -> None:
        self.overrides = []
        self.refresh()

    def _on_data(self) -> None:
        self.found, self._trouble = None, ""
        if self._child is not None:
            self._child.cancel()
            self._child = None
        if self.data.currentData() == "town":
            self.found = TOWN
            self.preset.setCurrentIndex(self.preset.findData("quick"))
        elif self.data.currentData() != "photos" and self.place.text().strip():
            self._pause.start()
        self.refresh()
        self._on_jobs()

    def _look(self) -> None:
        kind, place = self.data.currentData(), self.place.text().strip()
        if kind in ("town", "photos") or not place:
            return
        data = f"{kind}:{Path(place).expanduser()}"
        self._child = Child(["pairs", "--check", data, "--json"], self)
        self._child.answered.connect(self._on_found)
        self._child.failed.connect(self._on_trouble)
        self.refresh()

    def _on_jobs(self) -> None:
        """Pairs that another window, or this one before a restart, is making are found again."""
        rows = [row for row in self._session.jobs.rows if row.verb == "pairs"]
        making = next((row.thing for row in rows if row.works), None)
        busy = bool(self._session.jobs.working)
        if busy != self._busy or (making is not None and making != self._making):
            self._making, self._busy = making or self._making, busy
            self.refresh()
        done = [row for row in rows if row.state == "finished"]
        if done and self.data.currentData() == "pairs" and not self.place.text():
            self.place.setText(str(max(done, key=lambda row: row.updated or 0).thing))

    def _on_found(self, printed: str) -> None:
        self._child = None
        self.found = planning.found_of(planning.json_of(printed))
        self.refresh()

    def _on_trouble(self, what: str, hint: str) -> None:
        self._child = None
        self._trouble = f"{what}\n{hint}".strip()
        self.refresh()

    def _on_ended(self, ended: object) -> None:
        thing, state = getattr(ended, "thing", None), getattr(ended, "state", "")
        if self._making is not None and thing == self._making:
            self._making = None
            if state == "finished" and self.data.currentData() in ("photos", "pairs"):
                self.show_data(f"pairs:{thing}")
            self.refresh()

    def _choose(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, self.tr("Folder"), self.place.text())
        if folder:
            self.place.setText(folder)

    def _show_aside(self) -> None:
        if self.found is not None:
            AsideDialog(self, self.found).exec()

    def _want(self, *, queued: bool) -> None:
        try:
            self.wanted.emit(self.run(), queued)
        except ConfigError as error:
            self._session.notifications.error(error)
