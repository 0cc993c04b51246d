"""How a verb talks: progress on stderr, results on stdout, one way to run or resume a run."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from geolocator_gui.configs import Config
from geolocator_gui.errors import InputError
from geolocator_gui.events import Event, Metric, Note, Outcome, Progress, Steps
from geolocator_gui.runs import RunFolder, execute

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

C = TypeVar("C", bound=Config)
T = TypeVar("T")


class Console:
    """Shows events: bars on a terminal, a plain line every few seconds when piped, nothing when quiet."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}
        self._last_line = 0.0
        self._said: set[str] = set()

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console as Terminal
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bars

            self._bars = Bars(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Terminal(stderr=True),
                transient=True,
            )
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if self._quiet:
            return
        if isinstance(event, Progress):
            self._progress(event)
        elif isinstance(event, Note):
            self._line(f"{'Note: ' if event.level == 'warning' else ''}{event.text}")
        elif isinstance(event, Metric) and time.monotonic() - self._last_line > 5:
            self._last_line = time.monotonic()
            values = "  ".join(f"{name} {value:.4g}" for name, value in event.values.items())
            self._line(f"step {event.step}  {values}")

    def _progress(self, event: Progress) -> None:
        if self._bars is not None:
            if event.what not in self._tasks:
                self._tasks[event.what] = self._bars.add_task(event.what, total=event.total)
            self._bars.update(self._tasks[event.what], completed=event.done, total=event.total)
            return
        finished = event.total is not None and event.done >= event.total
        if time.monotonic() - self._last_line < 5 and not (finished and event.what not in self._said):
            return
        self._last_line = time.monotonic()
        if finished:
            self._said.add(event.what)
        of = f" of {event.total:,}" if event.total is not None else ""
        left = f", {people_time(event.seconds_left)} left" if event.seconds_left and not finished else ""
        self._line(f"{event.what}: {event.done:,}{of} {event.unit}{left}".rstrip())

    def _line(self, text: str) -> None:
        if self._bars is not None:
            self._bars.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=sys.stderr, flush=True)


def people_time(seconds: float) -> str:
    """A duration for people: "8 s", "3 min", "2.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def drive(steps: Steps[T], *, quiet: bool = False) -> T:
    """Run a generator of events in the foreground, showing them; returns its result."""
    with Console(quiet=quiet) as show:
        try:
            while True:
                try:
                    show(next(steps))
                except StopIteration as stop:
                    result: T = stop.value
                    return result
        finally:
            steps.close()


def run_verb(
    verb: str,
    thing: Path,
    config: C | None,
    kind: type[C],
    work: Callable[[C, Path], Steps[T]],
    *,
    quiet: bool = False,
    summary: Callable[[T], dict[str, object]] = lambda result: {},
) -> T:
    """Start or continue a run in `thing/run/`.

    Args:
        verb: As on the command line.
        thing: Folder of what the run makes.
        config: What to do; None continues with the frozen `config.toml`.
        kind: Class of the configuration.
        work: Turns configuration and folder into steps.
        quiet: Show nothing (the events are on disk).
        summary: JSON-able facts of the result for the last event.
    """
    run = RunFolder(thing)
    new, before = not thing.exists(), names_in(thing)
    if config is None:
        config = run.read_config(kind)
    else:
        run.write_config(verb, config)
    try:
        with Console(quiet=quiet) as show:
            return execute(work(config, thing), run, show=show, summary=summary)
    except InputError:
        # Refused before anything was made: a mistyped name leaves nothing behind, and can be corrected.
        if "run" not in before and names_in(thing) == before | {"run"}:
            shutil.rmtree(thing if new else run.path)
        raise


def names_in(folder: Path) -> set[str]:
    """Names of what a folder holds; nothing where there is no folder."""
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def print_json(value: Any) -> None:
    """A result on stdout, as JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def outcome_in_words(outcome: Outcome | None) -> str:
    """The end of a run in words, for lists."""
    if outcome is None:
        return "waiting"
    return f"{outcome.state}: {outcome.message}" if outcome.message else outcome.state
