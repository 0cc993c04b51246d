"""Pairs from the user's own geotagged photos and an imagery source.

A pairs folder stands alone: `pairs.csv`, `pairs.json`, `ground/` (photos placed as the model takes them, at
twice its input size) and `satellite/` (chips about the photos' positions with a margin for random offsets).
`pairs.json` is written last: a folder without it is half-made and is made anew.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from geolocator_gui.configs import Config, LocaliseConfig, ModelConfig
from geolocator_gui.errors import DataError, FaultError, PhotoError
from geolocator_gui.events import Note, Pace, Steps
from geolocator_gui.geo.chips import ChipCutter
from geolocator_gui.geo.grid import Chips
from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.geo.photo import load_image, read_facts
from geolocator_gui.ml.pairs import Pixels
from geolocator_gui.ml.pairs_files import FilePairs, PairReport, Presence
from geolocator_gui.ml.pairs_split import leakage, split_in_space, to_metres
from geolocator_gui.ml.placement import guess_mode, loading_side, place
from geolocator_gui.records import PhotoFacts
from geolocator_gui.workspace import write_atomically

TABLE, SUMMARY = "pairs.csv", "pairs.json"
_PHOTOS = {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".heic", ".heif", ".avif", ".tif", ".tiff"}
_COLUMNS = ("id", "split", "ground", "satellite", "lon", "lat", "heading_known", "mode", "photo")


class PairsConfig(Config):
    """How own photos become pairs.

    Attributes:
        photos: Folder of photos, searched to any depth.
        imagery: Imagery source.
        model: Bundle that the pairs are for: chip side, resolution and ground view are its own.
        side_m: Metres per chip side where the bundle does not say.
        validation: Share of the pairs kept for validation.
        margin: Room for random offsets around a chip, as a share of its side.
        same_place_m: Of photos with the same pixels, or nearer than this with equal headings, one is kept.
        max_missing: Largest share of missing or blank pixels in a chip.
        unknown_heading: Keep photos that do not say their heading.
        seed: Of the split.
    """

    photos: str
    imagery: str
    model: str = "demo-town"
    side_m: float | None = Field(default=None, gt=0)
    validation: float = Field(default=0.2, gt=0, lt=1)
    margin: float = Field(default=0.25, ge=0, le=1)
    same_place_m: float = Field(default=1.0, ge=0)
    max_missing: float = Field(default=0.1, ge=0, le=1)
    unknown_heading: bool = True
    seed: int = 0


@dataclass(frozen=True)
class _Found:
    path: Path
    facts: PhotoFacts
    digest: str


def build_pairs(config: PairsConfig, model: ModelConfig, folder: Path) -> Steps[PairReport]:
    """Make a pairs folder.

    Args:
        config: What from.
        model: The bundle's `model.json`.
        folder: Where; made if missing.

    Raises:
        DataError: The photos give no pair, or too few to split; the reasons are counted in the message.
        ImageryError: The imagery cannot be read.
    """
    side = config.side_m or model.side_m
    if side is None:
        raise DataError(
            f"the model '{model.name}' does not say how many metres a chip has", hint="Set it with --side."
        )
    (folder / SUMMARY).unlink(missing_ok=True)
    for part in ("ground", "satellite"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    aside: list[tuple[str, str]] = []
    photos = yield from _usable_photos(config, aside)
    positions = np.array([photo.facts.position for photo in photos], dtype=np.float64).reshape(-1, 2)
    metres = to_metres(positions)
    if len(photos) > 2 and float(np.ptp(metres, axis=0).max()) < side / 4:
        raise DataError(
            f"all {len(photos)} photos are in one spot",
            path=config.photos,
            hint="Training needs photos from different places; check the positions in the files.",
        )
    wide = side * (1.0 + 2.0 * config.margin)
    split, between = split_in_space(metres, wide, config.validation, config.seed)
    rows: list[tuple[object, ...]] = []
    cutter = ChipCutter(
        open_imagery(config.imagery), source_px=round(model.satellite_source_px * (1.0 + 2.0 * config.margin))
    )
    try:
        pace = Pace("Cutting chips and placing photos", len(photos), "photos")
        for index, photo in enumerate(photos):
            yield from pace.at(index + 1)
            if between[index]:
                aside.append((str(photo.path), "between training and validation: its chip overlaps both"))
                continue
            reason = _write_pair(index, photo, positions[index], wide, cutter, config, model, folder)
            if reason:
                aside.append((str(photo.path), reason))
                continue
            known = photo.facts.heading is not None
            mode = guess_mode(photo.facts, model)
            name = "val" if split[index] else "train"
            lon, lat = (f"{value:.8f}" for value in positions[index])
            images = f"ground/{index:06d}.jpg", f"satellite/{index:06d}.png"
            photo_name = _relative(photo.path, Path(config.photos))
            rows.append((index, name, *images, lon, lat, int(known), mode, photo_name))
    finally:
        cutter.close()
    report = _finish(folder, rows, aside, config, model, side)
    for text in report.notes:
        yield Note(text)
    return report


def _finish(
    folder: Path,
    rows: list[tuple[object, ...]],
    aside: list[tuple[str, str]],
    config: PairsConfig,
    model: ModelConfig,
    side: float,
) -> PairReport:
    """Write the table and, last, the summary; raises `DataError` if a split is empty."""
    counts = {name: sum(row[1] == name for row in rows) for name in ("train", "val")}
    reasons: dict[str, int] = {}
    for _, reason in aside:
        reasons[reason] = reasons.get(reason, 0) + 1
    notes = [f"{counts['train']:,} pairs to train on, {counts['val']:,} to validate, disjoint in space."]
    notes += [f"{count:,} photos set aside: {reason}." for reason, count in sorted(reasons.items())]
    if counts["train"] < 2 or counts["val"] < 1:
        raise DataError(
            "these photos give too few pairs to train and validate on",
            path=config.photos,
            hint=" ".join(notes),
        )
    places = {
        name: np.array([(float(str(row[4])), float(str(row[5]))) for row in rows if row[1] == name])
        for name in ("train", "val")
    }
    leak = leakage(places["train"], places["val"], side)
    notes.append(f"Nearest training and validation chips are {leak:.0f} m apart, edge to edge.")
    try:
        with (folder / TABLE).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            writer.writerows(rows)
        summary = {
            "schema": 1,
            "side_m": side,
            "margin": config.margin,
            "source_px": model.satellite_source_px,
            "ground_size": model.ground_size,
            "ground_view": model.ground_view,
            "model": model.name,
            "notes": notes,
            "aside": aside,
        }
        write_atomically(folder / SUMMARY, json.dumps(summary, indent=1))
    except OSError as error:
        raise FaultError(f"the pairs cannot be written ({error.strerror or error})", path=folder) from error
    return PairReport(len(rows), len(aside), tuple(notes), tuple(aside))


def _usable_photos(config: PairsConfig, aside: list[tuple[str, str]]) -> Steps[list[_Found]]:
    """Photos with a plausible position, without duplicates."""
    paths = list(photo_files(Path(config.photos)))
    if not paths:
        raise DataError("there are no photos in this folder", path=config.photos)
    found: list[_Found] = []
    seen: dict[str, Path] = {}
    pace = Pace("Reading photos", len(paths), "photos")
    for count, path in enumerate(paths):
        yield from pace.at(count + 1)
        try:
            facts = read_facts(path)
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except (PhotoError, OSError) as error:
            aside.append((str(path), f"not readable ({getattr(error, 'what', error)})"))
            continue
        if facts.position is None:
            aside.append((str(path), "no position in the file"))
        elif abs(facts.position.lat) > 85 or not np.isfinite(facts.position).all():
            aside.append((str(path), "an impossible position"))
        elif abs(facts.position.lon) < 1e-4 and abs(facts.position.lat) < 1e-4:
            aside.append((str(path), "the position 0, 0"))
        elif facts.heading is None and not config.unknown_heading:
            aside.append((str(path), "no heading in the file"))
        elif digest in seen:
            aside.append((str(path), "a copy of another photo"))
        else:
            seen[digest] = path
            found.append(_Found(path, facts, digest))
    return _without_repeats(found, config.same_place_m, aside)


def _without_repeats(found: list[_Found], near_m: float, aside: list[tuple[str, str]]) -> list[_Found]:
    """Of photos within `near_m` that look the same way (to 5°) the first one."""
    kept: list[_Found] = []
    places: list[NDArray[np.float64]] = []
    headings: list[float] = []
    if not found:
        return kept
    metres = to_metres(np.array([photo.facts.position for photo in found], dtype=np.float64))
    for photo, here in zip(found, metres, strict=True):
        heading = photo.facts.heading if photo.facts.heading is not None else 0.0
        if places:
            near = np.hypot(*(np.array(places) - here).T) < near_m
            turned = np.abs((np.array(headings) - heading + 180.0) % 360.0 - 180.0) < 5.0
            if (near & turned).any():
                aside.append((str(photo.path), "the same view as another photo"))
                continue
        kept.append(photo)
        places.append(here)
        headings.append(heading)
    return kept


def photo_files(folder: Path) -> Iterator[Path]:
    """Photos below a folder in the order of their paths; hidden files are skipped."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if Path(name).suffix.lower() in _PHOTOS and not name.startswith("."):
                yield Path(parent) / name


def _write_pair(
    index: int,
    photo: _Found,
    lonlat: NDArray[np.float64],
    wide: float,
    cutter: ChipCutter,
    config: PairsConfig,
    model: ModelConfig,
    folder: Path,
) -> str:
    """Write both images of a pair; returns why it cannot be, "" if it was."""
    chip = Chips(
        ids=np.zeros(1, np.int64),
        lon=lonlat[:1],
        lat=lonlat[1:],
        side_m=np.array([wide]),
        row=np.zeros(1, np.int32),
        col=np.zeros(1, np.int32),
        level=np.ones(1, np.int8),
    )
    images, missing = cutter.cut(chip)
    if missing[0] > config.max_missing:
        return "the imagery does not cover its surroundings"
    try:
        mode = guess_mode(photo.facts, model)
        image = load_image(photo.path, longest_side=loading_side(photo.facts, model, mode))
    except PhotoError as error:
        return f"not readable ({error.what})"
    heading = photo.facts.heading if photo.facts.heading is not None else 0.0
    larger = model.model_copy(
        update={
            "ground_size": (2 * model.ground_size[0], 2 * model.ground_size[1]),
        }
    )
    placed = place(image, photo.facts, larger, LocaliseConfig(heading=heading)).images[0]
    _write(folder / f"ground/{index:06d}.jpg", placed, [cv2.IMWRITE_JPEG_QUALITY, 95])
    _write(folder / f"satellite/{index:06d}.png", images[0], [])
    return ""


def _write(path: Path, image: Pixels, options: list[int]) -> None:
    data = cv2.imencode(path.suffix, np.ascontiguousarray(image[..., ::-1]), options)[1]
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise FaultError(f"the pairs cannot be written ({error.strerror or error})", path=path) from error


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def read_own(root: Path, split: str) -> FilePairs:
    """A pairs folder.

    Args:
        root: The folder.
        split: "train" or "val".

    Raises:
        DataError: It is not a whole pairs folder, or its images are gone.
    """
    try:
        summary = json.loads((root / SUMMARY).read_text("utf-8"))
        with (root / TABLE).open(newline="", encoding="utf-8") as file:
            lines = [row for row in csv.DictReader(file) if row["split"] == split]
        margin, side = float(summary["margin"]), float(summary["side_m"])
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            "this is not a finished folder of pairs", path=root, hint="Make it with `geolocator pairs`."
        ) from error
    presence = Presence(root)
    there = [row for row in lines if presence.has(row["ground"]) and presence.has(row["satellite"])]
    missing = len(lines) - len(there)
    if not there:
        raise DataError(f"there is no {split} pair with both images", path=root)
    notes = (f"{missing:,} pairs are left out: an image is not on disk.",) if missing else ()
    lonlat = np.array([(float(row["lon"]), float(row["lat"])) for row in there])
    label = np.array([int(row["id"]) for row in there], dtype=np.int64)
    return FilePairs(
        name=root.name,
        root=root,
        query_paths=[row["ground"] for row in there],
        reference_paths=[row["satellite"] for row in there],
        query_label=label,
        reference_label=label,
        query_names=[row["photo"] for row in there],
        reference_names=[row["satellite"] for row in there],
        report=PairReport(len(there), missing, notes),
        query_lonlat=lonlat,
        reference_lonlat=lonlat,
        side_m=side,
        reference_margin=margin,
        heading_known=np.array([row["heading_known"] == "1" for row in there]),
        placed=True,
    )
