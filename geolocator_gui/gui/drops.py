"""What a drop is made of: files, folders, addresses, pixels; sorted by what can be done with each.

Plain functions without Qt; `drop_target` turns Qt's mime data into paths for them. Looking at a folder reads
the disk, so `sort_out` is called off the GUI thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["photo", "imagery", "area", "weights", "workspace", "index", "unknown"]

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".heic", ".heif", ".avif"}
IMAGERY_SUFFIXES = {".mbtiles", ".pmtiles", ".vrt", ".jp2"}
AREA_SUFFIXES = {".geojson", ".kml", ".kmz", ".gpx", ".shp", ".gpkg", ".json"}
WEIGHTS_SUFFIXES = {".pth", ".pt", ".safetensors"}
_MOST_FILES = 100_000


@dataclass(frozen=True)
class Dropped:
    """What was found in a drop.

    Attributes:
        photos: Image files, folders searched.
        imagery: Imagery files or tile folders.
        areas: Area files.
        weights: Checkpoints.
        workspaces: Workspace folders.
        unknown: What nothing can be done with.
    """

    photos: tuple[Path, ...] = ()
    imagery: tuple[Path, ...] = ()
    areas: tuple[Path, ...] = ()
    weights: tuple[Path, ...] = ()
    workspaces: tuple[Path, ...] = ()
    unknown: tuple[Path, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing usable was dropped."""
        return not (self.photos or self.imagery or self.areas or self.weights or self.workspaces)


def kind_of(path: Path) -> Kind:
    """What one path is, by its name, and for folders and TIFF by what is inside."""
    suffix = path.suffix.lower()
    if path.is_dir():
        if (path / "workspace.toml").is_file():
            return "workspace"
        if (path / "index.json").is_file():
            return "index"
        return "imagery" if _is_tile_folder(path) else "unknown"
    if suffix in PHOTO_SUFFIXES:
        return "photo"
    if suffix in (".tif", ".tiff"):
        return "imagery" if is_georeferenced(path) else "photo"
    for kind, suffixes in (
        ("imagery", IMAGERY_SUFFIXES),
        ("area", AREA_SUFFIXES),
        ("weights", WEIGHTS_SUFFIXES),
    ):
        if suffix in suffixes:
            return kind  # type: ignore[return-value]  # the literals above
    return "unknown"


def sort_out(paths: Iterable[Path]) -> Dropped:
    """Sort a drop; plain folders are searched for photos."""
    found: dict[Kind, list[Path]] = {}
    for path in paths:
        kind = kind_of(path)
        if kind == "unknown" and path.is_dir():
            inside = list(_photos_in(path))
            found.setdefault("photo" if inside else "unknown", []).extend(inside or [path])
        else:
            found.setdefault(kind, []).append(path)
    return Dropped(
        tuple(found.get("photo", ())),
        tuple(found.get("imagery", ())),
        tuple(found.get("area", ())),
        tuple(found.get("weights", ())),
        tuple(found.get("workspace", ())),
        (*found.get("unknown", ()), *found.get("index", ())),
    )


def is_georeferenced(path: Path) -> bool:
    """Whether a TIFF carries GeoTIFF tags (ModelPixelScale, ModelTransformation or GeoKeyDirectory)."""
    if not path.is_file():
        return False  # a pipe would be waited for, for ever
    try:
        with path.open("rb") as file:
            head = file.read(16)
            order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
            big = int.from_bytes(head[2:4], order) == 43
            if int.from_bytes(head[2:4], order) not in (42, 43):
                return False
            file.seek(int.from_bytes(head[8:16] if big else head[4:8], order))
            count = int.from_bytes(file.read(8 if big else 2), order)
            entry = 20 if big else 12
            table = file.read(min(count, 4096) * entry)
    except OSError:
        return False
    tags = {int.from_bytes(table[at : at + 2], order) for at in range(0, len(table) - 1, entry)}
    return bool(tags & {33550, 34264, 34735})


def _is_tile_folder(path: Path) -> bool:
    try:
        levels = [entry for entry in os.scandir(path) if entry.is_dir() and entry.name.isdigit()]
        return any(
            inner.is_dir() and inner.name.isdigit()
            for level in levels[:3]
            for inner in os.scandir(level.path)
        )
    except OSError:
        return False


def _photos_in(folder: Path) -> Iterable[Path]:
    seen = 0
    for root, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = Path(root) / name
            if name.startswith(".") or seen >= _MOST_FILES:
                continue
            if kind_of(path) == "photo":
                seen += 1
                yield path
