"""Joining indexes of the same model into a new one; chips that they share are taken once."""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from geolocator_gui.errors import IndexFolderError
from geolocator_gui.events import Note, Pace, Steps
from geolocator_gui.ml.index import durable
from geolocator_gui.ml.index.build import IndexSummary, summarise
from geolocator_gui.ml.index.cells import DUPLICATE, Cells
from geolocator_gui.ml.index.finish import finish_index
from geolocator_gui.ml.index.manifest import (
    MANIFEST_FILE,
    ImageryRecord,
    Manifest,
    PartRecord,
    Removal,
    read_manifest,
    under_way,
    write_manifest,
)
from geolocator_gui.ml.index.pack import check_new_folder
from geolocator_gui.ml.index.plan import local_part, relative_source
from geolocator_gui.ml.index.segments import BatchWriter
from geolocator_gui.ml.index.sound import sound_batch, unchanged, whole_journal


def merge_indexes(folders: Sequence[Path], out: Path) -> Steps[IndexSummary]:
    """Join finished indexes; nothing is embedded anew. Killed, the same command continues.

    Args:
        folders: Two or more indexes of the same fingerprint.
        out: Folder of the new index.

    Raises:
        IndexFolderError: They are of different models, not finished or damaged, or `out` holds
            something else.
    """
    begin = time.perf_counter()
    sources = [read_manifest(folder) for folder in folders]
    _check(folders, sources)
    journals = [whole_journal(folder, source) for folder, source in zip(folders, sources, strict=True)]
    manifest = _start(folders, sources, out)
    cells = Cells(out, manifest)
    if manifest.state == "finished":
        return summarise(out, manifest, cells, begin, 0.0, reused=True)
    encoders = {(source.encoder.get("backend"), source.encoder.get("precision")) for source in sources}
    if len(encoders) > 1:
        yield Note("The indexes were embedded with different back-ends or precisions.", "warning")
    writer = BatchWriter(out, 0, manifest.dimension)
    pace = Pace("Copying chips", cells.batches, "batches", done=len(writer.commits))
    first_batch = first_part = 0
    _, places = _imagery(folders, sources, out)
    try:
        with unchanged(folders, sources):
            for folder, source, commits, place in zip(folders, sources, journals, places, strict=True):
                for commit in commits:
                    batch = first_batch + commit.batch
                    if batch < len(writer.commits):
                        continue
                    vectors, found = sound_batch(folder, source, commit)
                    records = found.copy()
                    fresh, _ = cells.chips(batch)
                    keep = np.isin(records["cell"], fresh.ids)
                    records["part"] += first_part
                    records["source"] = np.array(place, records["source"].dtype)[records["source"]]
                    skipped = dict(commit.skipped)
                    if not keep.all():
                        skipped[DUPLICATE] = skipped.get(DUPLICATE, 0) + int((~keep).sum())
                    writer.commit(vectors[keep], records[keep], skipped, commit.filled)
                    yield from pace.at(batch + 1)
                first_batch += len(commits)
                first_part += len(source.parts)
    finally:
        writer.close()
    timings = {"wall": time.perf_counter() - begin}
    manifest = yield from finish_index(out, manifest, cells, timings)
    return summarise(out, manifest, cells, begin, 0.0, reused=False)


def _check(folders: Sequence[Path], sources: Sequence[Manifest]) -> None:
    if len(folders) < 2:
        raise IndexFolderError("merging takes two indexes or more")
    for folder, source in zip(folders, sources, strict=True):
        if source.state != "finished":
            raise under_way(folder, source)
        if source.fingerprint != sources[0].fingerprint:
            raise IndexFolderError(
                f"the indexes are of different models: '{sources[0].model_name}' (fingerprint "
                f"{sources[0].fingerprint[:12]}) and '{source.model_name}' ({source.fingerprint[:12]})",
                path=folder,
                hint="Only indexes of the same model can be merged.",
            )


def _imagery(
    folders: Sequence[Path], sources: Sequence[Manifest], out: Path
) -> tuple[list[ImageryRecord], list[list[int]]]:
    """The imagery of all indexes, each once, and for each index the new places of its own."""
    found: list[ImageryRecord] = []
    places: list[list[int]] = []
    for folder, source in zip(folders, sources, strict=True):
        here: list[int] = []
        for record in source.imagery:
            path, settings = local_part(record.source)
            item = record.source if path is None else str(folder / path) + settings
            record = record.model_copy(update={"source": relative_source(item, out)})
            if record not in found:
                found.append(record)
            here.append(found.index(record))
        places.append(here)
    return found, places


def _start(folders: Sequence[Path], sources: Sequence[Manifest], out: Path) -> Manifest:
    parts: list[PartRecord] = []
    removed: list[Removal] = []
    imagery, places = _imagery(folders, sources, out)
    for source, place in zip(sources, places, strict=True):
        here = len(parts)
        for part in source.parts:
            order = dict.fromkeys(place[number] for number in part.imagery)
            parts.append(part.model_copy(update={"imagery": tuple(order)}))
        for removal in source.removed:
            span = {"first": removal.first + here, "stop": removal.stop + here}
            removed.append(removal.model_copy(update=span))
    names = ", ".join(part.area_name for source in sources for part in source.parts[:1])
    wanted = Manifest(
        state="building",
        fingerprint=sources[0].fingerprint,
        model=sources[0].model,
        imagery=tuple(imagery),
        parts=tuple(parts),
        removed=tuple(removed),
        encoder=sources[0].encoder,
        changes=(f"Merged of {names}.",),
        merged_from=tuple(source.journal_sha256 for source in sources),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    if (out / MANIFEST_FILE).exists():
        manifest = read_manifest(out)
        if (manifest.fingerprint, manifest.parts) != (wanted.fingerprint, wanted.parts):
            raise IndexFolderError(
                "this folder holds another index", path=out, hint="Choose another folder with --out."
            )
        if manifest.merged_from and manifest.merged_from != wanted.merged_from:
            raise IndexFolderError(
                "this folder holds these indexes as they were before; they have changed since",
                path=out,
                hint="Choose another folder with --out, or delete this one.",
            )
        durable.sweep(out)
        return manifest
    check_new_folder(out, besides="run")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise durable.explain(error, out) from error
    write_manifest(out, wanted)
    return wanted
