"""What every reader of pairs needs: folders listed once, images read, a report of what was left out."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import DataError
from geolocator_gui.ml.transforms import Pixels

ENDINGS = (".jpg", ".png", ".jpeg", ".JPG", ".PNG", ".JPEG", ".webp", ".tif")
_EXAMPLES = 20


@dataclass(frozen=True)
class Dropped:
    """Items left out for one reason.

    Attributes:
        reason: In words.
        count: How many.
        examples: The first of them.
    """

    reason: str
    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What a reader found and what it left out.

    Attributes:
        found: Queries that can be used.
        references: References that can be used.
        dropped: What was left out, by reason.
        notes: What else the user should know, a sentence each.
    """

    found: int
    references: int
    dropped: tuple[Dropped, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def missing(self) -> int:
        """Items left out, whatever the reason."""
        return sum(one.count for one in self.dropped)

    @property
    def aside(self) -> tuple[tuple[str, str], ...]:
        """Name and reason of examples, for a list."""
        return tuple((name, one.reason) for one in self.dropped for name in one.examples)

    def sentences(self) -> tuple[str, ...]:
        """The whole report in words."""
        lost = (
            f"{one.count:,} left out: {one.reason} ({one.examples[0]}{_more(one)})." for one in self.dropped
        )
        return (*lost, *self.notes)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def _more(one: Dropped) -> str:
    return ", …" if one.count > 1 else ""


class ReportBuilder:
    """Gathers a report while a reader works."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}
        self._notes: list[str] = []

    def drop(self, reason: str, names: Iterable[str]) -> None:
        """Leave items out."""
        for name in names:
            self._counts[reason] = self._counts.get(reason, 0) + 1
            kept = self._names.setdefault(reason, [])
            if len(kept) < _EXAMPLES:
                kept.append(name)

    def note(self, sentence: str) -> None:
        """Something the user should know."""
        self._notes.append(sentence)

    def done(self, found: int, references: int) -> Report:
        """The report."""
        dropped = tuple(
            Dropped(reason, count, tuple(self._names[reason])) for reason, count in self._counts.items()
        )
        return Report(found, references, dropped, tuple(self._notes))

    def nothing_left(self, root: Path, expected: str) -> DataError:
        """The error of a folder that gives no pair: what was left out, and what was expected."""
        why = " ".join(self.done(0, 0).sentences())
        return DataError(
            "no pair has both of its images on disk", path=root, hint=f"{why} {expected}".strip()
        )


class Listing:
    """What lies in the folders below a root; each folder is listed once, no file is asked for alone."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._names: dict[str, frozenset[str]] = {}

    def names(self, folder: str) -> frozenset[str]:
        """File and folder names in `root / folder`; empty if there is no such folder."""
        if folder not in self._names:
            try:
                with os.scandir(self.root / folder) as entries:
                    self._names[folder] = frozenset(entry.name for entry in entries)
            except OSError:
                self._names[folder] = frozenset()
        return self._names[folder]

    def images(self, folder: str) -> list[str]:
        """Image names in a folder, in order."""
        return sorted(name for name in self.names(folder) if name.endswith(ENDINGS) and name[0] != ".")

    def find(self, folder: str, name: str) -> str | None:
        """The name as it is on disk, with another of the usual endings if need be; None if it is gone."""
        there = self.names(folder)
        if name in there:
            return name
        stem = name.rpartition(".")[0] or name
        return next((stem + ending for ending in ENDINGS if stem + ending in there), None)


def read_lines(path: Path) -> list[str]:
    """Lines of a list without their ends, empty ones left out; raises `DataError`."""
    try:
        text = path.read_text("utf-8-sig", errors="replace")
    except OSError as error:
        raise DataError(f"this list cannot be read ({error.strerror})", path=path) from error
    return [line for line in text.splitlines() if line and not line.isspace()]


def read_image(path: Path | str) -> Pixels:
    """An image file as uint8 (h, w, 3) RGB; raises `DataError` if it is missing or damaged."""
    import cv2

    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f"this image cannot be read ({error.strerror})", path=path) from error
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if image is None:
        raise DataError("this is not a whole image", path=path, hint="Delete it, or fetch it again.")
    return np.ascontiguousarray(image[..., ::-1], dtype=np.uint8)


def wrong_folder(root: Path, what: str, expected: str) -> DataError:
    """The one error of a folder that is not what its kind says."""
    if not root.is_dir():
        return DataError("there is no such folder", path=root, hint=f"Name the folder of {what}: {expected}")
    return DataError(f"this is not a folder of {what}", path=root, hint=f"Expected: {expected}")


def number_or_nan(text: str) -> float:
    """A float of a text, NaN if it is none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def median_side(metres_at_equator: float, lat: NDArray[np.float64]) -> float | None:
    """Ground side in metres of images of one zoom level, at the median latitude; None without any."""
    known = lat[np.isfinite(lat)]
    return float(metres_at_equator * np.cos(np.radians(np.median(known)))) if len(known) else None
