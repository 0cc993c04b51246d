"""What to mine: photos of known position in an index, or a data set of pairs; starts the run."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from geolocator_gui.gui.negatives.result import finished_minings
from geolocator_gui.gui.session import Session
from geolocator_gui.gui.widgets.basics import Label, button, narrow_combo, number_box, tool
from geolocator_gui.mined import MineConfig
from geolocator_gui.workspace import write_atomically

PHOTO_LIST = "photos.txt"


class StartForm(QWidget):
    """The form.

    Signals:
        started: A run was started.
        cancelled: Back to what was shown.
        photos_wanted: Go to the Photos page.
        index_wanted: Go to the Area page.
    """

    started = Signal(object)
    cancelled = Signal()
    photos_wanted = Signal()
    index_wanted = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.what = narrow_combo()
        self.what.addItem(self.tr("Photos of the list"), "list")
        self.what.addItem(self.tr("A folder of photos"), "folder")
        self.what.addItem(self.tr("A data set of pairs"), "data")
        self.place = QLineEdit()
        self.browse = tool("folder-open-outline", self.tr("Choose a folder"), self._choose)
        self._place_row = QWidget()
        line = QHBoxLayout(self._place_row)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        line.addWidget(self.place, 1)
        line.addWidget(self.browse)
        self.index: QComboBox = narrow_combo()
        self.model: QComboBox = narrow_combo()
        self.neighbours = number_box(
            8, 1024, self.tr(" chips"), "", self.tr("How many of the most similar chips are kept per photo")
        )
        self.neighbours.setValue(128)
        self.words = Label("", "Secondary", wrap=True)
        self.start_button = button(self.tr("Start mining"), self.start, icon="pickaxe", primary=True)
        self.back_button = button(self.tr("Back"), self.cancelled.emit)
        self.help_button = button("", self._help)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        about = Label(
            self.tr(
                "A hard negative is a chip that the model ranks near or above the right one. Mining finds "
                "them for every photo whose position is known; you say what each one is, training uses it."
            ),
            "Secondary",
            wrap=True,
        )
        layout.addWidget(about)
        layout.addSpacing(8)
        self._index_label, self._model_label = (
            Label(self.tr("Index"), "Section"),
            Label(self.tr("Model"), "Section"),
        )
        for widget in (
            Label(self.tr("What to mine"), "Section"),
            self.what,
            self._place_row,
            self._index_label,
            self.index,
            self._model_label,
            self.model,
            Label(self.tr("Most similar chips per photo"), "Section"),
            self.neighbours,
        ):
            layout.addWidget(widget)
        layout.addSpacing(8)
        layout.addWidget(self.words)
        buttons = QHBoxLayout()
        buttons.addWidget(self.start_button)
        buttons.addWidget(self.help_button)
        buttons.addWidget(self.back_button)
        buttons.addStretch(1)
        layout.addLayout(buttons)
        layout.addStretch(1)
        self.what.currentIndexChanged.connect(self.refresh)
        self.place.textChanged.connect(self.refresh)
        self.index.currentIndexChanged.connect(self.refresh)
        session.lists_changed.connect(self.fill)
        session.index_changed.connect(self.fill)
        session.tray_changed.connect(self.refresh)
        self.fill()

    def fill(self) -> None:
        """List what there is."""
        lists = self._session.lists
        for combo, rows in (
            (self.index, [(row.name, str(row.folder)) for row in lists.indexes if row.state == "ready"]),
            (self.model, [(row.title, str(row.folder)) for row in lists.models if row.has_weights]),
        ):
            kept = combo.currentData()
            combo.blockSignals(True)
            combo.clear()
            for words, data in rows:
                combo.addItem(words, data)
            active = self._session.index
            wanted = kept or (str(active.folder) if combo is self.index and active is not None else None)
            combo.setCurrentIndex(max(0, combo.findData(wanted)) if rows else -1)
            combo.blockSignals(False)
        self.refresh()

    def refresh(self) -> None:
        """Show the fields of the choice, and whether it can start."""
        what = self.what.currentData()
        pairs = what == "data"
        self._place_row.setVisible(what != "list")
        self.place.setPlaceholderText("vigor:/data/VIGOR" if pairs else self.tr("folder"))
        self.place.setToolTip(
            self.tr("KIND:PATH, as on the command line: town:, cvusa:DIR, cvact:DIR, vigor:DIR, own:DIR")
            if pairs
            else ""
        )
        self.browse.setVisible(what == "folder")
        for widget in (self._index_label, self.index):
            widget.setVisible(not pairs)
        for widget in (self._model_label, self.model):
            widget.setVisible(pairs)
        missing, help_ = self._missing()
        self.words.setText(missing or self._promise())
        self.start_button.setEnabled(not missing)
        self.help_button.setText(help_)
        self.help_button.setVisible(bool(help_))

    def config(self, thing: Path, before: Path | None = None) -> MineConfig:
        """What the run will do; `before` is an earlier mining that it is compared with."""
        workspace = self._session.workspace
        compare = None if before is None else str(before)
        marks = None if before is None or workspace is None else str(workspace.marks)
        what = self.what.currentData()
        neighbours = int(self.neighbours.value())
        if what == "data":
            return MineConfig(
                data=self.place.text().strip(),
                model=str(self.model.currentData() or ""),
                neighbours=neighbours,
                compare=compare,
                marks=marks,
            )
        photos = self.place.text().strip() if what == "folder" else str(thing / PHOTO_LIST)
        return MineConfig(
            index=str(self.index.currentData()),
            photos=photos,
            neighbours=neighbours,
            compare=compare,
            marks=marks,
        )

    def start(self) -> None:
        """Start the run in a new folder of the workspace."""
        session = self._session
        workspace = session.workspace
        if workspace is None or self._missing()[0]:
            return
        title = self.index.currentText() if self.what.currentData() != "data" else self.place.text()
        paths = [str(card.path) for card in session.tray]
        listed = self.what.currentData() == "list"

        def work() -> tuple[Path, Path | None]:
            before = next(iter(finished_minings(workspace.mining)), None)
            thing = workspace.new_folder(workspace.mining, title)
            thing.mkdir(parents=True)
            if listed:
                write_atomically(thing / PHOTO_LIST, "".join(f"{path}\n" for path in paths))
            return thing, before

        def success(made: tuple[Path, Path | None]) -> None:
            # The worker lets go of the model, so that the run has the memory to itself.
            session.locator.release()
            session.jobs.start("mine", made[0], self.config(*made))
            self.started.emit(made[0])

        session.background.run(work, success, owner=self)

    def _missing(self) -> tuple[str, str]:
        """What is missing, and the words of a button that helps."""
        what = self.what.currentData()
        if what == "data":
            kind, colon, _ = self.place.text().strip().partition(":")
            if not kind or not colon:
                return self.tr("Name the data set as KIND:PATH, for example vigor:/data/VIGOR."), ""
            return ("", "") if self.model.count() else (self.tr("No model has its weights yet."), "")
        if self.index.currentData() is None:
            return self.tr("There is no finished index to mine in."), self.tr("Build an index")
        if what == "list" and not len(self._session.tray):
            return self.tr("The list has no photo yet."), self.tr("Add photos")
        if what == "folder" and not self.place.text().strip():
            return self.tr("Choose a folder of photos."), ""
        return "", ""

    def _promise(self) -> str:
        if self.what.currentData() == "list":
            known = sum(
                card.facts is not None and card.facts.position is not None for card in self._session.tray
            )
            located = sum(card.facts is not None for card in self._session.tray)
            if located:
                return self.tr(
                    "{known} of {all} photos say where they were taken; the others have no own chip."
                ).format(known=known, all=len(self._session.tray))
        return self.tr("The run works on when this window closes, and can be stopped and continued.")

    def _help(self) -> None:
        if self.index.currentData() is None:
            self.index_wanted.emit()
        else:
            self.photos_wanted.emit()

    def _choose(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, self.tr("Folder of photos"), self.place.text())
        if folder:
            self.place.setText(folder)
