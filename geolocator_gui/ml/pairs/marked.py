"""The user's verdicts as training takes them: what is left out, what is never a negative, what meets gladly.

Verdicts name photos and chips by stable ids (see `marks`). A photo is found by its content or by the name it
has in the data; a chip by its name, or, when it was seen in an index, by the ground it shows: an index has a
chip wherever its grid has a cell, the pairs have one per photo.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import DataError
from geolocator_gui.marks import Mark, Marks, chip_place, pair_id, read_marks, write_marks
from geolocator_gui.ml.datasets.samples import TrainingSamples
from geolocator_gui.ml.distances import earth_centred

Rows = NDArray[np.int64]
FROZEN = "marks.csv"
WORKSPACE, NONE = "workspace", "none"


def _nothing() -> Rows:
    return np.empty((0, 2), np.int64)


@dataclass(frozen=True)
class MarkedPairs:
    """What verdicts say about some training samples.

    Attributes:
        not_negative: int64 (K, 2), a sample's photo and the sample whose satellite image is no negative.
        hard: int64 (H, 2), likewise, of those kept as hard: they are to share a batch.
        left_out: Samples that were taken away as bad pairs.
        elsewhere: Verdicts about photos or chips that these samples do not have.
    """

    not_negative: Rows = field(default_factory=_nothing)
    hard: Rows = field(default_factory=_nothing)
    left_out: int = 0
    elsewhere: int = 0

    def sentence(self) -> str:
        """For the run's log."""
        text = (
            f"Verdicts: {self.left_out:,} bad pairs left out, {len(self.not_negative):,} times another chip "
            f"shows the same place and is no negative, {len(self.hard):,} kept confusions are put together."
        )
        if self.elsewhere:
            text += f" {self.elsewhere:,} verdicts are about places that are not among these pairs."
        return text


def apply_marks(samples: TrainingSamples, marks: Iterable[Mark]) -> tuple[TrainingSamples, MarkedPairs]:
    """Samples without the bad pairs, and what the other verdicts say about those that stay.

    Raises:
        DataError: Nothing is left.
    """
    verdicts = [mark for mark in Marks(marks).all() if mark.verdict != "unsure"]
    if not verdicts:
        return samples, MarkedPairs()
    finder = _Finder(samples)
    bad = np.zeros(len(samples), bool)
    found: dict[str, list[tuple[int, int]]] = {"same_place": [], "hard": []}
    elsewhere = 0
    for mark in verdicts:
        photo, chip = finder.sides(mark)
        if mark.verdict == "bad_pair":
            rows = finder.photo(photo)
            bad[rows] = True
            elsewhere += not len(rows)
            continue
        nearest_only = mark.verdict == "hard"
        pairs = [
            (row, other)
            for row in finder.photo(photo)
            for other in finder.chips(chip, nearest_only=nearest_only)
            if samples.label[row] != samples.label[other]
        ]
        found[mark.verdict] += pairs
        elsewhere += not pairs
    kept = np.flatnonzero(~bad)
    if not len(kept):
        raise DataError(
            "the verdicts leave no pair to train on",
            path=samples.data.root,
            hint="Look at the bad pairs on the Hard negatives page, or train without marks.",
        )
    place = np.full(len(samples), -1, np.int64)
    place[kept] = np.arange(len(kept))

    def moved(pairs: list[tuple[int, int]]) -> Rows:
        rows = place[np.array(sorted(set(pairs)), np.int64).reshape(-1, 2)]
        return rows[(rows >= 0).all(axis=1)]

    # Of verdicts on the same two places the careful one counts.
    never = set(found["same_place"])
    hard = [pair for pair in found["hard"] if pair not in never and pair[::-1] not in never]
    marked = MarkedPairs(moved(found["same_place"]), moved(hard), int(bad.sum()), elsewhere)
    return some_samples(samples, kept), marked


def some_samples(samples: TrainingSamples, rows: Rows) -> TrainingSamples:
    """Some of the samples, by row."""
    return replace(
        samples,
        ground=samples.ground[rows],
        satellite=samples.satellite[rows],
        label=samples.label[rows],
        lonlat=None if samples.lonlat is None else samples.lonlat[rows],
        semi_positive=samples.semi_positive[rows],
        heading_known=samples.heading_known[rows],
    )


def frozen_marks(wanted: str, folder: Path, workspace: Path | None, *, begun: bool) -> list[Mark]:
    """The verdicts of a run, copied into its folder when it begins: a continued run reads the same ones.

    Args:
        wanted: "workspace", "none" or a file.
        folder: Of the training.
        workspace: That the run lies in, None for none.
        begun: Whether the run has saved something; one that began without verdicts goes on without.

    Raises:
        DataError: The file is missing or is no marks file.
    """
    own = folder / FROZEN
    if own.exists() or wanted == NONE or begun:
        return read_marks(own)
    source = None if workspace is None else workspace / FROZEN
    if wanted != WORKSPACE:
        source = Path(wanted).expanduser()
        if not source.exists():
            raise DataError("there is no such file of marks", path=source, hint="Name a marks.csv, or none.")
    marks = [] if source is None else read_marks(source)
    if source is None or not source.exists():
        write_marks(own, [])
    else:
        working = folder / f".{FROZEN}"
        shutil.copyfile(source, working)
        working.replace(own)
    return marks


class _Finder:
    """Samples by the ids of their photo and their satellite image."""

    def __init__(self, samples: TrainingSamples) -> None:
        data = samples.data
        forward = data.query_view == "ground"
        names = (data.query_names, data.reference_names)
        ground, satellite = names if forward else names[::-1]
        self._photos: dict[str, list[int]] = {}
        self._chips: dict[str, list[int]] = {}
        for row, (first, second) in enumerate(zip(samples.ground, samples.satellite, strict=True)):
            self._photos.setdefault(pair_id(data.name, ground[first], "ground"), []).append(row)
            self._chips.setdefault(pair_id(data.name, satellite[second], "satellite"), []).append(row)
            if data.placed:  # own photos are named by their content, as photos in an index are
                self._photos.setdefault(f"photo:{ground[first]}", []).append(row)
        self._lonlat = samples.lonlat

    def sides(self, mark: Mark) -> tuple[str, str]:
        """Photo and chip of a verdict, whichever was the query."""
        if mark.candidate in self._photos or mark.candidate.startswith("ground:"):
            return mark.candidate, mark.query
        return mark.query, mark.candidate

    def photo(self, name: str) -> list[int]:
        """Samples of a photo; a copy that was mined under a number of its own is the same photo."""
        return self._photos.get(name, self._photos.get(name.rpartition("~")[0], []))

    def chips(self, name: str, *, nearest_only: bool) -> list[int]:
        """Samples whose satellite image is the chip, or shows some of its ground; the nearest one first."""
        place = chip_place(name)
        if place is None or self._lonlat is None:
            return self._chips.get(name, [])
        side, lon, lat = place
        apart = np.linalg.norm(earth_centred(self._lonlat) - earth_centred(np.array([lon, lat])), axis=1)
        apart = np.where(np.isfinite(apart), apart, np.inf)
        order = np.argsort(apart, kind="stable")
        near = order[: np.searchsorted(apart[order], side)]
        return [int(row) for row in (near[:1] if nearest_only else near)]
