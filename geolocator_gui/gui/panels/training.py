"""The Training page: what to train, the queue, the runs; their curves lie in the main area meanwhile."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QHideEvent, QShowEvent

from geolocator_gui.gui import wording
from geolocator_gui.gui.panels.page import Panel
from geolocator_gui.gui.run_rows import RunRow
from geolocator_gui.gui.session import Session
from geolocator_gui.gui.training.actions import Actions
from geolocator_gui.gui.training.cards import CardList
from geolocator_gui.gui.training.follow import Followers, Training
from geolocator_gui.gui.training.form import TrainForm
from geolocator_gui.gui.training.live import LiveView
from geolocator_gui.training import TrainRun

_INTERVAL_MS = 700


class TrainingPanel(Panel):
    """The page; `live` belongs where the map is while it is open.

    Signals:
        runs_wanted: Go to the Runs page.
        shown: The page was opened or left.
    """

    runs_wanted = Signal()
    shown = Signal(bool)

    def __init__(self, session: Session) -> None:
        super().__init__(session, "", scrolls=True)
        self.title.setText(self.tr("Training"))
        self.form = TrainForm(session)
        self.list = CardList()
        self.live = LiveView(session.pictures)
        self.actions_ = Actions(session, self)
        self.runs: dict[Path, Training] = {}
        self.chosen: Path | None = None
        self._beside: set[Path] = set()
        self._followers = Followers()
        self._reading = self._again = False
        self.body.addWidget(self.form)
        self._heading = self.section(self.tr("Runs"))
        self.body.addWidget(self.list)
        self.body.addStretch(1)
        self._timer = QTimer(self, interval=_INTERVAL_MS)
        self._timer.timeout.connect(self.read)
        self.form.wanted.connect(self._on_wanted)
        self.list.chosen.connect(self.choose)
        self.list.drawn.connect(self._on_drawn)
        self.live.asked.connect(self._on_asked)
        self.actions_.started.connect(self.choose)
        session.jobs.changed.connect(self._on_jobs)
        session.trash.leaving.connect(self._on_leaving)
        session.workspace_changed.connect(self._on_workspace)
        self._refresh()

    @property
    def rows(self) -> list[RunRow]:
        """The training runs, those that work first."""
        return [row for row in self.session.jobs.rows if row.verb == "train"]

    def choose(self, thing: Path) -> None:
        """Show a run in the main area."""
        self.chosen = thing
        self._beside.discard(thing)
        self._refresh()
        self.read()

    def read(self) -> None:
        """Read the runs' news, off the GUI thread."""
        workspace = self.session.workspace
        if self._reading or workspace is None:
            self._again = self._reading  # a run may have ended after its file was read
            return
        self._reading, self._again = True, False
        followers = self._followers
        self.session.background.run(
            lambda: followers.read(workspace.training),
            lambda runs: self._on_read(followers, runs),
            self._on_unread,
        )

    def close_page(self) -> None:
        """End what only the window wants."""
        self._timer.stop()
        self.form.close_page()
        self.actions_.close()

    def showEvent(self, event: QShowEvent) -> None:
        """Follow the runs while somebody looks."""
        super().showEvent(event)
        if not event.spontaneous():
            self._timer.start()
            self.shown.emit(True)
            self.read()

    def hideEvent(self, event: QHideEvent) -> None:
        """The map comes back."""
        super().hideEvent(event)
        if not event.spontaneous():
            self._timer.stop()
            self.shown.emit(False)

    # -- what happens -------------------------------------------------------------------------------------

    def _on_workspace(self) -> None:
        self.runs, self.chosen, self._beside = {}, None, set()
        self._followers, self._reading = Followers(), False
        self.read()
        self._refresh()

    def _on_leaving(self, thing: Path) -> None:
        self._beside.discard(thing)
        if self.chosen == thing:
            self.chosen = next((row.thing for row in self.rows if row.thing != thing), None)
            self._refresh()

    def _on_jobs(self) -> None:
        self.read()
        self._refresh()

    def _on_read(self, followers: Followers, runs: dict[Path, Training]) -> None:
        if followers is not self._followers:
            return  # of a workspace that was closed meanwhile
        self._reading = False
        self.runs = runs
        self._refresh()
        if self._again:
            self.read()

    def _on_unread(self, error: Exception) -> None:
        self._reading = False
        self.session.notifications.error(error)

    def _on_wanted(self, run: object, queued: bool) -> None:
        if isinstance(run, TrainRun):
            self.actions_.start(run, queued=queued)

    def _on_drawn(self, thing: Path, on: bool) -> None:
        (self._beside.add if on else self._beside.discard)(thing)
        self._refresh()

    def _refresh(self) -> None:
        rows = self.rows
        if self.chosen is None and rows:
            self.chosen = rows[0].thing
        working = sum(row.works for row in rows)
        queued = sum(row.queued is not None for row in rows)
        parts = [self.tr("{n} working").format(n=working)] * bool(working)
        parts += [self.tr("{n} in the queue").format(n=queued)] * bool(queued)
        self.set_subtitle(" · ".join([*parts, wording.counted(len(rows), "run")]) if rows else "")
        self._heading.setVisible(bool(rows))
        if not self.isVisible():
            return
        self.list.show_rows(rows, self.runs, self.chosen)
        row = next((row for row in rows if row.thing == self.chosen), None)
        run = None if self.chosen is None else self.runs.get(self.chosen)
        beside = [self.runs[thing] for thing in sorted(self._beside) if thing in self.runs]
        self.live.show_run(row, run, [one for one in beside if one.thing != self.chosen])

    def _on_asked(self, action: str) -> None:
        does = self.actions_
        if action == "import":
            does.import_result()
            return
        thing = self.chosen
        run = None if thing is None else self.runs.get(thing)
        if thing is None or run is None:
            return
        match action:
            case "start":
                self.session.queue.start_now(thing)
            case "leave":
                self.session.queue.leave(thing)
            case "stop":
                self.session.jobs.stop(thing)
            case "kill":
                does.kill(thing, run)
            case "resume":
                does.resume(thing)
            case "publish":
                does.publish(thing)
            case "compare":
                does.reindex(run)
            case "pack":
                does.pack(thing)
            case "folder":
                does.open_folder(thing)
            case "log":
                does.open_log(thing)
            case "remove":
                self.session.throw_away(thing)
