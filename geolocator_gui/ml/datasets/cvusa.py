"""CVUSA (Workman, Souvenir, Jacobs 2015; the subset of Zhai et al. 2017) in its authors' layout."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.ml.datasets.common import (
    Listing,
    Report,
    ReportBuilder,
    median_side,
    number_or_nan,
    read_lines,
    wrong_folder,
)
from geolocator_gui.ml.datasets.pair_data import PairData

LAYOUT = (
    "splits/train-19zl.csv and val-19zl.csv, bingmap/19/, streetview/panos/ and, for positions, "
    "split_locations/all.csv."
)
PUBLISHED = {"train": 35_532, "val": 8_884}
_SATELLITE, _GROUND = "bingmap/19", "streetview/panos"
_EQUATOR_M = 750 * 0.2986  # zoom 19
_NUMBER = re.compile(r"(\d+)\.\w+$")


@dataclass(frozen=True)
class _Row:
    """A line of a list: id and paths as written."""

    number: int
    satellite: str
    ground: str


def read_cvusa(root: Path, split: str) -> PairData:
    """Read a split of CVUSA.

    Args:
        root: The data set's folder.
        split: "train" or "val".

    Raises:
        DataError: The folder is not CVUSA's, or holds no pair; anything less is in the report.
    """
    lists = {name: root / "splits" / f"{name}-19zl.csv" for name in PUBLISHED}
    if not lists[split].is_file():
        raise wrong_folder(root, "CVUSA", LAYOUT)
    report, listing = ReportBuilder(), Listing(root)
    rows = _read_list(lists[split], report)
    if len(rows) < PUBLISHED[split]:
        report.note(
            f"{lists[split].name} has {len(rows):,} pairs; the published list has {PUBLISHED[split]:,}."
        )
    other = "val" if split == "train" else "train"
    rows = _without_leak(rows, split, lists[other], report)

    kept: list[tuple[_Row, str, str]] = []
    satellites, grounds = _Finder(listing, "bingmap/", _SATELLITE), _Finder(listing, "streetview/", _GROUND)
    for row in rows:
        satellite, ground = satellites.find(row.satellite, row.number), grounds.find(row.ground, row.number)
        if satellite is None:
            report.drop("the satellite image is not on disk", [row.satellite])
        elif ground is None:
            report.drop("the panorama is not on disk", [row.ground])
        else:
            kept.append((row, satellite, ground))
    for finder in (satellites, grounds):
        finder.tell(report)
    if not kept:
        raise report.nothing_left(root, f"Expected: {LAYOUT}")
    label = np.array([row.number for row, _, _ in kept], np.int64)
    places = _places(root / "split_locations" / "all.csv", label, report)
    names = [f"{number:07d}" for number in label]
    return PairData(
        name="cvusa",
        split=split,
        root=root,
        query_paths=[ground for _, _, ground in kept],
        reference_paths=[satellite for _, satellite, _ in kept],
        query_names=names,
        reference_names=names,
        query_label=label,
        reference_label=label,
        report=_done(report, len(kept)),
        query_lonlat=None if places is None else places[:, 3:1:-1],
        reference_lonlat=None if places is None else places[:, 1::-1],
        side_m=median_side(_EQUATOR_M, np.array([38.0]) if places is None else places[:, 0]),
    )


def _done(report: ReportBuilder, count: int) -> Report:
    return report.done(count, count)


def _read_list(path: Path, report: ReportBuilder | None) -> list[_Row]:
    """Every line that names a satellite and a ground image of a new id."""
    rows: dict[int, _Row] = {}
    for line in read_lines(path):
        fields = [field.strip().strip('"').replace("\\", "/") for field in line.split(",")]
        number = _NUMBER.search(fields[0])
        ground = _NUMBER.search(fields[1]) if len(fields) > 1 else None
        if number is None or ground is None:
            if report is not None:
                report.drop(f"a line of {path.name} is not a pair", [line[:80]])
        elif int(number[1]) != int(ground[1]):
            if report is not None:
                report.drop(f"a line of {path.name} pairs two different ids", [line[:80]])
        elif int(number[1]) in rows:
            if report is not None:
                report.drop(f"an id stands twice in {path.name}", [number[1]])
        else:
            rows[int(number[1])] = _Row(int(number[1]), fields[0], fields[1])
    return list(rows.values())


def _without_leak(rows: list[_Row], split: str, other: Path, report: ReportBuilder) -> list[_Row]:
    """Ids of both lists: named, and left out of training."""
    if not other.is_file():
        report.note(f"{other.name} is missing: whether it shares ids with this list could not be checked.")
        return rows
    shared = {row.number for row in _read_list(other, None)}.intersection(row.number for row in rows)
    if not shared:
        return rows
    if split == "val":
        report.note(f"{len(shared):,} validation pairs also stand in {other.name}; training leaves them out.")
        return rows
    leaked = (f"{row.number:07d}" for row in rows if row.number in shared)
    report.drop("the pair also stands in the validation list (leak)", leaked)
    return [row for row in rows if row.number not in shared]


class _Finder:
    """Finds images of one view under the paths that circulate: other endings, prefixes "input…"."""

    def __init__(self, listing: Listing, top: str, folder: str) -> None:
        self._listing, self._top, self._folder = listing, top, folder
        self._by_number: dict[str, dict[int, str]] = {}
        self._moved = self._ended = 0
        self._example = ""

    def find(self, path: str, number: int) -> str | None:
        """Path on disk of an image, by its path as written, else by its id."""
        folder, _, name = path.rpartition("/")
        if name in self._listing.names(folder):
            return path
        cut = path[max(0, path.find(self._top)) :].rpartition("/")[0]
        for candidate in dict.fromkeys((folder, cut, self._folder)):
            found = self._numbers(candidate).get(number)
            if found is not None:
                self._ended += candidate == folder
                self._moved += candidate != folder or not path.startswith(self._folder)
                self._example = self._example or path
                return f"{candidate}/{found}"
        return None

    def tell(self, report: ReportBuilder) -> None:
        """Say what was not as published."""
        if self._moved:
            report.note(f"{self._moved:,} paths such as {self._example} were found under {self._folder}/.")
        elif self._ended:
            report.note(f"{self._ended:,} images have another name or ending than {self._example}.")

    def _numbers(self, folder: str) -> dict[int, str]:
        if folder not in self._by_number:
            found: dict[int, str] = {}
            # Sorted, so that of several endings the jpg is the last and wins.
            for name in sorted(self._listing.images(folder), key=lambda name: name.endswith(".jpg")):
                number = _NUMBER.search(name)
                if number is not None:
                    found[int(number[1])] = name
            self._by_number[folder] = found
        return self._by_number[folder]


def _places(path: Path, label: NDArray[np.int64], report: ReportBuilder) -> NDArray[np.float64] | None:
    """(N, 4) satellite lat, lon, ground lat, lon; row N of the file, from 1, belongs to id N."""
    if not path.is_file():
        report.note("split_locations/all.csv is missing: neighbours by position cannot be used.")
        return None
    table = np.array([_four(line) for line in read_lines(path)]).reshape(-1, 4)
    outside = (np.abs(table[:, 0::2]) > 90).any(axis=1) | (np.abs(table[:, 1::2]) > 180).any(axis=1)
    table[outside] = np.nan
    places = np.full((len(label), 4), np.nan)
    known = (label >= 1) & (label <= len(table))
    places[known] = table[label[known] - 1]
    unknown = int((~np.isfinite(places).all(axis=1)).sum())
    if unknown:
        report.note(f"{unknown:,} pairs have no position in {path.name}.")
    return places if unknown < len(label) else None


def _four(line: str) -> list[float]:
    fields = line.split(",")[:4]
    return [number_or_nan(field) for field in fields] if len(fields) == 4 else [float("nan")] * 4
