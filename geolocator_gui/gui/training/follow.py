"""Follows the training runs of a workspace on disk; plain data without Qt.

Reading costs no more than a run's news, and happens off the GUI thread; what comes back is frozen.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from geolocator_gui.errors import ConfigError
from geolocator_gui.events import Metric, Note, Outcome
from geolocator_gui.gui.run_rows import QUEUED
from geolocator_gui.gui.training.curves import Best, Curves, Line
from geolocator_gui.runs import RunFolder
from geolocator_gui.training import TrainRun
from geolocator_gui.workspace import write_atomically

PUBLISHED = "published"
_LOG_BYTES, _LOG_LINES = 16_000, 200


@dataclass(frozen=True)
class Hard:
    """A validation photo that ranks badly.

    Attributes:
        query: The photo.
        right: Its own satellite image, None when it is not on disk.
        first: The satellite image that is ranked first.
        rank: Of its own, from 1.
    """

    query: Path
    right: Path | None
    first: Path
    rank: int


@dataclass(frozen=True)
class Training:
    """What a run has to show.

    Attributes:
        thing: Its folder.
        config: Its settings, None when they cannot be read.
        lines: Curves by name.
        last: The newest value of each.
        best: The best evaluation.
        log: The last sentences it said and lines it wrote.
        hardest: Photos that rank worst now.
        queued: When it was put into the queue (Unix seconds), None when it is not in it.
        published: Name of the model made of it, "" for none.
        saved: Whether there is a state to publish or go on from.
        pid: Of the process that works or worked on it, 0 for none.
    """

    thing: Path
    config: TrainRun | None = None
    lines: dict[str, Line] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    best: Best | None = None
    log: tuple[str, ...] = ()
    hardest: tuple[Hard, ...] = ()
    queued: float | None = None
    published: str = ""
    saved: bool = False
    pid: int = 0


class Follower:
    """Follows one run; read by one thread at a time."""

    def __init__(self, thing: Path) -> None:
        self._run = RunFolder(thing)
        self._offset = 0
        self._curves: Curves | None = None
        self._said: list[str] = []
        self._hard_time = 0.0
        self._now = Training(thing)

    def read(self) -> Training:
        """What there is to show now."""
        now = self._now
        if now.config is None:
            try:
                now = replace(now, config=self._run.read_config(TrainRun))
            except ConfigError:
                now = replace(now, config=None)  # being written, or of a newer version: shown without
        if self._curves is None:
            self._curves = Curves(now.config.train.batch_size if now.config else 1)
        events, self._offset = self._run.events(self._offset)
        measured = False
        for when, event in events:
            clock = time.strftime("%H:%M:%S", time.localtime(when))
            if isinstance(event, Metric):
                self._curves.add(event)
                measured = True
            elif isinstance(event, Note):
                self._said.append(f"{clock}  {'! ' if event.level == 'warning' else ''}{event.text}")
            elif isinstance(event, Outcome):
                now = replace(now, pid=event.pid or now.pid)
                self._said.append(
                    f"{clock}  {event.state}{': ' if event.message else ''}{event.message} {event.hint}"
                )
        if measured:
            now = replace(
                now,
                lines=self._curves.lines(),
                last=dict(self._curves.last()),
                best=self._curves.best(),
            )
        now = replace(
            now,
            log=(*self._said[-_LOG_LINES:], *log_tail(self._run.log_path)),
            hardest=self._hardest(now),
            queued=_time_in(self._run.path / QUEUED),
            published=_text_in(self._run.path / PUBLISHED),
            saved=any((now.thing / "checkpoints" / name).exists() for name in ("best.pt", "last.pt")),
        )
        self._now = now
        return now

    def _hardest(self, now: Training) -> tuple[Hard, ...]:
        file = now.thing / "hardest.json"
        try:
            changed = file.stat().st_mtime
        except OSError:
            return ()  # nothing was evaluated yet, or the data have no files
        if changed == self._hard_time or now.config is None:
            return now.hardest
        try:
            rows = json.loads(file.read_text("utf-8"))
            root = Path(now.config.data.partition(":")[2])
            found = tuple(
                Hard(
                    root / row["query"],
                    root / row["right"] if row["right"] else None,
                    root / row["first"],
                    int(row["rank"]),
                )
                for row in rows
            )
        except (OSError, ValueError, KeyError, TypeError):
            return now.hardest  # another version's file: the last good one stays
        self._hard_time = changed
        return found


class Followers:
    """All training runs of a folder."""

    def __init__(self) -> None:
        self._followers: dict[Path, Follower] = {}

    def read(self, folder: Path) -> dict[Path, Training]:
        """Every run in the folder by its own folder."""
        things = sorted(config.parent.parent for config in folder.glob("*/run/config.toml"))
        self._followers = {
            thing: self._followers[thing] if thing in self._followers else Follower(thing) for thing in things
        }
        return {thing: follower.read() for thing, follower in self._followers.items()}


def log_tail(file: Path) -> tuple[str, ...]:
    """The last lines of a log."""
    try:
        with file.open("rb") as opened:
            opened.seek(0, 2)
            opened.seek(max(0, opened.tell() - _LOG_BYTES))
            text = opened.read().decode("utf-8", "replace")
    except OSError:
        return ()  # the run has not started yet
    return tuple(text.splitlines()[-40:])


def remember_published(thing: Path, name: str) -> None:
    """Note which model was made of a run."""
    write_atomically(RunFolder(thing).path / PUBLISHED, name)


def _text_in(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except OSError:
        return ""  # there is none


def _time_in(file: Path) -> float | None:
    try:
        return float(_text_in(file))
    except ValueError:
        return None
