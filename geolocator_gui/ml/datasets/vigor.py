"""VIGOR (Zhu, Yang, Chen: "Cross-View Image Geo-localization beyond One-to-one Retrieval", CVPR 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.ml.datasets.common import (
    Listing,
    ReportBuilder,
    median_side,
    number_or_nan,
    read_lines,
    wrong_folder,
)
from geolocator_gui.ml.datasets.pair_data import PairData

CITIES = ("Chicago", "NewYork", "SanFrancisco", "Seattle")
LAYOUT = (
    "satellite/{City}/, ground/{City}/ and splits/{City}/ with satellite_list.txt and lists of panoramas, "
    "for Chicago, NewYork, SanFrancisco and Seattle."
)
_CROSS = {"train": ("NewYork", "Seattle"), "val": ("SanFrancisco", "Chicago")}
_EQUATOR_M = 640 * 0.1493  # zoom 20


@dataclass(frozen=True)
class _Line:
    """A line of a list: the panorama, its satellite, and the three that show the place at their edge."""

    panorama: str
    satellites: tuple[str, str, str, str]


def read_vigor(root: Path, split: str, *, cross: bool) -> PairData:
    """Read a split of VIGOR; corrected lists (`splits__corrected`) are taken where they are.

    Training has the satellites that are somebody's positive, testing all of the split's cities.

    Args:
        root: The data set's folder.
        split: "train" or "val" (VIGOR's test).
        cross: Cross-area: train on New York and Seattle, test on San Francisco and Chicago.

    Raises:
        DataError: The folder is not VIGOR's, or holds no pair; anything less is in the report.
    """
    report, listing = ReportBuilder(), Listing(root)
    stem = "pano_label_balanced" if cross else f"same_area_balanced_{'train' if split == 'train' else 'test'}"
    found = [_City.read(root, listing, city, stem, report) for city in (_CROSS[split] if cross else CITIES)]
    cities = [city for city in found if city is not None]
    if not cities:
        raise wrong_folder(root, "VIGOR", LAYOUT)
    if not cross and split == "train":
        cities = [city.without_test(root, report) for city in cities]
    paths: list[str] = []
    queries: list[str] = []
    labels: list[list[int]] = []
    used: list[NDArray[np.bool_]] = []
    first = 0
    for city in cities:
        here, wanted = city.join(listing, report, first, only_positives=split == "train")
        queries += [f"ground/{city.name}/{name}" for name, _ in here]
        labels += [label for _, label in here]
        paths += [f"satellite/{city.name}/{name}" for name in city.satellites]
        used.append(wanted)
        first += len(city.satellites)
    if not queries:
        raise report.nothing_left(root, f"Expected: {LAYOUT}")
    rows = np.flatnonzero(np.concatenate(used))
    references = [paths[row] for row in rows]
    places = positions(references, "_")
    return PairData(
        name="vigor-cross" if cross else "vigor-same",
        split=split,
        root=root,
        query_paths=queries,
        reference_paths=references,
        query_names=[path.partition("/")[2] for path in queries],
        reference_names=[path.partition("/")[2] for path in references],
        query_label=np.array(labels, np.int64),
        reference_label=rows.astype(np.int64),
        report=report.done(len(queries), len(references)),
        query_lonlat=positions(queries, ","),
        reference_lonlat=places,
        side_m=median_side(_EQUATOR_M, places[:, 1]),
    )


@dataclass(frozen=True)
class _City:
    name: str
    stem: str
    satellites: list[str]
    lines: list[_Line]

    @classmethod
    def read(cls, root: Path, listing: Listing, name: str, stem: str, report: ReportBuilder) -> _City | None:
        """A city's lists; None, and a note, if they are not there."""
        path = list_path(root, name, stem)
        if path is None:
            report.note(f"{name} is left out: splits/{name}/{stem}.txt is missing.")
            return None
        if "corrected" in path.name:
            report.note(f"{name}: the corrected list {path.parent.parent.name}/{name}/{path.name} is used.")
        lines = _read_lines(path, report)
        whole = list_path(root, name, "satellite_list")
        if whole is not None:
            satellites = [line.strip() for line in read_lines(whole)]
        else:
            satellites = listing.images(f"satellite/{name}")
            report.note(f"{name}: satellite_list.txt is missing; the files on disk are taken instead.")
        return cls(name, stem, list(dict.fromkeys(satellites)), lines)

    def without_test(self, root: Path, report: ReportBuilder) -> _City:
        """Without the panoramas that the test list has too."""
        path = list_path(root, self.name, "same_area_balanced_test")
        if path is None:
            report.note(f"{self.name}: the test list is missing; a leak could not be checked.")
            return self
        test = {line.partition(" ")[0] for line in read_lines(path)}
        leaked = [line.panorama for line in self.lines if line.panorama in test]
        report.drop("the panorama also stands in the test list (leak)", (f"{self.name}/{p}" for p in leaked))
        kept = [line for line in self.lines if line.panorama not in test] if leaked else self.lines
        return _City(self.name, self.stem, self.satellites, kept)

    def join(
        self, listing: Listing, report: ReportBuilder, first: int, *, only_positives: bool
    ) -> tuple[list[tuple[str, list[int]]], NDArray[np.bool_]]:
        """Panoramas on disk with labels, and which satellites are references.

        Args:
            listing: The data set's folder.
            report: Gets what is left out.
            first: Label of the city's first satellite.
            only_positives: Of the satellites only those that are somebody's positive.
        """
        grounds, chips = listing.names(f"ground/{self.name}"), listing.names(f"satellite/{self.name}")
        row_of = {name: row for row, name in enumerate(self.satellites)}
        there = np.array([name in chips for name in self.satellites], bool)
        kept: list[tuple[str, list[int]]] = []
        positives: list[int] = []
        for line in self.lines:
            rows = [row_of.get(name, -1) for name in line.satellites]
            if rows[0] < 0:
                report.drop("the satellite is not in satellite_list.txt", [f"{self.name}/{line.panorama}"])
            elif not there[rows[0]]:
                report.drop("the satellite image of a panorama is not on disk", [line.satellites[0]])
            elif line.panorama not in grounds:
                report.drop("the panorama is not on disk", [f"{self.name}/{line.panorama}"])
            else:
                kept.append((line.panorama, [first + row if row >= 0 else -1 for row in rows]))
                positives.append(rows[0])
        if only_positives:
            wanted = np.zeros(len(there), bool)
            wanted[positives] = True
            return kept, wanted
        lost = np.flatnonzero(~there)
        report.drop("a satellite of the list is not on disk", [self.satellites[row] for row in lost])
        return kept, there


def list_path(root: Path, city: str, stem: str) -> Path | None:
    """A list of a city, the corrected one first; None if there is none."""
    candidates = (
        root / "splits__corrected" / city / f"{stem}__corrected.txt",
        root / "splits__corrected" / city / f"{stem}.txt",
        root / "splits" / city / f"{stem}__corrected.txt",
        root / "splits" / city / f"{stem}.txt",
    )
    return next((path for path in candidates if path.is_file()), None)


def _read_lines(path: Path, report: ReportBuilder) -> list[_Line]:
    lines: dict[str, _Line] = {}
    for text in read_lines(path):
        fields = text.split()
        if len(fields) != 13:
            report.drop(f"a line has not 13 columns ({path.parent.name}/{path.name})", [text[:80]])
        elif fields[0] in lines:
            report.drop("a panorama stands twice in the list", [fields[0]])
        else:
            lines[fields[0]] = _Line(fields[0], (fields[1], fields[4], fields[7], fields[10]))
    return list(lines.values())


def positions(paths: list[str], comma: str) -> NDArray[np.float64]:
    """(N, 2) lon, lat out of file names `…{comma}lat{comma}lon…`, NaN where there are none."""
    found = np.full((len(paths), 2), np.nan)
    for row, path in enumerate(paths):
        parts = path.rpartition("/")[2].rsplit(comma, 3 if comma == "," else 2)
        if len(parts) >= 3:
            lat, lon = parts[1], parts[2] if comma == "," else parts[2].rpartition(".")[0]
            found[row] = number_or_nan(lon), number_or_nan(lat)
    found[(np.abs(found[:, 0]) > 180) | (np.abs(found[:, 1]) > 90)] = np.nan
    return found
