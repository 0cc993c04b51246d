"""Checking an index byte by byte."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from geolocator_gui.errors import IndexFolderError
from geolocator_gui.events import Pace, Steps
from geolocator_gui.ml.bundle import file_sha256
from geolocator_gui.ml.index import journal
from geolocator_gui.ml.index.cells import Cells
from geolocator_gui.ml.index.companions import damages_of_run
from geolocator_gui.ml.index.journal import Commit
from geolocator_gui.ml.index.manifest import (
    COPY_FILE,
    MANIFEST_FILE,
    Manifest,
    parse,
    read_manifest,
    under_way,
)
from geolocator_gui.ml.index.segments import (
    CELL,
    batch_bytes,
    cells_path,
    journal_path,
    segment_name,
    vectors_path,
)


@dataclass(frozen=True)
class Damage:
    """Something wrong with a file.

    Attributes:
        file: Relative to the index folder.
        what: In words.
        batches: Whose content is lost; empty where the file can be made from others.
    """

    file: str
    what: str
    batches: tuple[int, ...] = ()


@dataclass(frozen=True)
class Health:
    """What a check found.

    Attributes:
        damages: Empty when every byte is as it was written.
        batches: Checked.
        repaired: The damages were mended.
    """

    damages: tuple[Damage, ...]
    batches: int
    repaired: bool = False

    @property
    def sound(self) -> bool:
        """Whether the index can be trusted now."""
        return not self.damages or self.repaired

    @property
    def lost(self) -> tuple[int, ...]:
        """Batches whose content must be made anew."""
        return tuple(sorted({batch for damage in self.damages for batch in damage.batches}))


def verify_index(folder: Path) -> Steps[Health]:
    """Check every byte of a finished index against its checksums.

    Raises:
        IndexFolderError: There is no index, it is not finished, or both manifests are damaged.
    """
    manifest = read_manifest(folder)
    if manifest.state != "finished":
        raise under_way(folder, manifest)
    damages = _manifests(folder, manifest)
    commits, damaged_journal = _journal(folder, manifest)
    damages += damaged_journal
    cells = Cells(folder, manifest)
    pace = Pace("Checking the index", cells.batches, "batches")
    bad: dict[str, list[int]] = {}
    for batch in range(cells.batches):
        commit = commits.get(batch)
        if commit is not None:
            vectors, records = batch_bytes(folder, manifest.generation, manifest.dimension, commit)
            name = segment_name(manifest.generation, commit.segment)
            for path, data, crc in (
                (vectors_path(folder, name), vectors, commit.vectors),
                (cells_path(folder, name), records, commit.cells),
            ):
                if zlib.crc32(data) != crc:
                    bad.setdefault(_relative(folder, path), []).append(batch)
        yield from pace.at(batch + 1)
    for file, batches in bad.items():
        damages.append(Damage(file, f"{len(batches)} damaged batch(es)", tuple(batches)))
    damages += _lengths(folder, manifest)
    for name, checksum in manifest.files.items():
        path = folder / name
        if not path.exists():
            damages.append(Damage(name, "missing"))
        elif file_sha256(path) != checksum:
            damages.append(Damage(name, "damaged"))
    damages += [Damage(name, what) for name, what in damages_of_run(folder, manifest)]
    return Health(tuple(damages), cells.batches)


def _relative(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _manifests(folder: Path, manifest: Manifest) -> list[Damage]:
    found: list[Damage] = []
    for name in (MANIFEST_FILE, COPY_FILE):
        path = folder / name
        try:
            if parse(path.read_bytes(), path) != manifest:
                found.append(Damage(name, "differs from the other manifest"))
        except FileNotFoundError:
            found.append(Damage(name, "missing"))
        except IndexFolderError as error:
            found.append(Damage(name, error.what))
    return found


def _journal(folder: Path, manifest: Manifest) -> tuple[dict[int, Commit], list[Damage]]:
    path = journal_path(folder, manifest.generation)
    commits, whole = journal.read_all(path)
    total = Cells(folder, manifest).batches
    lost = tuple(batch for batch in range(total) if batch not in commits)
    name = _relative(folder, path)
    if lost:
        return commits, [Damage(name, f"{len(lost)} damaged line(s)", lost)]
    if not whole or hashlib.sha256(path.read_bytes()).hexdigest() != manifest.journal_sha256:
        return commits, [Damage(name, "damaged")]
    return commits, []


def _lengths(folder: Path, manifest: Manifest) -> list[Damage]:
    found: list[Damage] = []
    for segment in manifest.segments:
        for path, size in (
            (vectors_path(folder, segment.name), segment.rows * manifest.dimension * 2),
            (cells_path(folder, segment.name), segment.rows * CELL.itemsize),
        ):
            if path.exists() and path.stat().st_size > size:
                found.append(Damage(_relative(folder, path), "bytes beyond its end"))
    return found


def describe(damages: Iterable[Damage]) -> str:
    """The damages in one line."""
    return "; ".join(f"{damage.file}: {damage.what}" for damage in damages)
