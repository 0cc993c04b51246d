"""What a run says while it works: one JSON object per line in `events.jsonl`.

Long functions are generators that yield these events and return their result (`Steps[T]`). The command
line prints them, a run folder keeps them, the worker sends them, the window tails them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Literal, TypeVar

State = Literal["running", "finished", "stopped", "failed"]
T = TypeVar("T")


@dataclass(frozen=True)
class Progress:
    """How far a piece of work is.

    Attributes:
        what: Verb and object in plain words ("Embedding chips").
        done: Units done.
        total: Units in all, None while unknown.
        unit: What is counted, plural ("chips").
        seconds_left: Estimate, None while unknown.
    """

    what: str
    done: int
    total: int | None = None
    unit: str = ""
    seconds_left: float | None = None


@dataclass(frozen=True)
class Metric:
    """Named numbers at a step of the work (loss, recall, images per second)."""

    step: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Note:
    """A sentence for the log and, at level "warning", for the user."""

    text: str
    level: Literal["info", "warning"] = "info"


@dataclass(frozen=True)
class Outcome:
    """A run's change of state; the last one in the file is the run's state.

    Attributes:
        state: What the run is now.
        message: Why, in words, when it is stopped or failed.
        hint: What to do next.
        result: JSON-able summary of what was made.
        pid: The process that wrote it, to tell a run that works from one that was killed.
    """

    state: State
    message: str = ""
    hint: str = ""
    result: Mapping[str, object] = field(default_factory=dict)
    pid: int = 0


Event = Progress | Metric | Note | Outcome
Steps = Generator[Event, None, T]

_KINDS: dict[str, type[Progress] | type[Metric] | type[Note] | type[Outcome]] = {
    "progress": Progress,
    "metric": Metric,
    "note": Note,
    "outcome": Outcome,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def to_json(event: Event, when: float | None = None) -> str:
    """One line without its newline: `{"time": …, "kind": "progress", …}`; time in Unix seconds."""
    return json.dumps({"time": when or time.time(), "kind": _NAMES[type(event)], **asdict(event)})


def from_json(line: str) -> tuple[float, Event] | None:
    """Time and event of a line; None for a line of a kind (or with fields) this version does not know."""
    try:
        fields = json.loads(line)
        when, kind = float(fields.pop("time")), _KINDS[fields.pop("kind")]
        return when, kind(**fields)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


class EventWriter:
    """Appends events to a file, each line in one write, flushed, so that a reader never sees half of one."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("ab", buffering=0)

    def write(self, event: Event) -> None:
        """Append one event."""
        self._file.write(to_json(event).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_events(path: Path, offset: int = 0) -> tuple[list[tuple[float, Event]], int]:
    """Events after a byte offset, and the offset to go on from; a last line still being written is left."""
    if not path.exists():
        return [], offset
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read()
    end = data.rfind(b"\n") + 1
    lines = data[:end].decode("utf-8", errors="replace").splitlines()
    return [event for event in map(from_json, lines) if event is not None], offset + end


def finish(steps: Steps[T]) -> T:
    """Run a generator of events to its end, ignoring the events, and return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: T = stop.value
            return result


class Pace:
    """Turns counts into `Progress` with time left, at most ten a second (the last one always)."""

    def __init__(self, what: str, total: int | None, unit: str = "", *, done: int = 0) -> None:
        self._what, self._total, self._unit, self._first = what, total, unit, done
        self._start = time.monotonic()
        self._last = 0.0

    def at(self, done: int) -> list[Progress]:
        """A list with one `Progress`, or an empty one when the last was a moment ago."""
        now = time.monotonic()
        if now - self._last < 0.1 and done != self._total:
            return []
        self._last = now
        left = None
        if self._total is not None and done > self._first:
            left = (now - self._start) / (done - self._first) * (self._total - done)
        return [Progress(self._what, done, self._total, self._unit, left)]
