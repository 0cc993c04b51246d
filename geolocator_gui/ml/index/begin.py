"""Beginning an index: the manifest of its folder, found or made; taking back what came to nothing."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Sequence
from pathlib import Path

from geolocator_gui.errors import IndexFolderError
from geolocator_gui.ml.index import durable, journal
from geolocator_gui.ml.index.manifest import (
    COPY_FILE,
    MANIFEST_FILE,
    ImageryRecord,
    Manifest,
    read_manifest,
    write_manifest,
)
from geolocator_gui.ml.index.plan import Plan, local_part
from geolocator_gui.ml.index.segments import is_own_file, journal_path


def start_index(plan: Plan, folder: Path) -> Manifest:
    """The manifest of the folder if it is of this plan, else a new one.

    Raises:
        IndexFolderError: The folder holds something else.
    """
    wanted = Manifest(
        state="building",
        fingerprint=plan.bundle.fingerprint,
        model=plan.bundle.config.model_dump(mode="json"),
        imagery=plan.imagery,
        parts=plan.parts,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    if any((folder / name).exists() for name in (MANIFEST_FILE, COPY_FILE)):
        manifest = read_manifest(folder)
        number = len(wanted.imagery)
        there = _where(manifest.imagery[:number], wanted.imagery, folder)
        if not _same_build(manifest.updated(imagery=there), wanted):
            raise IndexFolderError(
                "this folder holds an index of another area, imagery, grid or model",
                path=folder,
                hint="Choose another folder with --out, or delete this one.",
            )
        durable.sweep(folder)
        if there != manifest.imagery[:number]:
            manifest = manifest.updated(imagery=(*there, *manifest.imagery[number:]))
            write_manifest(folder, manifest)
        return manifest
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strange = [path for path in folder.iterdir() if path.name != "run" and not durable.is_scratch(path)]
    except OSError as error:
        raise durable.explain(error, folder) from error
    if strange:
        raise IndexFolderError(
            f"this folder is not empty and not an index (it holds {strange[0].name!r})",
            path=folder,
            hint="Choose a new or empty folder.",
        )
    durable.sweep(folder)
    write_manifest(folder, wanted)
    return wanted


def _where(
    known: Sequence[ImageryRecord], found: Sequence[ImageryRecord], folder: Path
) -> tuple[ImageryRecord, ...]:
    """The known imagery, where a file of it is gone at the place where the same is found now."""

    def moved(old: ImageryRecord, new: ImageryRecord) -> bool:
        path, _ = local_part(old.source)
        gone = path is not None and not (folder / path).exists()
        return gone and old == new.model_copy(update={"source": old.source})

    return tuple(new if moved(old, new) else old for old, new in zip(known, found, strict=False))


def _same_build(manifest: Manifest, wanted: Manifest) -> bool:
    """Whether the folder was started with these settings; what was added later does not count."""
    if manifest.fingerprint != wanted.fingerprint:
        return False
    mine = [part.model_dump() for part in manifest.parts[: len(wanted.parts)]]
    sources = [record.source for record in manifest.imagery[: len(wanted.imagery)]]
    return mine == [part.model_dump() for part in wanted.parts] and sources == [
        record.source for record in wanted.imagery
    ]


def forget_empty(folder: Path) -> None:
    """Take an index away that has no chip yet: its settings can be corrected, its imagery asked again."""
    commits, _ = journal.read_committed(journal_path(folder, 0))
    if any(commit.rows for commit in commits):
        return
    for name in (MANIFEST_FILE, COPY_FILE):
        durable.remove(folder / name)
    if (folder / "vectors").is_dir():
        for path in sorted((folder / "vectors").iterdir()):
            if is_own_file(path):
                durable.remove(path)
        with contextlib.suppress(OSError):  # somebody else's file lies in it: it stays
            (folder / "vectors").rmdir()
