"""Pairs as files: the one structure that every reader returns, for evaluation, mining and training alike."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import DataError
from geolocator_gui.ml.datasets.common import Dropped, Report, read_image
from geolocator_gui.ml.transforms import Pixels
from geolocator_gui.records import View

if TYPE_CHECKING:
    from geolocator_gui.configs import ModelConfig

log = logging.getLogger(__name__)
_GREY = 124
PairsT = TypeVar("PairsT", bound="PairData")


@dataclass(frozen=True)
class PairData:
    """Queries and references as image files, and what belongs together; a `PairSet`.

    Attributes:
        name: Short name of the data, the first part of stable ids.
        split: "train" or "val".
        root: Folder that the paths are relative to.
        query_paths: (Q) file names, forward slashes.
        reference_paths: (R) likewise.
        query_names: (Q) stable names.
        reference_names: (R) likewise.
        query_label: (Q,) label of each query's reference, or (Q, 1 + S) with semi-positives after it.
        reference_label: (R,) labels.
        report: What was left out, and why.
        query_lonlat: (Q, 2) degrees, NaN where unknown, or None.
        reference_lonlat: (R, 2) likewise.
        side_m: Ground metres per chip side, None where unknown.
        query_view: Input of the encoder that a query is for.
        reference_view: Likewise.
        reference_margin: Share of a chip's side by which its file reaches beyond the chip on each side.
        heading_known: (Q,) whether a photo says its heading; None where every panorama has north in the
            middle.
        placed: Whether `query_image` gives photos placed as the model takes them.
        damaged: Files met that turned out not to be whole images; grows while images are read.
    """

    name: str
    split: str
    root: Path
    query_paths: Sequence[str]
    reference_paths: Sequence[str]
    query_names: Sequence[str]
    reference_names: Sequence[str]
    query_label: NDArray[np.int64]
    reference_label: NDArray[np.int64]
    report: Report
    query_lonlat: NDArray[np.float64] | None = None
    reference_lonlat: NDArray[np.float64] | None = None
    side_m: float | None = None
    query_view: View = "ground"
    reference_view: View = "satellite"
    reference_margin: float = 0.0
    heading_known: NDArray[np.bool_] | None = None
    placed: bool = False
    damaged: set[str] = field(default_factory=set, compare=False, repr=False)

    @property
    def pair_reference(self) -> NDArray[np.int64]:
        """(Q,) row of the first reference that carries each query's (first) label, -1 where none does."""
        label = self.query_label if self.query_label.ndim == 1 else self.query_label[:, 0]
        if not len(self.reference_label):
            return np.full(len(label), -1, np.int64)
        order = np.argsort(self.reference_label, kind="stable")
        ordered = self.reference_label[order]
        place = np.minimum(np.searchsorted(ordered, label), len(ordered) - 1)
        return np.where(ordered[place] == label, order[place], -1)

    def query_image(self, row: int) -> Pixels:
        """uint8 (h, w, 3) RGB; a damaged file gives a grey image and is noted, so that nothing ends on it."""
        return self._whatever_happens(lambda: self.read_query(row), self.query_paths[row])

    def reference_image(self, row: int) -> Pixels:
        """Likewise for a reference, without its margin."""
        return self._whatever_happens(lambda: self.read_reference(row), self.reference_paths[row])

    def read_query(self, row: int) -> Pixels:
        """As `query_image`; raises `DataError` if the file cannot be read, for who can take another."""
        return read_image(self.root / self.query_paths[row])

    def read_reference(self, row: int) -> Pixels:
        """As `reference_image`; raises `DataError` if the file cannot be read."""
        return without_margin(self.wide_reference(row), self.reference_margin)

    def wide_reference(self, row: int) -> Pixels:
        """A reference with its margin, the room for random offsets; raises `DataError`."""
        return read_image(self.root / self.reference_paths[row])

    def query_file(self, row: int) -> str:
        """Path of the image."""
        return str(self.root / self.query_paths[row])

    def reference_file(self, row: int) -> str:
        """Path of the image."""
        return str(self.root / self.reference_paths[row])

    def for_model(self, config: ModelConfig) -> Self:
        """The same pairs as a model takes them; published images are as they are."""
        return self

    def limited(self, count: int | None) -> Self:
        """The first queries and the references that belong to them (semi-positives included).

        Fewer references are easier to tell apart: figures of a part say nothing about the whole.
        """
        if count is None or count >= len(self.query_paths):
            return self
        label = self.query_label[:count]
        rows = np.flatnonzero(np.isin(self.reference_label, label))
        return self.taken(np.arange(count), rows)

    def taken(self, queries: NDArray[np.int64], references: NDArray[np.int64]) -> Self:
        """Some of the queries and references, by row."""
        found = replace(self.report, found=len(queries), references=len(references))
        return replace(
            self,
            query_paths=[self.query_paths[row] for row in queries],
            reference_paths=[self.reference_paths[row] for row in references],
            query_names=[self.query_names[row] for row in queries],
            reference_names=[self.reference_names[row] for row in references],
            query_label=self.query_label[queries],
            reference_label=self.reference_label[references],
            query_lonlat=None if self.query_lonlat is None else self.query_lonlat[queries],
            reference_lonlat=None if self.reference_lonlat is None else self.reference_lonlat[references],
            heading_known=None if self.heading_known is None else self.heading_known[queries],
            report=found,
        )

    def _whatever_happens(self, read: Callable[[], Pixels], path: str) -> Pixels:
        try:
            return read()
        except DataError as error:
            if path not in self.damaged:
                self.damaged.add(path)
                log.warning("%s", error)
            return np.full((64, 64, 3), _GREY, np.uint8)


def without_empty(data: PairsT) -> PairsT:
    """The pairs whose files hold anything; those with a file of 0 bytes are counted in the report.

    Raises:
        DataError: None is left.
    """
    queries, references = _empty(data.root, data.query_paths), _empty(data.root, data.reference_paths)
    if not queries.any() and not references.any():
        return data
    label = data.query_label if data.query_label.ndim == 1 else data.query_label[:, 0]
    gone = np.setdiff1d(data.reference_label[references], data.reference_label[~references])
    lost = ~queries & np.isin(label, gone)
    rows, others = np.flatnonzero(~queries & ~lost), np.flatnonzero(~references)
    dropped = list(data.report.dropped)
    for reason, paths, mask in (
        ("the file is empty (0 bytes)", data.query_paths, queries),
        ("the file is empty (0 bytes), a reference", data.reference_paths, references),
        ("the file of its reference is empty (0 bytes)", data.query_paths, lost),
    ):
        if mask.any():
            examples = tuple(paths[row] for row in np.flatnonzero(mask)[:20])
            dropped.append(Dropped(reason, int(mask.sum()), examples))
    report = replace(data.report, found=len(rows), references=len(others), dropped=tuple(dropped))
    if not len(rows) or not len(others):
        raise DataError(
            "no pair has two images with content", path=data.root, hint=" ".join(report.sentences())
        )
    return replace(data.taken(rows, others), report=report)


def _empty(root: Path, paths: Sequence[str]) -> NDArray[np.bool_]:
    """(N,) whether a file has 0 bytes; one that cannot be asked is left to its reading."""
    base = str(root)

    def empty(path: str) -> bool:
        try:
            return os.stat(f"{base}/{path}").st_size == 0
        except OSError:
            return False

    return np.array([empty(path) for path in paths], dtype=bool)


def without_margin(image: Pixels, margin: float) -> Pixels:
    """The chip in the middle of an image that reaches `margin` of its side beyond it on each side."""
    if margin == 0:
        return image
    side = round(image.shape[0] / (1 + 2 * margin))
    first = (image.shape[0] - side) // 2
    return image[first : first + side, first : first + side]
