"""Runs of the workspace: started as child processes, followed on disk, found again after a restart."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from geolocator_gui import runs
from geolocator_gui.configs import Config
from geolocator_gui.gui.background import Background
from geolocator_gui.gui.notifications import Notifications
from geolocator_gui.gui.run_rows import ALIVE, RunRow, RunTail, find_runs
from geolocator_gui.runs import RunFolder
from geolocator_gui.workspace import Workspace

_INTERVAL_MS = 300


class Job:
    """One run as the window holds it: its folder, its tail, and its process if this window started it.

    The window's process may end while the run works on; another window builds the same `Job` from the folder.
    """

    def __init__(self, run: RunFolder, process: subprocess.Popen[bytes] | None = None) -> None:
        self.run = run
        self.process = process
        self._since = time.time()
        self.tail = RunTail(run)
        self._exit_code: int | None = None

    def begins(self, row: RunRow | None) -> bool:
        """Whether a process was started that has not said a word yet."""
        return self.process is not None and (row is None or (row.updated or 0.0) < self._since)

    def read(self) -> RunRow:
        """Where the run stands (reads files)."""
        if self.process is not None and (code := self.process.poll()) is not None:
            self.process, self._exit_code = None, code  # reaped before its last events are read
        return self.tail.read(self._exit_code, lives=self.process is not None)

    def kill(self) -> None:
        """End the process at once; what was committed is kept."""
        if self.process is not None:
            self.process.terminate()


class Jobs(QObject):
    """All runs of the open workspace.

    Signals:
        changed: The rows are other ones.
        ended: A `RunRow` that has just ended, however quickly.
        beginning: A run is about to start or continue; whatever holds the device or the memory lets go.
    """

    changed = Signal()
    ended = Signal(object)
    beginning = Signal()

    def __init__(
        self, background: Background, notifications: Notifications, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._background = background
        self._notifications = notifications
        self._jobs: dict[Path, Job] = {}
        self._rows: dict[Path, RunRow] = {}
        self._beginning: set[Path] = set()
        self._workspace: Workspace | None = None
        self._reading = False
        self._timer = QTimer(self, interval=_INTERVAL_MS)
        self._timer.timeout.connect(self.refresh)

    @property
    def rows(self) -> list[RunRow]:
        """Runs, those that work first, then the newest."""
        return sorted(
            self._rows.values(),
            key=lambda row: (0 if row.works else 1 if row.queued else 2, row.queued or -(row.updated or 0)),
        )

    @property
    def working(self) -> list[RunRow]:
        """Runs that work now."""
        return [row for row in self.rows if row.works]

    @property
    def busy(self) -> list[Path]:
        """Folders of runs that work, wait for their turn, or are being started."""
        live = [thing for thing, job in self._jobs.items() if job.begins(self._rows.get(thing))]
        waiting = [row.thing for row in self._rows.values() if row.works or row.queued is not None]
        return [*dict.fromkeys([*self._beginning, *live, *waiting])]

    def set_workspace(self, workspace: Workspace | None) -> None:
        """Follow the runs of this workspace."""
        self._workspace = workspace
        self._jobs, self._rows = {}, {}
        self.changed.emit()
        if workspace is None:
            self._timer.stop()
        else:
            self._timer.start()
            self.refresh()

    def start(
        self, verb: str, thing: Path, config: Config, began: Callable[[], object] | None = None
    ) -> None:
        """Start a new run; `began` is called once its process is there."""
        self._begin(thing)

        def work() -> Job:
            run = RunFolder(thing)
            run.write_config(verb, config)
            return Job(run, runs.start(verb, thing))

        def success(job: Job) -> None:
            self._on_started(job)
            if began is not None:
                began()

        self._background.run(work, success, partial(self._on_unstarted, thing))

    def resume(self, thing: Path) -> None:
        """Continue a run that stopped, failed or was killed."""
        self._begin(thing)

        def work() -> Job:
            run = RunFolder(thing)
            return Job(run, runs.start(run.verb(), thing))

        self._background.run(work, self._on_started, partial(self._on_unstarted, thing))

    def stop(self, thing: Path) -> None:
        """Ask a run to stop at its next step."""
        job = self._jobs.get(thing)
        if job is not None:
            self._background.run(job.run.request_stop, lambda _: self.refresh(), self._notifications.error)

    def job(self, thing: Path) -> Job | None:
        """The job of a folder."""
        return self._jobs.get(thing)

    def refresh(self) -> None:
        """Read what is new, off the GUI thread."""
        if self._reading or self._workspace is None:
            return
        self._reading = True
        workspace, jobs = self._workspace, dict(self._jobs)

        def work() -> tuple[Workspace, dict[Path, Job], dict[Path, RunRow]]:
            for run in find_runs(workspace):
                jobs.setdefault(run.thing, Job(run))
            live = {thing: job for thing, job in jobs.items() if job.run.path.exists()}
            return workspace, live, {thing: job.read() for thing, job in live.items()}

        self._background.run(work, self._on_read, self._on_unread)

    def _begin(self, thing: Path) -> None:
        self._beginning.add(thing)
        self.beginning.emit()

    def _on_unstarted(self, thing: Path, error: Exception) -> None:
        self._beginning.discard(thing)
        self._notifications.error(error)

    def _on_started(self, job: Job) -> None:
        self._beginning.discard(job.run.thing)
        self._jobs[job.run.thing] = job
        self.refresh()

    def _on_read(self, answer: tuple[Workspace, dict[Path, Job], dict[Path, RunRow]]) -> None:
        self._reading = False
        workspace, jobs, rows = answer
        if workspace is not self._workspace:
            return
        # A run may have been started while the folders were read; its job, with its process, is the newer.
        self._jobs = {**jobs, **{thing: job for thing, job in self._jobs.items() if job.process is not None}}
        before, self._rows = self._rows, rows
        if rows != before:
            self.changed.emit()
        for thing, row in rows.items():
            old = before.get(thing)
            # A quick run may go from "interrupted" or "finished" to "finished" between two looks.
            if old is not None and _word(old) != _word(row) and row.state not in ALIVE:
                self.ended.emit(row)

    def _on_unread(self, error: Exception) -> None:
        self._reading = False
        self._notifications.error(error)


def _word(row: RunRow) -> tuple[str, float | None]:
    """How a run stands, and since when."""
    return row.state, row.updated
