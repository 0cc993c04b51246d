"""CVUSA and CVACT in the layouts that their authors distribute."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import DataError
from geolocator_gui.ml.pairs_files import FilePairs, PairReport, Presence, files_below, one_to_one, require

CVACT_SIDE_M = 72.0
CVUSA_ZOOM_19 = 0.2986  # metres per pixel at the equator
CVUSA_PX = 750


def read_cvusa(root: Path, split: str) -> FilePairs:
    """CVUSA: `splits/{split}-19zl.csv`, images where its lines say, positions from `split_locations/all.csv`.

    Args:
        root: The data set's folder.
        split: "train" or "val".

    Raises:
        DataError: The list is missing or no pair is on disk.
    """
    lists = require(root / "splits" / f"{split}-19zl.csv", "CVUSA's list of pairs", _layout_hint("cvusa"))
    notes: list[str] = []
    lines = _read_list(lists, notes)
    presence = Presence(root)
    rows, missing = [], 0
    for number, satellite, ground in lines:
        on_disk = presence.either(satellite), presence.either(ground)
        if on_disk[0] is None or on_disk[1] is None:
            missing += 1
        else:
            rows.append((number, on_disk[0], on_disk[1]))
    if missing:
        notes.append(f"{missing:,} of {len(lines):,} pairs are left out: an image is not on disk.")
    other = root / "splits" / ("train-19zl.csv" if split == "val" else "val-19zl.csv")
    if other.exists():
        leak = {row[0] for row in rows} & {row[0] for row in _read_list(other, [])}
        if leak:
            notes.append(f"{len(leak):,} pairs stand in both the training and the validation list.")
            if split == "train":
                rows = [row for row in rows if row[0] not in leak]
                notes[-1] += " Training leaves them out."
    places = _cvusa_places(root / "split_locations" / "all.csv", [row[0] for row in rows], notes)
    side = None
    if places is not None:
        latitude = float(np.nanmedian(places[0][:, 1])) if np.isfinite(places[0]).any() else 38.0
        side = CVUSA_ZOOM_19 * CVUSA_PX * float(np.cos(np.radians(latitude)))
    report = PairReport(len(rows), missing, tuple(notes))
    return one_to_one("cvusa", root, rows, report, lonlat=places, side_m=side)


def _read_list(path: Path, notes: list[str]) -> list[tuple[int, str, str]]:
    """Id, satellite, ground of every line; prefixes before the known folders are cut."""
    found, odd = [], 0
    with path.open(newline="", encoding="utf-8-sig") as file:
        for fields in csv.reader(file):
            if len(fields) < 2:
                odd += bool(fields)
                continue
            satellite, ground = (_from_known_folder(text.strip()) for text in fields[:2])
            number = re.search(r"(\d+)\.[A-Za-z]+$", satellite)
            if number is None:
                odd += 1
                continue
            found.append((int(number.group(1)), satellite, ground))
    if odd:
        notes.append(f"{odd:,} lines of {path.name} are not pairs and are left out.")
    if not found:
        raise DataError(
            "this list holds no pair", path=path, hint="A line is: satellite, ground, annotation."
        )
    return found


def _from_known_folder(path: str) -> str:
    """A path from `bingmap/` or `streetview/` on: some lists in circulation carry a prefix."""
    path = path.replace("\\", "/")
    for folder in ("bingmap/", "streetview/"):
        place = path.find(folder)
        if place > 0:
            return path[place:]
    return path


def _cvusa_places(
    path: Path, ids: list[int], notes: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Longitude and latitude of satellite and ground images; row N of the file belongs to id N."""
    if not path.exists():
        notes.append(
            "Positions (split_locations/all.csv) are missing: neighbours by position cannot be used."
        )
        return None
    try:
        table = np.genfromtxt(path, delimiter=",", usecols=(0, 1, 2, 3), dtype=np.float64)
    except ValueError:
        notes.append("Positions (split_locations/all.csv) cannot be read: neighbours by position are off.")
        return None
    table = table.reshape(-1, 4)
    rows = np.array(ids, dtype=np.int64) - 1
    known = (rows >= 0) & (rows < len(table))
    if not known.all():
        notes.append(f"{int((~known).sum()):,} pairs have no line in split_locations/all.csv.")
    values = np.full((len(rows), 4), np.nan)
    values[known] = table[rows[known]]
    return values[:, 1::-1], values[:, 3:1:-1]


def read_cvact(root: Path, split: str) -> FilePairs:
    """CVACT: `ACT_data.mat` and `ANU_data_small`; the test set is what lies in `ANU_data_test`.

    Args:
        root: The data set's folder.
        split: "train", "val" or "test".

    Raises:
        DataError: A list or folder is missing, or no pair is on disk.
    """
    folder = "ANU_data_test" if split == "test" else "ANU_data_small"
    require(root / folder, f"CVACT's images ({folder})", _layout_hint("cvact"))
    ids, utm = _cvact_lists(root, split)
    ground_files = files_below(root / folder / "streetview")
    satellite_files = files_below(root / folder / "satview_polish")
    if split == "test":
        ids = sorted(
            name.removesuffix("_grdView.jpg") for name in ground_files if name.endswith("_grdView.jpg")
        )
    rows, kept = [], []
    for number, name in enumerate(ids):
        ground, satellite = f"{name}_grdView.jpg", f"{name}_satView_polish.jpg"
        if ground in ground_files and satellite in satellite_files:
            kept.append(number)
            rows.append((number, f"{folder}/satview_polish/{satellite}", f"{folder}/streetview/{ground}"))
    missing = len(ids) - len(rows)
    notes = [f"{missing:,} of {len(ids):,} ids are left out: an image is not on disk."] if missing else []
    planar = None if utm is None else utm[np.array(kept, dtype=np.int64)]
    report = PairReport(len(rows), missing, tuple(notes))
    name = "cvact-test" if split == "test" else "cvact"
    return one_to_one(name, root, rows, report, planar=planar, side_m=CVACT_SIDE_M)


def _cvact_lists(root: Path, split: str) -> tuple[list[str], NDArray[np.float64] | None]:
    """Ids of a split and their easting and northing; nothing for the test set."""
    if split == "test":
        return [], None
    from scipy.io import loadmat

    path = require(root / "ACT_data.mat", "CVACT's list of pairs", _layout_hint("cvact"))
    try:
        table = loadmat(path)
        names = [str(np.ravel(entry)[0]).strip() for entry in np.ravel(table["panoIds"])]
        utm = np.asarray(table["utm"], dtype=np.float64).reshape(-1, 2)
        chosen = np.ravel(table["trainSet" if split == "train" else "valSet"][0][0][1]).astype(np.int64) - 1
    except (OSError, ValueError, KeyError, IndexError, NotImplementedError, TypeError) as error:
        raise DataError(
            f"CVACT's list cannot be read ({type(error).__name__}: {error})",
            path=path,
            hint="It must be the authors' ACT_data.mat (MATLAB version 5).",
        ) from error
    if len(chosen) and (chosen.min() < 0 or chosen.max() >= min(len(names), len(utm))):
        raise DataError("the split's numbers do not fit its list of ids", path=path, hint="Fetch it again.")
    return [names[index] for index in chosen], utm[chosen]


def _layout_hint(kind: str) -> str:
    return {
        "cvusa": "The folder must hold splits/, bingmap/, streetview/ and split_locations/ as distributed.",
        "cvact": "The folder must hold ACT_data.mat and ANU_data_small/ (or ANU_data_test/) as distributed.",
    }[kind]
