"""What can be done with a training run: start, queue, stop, resume, publish, compare, pack, import."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from PySide6.QtCore import QObject, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFileDialog, QInputDialog, QWidget

from geolocator_gui.configs import IndexConfig
from geolocator_gui.errors import InputError
from geolocator_gui.gui import wording
from geolocator_gui.gui.run_rows import RunRow
from geolocator_gui.gui.session import Session
from geolocator_gui.gui.training import planning
from geolocator_gui.gui.training.child import Child
from geolocator_gui.gui.training.follow import Training, remember_published
from geolocator_gui.gui.training.tables import ComparedDialog
from geolocator_gui.runs import RunFolder
from geolocator_gui.training import TrainRun, checked_model_name
from geolocator_gui.workspace import slug


class Actions(QObject):
    """Does it, and says what came of it.

    Signals:
        started: The folder of a run that was started.
        compared: The document of a comparison.
    """

    started = Signal(object)
    compared = Signal(object)

    def __init__(self, session: Session, parent: QWidget) -> None:
        super().__init__(parent)
        self._session, self._owner = session, parent
        self._children: list[Child] = []
        self._indexing: dict[Path, Path] = {}
        session.jobs.ended.connect(self._on_ended)

    def start(self, run: TrainRun, *, queued: bool) -> None:
        """Freeze a configuration into a new run folder and start it, or let it wait for its turn."""
        workspace = self._session.workspace
        if workspace is None:
            return
        kind, _, place = run.data.partition(":")
        thing = workspace.new_folder(workspace.training, Path(place).name if place else kind)
        if not queued:
            self._session.queue.began(thing)
            self._session.jobs.start("train", thing, run)
            self.started.emit(thing)
            return
        # What is looked at stays in sight; the list shows what waits.
        self._session.queue.add(thing, run)

    def resume(self, thing: Path) -> None:
        """Go on with a run that was stopped, failed or was killed."""
        self._session.queue.began(thing)
        self._session.jobs.resume(thing)

    def kill(self, thing: Path, run: Training) -> None:
        """End a run at once; it goes on from its last saved state."""
        if run.pid and RunFolder(thing).is_locked():
            with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                os.kill(run.pid, signal.SIGTERM)

    def publish(self, thing: Path, name: str = "") -> None:
        """Make a model of a run's best state; asks for its name."""
        if not name:
            proposed = f"{thing.name}-model"
            name, ok = QInputDialog.getText(
                self._owner,
                self.tr("Publish model"),
                self.tr("The best state becomes a model of this workspace. Its name:"),
                text=slug(proposed),
            )
            if not ok:
                return
        name = name.strip()
        if not self._usable(name):
            return

        def answered(printed: str) -> None:
            made = str(planning.json_of(printed).get("name", name))
            session = self._session
            session.background.run(lambda: remember_published(thing, made))
            session.notifications.tell(
                self.tr("{name} is a model of this workspace now.").format(name=made),
                self.tr("Index with it, or compare it with the old one."),
                "success",
            )
            session.reload()

        self._ask(["publish", str(thing), "--name", name, "--json"], answered)

    def pack(self, thing: Path) -> None:
        """Write a zip that trains on another machine."""
        file, _ = QFileDialog.getSaveFileName(
            self._owner, self.tr("Pack for another machine"), f"{thing.name}.zip", "Zip (*.zip)"
        )
        if file:
            self._ask(["pack", str(thing), file, "--json", "--quiet"], self._on_packed)

    def import_result(self) -> None:
        """Make a model of what another machine trained."""
        workspace = self._session.workspace
        if workspace is None:
            return
        file, _ = QFileDialog.getOpenFileName(
            self._owner, self.tr("Result of a packed run"), "", "Zip (*.zip);;run.json (run.json)"
        )
        if not file:
            return
        place = Path(file)
        name, ok = QInputDialog.getText(
            self._owner, self.tr("Publish model"), self.tr("Its name:"), text=slug(place.stem)
        )
        name = name.strip()
        if not ok or not self._usable(name):
            return
        source = place.parent if place.name == "run.json" else place
        arguments = ["publish", str(source), "--name", name, "--workspace", str(workspace.root)]

        def answered(printed: str) -> None:
            self._session.notifications.tell(self.tr("The result is a model of this workspace now."))
            self._session.reload()

        self._ask([*arguments, "--json"], answered)

    def reindex(self, run: Training) -> None:
        """Build the active index anew with the published model; the comparison follows by itself."""
        session, workspace = self._session, self._session.workspace
        old = session.index
        model = next((row for row in session.lists.models if row.name == run.published), None)
        if workspace is None or model is None:
            return
        if old is None or not len(session.tray):
            session.notifications.error(
                InputError(
                    "there is nothing to compare with yet",
                    hint="Build an index with the old model and add photos to the list first.",
                )
            )
            return

        def work() -> tuple[Path, IndexConfig]:
            config = RunFolder(old.folder).read_config(IndexConfig)
            thing = workspace.new_folder(workspace.indexes, f"{old.name}-{run.published}")
            return thing, config.model_copy(update={"model": str(model.folder)})

        def success(made: tuple[Path, IndexConfig]) -> None:
            thing, config = made
            self._indexing[thing] = old.folder
            session.jobs.start("index", thing, config)
            session.notifications.tell(
                self.tr("Building an index with {name}; the comparison follows.").format(name=run.published)
            )

        session.background.run(work, success, owner=self)

    def open_folder(self, thing: Path) -> None:
        """In the file manager."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(thing)))

    def open_log(self, thing: Path) -> None:
        """In the system's viewer."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(RunFolder(thing).log_path)))

    def close(self) -> None:
        """The window closes; what it asked for ends with it, runs work on."""
        for child in self._children:
            child.cancel()
        self._children = []

    # -- inside -------------------------------------------------------------------------------------------

    def _ask(self, arguments: list[str], answered: object) -> None:
        child = Child(arguments, self)
        self._children.append(child)
        child.answered.connect(lambda _: self._children.remove(child))
        child.failed.connect(lambda what, hint: self._on_failed(child, what, hint))
        child.answered.connect(answered)

    def _usable(self, name: str) -> bool:
        """Whether a model can have this name; says the rule where it cannot."""
        try:
            checked_model_name(name)
        except InputError as error:
            self._session.notifications.error(error)
            return False
        return True

    def _on_failed(self, child: Child, what: str, hint: str) -> None:
        self._children.remove(child)
        self._session.notifications.tell(what, hint, "error")

    def _on_packed(self, printed: str) -> None:
        made = planning.json_of(printed)
        self._session.notifications.tell(
            self.tr("{file} is packed.").format(file=wording.isolated(Path(str(made.get("file", ""))).name)),
            self.tr(
                "There: unpack, pip install -r requirements.txt, python train.py; import its result here."
            ),
            "success",
        )

    def _on_ended(self, ended: object) -> None:
        if not isinstance(ended, RunRow):
            return
        rate = None if ended.metric is None else ended.metric.values.get("pairs_per_second")
        if ended.verb == "train" and rate:
            self._session.background.run(
                lambda: planning.learn_rate(RunFolder(ended.thing).read_config(TrainRun), float(rate))
            )
        old = self._indexing.pop(ended.thing, None)
        if old is None or ended.state != "finished":
            return
        photos = [str(card.path) for card in self._session.tray]
        models = [] if self._session.workspace is None else ["--models", str(self._session.workspace.models)]
        arguments = ["compare", *photos, "--index", str(old), "--index", str(ended.thing), *models]

        def answered(printed: str) -> None:
            document = planning.json_of(printed)
            self.compared.emit(document)
            dialog = ComparedDialog(self._owner, document, (old.name, ended.thing.name))
            dialog.open()

        self._ask([*arguments, "--json", "--quiet"], answered)
