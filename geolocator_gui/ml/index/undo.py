"""Giving up a change that was begun and not finished: the index is again as it was before."""

from __future__ import annotations

from pathlib import Path

from geolocator_gui.errors import IndexFolderError
from geolocator_gui.events import Note, Steps
from geolocator_gui.ml.index import durable, journal
from geolocator_gui.ml.index.finish import drop_other_generations
from geolocator_gui.ml.index.manifest import Manifest, State, read_manifest, under_way, write_manifest
from geolocator_gui.ml.index.repair import repair_index
from geolocator_gui.ml.index.segments import CELL, cells_path, is_own_file, journal_path, vectors_path
from geolocator_gui.ml.index.verify import Health


def undo_change(folder: Path, doing: State, *, workspace_models: Path | None = None) -> Steps[Health]:
    """Put an index back to what it was before `doing` ("extending" or "refreshing") began, and check it.

    Killed, the same command continues.

    Raises:
        IndexFolderError: That is not under way.
    """
    manifest = read_manifest(folder)
    if manifest.state == "finished":
        raise IndexFolderError("there is nothing to give up: nothing is under way in this index", path=folder)
    if manifest.state != doing:
        raise under_way(folder, manifest)
    durable.sweep(folder)
    if doing == "refreshing":
        undo_refresh(folder, manifest)
    else:
        _undo_extension(folder, manifest)
    yield Note("The index is as it was before.")
    # Of an extension the chips' table may have been written already: it is made again.
    return (yield from repair_index(folder, workspace_models=workspace_models))


def undo_refresh(folder: Path, manifest: Manifest) -> Manifest:
    """Drop the generation that was being written."""
    manifest = manifest.updated(state="finished")
    write_manifest(folder, manifest)
    drop_other_generations(folder, manifest)
    return manifest


def _undo_extension(folder: Path, manifest: Manifest) -> None:
    """Cut off the batches of the new parts; the manifest last, so that a kill leaves an extension."""
    whole = manifest.parts[: manifest.whole_parts]
    batches = sum(part.batches for part in whole)
    path = journal_path(folder, manifest.generation)
    commits, _ = journal.read_committed(path)
    if len(commits) > batches:
        durable.AppendFile(path, len(journal.render(commits[:batches]))).close()
    kept = {segment.name for segment in manifest.segments}
    for segment in manifest.segments:
        durable.AppendFile(vectors_path(folder, segment.name), segment.rows * manifest.dimension * 2).close()
        durable.AppendFile(cells_path(folder, segment.name), segment.rows * CELL.itemsize).close()
    for file in sorted((folder / "vectors").iterdir()):
        if is_own_file(file) and file != path and file.stem not in kept:
            durable.remove(file)
    sources = 1 + max(source for part in whole for source in part.imagery)
    write_manifest(
        folder, manifest.updated(state="finished", parts=whole, imagery=manifest.imagery[:sources])
    )
