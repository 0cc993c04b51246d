"""Writing that survives a power cut: appends, syncs and renames, each of them an instant to be killed at.

Everything an index keeps goes through here, so that one hook reaches every instant: with
`GEOLOCATOR_CRASH_AT=N` in the environment the process kills itself at its N-th operation (in the middle of
it, where it is a write), and with `GEOLOCATOR_CRASH_TRACE=FILE` it lists its operations.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from geolocator_gui.errors import FaultError, InputError

_operations = itertools.count(1)


def _instant(kind: str, path: Path) -> bool:
    """Count an operation; whether the process shall die in it."""
    crash_at, trace = os.environ.get("GEOLOCATOR_CRASH_AT"), os.environ.get("GEOLOCATOR_CRASH_TRACE")
    if crash_at is None and trace is None:
        return False
    number = next(_operations)
    if trace:
        with Path(trace).open("a", encoding="utf-8") as file:
            file.write(f"{number} {kind} {path.name}\n")
    return number == int(crash_at or 0)


def _die() -> NoReturn:
    if hasattr(signal, "SIGKILL"):
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(137)


def explain(error: OSError, path: Path) -> FaultError | InputError:
    """A failed write in the user's words."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return FaultError(
            "the disk is full (or a limit on file sizes is reached)",
            path=path,
            hint="What is done is kept. Free some space, then run the same command to continue.",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return InputError(
            "this folder cannot be written",
            path=path,
            hint="Choose a folder that you may write to.",
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL):
        return InputError(
            f"nothing can be written there ({error.strerror or error})",
            path=path,
            hint="Choose another place.",
        )
    return FaultError(
        f"writing failed ({error.strerror or error})",
        path=path,
        hint="What is done is kept. Check the disk, then run the same command to continue.",
    )


class AppendFile:
    """A file that only grows; what is beyond the length it is opened with is cut off.

    Args:
        path: Made with its parent folder when it does not exist.
        length: Bytes that are valid; None keeps all.
    """

    def __init__(self, path: Path, length: int | None = None) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            new = not path.exists()
            self._file = path.open("ab", buffering=0)
            if length is not None and path.stat().st_size > length:
                if _instant("truncate", path):
                    _die()
                self._file.truncate(length)
                os.fsync(self._file.fileno())
            if new:
                sync_folder(path.parent)
        except OSError as error:
            raise explain(error, path) from error

    def append(self, data: bytes) -> None:
        """Write at the end; it is on disk only after `sync`."""
        try:
            if _instant("write", self.path):
                self._file.write(data[: len(data) // 2])
                _die()
            view = memoryview(data)
            while len(view):
                view = view[self._file.write(view) :]
        except OSError as error:
            raise explain(error, self.path) from error

    def sync(self) -> None:
        """Return when everything written is on disk."""
        try:
            if _instant("fsync", self.path):
                _die()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise explain(error, self.path) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def overwrite(path: Path, offset: int, data: bytes) -> None:
    """Write into the middle of a file that exists (mending it), and sync."""
    try:
        with path.open("r+b", buffering=0) as file:
            file.seek(offset)
            if _instant("write", path):
                file.write(data[: len(data) // 2])
                _die()
            view = memoryview(data)
            while len(view):
                view = view[file.write(view) :]
            os.fsync(file.fileno())
    except OSError as error:
        raise explain(error, path) from error


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a power cut, sees the old one or the new one."""
    scratch = scratch_of(path)
    file = AppendFile(scratch, 0)
    try:
        file.append(data)
        file.sync()
    finally:
        file.close()
    put_in_place(scratch, path)


def scratch_of(path: Path) -> Path:
    """Where a file is written before it is put in its place; swept away by `sweep`."""
    return path.with_name(f".{path.name}.partial")


def put_in_place(scratch: Path, path: Path) -> None:
    """Sync a finished scratch file and rename it to its place."""
    try:
        with scratch.open("rb+") as file:
            if _instant("fsync", scratch):
                _die()
            os.fsync(file.fileno())
        if _instant("rename", path):
            _die()
        scratch.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise explain(error, path) from error


def remove(path: Path) -> None:
    """Delete a file if it is there."""
    if _instant("remove", path):
        _die()
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise explain(error, path) from error


def is_scratch(path: Path) -> bool:
    """Whether a file is one that `scratch_of` named."""
    return path.name.startswith(".") and path.name.endswith(".partial")


def sweep(folder: Path) -> None:
    """Delete what a killed process left half-written in a folder."""
    for path in sorted(folder.iterdir()):
        if is_scratch(path):
            remove(path)


def sync_folder(folder: Path) -> None:
    """Make renames and new files in a folder last, where the system can."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        # Some network and FUSE file systems refuse to sync a folder; the files themselves are synced.
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
