"""Runs as rows for the Runs page and the status bar; plain data without Qt.

`RunTail` follows one run folder and remembers where it stopped reading, so that following a run of a million
events costs no more than its news.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from geolocator_gui.errors import ConfigError
from geolocator_gui.events import Metric, Note, Outcome, Progress
from geolocator_gui.gui import wording
from geolocator_gui.gui.translation import translate
from geolocator_gui.runs import RunFolder, RunState
from geolocator_gui.workspace import Workspace

ALIVE: tuple[RunState, ...] = ("waiting", "running")
QUEUED = "queued"  # a file in a run's folder: it waits for its turn since then (Unix seconds)
_NEVER_STARTED_S = 180.0


@dataclass(frozen=True)
class RunRow:
    """One run.

    Attributes:
        thing: Folder of what it makes.
        verb: As on the command line.
        state: Where it stands.
        progress: The last one.
        started: Unix seconds of this sitting's start.
        updated: Unix seconds of the last event.
        message: Why it stopped or failed.
        hint: What to do next.
        warnings: Sentences for the user.
        metric: The last metrics.
        stopping: A stop was asked for and not yet obeyed.
        queued: Since when it waits for its turn (Unix seconds), None when it does not.
    """

    thing: Path
    verb: str
    state: RunState
    progress: Progress | None = None
    started: float | None = None
    updated: float | None = None
    message: str = ""
    hint: str = ""
    warnings: tuple[str, ...] = ()
    metric: Metric | None = None
    stopping: bool = False
    queued: float | None = None

    @property
    def works(self) -> bool:
        """Whether a process works on it, or is about to."""
        return self.state == "running" or (self.state == "waiting" and self.queued is None)

    @property
    def title(self) -> str:
        """`Index centre`."""
        verbs = {
            "index": translate("Runs", "Index"),
            "mine": translate("Runs", "Mining"),
            "train": translate("Runs", "Training"),
            "evaluate": translate("Runs", "Evaluation"),
            "pairs": translate("Runs", "Pairs"),
        }
        return f"{verbs.get(self.verb, self.verb.capitalize())} {wording.isolated(self.thing.name)}"

    @property
    def fraction(self) -> float | None:
        """0..1, None while unknown."""
        if self.progress is None or not self.progress.total:
            return None
        return min(1.0, self.progress.done / self.progress.total)

    @property
    def can_continue(self) -> bool:
        """Whether the same verb can take it up again."""
        return self.state in ("stopped", "failed", "interrupted")

    def line(self) -> str:
        """What it does, or how it ended."""
        if self.state == "finished":
            took = (self.updated or 0) - (self.started or self.updated or 0)
            words = translate("Runs", "finished · took {time} · {ago}")
            return words.format(time=wording.duration(max(took, 0)), ago=wording.ago(self.updated))
        if self.state == "failed":
            return self.message or translate("Runs", "failed")
        if self.state == "stopped":
            return self._how_far(translate("Runs", "stopped"), translate("Runs", "stopped at {percent} %"))
        if self.state == "interrupted":
            return self._how_far(
                translate("Runs", "its process ended without a word"),
                translate("Runs", "its process ended without a word at {percent} %"),
            )
        if self.queued is not None:
            return translate("Runs", "waits for its turn")
        if self.stopping:
            return translate("Runs", "stopping after this step…")
        if self.progress is None:
            return translate("Runs", "starting…")
        p = self.progress
        if p.total is None:
            return f"{p.what} · {wording.count(p.done)} {p.unit}".rstrip()
        words = translate("Runs", "{done} of {total} {unit}")
        done = words.format(done=wording.count(p.done), total=wording.count(p.total), unit=p.unit)
        parts = [p.what, done.rstrip()]
        return " · ".join([*parts, *([wording.left(p.seconds_left)] if p.seconds_left else [])])

    def short(self) -> str:
        """For the status bar: `indexing centre 42 % · 3 min left`."""
        verb = {
            "index": translate("Runs", "indexing"),
            "mine": translate("Runs", "mining"),
            "train": translate("Runs", "training"),
            "evaluate": translate("Runs", "evaluating"),
            "pairs": translate("Runs", "making pairs"),
        }
        parts = f"{verb.get(self.verb, self.verb)} {wording.isolated(self.thing.name)}"
        if self.stopping:
            return f"{parts} · {translate('Runs', 'stopping')}"
        if self.fraction is not None:
            parts += f" {self.fraction * 100:.0f} %"
        seconds = self.progress.seconds_left if self.progress else None
        return f"{parts} · {wording.left(seconds)}" if seconds else parts

    def _how_far(self, plain: str, at: str) -> str:
        return plain if self.fraction is None else at.format(percent=f"{self.fraction * 100:.0f}")


class RunTail:
    """Follows one run folder. Reads files, so it is called off the GUI thread."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self._offset = 0
        self.row = RunRow(run.thing, "", "waiting")

    def _news(self, row: RunRow) -> RunRow:
        events, self._offset = self.run.events(self._offset)
        for when, event in events:
            row = _after(row, when, event)
        return row

    def read(self, exit_code: int | None = None, *, lives: bool = False) -> RunRow:
        """The row as it is now.

        Args:
            exit_code: Of the process that was started for it, None while it lives or is not known.
            lives: That process is known and works on.
        """
        if not self.row.verb:
            try:
                self.row = replace(self.row, verb=self.run.verb())
            except ConfigError as error:
                self.row = replace(self.row, state="failed", message=error.what, hint=error.hint)
                return self.row
        row = self._news(self.row)
        if row.state == "running" and not self.run.is_locked():
            row = self._news(row)  # it may have written its last word and ended between the two looks
            if row.state == "running":
                row = replace(
                    row, state="interrupted", hint=translate("Runs", "What was done is kept: continue it.")
                )
        elif row.state == "interrupted" and self.run.is_locked():
            row = replace(row, state="running")
        queued = _time_in(self.run.path / QUEUED)
        if row.state == "waiting" and queued is None and not lives:
            hint = self._why_not_started(exit_code)
            row = replace(row, state="interrupted", hint=hint) if hint else row
        self.row = replace(row, stopping=row.state == "running" and self.run.stop_requested(), queued=queued)
        return self.row

    def _why_not_started(self, exit_code: int | None) -> str:
        """A hint for a run that never said a word, "" while it may still begin."""
        try:
            asked = (self.run.path / "config.toml").stat().st_mtime
        except OSError:
            return ""  # being written
        late = time.time() - asked > _NEVER_STARTED_S
        if (exit_code is None and not late) or self.run.is_locked():
            return ""
        if exit_code is None:
            return translate("Runs", "Its process did not start: continue it.")
        words = translate("Runs", "Its process ended at once ({how}): continue it, or see the log.")
        return words.format(how=_how_ended(exit_code))


def _how_ended(exit_code: int) -> str:
    """`exit code 1`, or the signal that ended a process: `SIGKILL`."""
    with contextlib.suppress(ValueError):  # no signal of this system
        if exit_code < 0:
            return signal.Signals(-exit_code).name
    return translate("Runs", "exit code {code}").format(code=exit_code)


def _time_in(file: Path) -> float | None:
    try:
        return float(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None  # it does not wait


def _after(row: RunRow, when: float, event: object) -> RunRow:
    row = replace(row, updated=when)
    if isinstance(event, Progress):
        return replace(row, progress=event)
    if isinstance(event, Metric):
        return replace(row, metric=event)
    if isinstance(event, Note) and event.level == "warning":
        return replace(row, warnings=(*row.warnings[-9:], event.text))
    if isinstance(event, Outcome):
        row = replace(row, state=event.state, message=event.message, hint=event.hint)
        if event.state == "running":
            return replace(row, started=when, warnings=(), progress=None)
    return row


def find_runs(workspace: Workspace) -> Iterator[RunFolder]:
    """Every run folder of a workspace."""
    for parent in (workspace.indexes, workspace.mining, workspace.training, workspace.root / "pairs"):
        for config in parent.glob("*/run/config.toml"):
            yield RunFolder(config.parent.parent)
