"""VIGOR (same and cross area) and University-1652 in the layouts that their authors distribute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import DataError
from geolocator_gui.ml.pairs_files import FilePairs, PairReport, files_below, require

CITIES = ("Chicago", "NewYork", "SanFrancisco", "Seattle")
CROSS = {"train": ("NewYork", "Seattle"), "val": ("SanFrancisco", "Chicago")}
ZOOM_20 = 0.1493  # metres per pixel at the equator
SATELLITE_PX = 640


def read_vigor(root: Path, split: str, *, cross: bool) -> FilePairs:
    """VIGOR; corrected labels (`splits__corrected`) are taken where they are.

    Args:
        root: The data set's folder.
        split: "train" or "val" (the authors' test).
        cross: Train in New York and Seattle, test in San Francisco and Chicago; else all four cities in both.

    A training set holds only satellites that are somebody's positive; a validation set all of its cities.

    Raises:
        DataError: No city's lists are there, or no pair is on disk.
    """
    lists, corrected = root / "splits", ""
    if (root / "splits__corrected").is_dir():
        lists, corrected = root / "splits__corrected", "__corrected"
    require(lists, "VIGOR's lists", "The folder must hold splits/, satellite/ and ground/ as distributed.")
    notes: list[str] = []
    satellites: list[str] = []
    queries: list[tuple[str, list[str]]] = []
    missing = 0
    for name in CROSS[split] if cross else CITIES:
        stem = (
            "pano_label_balanced"
            if cross
            else f"same_area_balanced_{'train' if split == 'train' else 'test'}"
        )
        label_file = lists / name / f"{stem}{corrected}.txt"
        satellite_file = lists / name / "satellite_list.txt"
        if not label_file.exists() or not satellite_file.exists():
            notes.append(f"{name} is left out: its lists are not in {lists.name}/{name}.")
            continue
        missing += _read_city(root, name, satellite_file, label_file, satellites, queries, notes)
    if not queries:
        raise DataError("no pair of VIGOR can be used", path=root, hint=" ".join(notes))
    row = {path: index for index, path in enumerate(satellites)}
    label = np.array([[row.get(path, -2) for path in paths] for _, paths in queries], dtype=np.int64)
    reference_label = np.arange(len(satellites), dtype=np.int64)
    if split == "train":
        used = np.unique(label[:, 0])
        satellites = [satellites[index] for index in used]
        reference_label = used
    if missing:
        notes.append(f"{missing:,} panoramas are left out: it or its satellite image is not on disk.")
    places = _satellite_places(satellites)
    side = ZOOM_20 * SATELLITE_PX * float(np.cos(np.radians(np.nanmedian(places[:, 1]))))
    return FilePairs(
        name="vigor-cross" if cross else "vigor-same",
        root=root,
        query_paths=[path for path, _ in queries],
        reference_paths=satellites,
        query_label=label,
        reference_label=reference_label,
        query_names=[path.rpartition("/")[2] for path, _ in queries],
        reference_names=[path.rpartition("/")[2] for path in satellites],
        report=PairReport(len(queries), missing, tuple(notes)),
        query_lonlat=_panorama_places([path for path, _ in queries]),
        reference_lonlat=places,
        side_m=side,
    )


def _read_city(
    root: Path,
    city: str,
    satellite_file: Path,
    label_file: Path,
    satellites: list[str],
    queries: list[tuple[str, list[str]]],
    notes: list[str],
) -> int:
    """Append a city's satellites and labelled panoramas; returns how many panoramas are left out."""
    on_disk = files_below(root / "satellite" / city)
    panoramas = files_below(root / "ground" / city)
    names = [line.strip() for line in satellite_file.read_text("utf-8").splitlines() if line.strip()]
    here = [name for name in names if name in on_disk]
    if len(here) < len(names):
        notes.append(
            f"{city}: {len(names) - len(here):,} of {len(names):,} satellite images are not on disk."
        )
    satellites.extend(f"satellite/{city}/{name}" for name in here)
    known, missing, odd = set(here), 0, 0
    for line in label_file.read_text("utf-8").splitlines():
        fields = line.split()
        if not fields:
            continue
        if len(fields) < 2:
            odd += 1
            continue
        marked = fields[1:13:3]
        if fields[0] not in panoramas or marked[0] not in known:
            missing += 1
            continue
        marked += [""] * (4 - len(marked))
        queries.append((f"ground/{city}/{fields[0]}", [f"satellite/{city}/{name}" for name in marked]))
    if odd:
        notes.append(f"{city}: {odd:,} lines of {label_file.name} are not labels and are left out.")
    return missing


def _satellite_places(paths: list[str]) -> NDArray[np.float64]:
    """(N, 2) longitude, latitude from names like `satellite_41.85_-87.68.png`."""
    return _places(
        [path.rpartition("/")[2].removesuffix(".png").removeprefix("satellite_").split("_") for path in paths]
    )


def _panorama_places(paths: list[str]) -> NDArray[np.float64]:
    """(N, 2) longitude, latitude from names like `id,41.85,-87.68,.jpg`."""
    return _places([path.rpartition("/")[2].split(",")[1:3] for path in paths])


def _places(texts: list[list[str]]) -> NDArray[np.float64]:
    found = np.full((len(texts), 2), np.nan)
    for index, parts in enumerate(texts):
        try:
            found[index] = float(parts[1]), float(parts[0])
        except (ValueError, IndexError):
            continue  # a name without a position: NaN says so
    return found


def read_university(root: Path, split: str, *, drone_query: bool) -> FilePairs:
    """University-1652: drone to satellite, or satellite to drone.

    Args:
        root: The data set's folder.
        split: "train" or "val" (the authors' test).
        drone_query: Queries are drone images; else satellite images.

    Raises:
        DataError: A folder is missing or empty.
    """
    satellite, drone = (
        ("train/satellite", "train/drone")
        if split == "train"
        else ("test/gallery_satellite", "test/query_drone")
        if drone_query
        else ("test/query_satellite", "test/gallery_drone")
    )
    hint = "The folder must hold train/ and test/ as distributed."
    require(root / satellite, "University-1652's satellite images", hint)
    require(root / drone, "University-1652's drone images", hint)
    satellite_ids, satellite_paths = _images_by_id(root, satellite)
    drone_ids, drone_paths = _images_by_id(root, drone)
    notes = []
    if drone_query or split == "train":
        query_paths, query_ids, reference_paths, reference_ids = (
            drone_paths,
            drone_ids,
            satellite_paths,
            satellite_ids,
        )
    else:
        query_paths, query_ids, reference_paths, reference_ids = (
            satellite_paths,
            satellite_ids,
            drone_paths,
            drone_ids,
        )
    known = set(reference_ids)
    kept = [index for index, label in enumerate(query_ids) if label in known]
    missing = len(query_ids) - len(kept)
    if missing:
        notes.append(f"{missing:,} query images are left out: their building has no image in the gallery.")
    if not kept:
        raise DataError("no building has images of both views", path=root, hint=hint)
    paths = [query_paths[index] for index in kept]
    drone_first = drone_query or split == "train"
    return FilePairs(
        name="u1652-d2s" if drone_query else "u1652-s2d",
        root=root,
        query_paths=paths,
        reference_paths=reference_paths,
        query_label=np.array([query_ids[index] for index in kept], dtype=np.int64),
        reference_label=np.array(reference_ids, dtype=np.int64),
        query_names=["/".join(path.split("/")[-2:]) for path in paths],
        reference_names=["/".join(path.split("/")[-2:]) for path in reference_paths],
        report=PairReport(len(kept), missing, tuple(notes)),
        query_view="ground" if drone_first else "satellite",
        reference_view="satellite" if drone_first else "ground",
    )


def _images_by_id(root: Path, folder: str) -> tuple[list[int], list[str]]:
    """Ids and paths of all images in `folder/{id}/`, in the order of their names."""
    ids: list[int] = []
    paths: list[str] = []
    for name in sorted(files_below(root / folder)):
        if not name.isdigit():
            continue
        for file in sorted(files_below(root / folder / name)):
            if file.lower().endswith((".jpg", ".jpeg", ".png")):
                ids.append(int(name))
                paths.append(f"{folder}/{name}/{file}")
    return ids, paths
