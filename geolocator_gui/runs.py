"""Runs: work longer than a few seconds, as a command-line verb plus a folder.

`<thing>/run/` holds `config.toml` (what to do), `events.jsonl` (what happened, see `events`), `log.txt` (the
child's output), `STOP` (a request) and `lock` (held while a process works here). A run can be started from
the window or a shell, followed by anybody, killed at any time and continued by the same verb with
`--resume`.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal, TypeVar

import tomlkit

from geolocator_gui import __version__
from geolocator_gui.configs import Config
from geolocator_gui.errors import ConfigError, FaultError, GeolocatorError, InputError, StoppedError
from geolocator_gui.events import Event, EventWriter, Outcome, Progress, Steps, read_events
from geolocator_gui.workspace import write_atomically

C = TypeVar("C", bound=Config)
T = TypeVar("T")
log = logging.getLogger(__name__)

# How much a run that the window started stands back behind it.
BACKGROUND_NICE = 5

RunState = Literal["waiting", "running", "finished", "stopped", "failed", "interrupted"]


@dataclass(frozen=True)
class RunStatus:
    """Where a run stands.

    Attributes:
        verb: "index", "mine", "train", "evaluate".
        state: "interrupted" means that its process is gone without a last word.
        progress: The last one seen.
        outcome: The last one seen.
        started: Unix seconds of the first event of the last sitting, None before it.
        updated: Unix seconds of the last event.
    """

    verb: str
    state: RunState
    progress: Progress | None = None
    outcome: Outcome | None = None
    started: float | None = None
    updated: float | None = None


class RunFolder:
    """The folder of one run.

    Attributes:
        thing: The folder of what the run makes (an index, a mining, a training).
        path: `thing/run`.
    """

    def __init__(self, thing: Path) -> None:
        self.thing = thing
        self.path = thing / "run"

    @property
    def events_path(self) -> Path:
        """`events.jsonl`."""
        return self.path / "events.jsonl"

    @property
    def log_path(self) -> Path:
        """`log.txt`."""
        return self.path / "log.txt"

    def write_config(self, verb: str, config: Config) -> None:
        """Freeze what the run does; raises `ConfigError` if it is already set to do something else."""
        file = self.path / "config.toml"
        fields = config.model_dump(mode="json", exclude_none=True)
        if file.exists() and self.read_config(type(config)) != config:
            raise ConfigError(
                "this folder holds a run with other settings",
                path=self.thing,
                hint="Choose another folder, or continue it as it is with --resume.",
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_atomically(file, tomlkit.dumps({"verb": verb, "version": __version__, verb: fields}))
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO)
            raise (FaultError if full else ConfigError)(
                f"the run cannot be written ({error.strerror or error})",
                path=self.thing,
                hint="Check free space and permissions, or choose another folder.",
            ) from error

    def verb(self) -> str:
        """The verb in `config.toml`; raises `ConfigError` if there is none."""
        return str(self._fields().get("verb", ""))

    def read_config(self, kind: type[C]) -> C:
        """The frozen configuration; raises `ConfigError` if it is missing or wrong."""
        fields = self._fields()
        return kind.from_mapping(fields.get(str(fields.get("verb", "")), {}), path=self.path / "config.toml")

    def _fields(self) -> dict[str, Any]:
        file = self.path / "config.toml"
        try:
            return tomllib.loads(file.read_text("utf-8"))
        except FileNotFoundError as error:
            raise ConfigError(
                "there is no run in this folder", path=self.thing, hint="Start one without --resume first."
            ) from error
        except (OSError, ValueError) as error:
            raise ConfigError(f"the run's settings cannot be read ({error})", path=file) from error

    def request_stop(self) -> None:
        """Ask the run to stop at its next step; what is done is kept."""
        (self.path / "STOP").touch()

    def stop_requested(self) -> bool:
        """Whether somebody asked."""
        return (self.path / "STOP").exists()

    def is_locked(self) -> bool:
        """Whether a process works here now."""
        try:
            with self.lock():
                return False
        except ConfigError:  # nobody can write here
            return False
        except InputError:
            return True

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder; the system lets go when the process dies, however it dies.

        Raises:
            InputError: Another process holds it.
            ConfigError: The folder cannot be written.
        """
        try:
            opened = (self.path / "lock").open("ab")
        except OSError as error:
            raise ConfigError(
                f"this folder cannot be written ({error.strerror or error})",
                path=self.thing,
                hint="Check its permissions, or copy it to a place that you may write to.",
            ) from error
        with opened as file:
            for attempt in range(6):
                try:
                    lock_file(file)
                    break
                except OSError as error:
                    # Somebody who only asks `is_locked` holds it for an instant.
                    if attempt == 5:
                        raise InputError(
                            "another Geolocator process works in this folder",
                            path=self.thing,
                            hint="Wait for it, or stop it first.",
                        ) from error
                    time.sleep(0.02)
            yield

    def events(self, offset: int = 0) -> tuple[list[tuple[float, Event]], int]:
        """Events after a byte offset, and the offset to go on from."""
        return read_events(self.events_path, offset)

    def status(self) -> RunStatus:
        """Where the run stands, from what is on disk."""
        status = self._told()
        if status.state == "running" and not self.is_locked():
            # It may have ended between the reading and the asking: its last word is there by now.
            status = self._told()
            if status.state == "running":
                return replace(status, state="interrupted")
        return status

    def _told(self) -> RunStatus:
        """What the events say."""
        events, _ = self.events()
        progress: Progress | None = None
        outcome: Outcome | None = None
        started = updated = None
        for when, event in events:
            updated = when
            if isinstance(event, Progress):
                progress = event
            elif isinstance(event, Outcome):
                outcome = event
                started = when if event.state == "running" else started
        state: RunState = outcome.state if outcome else "waiting"
        return RunStatus(self.verb(), state, progress, outcome, started, updated)


def execute(
    steps: Steps[T],
    run: RunFolder,
    *,
    show: Callable[[Event], None] = lambda event: None,
    summary: Callable[[T], dict[str, object]] = lambda result: {},
) -> T:
    """Drive a generator to its end inside a run folder, writing every event.

    Args:
        steps: The work.
        run: Its folder, `config.toml` already written.
        show: Called with every event, for a progress bar.
        summary: JSON-able facts of the result, kept in the last `Outcome`.

    Raises:
        StoppedError: A `STOP` file appeared, or Ctrl-C; what is done is kept.
        GeolocatorError: What the work raised.
    """
    with run.lock():
        (run.path / "STOP").unlink(missing_ok=True)
        writer = EventWriter(run.events_path)

        def tell(event: Event) -> None:
            writer.write(event)
            show(event)

        tell(Outcome("running", pid=os.getpid()))
        try:
            result = _drive(steps, run, tell)
            tell(Outcome("finished", result=summary(result), pid=os.getpid()))
            return result
        except (StoppedError, KeyboardInterrupt) as error:
            message = "Stopped. The same command continues it."
            tell(Outcome("stopped", message, pid=os.getpid()))
            raise StoppedError(message) from error
        except GeolocatorError as error:
            place = "" if error.path is None else f"{error.path}: "
            tell(Outcome("failed", place + error.what, error.hint, pid=os.getpid()))
            raise
        except BaseException as error:
            # The outcome says what is known in one line; the traceback goes to the log with `raise`.
            with contextlib.suppress(OSError):  # the disk may be what failed
                tell(Outcome("failed", describe_fault(error), "The log has the details.", pid=os.getpid()))
            raise
        finally:
            steps.close()
            writer.close()


def _drive(steps: Steps[T], run: RunFolder, tell: Callable[[Event], None]) -> T:
    while True:
        try:
            tell(next(steps))
        except StopIteration as stop:
            result: T = stop.value
            return result
        if run.stop_requested():
            raise StoppedError("stopped")


def describe_fault(error: BaseException) -> str:
    """A fault in one line for people."""
    if isinstance(error, MemoryError):
        return "the machine ran out of memory"
    if isinstance(error, OSError) and error.errno is not None:
        place = f" ({error.filename})" if error.filename else ""
        return f"{os.strerror(error.errno).lower()}{place}"
    return f"{type(error).__name__}: {error}"


def start(verb: str, thing: Path) -> subprocess.Popen[bytes]:
    """Start `geolocator VERB --resume THING` as a child that outlives this process.

    Its output goes to `run/log.txt`; its events are followed with `RunFolder.events`.
    """
    run = RunFolder(thing)
    run.path.mkdir(parents=True, exist_ok=True)
    command = [*program(), verb, "--resume", str(thing), "--quiet"]
    options: dict[str, Any] = (
        # CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW | BELOW_NORMAL_PRIORITY_CLASS
        {"creationflags": 0x00000200 | 0x08000000 | 0x00004000}
        if sys.platform == "win32"
        else {"start_new_session": True}
    )
    with run.log_path.open("ab") as output:
        output.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} {' '.join(command[-4:])}\n".encode())
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            **options,
        )
    _step_back(process.pid)
    return process


def _step_back(pid: int) -> None:
    """Let the window and a dropped photo go before this run when both want the processor.

    Linux may weigh whole sessions against each other first; a run has a session of its own.
    """
    if sys.platform == "win32":
        return  # its priority class is given when it is made
    with contextlib.suppress(OSError):  # a run that goes at full priority is still a run
        os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, 0) + BACKGROUND_NICE)
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(BACKGROUND_NICE), "ascii")


def program() -> Sequence[str]:
    """The command that runs this program's verbs, from a checkout, an installation or a frozen build."""
    if getattr(sys, "frozen", False):
        return [sys.executable]
    return [sys.executable, "-m", "geolocator_gui.cli"]


def lock_file(file: IO[bytes]) -> None:
    """Lock an open file for as long as it stays open; raises `OSError` when somebody else holds it."""
    if sys.platform == "win32":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
