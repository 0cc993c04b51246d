"""Reading an index in order to copy it: every byte is checked first, so that no damage is copied."""

from __future__ import annotations

import contextlib
import hashlib
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import IndexFolderError
from geolocator_gui.events import Pace, Steps
from geolocator_gui.ml.index import journal
from geolocator_gui.ml.index.journal import Commit
from geolocator_gui.ml.index.manifest import Manifest, read_manifest
from geolocator_gui.ml.index.segments import (
    CELL,
    Halves,
    batch_bytes,
    journal_path,
    segment_name,
    vectors_path,
)


def whole_journal(folder: Path, manifest: Manifest) -> list[Commit]:
    """The commits of a finished index.

    Raises:
        IndexFolderError: The journal is not the one that the manifest knows; a copy would lose chips.
    """
    path = journal_path(folder, manifest.generation)
    commits, _ = journal.read_committed(path)
    batches = sum(part.batches for part in manifest.parts[: manifest.whole_parts])
    if len(commits) != batches or hashlib.sha256(path.read_bytes()).hexdigest() != manifest.journal_sha256:
        raise damaged(path, "its journal is damaged")
    return commits


def read_batch(folder: Path, manifest: Manifest, commit: Commit) -> tuple[Halves, NDArray[np.void]] | None:
    """Vectors float16 (N, D) and cells `CELL` (N,) of a batch; None where a byte is not as it was written."""
    vectors, records = batch_bytes(folder, manifest.generation, manifest.dimension, commit)
    if zlib.crc32(vectors) != commit.vectors or zlib.crc32(records) != commit.cells:
        return None
    shape = (-1, manifest.dimension)
    return np.frombuffer(vectors, dtype="<f2").reshape(shape), np.frombuffer(records, dtype=CELL)


def sound_batch(folder: Path, manifest: Manifest, commit: Commit) -> tuple[Halves, NDArray[np.void]]:
    """As `read_batch`.

    Raises:
        IndexFolderError: The batch is damaged.
    """
    found = read_batch(folder, manifest, commit)
    if found is None:
        name = segment_name(manifest.generation, commit.segment)
        raise damaged(vectors_path(folder, name), f"batch {commit.batch} of the index is damaged")
    return found


def check_sound(folder: Path, manifest: Manifest) -> Steps[None]:
    """Read every batch of a finished index; raises `IndexFolderError` at the first damage."""
    commits = whole_journal(folder, manifest)
    pace = Pace("Checking the index", len(commits), "batches")
    for number, commit in enumerate(commits, 1):
        sound_batch(folder, manifest, commit)
        yield from pace.at(number)


@contextlib.contextmanager
def unchanged(folders: Sequence[Path], manifests: Sequence[Manifest]) -> Iterator[None]:
    """Copy indexes that nothing may change meanwhile.

    Raises:
        IndexFolderError: One was changed; what looked like damage is told as that.
    """

    def check() -> None:
        for folder, manifest in zip(folders, manifests, strict=True):
            if read_manifest(folder) != manifest:
                raise IndexFolderError(
                    "this index was changed while it was copied",
                    path=folder,
                    hint="Let that end, then copy it again (a merge: into a new folder).",
                )

    try:
        yield
    except (IndexFolderError, OSError):
        check()
        raise
    check()


def damaged(path: Path, what: str) -> IndexFolderError:
    """The refusal of a change that would copy the damage."""
    return IndexFolderError(
        what, path=path, hint="Nothing was changed. Mend it first with `geolocator index verify --repair`."
    )
