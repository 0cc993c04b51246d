"""What an index will be, before anything is written: sources, area, grids, model, cost."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geolocator_gui.configs import IndexConfig, ModelConfig
from geolocator_gui.errors import AreaError, ConfigError, ImageryError, IndexFolderError
from geolocator_gui.geo.area import (
    Area,
    area_from_bbox,
    area_from_circle,
    area_of_imagery,
    read_area,
    share_on_imagery,
)
from geolocator_gui.geo.grid import ChipGrid, build_grid
from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.geo.imagery.address import parse_address
from geolocator_gui.geo.imagery.keys import without_key
from geolocator_gui.geo.imagery.providers import UNKNOWN
from geolocator_gui.ml.bundle import Bundle, bundle_by_fingerprint, find_bundle, missing_weights
from geolocator_gui.ml.index.manifest import ImageryRecord, Manifest, PartRecord

if TYPE_CHECKING:
    from geolocator_gui.geo.imagery.base import ImagerySource

GENERATED = "(generated)"  # in the attribution of imagery that a program drew


@dataclass(frozen=True)
class Plan:
    """An index that could be built.

    Attributes:
        config: As asked.
        bundle: With weights.
        area: What is covered.
        side_m: Metres per chip side at level 1.
        overlap: Of neighbouring chips.
        grids: One per level of detail.
        imagery: Records of the sources, in order of preference.
        notes: In words what people should know before it starts.
    """

    config: IndexConfig
    bundle: Bundle
    area: Area
    side_m: float
    overlap: float
    grids: tuple[ChipGrid, ...]
    imagery: tuple[ImageryRecord, ...]
    notes: tuple[str, ...]

    @property
    def candidates(self) -> int:
        """Cells of all grids."""
        return sum(grid.count for grid in self.grids)

    @property
    def parts(self) -> tuple[PartRecord, ...]:
        """The grids as the manifest keeps them."""
        order = tuple(range(len(self.imagery)))
        return tuple(part_of(grid, self.side_m, self.config, order) for grid in self.grids)


def make_plan(config: IndexConfig, folder: Path | None, workspace_models: Path | None) -> Plan:
    """Open everything once and settle what `config` leaves open.

    Raises:
        GeolocatorError: An input cannot be used; the message says which.
    """
    if not config.imagery:
        raise ConfigError("no imagery is named", hint="Name one with --imagery FILE.")
    bundle = find_bundle(config.model, workspace_models)
    if not bundle.has_weights:
        raise missing_weights(bundle)
    side_m = side_of(config.side_m, bundle.config)
    sources = [open_imagery(item) for item in config.imagery]
    try:
        for source in sources:
            check_bulk(source)
        area = area_of(config, sources)
        off_imagery = check_on_imagery(area, sources)
        overlap = bundle.config.recommended_overlap if config.overlap is None else config.overlap
        grids, notes = make_grids(area, side_m, overlap, config.levels)
        records = tuple(
            imagery_record(source, item, folder, side_m / bundle.config.satellite_source_px)
            for source, item in zip(sources, config.imagery, strict=True)
        )
    finally:
        for source in sources:
            source.close()
    if bundle.config.synthetic and any(GENERATED not in record.attribution for record in records):
        notes.append(
            f"{bundle.name} knows generated imagery only: what it finds in real imagery means nothing."
        )
    for record in records:
        if record.coarser_by > 1.05:
            notes.append(
                f"{record.name} has {record.metres_per_pixel:.2f} m per pixel, "
                f"{record.coarser_by:.1f} times coarser than this model's chips; it is enlarged."
            )
    return Plan(config, bundle, area, side_m, overlap, grids, records, (*area.notes, *off_imagery, *notes))


def side_of(asked: float | None, model: ModelConfig) -> float:
    """Metres per chip side: as asked, else the model's."""
    side = asked or model.side_m
    if side is None:
        raise ConfigError(
            f"the model '{model.name}' does not say how many metres one of its chips covers",
            hint="Give it with --side-m METRES: the ground side of the satellite images it was trained on.",
        )
    return side


def check_bulk(source: ImagerySource) -> None:
    """Refuse sources whose terms forbid fetching whole areas, or are not known to allow it; says why."""
    if not source.info.bulk:
        why = (source.info.extra or {}).get("bulk", "its terms forbid it")
        known = " If you have read its terms and they allow it, add #bulk=yes to its address."
        raise ImageryError(
            f"whole areas may not be fetched from this source: {why}",
            path=source.info.name,
            hint="It can be shown on the map. To build an index use another source, or imagery of your own."
            + (known if why == UNKNOWN else ""),
        )


def check_on_imagery(area: Area, sources: Sequence[ImagerySource]) -> list[str]:
    """Say before anything starts that an area lies beside the imagery, or much of it does.

    Raises:
        ImageryError: No source reaches into the area.
    """
    held = share_on_imagery(area, [source.info for source in sources])
    if held < 0.5:
        share = f"Only {held:.1%}" if held >= 0.001 else "Less than 0.1 %"
        return [f"{share} of the area lies on the imagery; the rest is left out."]
    return []


def area_of(config: IndexConfig, sources: Sequence[ImagerySource]) -> Area:
    """The area asked for, else the extent of the first source."""
    if sum(item is not None for item in (config.area, config.bbox, config.circle)) > 1:
        raise ConfigError("the area is given twice", hint="Give one of --area, --bbox and --circle.")
    if config.area is not None:
        return read_area(Path(config.area))
    if config.bbox is not None:
        return area_from_bbox(config.bbox)
    if config.circle is not None:
        return area_from_circle(*config.circle)
    return area_of_imagery(sources[0].info)


def make_grids(
    area: Area, side_m: float, overlap: float, levels: Sequence[int]
) -> tuple[tuple[ChipGrid, ...], list[str]]:
    """A grid per level of detail, and in words which levels the area is too small for."""
    grids: list[ChipGrid] = []
    notes: list[str] = []
    for level in sorted(set(levels)):
        if level not in (1, 2, 4):
            raise ConfigError(f"there is no level of detail {level}", hint="Levels are 1, 2 and 4.")
        try:
            grids.append(build_grid(area, side_m * level, overlap, level))
        except AreaError as error:
            if not grids:
                raise
            notes.append(f"Level {level} is left out: {error.what}.")
    return tuple(grids), notes


def part_of(grid: ChipGrid, side_m: float, config: IndexConfig, imagery: tuple[int, ...]) -> PartRecord:
    """A grid as the manifest keeps it."""
    return PartRecord(
        area_name=grid.area.name,
        geometry=plain(grid.area.to_geojson()["geometry"]),
        whole_chips=grid.area.whole_chips,
        side_m=side_m,
        overlap=grid.overlap,
        level=grid.level,
        candidates=grid.count,
        batch_size=config.batch_size,
        max_missing=config.max_missing,
        imagery=imagery,
    )


def plain(value: Any) -> Any:
    """GeoJSON with lists in place of tuples, as it comes back from a file."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def grid_of(part: PartRecord) -> ChipGrid:
    """The grid that a part of a manifest describes.

    Raises:
        IndexFolderError: This version of the program cuts it differently.
    """
    from shapely.geometry import shape

    area = Area(part.area_name, shape(part.geometry), whole_chips=part.whole_chips)
    grid = build_grid(area, part.side_m * part.level, part.overlap, part.level)
    if grid.count != part.candidates:
        raise IndexFolderError(
            f"the grid of '{part.area_name}' has {grid.count} cells here, {part.candidates} in the index",
            hint="Another version of Geolocator made it. Build the index anew.",
        )
    return grid


def imagery_record(source: ImagerySource, item: str, folder: Path | None, wanted_m: float) -> ImageryRecord:
    """A source as the manifest keeps it: a local file by its path relative to the index."""
    info = source.info
    return ImageryRecord(
        source=relative_source(item, folder),
        name=info.name,
        kind=info.kind,
        attribution=info.attribution,
        licence=info.licence,
        metres_per_pixel=info.metres_per_pixel,
        coarser_by=max(1.0, info.metres_per_pixel / wanted_m),
    )


def relative_source(item: str, folder: Path | None) -> str:
    """A file by its path relative to the folder, settings kept; an address without its keys."""
    path, settings = local_part(item)
    if path is None:
        return without_key(item)
    if folder is None:
        return path.name + settings
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix() + settings
    except ValueError:
        # Another drive on Windows: no relative path leads there.
        return path.resolve().as_posix() + settings


def local_part(item: str) -> tuple[Path | None, str]:
    """The file or folder that a source's name begins with and its settings; None for an address."""
    address = parse_address(item)
    if address.kind != "file":
        return None, ""
    settings = item.removeprefix("file://")[len(address.where) :]
    return Path(address.where).expanduser(), settings


def find_sources(
    manifest: Manifest, folder: Path, given: Sequence[str] | None = None, *, option: str = "--imagery"
) -> tuple[str, ...]:
    """Where the imagery of an index lies now: as given, else beside the folder as recorded.

    Raises:
        ImageryError: A file is not there any more.
    """
    if given:
        if len(given) != len(manifest.imagery):
            raise ImageryError(
                f"the index was built from {len(manifest.imagery)} source(s), {len(given)} are given",
                hint=f"Name all of them with {option}, in this order: "
                + ", ".join(item.name for item in manifest.imagery),
            )
        return tuple(given)
    found: list[str] = []
    for record in manifest.imagery:
        path, settings = local_part(record.source)
        if path is None:
            found.append(record.source)
            continue
        path = folder / path
        if not path.exists():
            raise ImageryError(
                f"the imagery '{record.name}' of this index is not where it was",
                path=path,
                hint=f"Say where it is now with {option} FILE.",
            )
        found.append(str(path) + settings)
    return tuple(found)


def bundle_of(manifest: Manifest, model: str | None, workspace_models: Path | None) -> Bundle:
    """The bundle that embeds like the index.

    Raises:
        IndexFolderError: It is not here, or `model` names another one.
    """
    found = bundle_by_fingerprint(manifest.fingerprint, workspace_models)
    if found is not None:
        return found
    if model is None:
        raise IndexFolderError(
            f"the index was built with the model '{manifest.model_name}' "
            f"(fingerprint {manifest.fingerprint[:12]}), which is not on the search path",
            hint="Name its folder or weights file with --model.",
        )
    given = find_bundle(model, workspace_models)
    check_fingerprint(manifest, given)
    return given


def check_fingerprint(manifest: Manifest, bundle: Bundle) -> None:
    """Refuse a bundle that embeds otherwise, naming both."""
    if bundle.fingerprint != manifest.fingerprint:
        raise IndexFolderError(
            f"the index was built with the model '{manifest.model_name}' "
            f"(fingerprint {manifest.fingerprint[:12]}); "
            f"'{bundle.name}' (fingerprint {bundle.fingerprint[:12]}) embeds otherwise",
            hint="Name the model of the index with --model, or build an index with this one.",
        )
