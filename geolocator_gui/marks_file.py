"""`marks.csv` as a window keeps it: written behind, read again when somebody else wrote, nothing lost.

Two windows (or two people on one share) may have the same file open. Whoever writes holds a lock and looks
first whether the file is still the one last seen. What cannot be written waits, and lies meanwhile in a file
of its own beside it, `marks-unsaved-*.csv`, which "Merge another marks file" understands.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from geolocator_gui.errors import FaultError, GeolocatorError
from geolocator_gui.marks import (
    Mark,
    Merged,
    append_marks,
    merge_marks,
    now,
    read_marks,
    readable_marks,
    write_marks,
)

UNSAVED = "marks-unsaved"
_LOCK_SECONDS = 5.0
_Stamp = tuple[int, int, int]


class MarksFile:
    """The file, and what waits to be written; every method may be called from any thread.

    Args:
        path: `marks.csv` of a workspace; need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem: GeolocatorError | None = None
        self.kept_in: Path | None = None
        self._name = f"{UNSAVED}-{now().replace(':', '')}-{os.getpid()}-{id(self) % 10_000}.csv"
        self._waiting: deque[tuple[Mark, ...]] = deque()
        self._fresh: list[Mark] | None = None
        self._stamp: _Stamp | None = None
        self._io = threading.Lock()
        self._state = threading.Lock()

    @property
    def is_written(self) -> bool:
        """Whether every row has reached the file."""
        return not self._waiting and not self._io.locked()

    def put(self, rows: Iterable[Mark]) -> None:
        """Let rows wait for `write`."""
        with self._state:
            self._waiting.append(tuple(rows))

    def take_fresh(self) -> list[Mark] | None:
        """All rows if the file was read (anew) since the last call, with those that wait; else None."""
        with self._state:
            fresh, self._fresh = self._fresh, None
            return None if fresh is None else [*fresh, *(mark for step in self._waiting for mark in step)]

    def write(self) -> None:
        """Look whether others wrote, and write what waits; a failure is in `problem` afterwards."""
        with self._io:
            with self._state:
                steps = len(self._waiting)
                rows = [mark for step in self._waiting for mark in step]
            try:
                if rows:
                    with _locked(self.path):
                        self._look()
                        append_marks(self.path, rows)
                        self._stamp = _stamp(self.path)
                else:
                    self._look()
            except (OSError, GeolocatorError) as error:
                self._fail(error, rows)
                return
            with self._state:
                for _ in range(steps):
                    self._waiting.popleft()
                if self._fresh is not None:
                    self._fresh.extend(rows)
            self._settled()

    def merge(self, theirs: Sequence[Mark]) -> Merged:
        """Take over another person's rows; raises the problem if the own ones cannot be written."""
        self.write()
        if self.problem is not None:
            raise self.problem
        with self._io, _in_words(self.path), _locked(self.path):
            merged = merge_marks(read_marks(self.path), theirs)
            write_marks(self.path, merged.marks)
            self._stamp = _stamp(self.path)
            with self._state:
                self._fresh = list(merged.marks)
        return merged

    def set_aside(self, standing: Sequence[Mark]) -> Path | None:
        """Rename what lies there to `marks.csv.damaged` and begin anew with the verdicts that stand.

        Returns:
            Where the old file lies now, None where there was none.

        Raises:
            FaultError: It can be neither renamed nor written.
        """
        with self._io, _in_words(self.path), _locked(self.path):
            moved = None
            if self.path.exists():
                moved = self.path.with_name(f"{self.path.name}.damaged")
                number = 2
                while moved.exists():
                    moved = self.path.with_name(f"{self.path.name}.damaged-{number}")
                    number += 1
                self.path.rename(moved)
            write_marks(self.path, standing)
            self._stamp = _stamp(self.path)
        self.write()
        return moved

    def left_behind(self) -> list[Path]:
        """Files of earlier sittings whose verdicts never reached the marks."""
        return sorted(file for file in self.path.parent.glob(f"{UNSAVED}-*.csv") if file.name != self._name)

    def _look(self) -> None:
        """Read the file if it is another one than last time."""
        stamp = _stamp(self.path)
        if stamp == self._stamp:
            return
        rows = read_marks(self.path)
        first = self._stamp is None
        self._stamp = stamp
        if first or any(stamp):  # one that was deleted meanwhile takes nothing from what is shown
            with self._state:
                self._fresh = rows

    def _fail(self, error: Exception, rows: Sequence[Mark]) -> None:
        if not isinstance(error, GeolocatorError):
            error = _fault(error, self.path)
        if self._stamp is None:  # never read: what can be read of it is shown all the same
            self._stamp = (-1, -1, -1)
            with self._state:
                self._fresh = readable_marks(self.path)
        self.problem = error
        if not rows:
            return
        for folder in (self.path.parent, Path(tempfile.gettempdir())):
            with contextlib.suppress(OSError):  # the next folder, then; told by `kept_in`
                write_marks(folder / self._name, rows)
                self.kept_in = folder / self._name
                return
        self.kept_in = None

    def _settled(self) -> None:
        self.problem = None
        if self.kept_in is not None:
            with contextlib.suppress(OSError):  # a copy of what is written now; it may stay
                self.kept_in.unlink(missing_ok=True)
            self.kept_in = None


def _fault(error: Exception, path: Path) -> FaultError:
    reason = getattr(error, "strerror", None) or str(error)
    hint = "Make the file and its folder writable, then try again."
    return FaultError(f"it cannot be written ({reason})", path=path, hint=hint)


@contextlib.contextmanager
def _in_words(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _fault(error, path) from error


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0, 0
    return found.st_mtime_ns, found.st_size, found.st_ino


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a marks file, a hidden file beside it: the file itself is replaced when rewritten."""
    with path.with_name(f".{path.name}.lock").open("ab") as file:
        end = time.monotonic() + _LOCK_SECONDS
        while not _try_lock(file):
            if time.monotonic() > end:
                raise FaultError(
                    "another program keeps it locked",
                    path=path,
                    hint="Close other windows that have this workspace open, then try again.",
                )
            time.sleep(0.005)
        try:
            yield
        finally:
            _unlock(file)


def _try_lock(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _unlock(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_UN)
