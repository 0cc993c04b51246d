"""Errors in the user's words: what happened, to which file, what to do next.

Everything a user can cause is an `InputError` (exit code 2); what is our fault or the machine's is a
`FaultError` (exit code 1). The command line prints `str(error)`; the window shows the same sentence.
"""

from __future__ import annotations

from pathlib import Path


def printable(text: str) -> str:
    """A name or text for a terminal: control characters must not move its cursor or fake a second line."""
    return "".join(c if c.isprintable() else "?" for c in text)


class GeolocatorError(Exception):
    """Base of every error that is shown to a user.

    Attributes:
        what: One sentence that says what happened.
        path: The file, folder or address it happened to, if there is one.
        hint: What to do next, if something can be done.
    """

    exit_code = 1

    def __init__(self, what: str, *, path: Path | str | None = None, hint: str = "") -> None:
        self.what = what
        self.path = path
        self.hint = hint
        super().__init__(what)

    def __str__(self) -> str:
        """The message in one or two lines: `path: what`, then the hint."""
        place = "" if self.path is None else printable(str(self.path))
        first = f"{place}: {self.what}" if place else self.what
        return f"{first}\n{self.hint}" if self.hint else first


class FaultError(GeolocatorError):
    """The machine or the program failed: disk full, device lost, child process died."""


class StoppedError(GeolocatorError):
    """The user asked to stop; what was done is kept and the same command continues it."""

    exit_code = 130


class InputError(GeolocatorError):
    """The user's input cannot be used."""

    exit_code = 2


class ImageryError(InputError):
    """An imagery source cannot be read or may not be used this way."""


class AreaError(InputError):
    """An area cannot be read, is empty, or lies where it cannot be used."""


class PhotoError(InputError):
    """A photo cannot be read or is not a photo."""


class WeightsError(InputError):
    """A weights file is not what it claims to be."""


class BundleError(InputError):
    """A model bundle is missing, incomplete or does not fit."""


class IndexFolderError(InputError):
    """An index folder is missing, incomplete, damaged or belongs to another model."""


class NoIndexOpenError(InputError):
    """A photo was to be located while no index is open."""


class DataError(InputError):
    """Training or evaluation data cannot be used as given."""


class ConfigError(InputError):
    """A setting or a configuration file is wrong."""


class WorkspaceError(InputError):
    """A workspace folder cannot be opened or created."""
