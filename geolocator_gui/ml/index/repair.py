"""Mending a damaged index: damaged batches are embedded anew, derived files are made again."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from pathlib import Path

from geolocator_gui.configs import IndexConfig
from geolocator_gui.errors import IndexFolderError
from geolocator_gui.events import Note, Pace, Steps
from geolocator_gui.ml.bundle import file_sha256
from geolocator_gui.ml.index import durable, journal
from geolocator_gui.ml.index.build import Times, open_encoder, produce
from geolocator_gui.ml.index.cells import Cells
from geolocator_gui.ml.index.companions import PACKED, mend_run
from geolocator_gui.ml.index.finish import segments_of
from geolocator_gui.ml.index.journal import Commit
from geolocator_gui.ml.index.manifest import (
    CHIPS_FILE,
    COPY_FILE,
    MANIFEST_FILE,
    SEARCH_FILE,
    Manifest,
    read_manifest,
    render,
    write_manifest,
)
from geolocator_gui.ml.index.plan import bundle_of, find_sources
from geolocator_gui.ml.index.quick import build_search
from geolocator_gui.ml.index.segments import (
    CELL,
    SEGMENT_BYTES,
    cells_path,
    journal_path,
    segment_name,
    vectors_path,
)
from geolocator_gui.ml.index.table import write_chips
from geolocator_gui.ml.index.verify import Health, verify_index


def repair_index(
    folder: Path,
    *,
    imagery: Sequence[str] | None = None,
    model: str | None = None,
    workspace_models: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Steps[Health]:
    """Check an index and mend it: damaged batches are cut and embedded anew, derived files are made again.

    Args:
        folder: Of the index.
        imagery: Where its imagery is, if not where it was.
        model: Where its model is, if not on the search path.
        workspace_models: The workspace's bundles.
        device: For the encoder.
        threads: For the encoder.

    Raises:
        IndexFolderError: The imagery has changed, so that the damaged batches cannot be made again.
    """
    health = yield from verify_index(folder)
    if health.sound:
        return health
    manifest = read_manifest(folder)
    durable.sweep(folder)
    for damage in health.damages:
        yield Note(f"{damage.file}: {damage.what}", "warning")
    for text in mend_run(folder, manifest):
        yield Note(text, "warning")
    cells = Cells(folder, manifest)
    commits, _ = journal.read_all(journal_path(folder, manifest.generation))
    known = {batch: commit for batch, commit in commits.items() if batch < cells.batches}
    packed = [damage.file for damage in health.damages if damage.file.startswith(PACKED)]
    if packed and not imagery:
        raise IndexFolderError(
            "the imagery that came with this index is damaged, and is not to be had from anything here",
            path=folder / packed[0],
            hint="Import the index again, or name the imagery with --imagery FILE. "
            "Searching does not need it.",
        )
    if health.lost:
        sources = find_sources(manifest, folder, imagery)
        bundle = bundle_of(manifest, model, workspace_models)
        config = IndexConfig(imagery=sources, device=device, threads=threads)
        encoder = open_encoder(bundle, manifest, config)
        pace = Pace("Embedding damaged batches", len(health.lost), "batches")
        try:
            made = produce(manifest, cells, encoder, sources, health.lost, Times())
            fresh = {}
            for number, (batch, item) in enumerate(made, 1):
                fresh[batch] = item
                yield from pace.at(number)
        finally:
            encoder.close()
        rows = {batch: commit.rows for batch, commit in known.items()}
        rows.update({batch: len(item.vectors) for batch, item in fresh.items()})
        layout = _layout(rows, cells.batches, manifest.dimension)
        for batch, commit in known.items():
            if (commit.first, commit.rows, commit.segment, commit.offset) != layout[batch]:
                raise _changed(folder)
        if segments_of(manifest.generation, [_placed(b, layout[b]) for b in layout]) != manifest.segments:
            raise _changed(folder)
        for batch, item in fresh.items():
            first, number, segment, offset = layout[batch]
            vectors, records = item.vectors.astype("<f2").tobytes(), item.cells.tobytes()
            name = segment_name(manifest.generation, segment)
            if number:
                _mend(vectors_path(folder, name), offset * manifest.dimension * 2, vectors)
                _mend(cells_path(folder, name), offset * CELL.itemsize, records)
            known[batch] = Commit(
                batch, first, number, segment, offset, zlib.crc32(vectors), zlib.crc32(records),
                dict(sorted(item.skipped.items())), item.filled,
            )  # fmt: skip
    yield from _derive(folder, manifest, cells, [known[batch] for batch in range(cells.batches)], health)
    after = yield from verify_index(folder)
    return Health(health.damages, health.batches, repaired=not after.damages)


def _derive(
    folder: Path, manifest: Manifest, cells: Cells, commits: Sequence[Commit], health: Health
) -> Steps[None]:
    """Cut what is too long; write the journal and the derived files where they are not as they should be."""
    for segment in manifest.segments:
        durable.AppendFile(vectors_path(folder, segment.name), segment.rows * manifest.dimension * 2).close()
        durable.AppendFile(cells_path(folder, segment.name), segment.rows * CELL.itemsize).close()
    lines = journal.render(commits)
    path = journal_path(folder, manifest.generation)
    if not path.exists() or path.read_bytes() != lines:
        durable.write_whole(path, lines)
    files = dict(manifest.files)
    broken = {damage.file for damage in health.damages}
    if CHIPS_FILE in broken or health.lost:
        write_chips(folder, manifest, cells, commits)
        files[CHIPS_FILE] = file_sha256(folder / CHIPS_FILE)
    if SEARCH_FILE in broken or (health.lost and SEARCH_FILE in files):
        yield from build_search(folder, manifest)
        files[SEARCH_FILE] = file_sha256(folder / SEARCH_FILE)
    manifest = manifest.updated(files=files, journal_sha256=hashlib.sha256(lines).hexdigest())
    written = [folder / name for name in (MANIFEST_FILE, COPY_FILE)]
    if any(not path.exists() or path.read_bytes() != render(manifest) for path in written):
        write_manifest(folder, manifest)


def _layout(rows: dict[int, int], batches: int, dimension: int) -> dict[int, tuple[int, int, int, int]]:
    """First row, rows, segment and offset of each batch, as `BatchWriter` places them."""
    limit = max(1, SEGMENT_BYTES // (2 * dimension))
    found: dict[int, tuple[int, int, int, int]] = {}
    first = segment = held = 0
    for batch in range(batches):
        number = rows[batch]
        if held and held + number > limit:
            segment, held = segment + 1, 0
        found[batch] = (first, number, segment, held)
        first, held = first + number, held + number
    return found


def _placed(batch: int, place: tuple[int, int, int, int]) -> Commit:
    first, rows, segment, offset = place
    return Commit(batch, first, rows, segment, offset, 0, 0)


def _mend(path: Path, offset: int, data: bytes) -> None:
    if not path.exists():
        durable.AppendFile(path).close()
    durable.overwrite(path, offset, data)


def _changed(folder: Path) -> IndexFolderError:
    return IndexFolderError(
        "the damaged batches cannot be made again: the imagery is not what it was",
        path=folder,
        hint="Bring the whole index up to date with `geolocator index refresh`.",
    )
