"""The one message bridge: whoever has something to say to the user says it here; the window shows it."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QObject, Signal

from geolocator_gui.errors import GeolocatorError
from geolocator_gui.gui import wording
from geolocator_gui.gui.translation import translate

Level = Literal["info", "success", "warning", "error"]


@dataclass(frozen=True)
class Message:
    """Something to tell the user.

    Attributes:
        text: What happened, one sentence.
        hint: What to do next.
        level: How it looks and how long it stays.
        log: A log that can be shown.
        undo: Whether the message offers to undo; `Notifications.undone` answers with `key`.
        key: Names the message for `undone`.
    """

    text: str
    hint: str = ""
    level: Level = "info"
    log: Path | None = None
    undo: bool = False
    key: str = ""


class Notifications(QObject):
    """Carries messages to the window.

    Signals:
        posted: A `Message` to show.
        undone: The key of a message whose undo was chosen.
        withdrawn: The key of a message whose undo was chosen elsewhere, or is past.
    """

    posted = Signal(object)
    undone = Signal(str)
    withdrawn = Signal(str)

    def tell(self, text: str, hint: str = "", level: Level = "info", *, log: Path | None = None) -> None:
        """Show a sentence."""
        self.posted.emit(Message(text, hint, level, log))

    def offer_undo(self, text: str, key: str) -> None:
        """Show what was deleted, with a way back."""
        self.posted.emit(Message(text, undo=True, key=key))

    def error(self, error: BaseException, *, log: Path | None = None) -> None:
        """Show an error in the words of `errors`."""
        self.posted.emit(describe(error, log))


def describe(error: BaseException, log: Path | None = None) -> Message:
    """An error as a message: what happened, to which file, what to do."""
    if isinstance(error, GeolocatorError):
        name = "" if error.path is None else _of(Path(str(error.path)).name or str(error.path))
        return Message(name + error.what, error.hint, "error", log)
    if isinstance(error, OSError) and error.errno is not None:
        name = "" if error.filename is None else _of(Path(os.fsdecode(error.filename)).name)
        return Message(name + os.strerror(error.errno).lower(), _advice(error.errno), "error", log)
    hint = translate("Notifications", "This is a fault of the program; the log has the details.")
    return Message(f"{type(error).__name__}: {error}", hint, "error", log)


def _of(name: str) -> str:
    return f"{wording.isolated(name)}: "


def _advice(number: int) -> str:
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return translate("Notifications", "Free some space, then try again.")
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return translate("Notifications", "Check permissions, or choose another folder.")
    return translate(
        "Notifications", "Check that the file, its folder and the disk are there, then try again."
    )
