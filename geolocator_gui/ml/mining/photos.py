"""Vectors of the photos that are mined in an index, kept on disk so that a stopped mining goes on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.configs import LocaliseConfig
from geolocator_gui.errors import PhotoError
from geolocator_gui.events import Note, Pace, Steps
from geolocator_gui.marks import photo_id
from geolocator_gui.workspace import write_atomically

if TYPE_CHECKING:
    from geolocator_gui.ml.localise import Localiser


@dataclass(frozen=True)
class SeenPhoto:
    """A file that was looked at.

    Attributes:
        path: As given.
        size: Bytes.
        changed: Modification time, nanoseconds.
        id: Stable id; "" for a file that is no photo, which has no vector.
        lon: Degrees, None where unknown.
        lat: Degrees, None where unknown.
    """

    path: str
    size: int
    changed: int
    id: str = ""
    lon: float | None = None
    lat: float | None = None

    @property
    def key(self) -> tuple[str, int, int]:
        """Another content of the file has another key."""
        return self.path, self.size, self.changed


def embed_photos(
    localiser: Localiser, photos: list[Path], chip_ids: NDArray[np.str_], folder: Path
) -> Steps[tuple[list[SeenPhoto], NDArray[np.float32]]]:
    """Embed photos, those of an earlier sitting excepted; of a sweep the step that fits any chip best.

    Args:
        localiser: Encoder and index.
        photos: Files; what is no photo is left out with a note.
        chip_ids: (N,) of the index, by which vectors that were chosen in another index are told.
        folder: Keeps `photos.f32`, `photos.jsonl` (a line per file, written after its vector) and
            `photos.json`.

    Returns:
        The photos in the order given, and their vectors (Q, D) float32.
    """
    folder.mkdir(parents=True, exist_ok=True)
    size = localiser.encoder.config.embedding_size
    vectors, journal = folder / "photos.f32", folder / "photos.jsonl"
    digest = hashlib.sha256("\n".join([localiser.index.fingerprint, *chip_ids.tolist()]).encode()).hexdigest()
    _discard_others(folder / "photos.json", {"index": digest}, (vectors, journal))
    known = _read(journal, vectors, size)
    stamps = [_stamp(path) for path in photos]
    missing = [stamp for stamp in dict.fromkeys(stamps) if stamp.key not in known]
    if len(missing) < len(set(stamps)):
        yield Note(f"{len(set(stamps)) - len(missing):,} photos were embedded before; going on from there.")
    row = sum(bool(one.id) for one, _ in known.values())
    pace = Pace("Embedding photos", len(photos), "photos", done=len(photos) - len(missing))
    with vectors.open("ab") as file, journal.open("a", encoding="utf-8") as lines:
        file.truncate(4 * size * row)
        for number, stamp in enumerate(missing, len(photos) - len(missing) + 1):
            try:
                seen, vector = _embedded(localiser, stamp)
            except PhotoError:
                seen = stamp
            else:
                file.write(vector.astype("<f4").tobytes())
                file.flush()
            lines.write(json.dumps(asdict(seen)) + "\n")
            lines.flush()
            known[seen.key] = seen, row
            row += bool(seen.id)
            yield from pace.at(number)
    found = [known[stamp.key] for stamp in stamps]
    skipped = sum(not seen.id for seen, _ in found)
    if skipped:
        yield Note(f"{skipped:,} files are not photos or cannot be read; they were left out.", "warning")
    kept = [(seen, place) for seen, place in found if seen.id]
    if not kept:
        return [], np.empty((0, size), np.float32)
    stored = np.memmap(vectors, "<f4", "r", shape=(row, size))
    return [seen for seen, _ in kept], np.asarray(stored[[place for _, place in kept]], np.float32)


def _embedded(localiser: Localiser, stamp: SeenPhoto) -> tuple[SeenPhoto, NDArray[np.float32]]:
    query = localiser.embed(Path(stamp.path), LocaliseConfig())
    best = 0
    if len(query.vectors) > 1:
        best = int(localiser.index.search(query.vectors, 1)[0][:, 0].argmax())
    lon, lat = (None, None) if query.facts.position is None else tuple(query.facts.position)
    seen = SeenPhoto(stamp.path, stamp.size, stamp.changed, photo_id(Path(stamp.path)), lon, lat)
    return seen, np.asarray(query.vectors[best])


def _stamp(path: Path) -> SeenPhoto:
    try:
        status = path.stat()
    except OSError:
        return SeenPhoto(str(path), -1, -1)  # it went away; reading it will say so
    return SeenPhoto(str(path), status.st_size, status.st_mtime_ns)


def _discard_others(about: Path, wanted: dict[str, str], files: tuple[Path, ...]) -> None:
    try:
        same = json.loads(about.read_text("utf-8")) == wanted
    except (OSError, ValueError):
        same = False
    if not same:
        for file in files:
            file.unlink(missing_ok=True)
        write_atomically(about, json.dumps(wanted))


def _read(journal: Path, vectors: Path, size: int) -> dict[tuple[str, int, int], tuple[SeenPhoto, int]]:
    """What the journal names and has a whole vector, with its row; the journal is cut after that."""
    if not journal.exists():
        return {}
    whole = vectors.stat().st_size // (4 * size) if vectors.exists() else 0
    known: dict[tuple[str, int, int], tuple[SeenPhoto, int]] = {}
    lines, row = [], 0
    for line in journal.read_text("utf-8", errors="replace").splitlines(keepends=True):
        try:
            seen = SeenPhoto(**json.loads(line))
        except (ValueError, TypeError):
            break  # half a line of a killed run
        if not line.endswith("\n") or (seen.id and row >= whole):
            break
        known[seen.key] = seen, row
        row += bool(seen.id)
        lines.append(line)
    write_atomically(journal, "".join(lines))
    return known
