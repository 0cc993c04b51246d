"""Pairs that are image files: what every reader of a data set returns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import DataError
from geolocator_gui.ml.pairs import Pixels
from geolocator_gui.records import View


@dataclass(frozen=True)
class PairReport:
    """What a reader found and what it left out.

    Attributes:
        found: Pairs that can be used.
        missing: Pairs left out because an image is not on disk.
        notes: What the user should know, a sentence each.
        aside: Name and reason of single items set aside, for a list.
    """

    found: int
    missing: int = 0
    notes: tuple[str, ...] = ()
    aside: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class FilePairs:
    """Queries and references as files; the attributes are those of `PairSet`.

    Attributes:
        root: Folder that the file names are relative to.
        query_paths: Relative to `root`.
        reference_paths: Relative to `root`.
        report: What was left out.
        planar: (R, 2) easting and northing in metres where the data give these instead of degrees.
        reference_margin: Share of a chip's side by which the files reach beyond the chip on each side.
        heading_known: (Q,) whether a photo says its heading; None where north is in every panorama's middle.
        placed: The queries are photos already placed as the model takes them.
    """

    name: str
    root: Path
    query_paths: Sequence[str]
    reference_paths: Sequence[str]
    query_label: NDArray[np.int64]
    reference_label: NDArray[np.int64]
    query_names: Sequence[str]
    reference_names: Sequence[str]
    report: PairReport
    query_lonlat: NDArray[np.float64] | None = None
    reference_lonlat: NDArray[np.float64] | None = None
    side_m: float | None = None
    query_view: View = "ground"
    reference_view: View = "satellite"
    planar: NDArray[np.float64] | None = field(default=None)
    reference_margin: float = 0.0
    heading_known: NDArray[np.bool_] | None = field(default=None)
    placed: bool = False

    @property
    def pair_reference(self) -> NDArray[np.int64]:
        """(Q,) row of the first reference with each query's (first) label, -1 where there is none."""
        label = self.query_label if self.query_label.ndim == 1 else self.query_label[:, 0]
        order = np.argsort(self.reference_label, kind="stable")
        ordered = self.reference_label[order]
        place = np.minimum(np.searchsorted(ordered, label), max(0, len(ordered) - 1))
        if not len(ordered):
            return np.full(len(label), -1, dtype=np.int64)
        return np.where(ordered[place] == label, order[place], -1)

    def query_image(self, row: int) -> Pixels:
        """uint8 (h, w, 3) RGB; raises `DataError` if the file cannot be read."""
        return read_image(self.root / self.query_paths[row])

    def reference_image(self, row: int) -> Pixels:
        """Likewise for a reference, without its margin."""
        image = self.wide_reference(row)
        if not self.reference_margin:
            return image
        side = round(image.shape[0] / (1.0 + 2.0 * self.reference_margin))
        first = (image.shape[0] - side) // 2
        return image[first : first + side, first : first + side]

    def wide_reference(self, row: int) -> Pixels:
        """A reference with its margin; the room for random offsets."""
        return read_image(self.root / self.reference_paths[row])

    def query_file(self, row: int) -> str:
        """Path of the image."""
        return str(self.root / self.query_paths[row])

    def reference_file(self, row: int) -> str:
        """Likewise for a reference."""
        return str(self.root / self.reference_paths[row])


def read_image(path: Path) -> Pixels:
    """An image file as uint8 (h, w, 3) RGB; raises `DataError`."""
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise DataError(f"this image cannot be read ({error.strerror})", path=path) from error
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if image is None:
        raise DataError(
            "this is not an image", path=path, hint="Delete it or fetch it again; the run goes on without it."
        )
    return np.ascontiguousarray(image[..., ::-1])


def files_below(folder: Path) -> set[str]:
    """Names of the files in one folder, read in one pass; empty if there is no folder."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except OSError:
        return set()


class Presence:
    """Whether files are there, by listing each folder once instead of asking for every file."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, set[str]] = {}

    def has(self, relative: str) -> bool:
        """Whether `root / relative` is there."""
        folder, _, name = relative.rpartition("/")
        if folder not in self._known:
            self._known[folder] = files_below(self._root / folder)
        return name in self._known[folder]

    def either(self, relative: str) -> str | None:
        """The path itself, or with another of the endings in circulation; None if there is neither."""
        if self.has(relative):
            return relative
        stem = relative.rpartition(".")[0]
        for ending in (".jpg", ".png", ".jpeg"):
            if self.has(stem + ending):
                return stem + ending
        return None


def require(folder: Path, what: str, hint: str) -> Path:
    """A file or folder that must be there; raises `DataError` that says what it is for."""
    if not folder.exists():
        raise DataError(f"{what} is missing", path=folder, hint=hint)
    return folder


def one_to_one(
    name: str,
    root: Path,
    rows: Sequence[tuple[int, str, str]],
    report: PairReport,
    *,
    lonlat: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    planar: NDArray[np.float64] | None = None,
    side_m: float | None = None,
) -> FilePairs:
    """Pairs of which each has its own satellite image.

    Args:
        name: Short name of the data.
        root: Folder that paths are relative to.
        rows: Id, satellite path, ground path of each pair.
        report: What was left out.
        lonlat: Positions of satellite and ground images in degrees, (N, 2) each.
        planar: Positions in metres, (N, 2).
        side_m: Ground metres per chip side.

    Raises:
        DataError: There is no pair.
    """
    if not rows:
        raise DataError(
            "no pair has both of its images on disk",
            path=root,
            hint=" ".join(report.notes) or "Check that the folder holds the images beside the lists.",
        )
    label = np.array([row[0] for row in rows], dtype=np.int64)
    return FilePairs(
        name=name,
        root=root,
        query_paths=[row[2] for row in rows],
        reference_paths=[row[1] for row in rows],
        query_label=label,
        reference_label=label,
        query_names=[row[2].rpartition("/")[2] for row in rows],
        reference_names=[row[1].rpartition("/")[2] for row in rows],
        report=report,
        query_lonlat=None if lonlat is None else lonlat[1],
        reference_lonlat=None if lonlat is None else lonlat[0],
        planar=planar,
        side_m=side_m,
    )
