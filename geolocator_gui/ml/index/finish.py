"""The last step of every change: the chips' table, the search structure, the manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from geolocator_gui.errors import ImageryError
from geolocator_gui.events import Note, Progress, Steps
from geolocator_gui.ml.bundle import file_sha256
from geolocator_gui.ml.index import durable, journal
from geolocator_gui.ml.index.cells import Cells
from geolocator_gui.ml.index.companions import PACKED, settings_sha256
from geolocator_gui.ml.index.manifest import (
    CHIPS_FILE,
    NEXT,
    SEARCH_FILE,
    Manifest,
    SegmentRecord,
    write_manifest,
)
from geolocator_gui.ml.index.quick import build_search
from geolocator_gui.ml.index.segments import is_own_file, journal_path, segment_name
from geolocator_gui.ml.index.table import write_chips


def finish_index(
    folder: Path,
    manifest: Manifest,
    cells: Cells,
    timings: Mapping[str, float],
    *,
    switch: bool = False,
    troubles: Sequence[str] = (),
) -> Steps[Manifest]:
    """Make the derived files from what is committed and declare the index whole.

    Args:
        folder: Of the index.
        manifest: As it shall be; state, counts and checksums are set here.
        cells: Of that manifest.
        timings: Seconds by name.
        switch: The generation is another than the one that is being searched: the derived files wait under
            names of their own until the manifest has changed: at every instant one of the two is whole.
        troubles: In words, what was wrong with the imagery.

    Raises:
        ImageryError: No chip is left.
    """
    path = journal_path(folder, manifest.generation)
    commits, _ = journal.read_committed(path)
    count = sum(commit.rows for commit in commits)
    skipped = skipped_of(commits)
    reasons = ", ".join(f"{number:,} {reason}" for reason, number in skipped.items())
    if count == 0 and troubles:
        raise ImageryError(
            f"no chip of the area could be made ({reasons}): " + "; ".join(troubles),
            hint="Get the imagery again, or check its address.",
        )
    if count == 0:
        raise ImageryError(
            f"no chip of the area shows any imagery ({reasons or 'the area is empty'})",
            path=", ".join(record.name for record in manifest.imagery),
            hint="Check that the area lies on the imagery; `geolocator imagery probe` tells its bounds.",
        )
    segments = segments_of(manifest.generation, commits)
    filled = sum(commit.filled for commit in commits)
    manifest = manifest.updated(segments=segments, count=count, skipped=skipped, filled=filled)
    prefix = NEXT if switch else ""
    yield Progress("Writing the chips' table", 0, 1)
    write_chips(folder, manifest, cells, commits, prefix + CHIPS_FILE)
    yield Progress("Writing the chips' table", 1, 1)
    files = {name: checksum for name, checksum in manifest.files.items() if name.startswith(PACKED)}
    files[CHIPS_FILE] = file_sha256(folder / (prefix + CHIPS_FILE))
    yield from build_search(folder, manifest, prefix + SEARCH_FILE)
    if (folder / (prefix + SEARCH_FILE)).exists():
        files[SEARCH_FILE] = file_sha256(folder / (prefix + SEARCH_FILE))
    manifest = manifest.updated(
        state="switching" if switch else "finished",
        whole_parts=len(manifest.parts),
        files=files,
        journal_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        settings_sha256=settings_sha256(folder),
        timings={name: round(seconds, 3) for name, seconds in timings.items()},
    )
    write_manifest(folder, manifest)
    if switch:
        manifest = finish_switch(folder, manifest)
    for trouble in troubles:
        yield Note(f"{trouble}; that ground is left out or taken from elsewhere.", "warning")
    if filled:
        yield Note(
            f"In {filled:,} chips a coarser level of detail stands in where tiles are missing.", "warning"
        )
    left_out = sum(skipped.values())
    yield Note(f"{count:,} chips indexed" + (f", {left_out:,} left out ({reasons})." if left_out else "."))
    return manifest


def finish_switch(folder: Path, manifest: Manifest) -> Manifest:
    """Put the derived files of a new generation in place and delete the old one; harmless to repeat."""
    for name in (CHIPS_FILE, SEARCH_FILE):
        staged = folder / (NEXT + name)
        if staged.exists():
            durable.put_in_place(staged, folder / name)
        elif name == SEARCH_FILE and name not in manifest.files:
            durable.remove(folder / name)
    manifest = manifest.updated(state="finished")
    write_manifest(folder, manifest)
    drop_other_generations(folder, manifest)
    return manifest


def drop_other_generations(folder: Path, manifest: Manifest) -> None:
    """Delete vectors and staged files that the manifest does not name."""
    for path in sorted((folder / "vectors").iterdir()):
        if is_own_file(path) and not path.name.startswith(f"{manifest.generation:03d}"):
            durable.remove(path)
    for name in (CHIPS_FILE, SEARCH_FILE):
        if (folder / (NEXT + name)).exists():
            durable.remove(folder / (NEXT + name))


def skipped_of(commits: Iterable[journal.Commit]) -> dict[str, int]:
    """Chips left out in all, by reason."""
    total: dict[str, int] = {}
    for commit in commits:
        for reason, number in commit.skipped.items():
            total[reason] = total.get(reason, 0) + number
    return dict(sorted(total.items()))


def segments_of(generation: int, commits: Iterable[journal.Commit]) -> tuple[SegmentRecord, ...]:
    """The segments that hold the committed rows."""
    ends: dict[int, int] = {}
    for commit in commits:
        if commit.rows:
            ends[commit.segment] = commit.offset + commit.rows
    return tuple(
        SegmentRecord(name=segment_name(generation, segment), rows=rows) for segment, rows in ends.items()
    )
