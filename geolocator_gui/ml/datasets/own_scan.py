"""Own photos, first look: content, position and heading of every photo of a folder, remembered on disk."""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from geolocator_gui.configs import MIN_FOV
from geolocator_gui.errors import DataError, PhotoError
from geolocator_gui.events import Note, Pace, Steps
from geolocator_gui.geo.photo import read_facts

_PHOTOS = {
    ".jpg", ".jpeg", ".jpe", ".png", ".webp", ".heic", ".heif", ".avif", ".tif", ".tiff", ".mpo",
}  # fmt: skip
_TOGETHER, _THREADS = 64, 4
_HEAD = 512 * 1024  # XMP stands in the first segments of a file
_STEEP = -60.0  # degrees: a camera that looks down more steeply sees the ground, not the street


@dataclass(frozen=True)
class Scanned:
    """What is known of a photo.

    Attributes:
        path: Below the folder, forward slashes.
        size: Bytes.
        changed: Modification time, nanoseconds.
        digest: SHA-256 of the content, hexadecimal.
        problem: Why it cannot be a pair, "" if it can.
        lon: Degrees, None where unknown.
        lat: Degrees, None where unknown.
        heading: Degrees from true north, None where unknown.
        magnetic: The heading is a compass's.
        fov: Degrees across, None where unknown.
        vertical_fov: Degrees down, None where unknown.
        panorama: The file says or looks so.
        drone: Taken looking down from a drone.
        taken: ISO time, or as written, or "".
        camera: Maker and model.
        width: Pixels.
        height: Pixels.
    """

    path: str
    size: int
    changed: int
    digest: str = ""
    problem: str = ""
    lon: float | None = None
    lat: float | None = None
    heading: float | None = None
    magnetic: bool = False
    fov: float | None = None
    vertical_fov: float | None = None
    panorama: bool = False
    drone: bool = False
    taken: str = ""
    camera: str = ""
    width: int = 0
    height: int = 0

    @property
    def id(self) -> str:
        """Stable name: the photo may be renamed and moved."""
        return self.digest[:20]


def scan_photos(folder: Path, journal: Path, *, skip: Path) -> Steps[list[Scanned]]:
    """Look at every photo below a folder; what was looked at before and has not changed is not read again.

    Args:
        folder: Of the photos.
        journal: JSON lines, one per photo; appended to.
        skip: A folder that is no part of the photos (where the pairs go).

    Returns:
        In the order of their paths.

    Raises:
        DataError: There is no such folder, or no photo in it.
    """
    if not folder.is_dir():
        raise DataError("there is no such folder", path=folder, hint="Name a folder of geotagged photos.")
    found = list(_photo_files(folder, skip.resolve()))
    if not found:
        raise DataError(
            "there are no photos in this folder",
            path=folder,
            hint="Name a folder of geotagged photos (JPEG, PNG, WebP, HEIC, AVIF or TIFF), to any depth.",
        )
    known = {(one.path, one.size, one.changed): one for one in _read_journal(journal)}
    new = [key for key in found if key not in known]
    if new and len(new) < len(found):
        yield Note(f"{len(found) - len(new):,} of {len(found):,} photos were read before.")
    pace = Pace("Reading photos", len(found), "photos", done=len(found) - len(new))
    with journal.open("a", encoding="utf-8") as file, ThreadPoolExecutor(_THREADS) as pool:
        if journal.stat().st_size:
            file.write("\n")  # ends a line that a killed run left half-written
        for start in range(0, len(new), _TOGETHER):
            block = list(pool.map(lambda key: _scan(folder, *key), new[start : start + _TOGETHER]))
            file.write("".join(json.dumps(asdict(one)) + "\n" for one in block))
            file.flush()
            known |= {(one.path, one.size, one.changed): one for one in block}
            yield from pace.at(len(found) - len(new) + start + len(block))
    return [known[key] for key in found]


def _photo_files(folder: Path, skip: Path) -> Iterator[tuple[str, int, int]]:
    """Path, size and time of the photos below a folder; hidden files and folders are left out."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if name[0] != "." and (Path(parent) / name).resolve() != skip
        )
        for name in sorted(names):
            path = Path(parent) / name
            if name[0] == "." or path.suffix.lower() not in _PHOTOS:
                continue
            try:
                status = path.stat()
            except OSError:
                continue  # it went away since it was listed, or is a link to nothing
            yield path.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns


def _read_journal(journal: Path) -> Iterator[Scanned]:
    if not journal.exists():
        return
    for line in journal.read_text("utf-8", errors="replace").splitlines():
        try:
            yield Scanned(**json.loads(line))
        except (ValueError, TypeError):
            continue  # half a line of a killed run, or a line of another version: that photo is read again


def _scan(folder: Path, path: str, size: int, changed: int) -> Scanned:
    place = folder / path
    try:
        facts = read_facts(place)
        with place.open("rb") as file:
            head = file.read(_HEAD)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except PhotoError as error:
        return Scanned(path, size, changed, problem=f"not a readable photo: {error.what}")
    except OSError as error:
        return Scanned(path, size, changed, problem=f"not a readable photo: {error.strerror}")
    pitch, yaw = _gimbal(head)
    drone = pitch is not None and pitch < _STEEP
    position = facts.position
    problem = "" if position is not None else _why_no_position(place)
    if min(facts.horizontal_fov or 360.0, facts.vertical_fov or 180.0) < MIN_FOV:
        problem = problem or f"by its file it shows less than {MIN_FOV:g}°"
    return Scanned(
        path,
        size,
        changed,
        digest,
        problem=problem,
        lon=None if position is None else position.lon,
        lat=None if position is None else position.lat,
        heading=yaw % 360.0 if drone and yaw is not None else facts.heading,
        magnetic=facts.heading_is_magnetic,
        fov=facts.horizontal_fov,
        vertical_fov=facts.vertical_fov,
        panorama=facts.is_panorama,
        drone=drone,
        taken=facts.taken,
        camera=facts.camera,
        width=facts.width,
        height=facts.height,
    )


def _gimbal(head: bytes) -> tuple[float | None, float | None]:
    """Pitch and yaw of a drone's camera in degrees, by the XMP names that DJI introduced."""
    found = []
    for name in (b"GimbalPitchDegree", b"GimbalYawDegree"):
        match = re.search(name + rb"\s*(?:=\s*[\"']|>)\s*([+-]?\d+(?:\.\d+)?)", head)
        found.append(None if match is None else float(match[1]))
    return found[0], found[1]


def _why_no_position(path: Path) -> str:
    """Which kind of no position it is: none, 0/0, or one that cannot be read."""
    from PIL import Image

    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            exif = image.getexif()
            gps: dict[int, Any] = dict(exif.get_ifd(0x8825))
            # Pillow gives an empty block for one that it cannot follow.
            broken = not gps and (0x8825 in exif or (bool(image.info.get("exif")) and not exif))
    # Pillow raises whatever its parser trips over in a damaged block.
    except Exception:  # noqa: BLE001
        return "the position cannot be read (broken EXIF)"
    if broken:
        return "the position cannot be read (broken EXIF)"
    if 2 not in gps and 4 not in gps:
        return "no position in the file"
    try:
        parts = [float(part) for tag in (2, 4) for part in gps[tag]]
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return "the position cannot be read (broken EXIF)"
    return "the position is 0, 0" if not any(parts) else "the position cannot be read (broken EXIF)"
