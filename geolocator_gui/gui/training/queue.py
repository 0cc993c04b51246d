"""The queue of training runs: first come, first served, kept on disk, so that it outlives the window."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

from PySide6.QtCore import QObject

from geolocator_gui.events import EventWriter, Outcome
from geolocator_gui.gui.background import Background
from geolocator_gui.gui.jobs import Jobs
from geolocator_gui.gui.run_rows import QUEUED, RunRow
from geolocator_gui.runs import RunFolder
from geolocator_gui.training import TrainRun
from geolocator_gui.workspace import write_atomically

_PATIENCE_S = 90.0  # a run that has not said a word by then did not start


class TrainingQueue(QObject):
    """Starts the run that waits longest whenever no training works; it needs no page to be open."""

    def __init__(self, jobs: Jobs, background: Background, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._jobs, self._background = jobs, background
        self._starting: Path | None = None
        self._since = 0.0
        jobs.changed.connect(self._on_changed)

    def add(self, thing: Path, run: TrainRun) -> None:
        """Freeze a run that starts when its turn comes."""
        self._background.run(lambda: put_in_queue(thing, run), lambda _: self._jobs.refresh(), owner=self)

    def start_now(self, thing: Path) -> None:
        """Take a run out of the queue and start it."""
        self.began(thing)

        def success(mine: bool) -> None:
            if mine:
                self._jobs.resume(thing)
            else:
                self._starting = None  # another window of this workspace was quicker

        self._background.run(lambda: take_from_queue(thing), success, owner=self)

    def leave(self, thing: Path) -> None:
        """A run does not wait any more; it can be resumed like one that was stopped."""
        self._background.run(lambda: leave_queue(thing), lambda _: self._jobs.refresh(), owner=self)

    def began(self, thing: Path) -> None:
        """A run is being started: the next one waits for it."""
        self._starting, self._since = thing, time.time()

    def forget(self) -> None:
        """Another workspace is open."""
        self._starting = None

    def _on_changed(self) -> None:
        rows = self._jobs.rows
        if self._starting is not None:
            row = next((row for row in rows if row.thing == self._starting), None)
            come = row is not None and (row.state == "running" or (row.updated or 0.0) > self._since)
            if not come and time.time() - self._since < _PATIENCE_S:
                return  # it is on its way
            self._starting = None
        if any(row.verb == "train" and row.state == "running" for row in rows):
            return
        thing = next_in_queue(rows)
        if thing is not None:
            self.start_now(thing)


def put_in_queue(thing: Path, config: TrainRun, now: float | None = None) -> None:
    """Freeze a run that starts when its turn comes."""
    run = RunFolder(thing)
    run.path.mkdir(parents=True, exist_ok=True)
    # First the mark: who sees the run without it would take it for one that is being started.
    write_atomically(run.path / QUEUED, repr(now or time.time()))
    run.write_config("train", config)


def take_from_queue(thing: Path) -> bool:
    """It starts now, or not at all; False when somebody else took it before."""
    with contextlib.suppress(FileNotFoundError):
        (RunFolder(thing).path / QUEUED).unlink()
        return True
    return False


def leave_queue(thing: Path) -> None:
    """It waits no more and is as one that was stopped."""
    if take_from_queue(thing):
        writer = EventWriter(RunFolder(thing).events_path)
        writer.write(Outcome("stopped", "Taken out of the queue."))
        writer.close()


def next_in_queue(rows: Iterable[RunRow]) -> Path | None:
    """The run that has waited longest."""
    waiting = [(row.queued, row.thing) for row in rows if row.queued is not None]
    return min(waiting)[1] if waiting else None
