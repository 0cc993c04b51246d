"""Changing an index: adding an area, bringing it up to date, taking an area out.

While it changes the index can be searched as it was. A change that is killed is continued by the same
command (adding, refreshing) or begun again (removing, which only copies).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.configs import IndexConfig
from geolocator_gui.errors import AreaError, ImageryError, IndexFolderError
from geolocator_gui.events import Note, Pace, Steps
from geolocator_gui.geo.area import Area
from geolocator_gui.geo.grid import ChipGrid
from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.ml.index import durable, journal
from geolocator_gui.ml.index.build import (
    IndexSummary,
    Times,
    embed_batches,
    note_encoder,
    open_encoder,
    produce,
    summarise,
)
from geolocator_gui.ml.index.cells import REMOVED, Cells
from geolocator_gui.ml.index.companions import packed_files
from geolocator_gui.ml.index.finish import drop_other_generations, finish_index, finish_switch
from geolocator_gui.ml.index.manifest import Manifest, Removal, read_manifest, under_way, write_manifest
from geolocator_gui.ml.index.plan import (
    area_of,
    bundle_of,
    check_bulk,
    check_on_imagery,
    find_sources,
    imagery_record,
    make_grids,
    part_of,
    plain,
    relative_source,
)
from geolocator_gui.ml.index.reading import opened
from geolocator_gui.ml.index.segments import BatchWriter, Halves, journal_path
from geolocator_gui.ml.index.sound import check_sound, read_batch, sound_batch, whole_journal
from geolocator_gui.ml.index.undo import undo_refresh


def settled(folder: Path, doing: str | None = None) -> Manifest:
    """The manifest of an index that nothing else is under way in; half-written files are swept away.

    Args:
        folder: Of the index.
        doing: The state that the caller itself may continue.
    """
    manifest = read_manifest(folder)
    if manifest.state == "switching":
        manifest = finish_switch(folder, manifest)
    if manifest.state not in ("finished", doing):
        raise under_way(folder, manifest)
    durable.sweep(folder)
    if manifest.state == "finished":
        drop_other_generations(folder, manifest)
    return manifest


def extend_index(
    folder: Path,
    config: IndexConfig,
    *,
    own_imagery: Sequence[str] | None = None,
    model: str | None = None,
    workspace_models: Path | None = None,
) -> Steps[IndexSummary]:
    """Add an area, or levels of detail, to a finished index.

    Args:
        folder: Of the index.
        config: `area`, `bbox` or `circle` to add (None: the areas that it has, for more levels); `levels`;
            `imagery` for the new chips, empty for the index's own. Grid and batch size are the index's.
        own_imagery: Where the imagery that it has is now, if not where it was; the index remembers it.
        model: Where its model is, if not on the search path.
        workspace_models: The workspace's bundles.

    Raises:
        GeolocatorError: An input cannot be used, or another change is under way.
    """
    begin = time.perf_counter()
    manifest = settled(folder, "extending")
    known = manifest.parts[: manifest.whole_parts]
    before = 1 + max(source for part in known for source in part.imagery)
    whole = manifest.updated(imagery=manifest.imagery[:before])
    own = find_sources(whole, folder, own_imagery, option="--old-imagery")
    bundle = bundle_of(manifest, model, workspace_models)
    there = {relative_source(item, folder) for item in own}
    added = tuple(item for item in config.imagery if relative_source(item, folder) not in there)
    wanted, notes = _extended(folder, manifest, config, (*own, *added), len(own))
    for text in notes:
        yield Note(text, "warning")
    if manifest.state == "extending":
        if [part.model_dump() for part in wanted.parts] != [part.model_dump() for part in manifest.parts]:
            error = under_way(folder, manifest)
            error.what = "another area is being added to this index"
            raise error
    else:
        yield from check_sound(folder, manifest)
    encoder = open_encoder(bundle, wanted, config)
    try:
        manifest = note_encoder(folder, wanted.updated(changes=manifest.changes), encoder)
        write_manifest(folder, manifest)
        cells = Cells(folder, manifest)
        times = yield from embed_batches(folder, manifest, cells, encoder, (*own, *added))
    finally:
        encoder.close()
    names = ", ".join(dict.fromkeys(part.area_name for part in manifest.parts[manifest.whole_parts :]))
    manifest = manifest.updated(changes=(*manifest.changes, *times.changes, f"Added {names}."))
    timings = {"encoder": times.encoder, "wall": time.perf_counter() - begin}
    manifest = yield from finish_index(folder, manifest, cells, timings, troubles=times.troubles)
    return summarise(folder, manifest, cells, begin, times.encoder, reused=False)


def _extended(
    folder: Path, manifest: Manifest, config: IndexConfig, sources: Sequence[str], own: int
) -> tuple[Manifest, list[str]]:
    """The manifest with the new parts, their imagery the new sources first; what people should know of it."""
    whole = manifest.parts[: manifest.whole_parts]
    first = whole[0]
    open_sources = [open_imagery(item) for item in sources]
    try:
        new = [
            imagery_record(source, item, folder, first.side_m / int(manifest.model["satellite_source_px"]))
            for source, item in zip(open_sources[own:], sources[own:], strict=True)
        ]
        for source in open_sources:
            check_bulk(source)
        notes: list[str] = []
        if config.area is None and config.bbox is None and config.circle is None and not new:
            areas = _areas(manifest)
        else:
            areas = [area_of(config, open_sources[own:] or open_sources)]
            notes = [*areas[0].notes, *check_on_imagery(areas[0], open_sources)]
    finally:
        for source in open_sources:
            source.close()
    order = (*range(own, own + len(new)), *range(own))
    named = any(item is not None for item in (config.area, config.bbox, config.circle))
    again = named and _taken_out(areas, manifest)
    levels = config.levels if again or not _is_own(areas, manifest) else _new_levels(config, manifest)
    grids: list[ChipGrid] = []
    for number, area in enumerate(areas, 1):
        try:
            found, left_out = make_grids(area, first.side_m, first.overlap, levels)
        except AreaError as error:
            if number == len(areas) and not grids:
                raise
            found, left_out = (), [f"Left out: {error.what}."]  # other areas of the index have room for it
        grids += found
        notes += left_out
    settings = config.model_copy(update={"batch_size": first.batch_size, "max_missing": first.max_missing})
    parts = (*whole, *(part_of(grid, first.side_m, settings, order) for grid in grids))
    records = [
        record.model_copy(update={"source": relative_source(item, folder)})
        for record, item in zip(manifest.imagery[:own], sources, strict=False)
    ]
    records += new
    return manifest.updated(state="extending", parts=parts, imagery=tuple(records)), notes


def _areas(manifest: Manifest) -> list[Area]:
    """The different areas of the whole parts."""
    from shapely.geometry import shape

    found = {str(part.geometry): part for part in manifest.parts[: manifest.whole_parts]}
    return [
        Area(part.area_name, shape(part.geometry), whole_chips=part.whole_chips) for part in found.values()
    ]


def _is_own(areas: Sequence[Area], manifest: Manifest) -> bool:
    known = [part.geometry for part in manifest.parts[: manifest.whole_parts]]
    return all(plain(area.to_geojson()["geometry"]) in known for area in areas)


def _taken_out(areas: Sequence[Area], manifest: Manifest) -> bool:
    """Whether ground of these areas was removed from the index, so that they can be added again."""
    from shapely.geometry import shape

    gone = [shape(removal.geometry) for removal in manifest.removed]
    return any(area.geometry.intersects(ground) for area in areas for ground in gone)


def _new_levels(config: IndexConfig, manifest: Manifest) -> tuple[int, ...]:
    """The levels asked for that the index lacks."""
    have = {part.level for part in manifest.parts[: manifest.whole_parts]}
    new = tuple(level for level in config.levels if level not in have)
    if not new:
        raise AreaError(
            "there is nothing to add: the index has this area at these levels of detail",
            hint="Name another area with --area, --bbox or --circle, or other --levels.",
        )
    return new


def refresh_index(
    folder: Path,
    *,
    imagery: Sequence[str] | None = None,
    model: str | None = None,
    workspace_models: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Steps[IndexSummary]:
    """Cut every chip anew; embed those batches again in which a pixel has changed or that are damaged.

    Args:
        folder: Of the index.
        imagery: Where its imagery is now, if not where it was.
        model: Where its model is, if not on the search path.
        workspace_models: The workspace's bundles.
        device: For the encoder.
        threads: For the encoder.
    """
    begin = time.perf_counter()
    manifest = settled(folder, "refreshing")
    sources = find_sources(manifest, folder, imagery)
    bundle = bundle_of(manifest, model, workspace_models)
    with opened(sources) as there:  # what cannot be opened is told before anything has begun
        wanted_m = manifest.parts[0].side_m / int(manifest.model["satellite_source_px"])
        records = tuple(
            imagery_record(source, item, folder, wanted_m)
            for source, item in zip(there, sources, strict=True)
        )
    encoder = open_encoder(bundle, manifest, IndexConfig(imagery=sources, device=device, threads=threads))
    if manifest.state != "refreshing":
        manifest = manifest.updated(state="refreshing")
        write_manifest(folder, manifest)
    old, cells, times = manifest, Cells(folder, manifest), Times()
    commits, _ = journal.read_all(journal_path(folder, old.generation))
    writer = BatchWriter(folder, old.generation + 1, old.dimension)

    damaged: set[int] = set()

    def stored(batch: int) -> tuple[Halves, NDArray[np.void]] | None:
        found = read_batch(folder, old, commits[batch]) if batch in commits else None
        if found is None:
            damaged.add(batch)
        return found

    for batch in range(len(writer.commits)):  # of an earlier sitting
        stored(batch)
    pace = Pace("Comparing chips", cells.batches, "batches", done=len(writer.commits))
    changed = 0
    try:
        todo = range(len(writer.commits), cells.batches)
        for batch, item in produce(old, cells, encoder, sources, todo, times, stored, anew=True):
            changed += not item.reused and batch not in damaged
            writer.commit(item.vectors, item.cells, item.skipped, item.filled)
            yield from pace.at(batch + 1)
    finally:
        encoder.close()
        writer.close()
    if not writer.rows:
        undo_refresh(folder, old)
        names = ", ".join(dict.fromkeys(record.name for record in old.imagery))
        raise ImageryError(
            "nothing of this index is on its imagery now" + "".join(f"; {text}" for text in times.troubles),
            path=names,
            hint="The index is as it was. Check that this is its imagery: `geolocator imagery probe`.",
        )
    before = [commits[batch].vectors for batch in sorted(commits)]
    if not changed and not damaged and [commit.vectors for commit in writer.commits] == before:
        manifest = undo_refresh(folder, old.updated(imagery=records))
        yield Note("No chip has changed.")
        return summarise(folder, manifest, cells, begin, times.encoder, reused=True)
    text = f"Refreshed: {changed} batch(es) had changed imagery."
    if writer.rows < old.count:
        lost = f"{old.count - writer.rows:,} chips fewer than before: their ground shows no imagery now."
        yield Note(lost, "warning")
    if damaged:
        text = f"{text[:-1]}, {len(damaged)} damaged batch(es) were embedded anew."
        yield Note(text, "warning")
    manifest = old.updated(
        generation=old.generation + 1,
        imagery=records,
        changes=(*old.changes, *times.changes, text),
        files={**old.files, **packed_files(folder, old)},  # its imagery may be new, too
    )
    timings = {"encoder": times.encoder, "wall": time.perf_counter() - begin}
    manifest = yield from finish_index(folder, manifest, cells, timings, switch=True, troubles=times.troubles)
    return summarise(folder, manifest, cells, begin, times.encoder, reused=False)


def remove_area(folder: Path, area: Area) -> Steps[IndexSummary]:
    """Take the chips out whose centre lies in an area.

    Raises:
        AreaError: No chip lies there, or all do.
        IndexFolderError: The index is damaged; a copy would declare the damage sound.
    """
    import shapely

    begin = time.perf_counter()
    old = settled(folder)
    cells = Cells(folder, old)
    commits = whole_journal(folder, old)
    removal = Removal(geometry=plain(area.to_geojson()["geometry"]), first=0, stop=len(old.parts))
    manifest = old.updated(
        generation=old.generation + 1,
        removed=(*old.removed, removal),
        changes=(*old.changes, f"Removed {area.name}."),
    )
    writer = BatchWriter(folder, manifest.generation, old.dimension)
    pace = Pace("Copying chips", cells.batches, "batches")
    try:
        for batch, commit in enumerate(commits):
            vectors, records = sound_batch(folder, old, commit)
            chips = cells.kept(batch, records)
            keep = ~shapely.intersects_xy(area.geometry, chips.lon, chips.lat)
            skipped = dict(commit.skipped)
            if not keep.all():
                skipped[REMOVED] = skipped.get(REMOVED, 0) + int((~keep).sum())
            writer.commit(vectors[keep], records[keep], skipped, commit.filled)
            yield from pace.at(batch + 1)
    except IndexFolderError:
        drop_other_generations(folder, old)
        raise
    finally:
        writer.close()
    if writer.rows in (0, old.count):
        drop_other_generations(folder, old)
        what = "every chip" if writer.rows == 0 else "no chip"
        raise AreaError(
            f"{what} of the index lies in '{area.name}'",
            hint="Nothing was changed. To drop a whole index delete its folder."
            if writer.rows == 0
            else "Nothing was changed.",
        )
    timings = {"wall": time.perf_counter() - begin}
    manifest = yield from finish_index(folder, manifest, Cells(folder, manifest), timings, switch=True)
    return summarise(folder, manifest, cells, begin, 0.0, reused=False)
