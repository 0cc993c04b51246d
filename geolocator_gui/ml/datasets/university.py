"""University-1652 (Zheng, Wei, Yang, ACM Multimedia 2020): drone and satellite images of buildings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.ml.datasets.common import Listing, ReportBuilder, wrong_folder
from geolocator_gui.ml.datasets.pair_data import PairData

LAYOUT = "train/{satellite,drone}/{id}/ and test/{query,gallery}_{satellite,drone}/{id}/, ids of four digits."


@dataclass(frozen=True)
class _Images:
    """Images of one folder of buildings.

    Attributes:
        paths: Relative to the data set.
        names: "id/file".
        label: (N,) ids.
    """

    paths: list[str]
    names: list[str]
    label: NDArray[np.int64]

    def taken(self, keep: NDArray[np.bool_]) -> _Images:
        rows = np.flatnonzero(keep)
        return _Images([self.paths[r] for r in rows], [self.names[r] for r in rows], self.label[rows])


def read_university(root: Path, split: str, *, drone_query: bool) -> PairData:
    """Read a split of University-1652.

    A building is a class: it has one satellite and many drone images. Gallery buildings without a query
    are distractors.

    Args:
        root: The data set's folder.
        split: "train" or "val" (the test).
        drone_query: Drone → satellite, else satellite → drone.

    Raises:
        DataError: The folder is not University-1652's, or holds no pair; anything less is in the report.
    """
    report, listing = ReportBuilder(), Listing(root)
    query, gallery = ("drone", "satellite") if drone_query else ("satellite", "drone")
    folders = (
        (f"train/{query}", f"train/{gallery}")
        if split == "train"
        else (f"test/query_{query}", f"test/gallery_{gallery}")
    )
    if not all(listing.names(folder) for folder in folders):
        raise wrong_folder(root, "University-1652", LAYOUT)
    queries, references = (_read(listing, folder, report) for folder in folders)
    if split == "train":
        queries, references = _without_test(listing, queries, references, report)
        lonely = ~np.isin(references.label, queries.label)
        report.drop(f"a building has no {query} image", _ids(references.label[lonely]))
        references = references.taken(~lonely)
    lost = ~np.isin(queries.label, references.label)
    report.drop(f"a building has no {gallery} image", _ids(queries.label[lost]))
    queries = queries.taken(~lost)
    if not queries.paths:
        raise report.nothing_left(root, f"Expected: {LAYOUT}")
    extra = len(np.unique(references.label)) - len(np.unique(queries.label))
    if extra:
        report.note(f"{extra:,} buildings of the gallery have no query: distractors.")
    return PairData(
        name="u1652-d2s" if drone_query else "u1652-s2d",
        split=split,
        root=root,
        query_paths=queries.paths,
        reference_paths=references.paths,
        query_names=queries.names,
        reference_names=references.names,
        query_label=queries.label,
        reference_label=references.label,
        report=report.done(len(queries.paths), len(references.paths)),
        query_view="ground" if drone_query else "satellite",
        reference_view="satellite" if drone_query else "ground",
    )


def _read(listing: Listing, folder: str, report: ReportBuilder) -> _Images:
    paths: list[str] = []
    names: list[str] = []
    label: list[int] = []
    for building in sorted(listing.names(folder)):
        if not building.isdigit():
            if not building.startswith("."):
                report.drop("this is not the folder of a building", [f"{folder}/{building}"])
            continue
        images = listing.images(f"{folder}/{building}")
        if not images:
            report.drop("the folder of a building holds no image", [f"{folder}/{building}"])
        paths += [f"{folder}/{building}/{name}" for name in images]
        names += [f"{building}/{name}" for name in images]
        label += [int(building)] * len(images)
    return _Images(paths, names, np.array(label, np.int64))


def _without_test(
    listing: Listing, queries: _Images, references: _Images, report: ReportBuilder
) -> tuple[_Images, _Images]:
    """Training buildings that are queries of the test: named and left out."""
    test = {int(name) for name in listing.names("test/query_satellite") if name.isdigit()}
    test |= {int(name) for name in listing.names("test/query_drone") if name.isdigit()}
    leaked = sorted(test.intersection(queries.label.tolist()))
    if not leaked:
        return queries, references
    report.drop("the building is also a query of the test (leak)", (f"{one:04d}" for one in leaked))
    return (
        queries.taken(~np.isin(queries.label, leaked)),
        references.taken(~np.isin(references.label, leaked)),
    )


def _ids(label: NDArray[np.int64]) -> list[str]:
    return [f"{one:04d}" for one in np.unique(label)]
