"""What an index will cost on this machine, measured before anything is written."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geolocator_gui.configs import IndexConfig
from geolocator_gui.geo.chips import count_tiles
from geolocator_gui.geo.grid import ChipGrid
from geolocator_gui.geo.imagery.tiled import TiledSource
from geolocator_gui.ml.index.plan import Plan, make_plan

if TYPE_CHECKING:
    from pathlib import Path

    from geolocator_gui.geo.imagery.base import ImagerySource
    from geolocator_gui.ml.encoder import Encoder

_COUNTED_CHIPS = 200_000


@dataclass(frozen=True)
class Estimate:
    """What an index will cost on this machine.

    Attributes:
        chips: Cells of the grid; blank ones are skipped later.
        tiles: Tiles to read, 0 for rasters.
        bytes: On disk, without imagery.
        seconds: From a measurement of the encoder and the reader on this machine.
        km2: Of the area.
        side_m: Metres per chip side.
        model: Name of the bundle.
        device: Where it was measured.
        notes: In words.
    """

    chips: int
    tiles: int
    bytes: int
    seconds: float
    km2: float
    side_m: float
    model: str
    device: str
    notes: tuple[str, ...] = ()


def estimate_index(config: IndexConfig, *, workspace_models: Path | None = None) -> Estimate:
    """Chips, tiles, bytes and seconds, the last measured by cutting and embedding a small sample here."""
    from geolocator_gui.ml.encoder import Encoder
    from geolocator_gui.ml.index.reading import Reader, opened

    plan = make_plan(config, None, workspace_models)
    encoder = Encoder(
        plan.bundle,
        device=config.device,
        backend=config.backend,
        precision=config.precision,
        threads=config.threads,
    )
    try:
        with opened(config.imagery) as sources:
            tiles = sum(
                _tiles(sources[0], grid, plan.bundle.config.satellite_source_px) for grid in plan.grids
            )
            with Reader([source.clone() for source in sources], plan.bundle.config) as reader:
                cut, embed = _measure(plan, reader, encoder)
        seconds = plan.candidates * max(cut, embed)
        device = encoder.description.get("device", "")
    finally:
        encoder.close()
    size = plan.bundle.config.embedding_size
    search = size // 8 + 8 if plan.candidates > 100_000 else 0
    return Estimate(
        chips=plan.candidates,
        tiles=tiles,
        bytes=plan.candidates * (2 * size + 90 + search) + 8192,
        seconds=round(seconds, 2),
        km2=round(plan.area.km2, 4),
        side_m=plan.side_m,
        model=plan.bundle.name,
        device=device,
        notes=plan.notes,
    )


def _tiles(source: ImagerySource, grid: ChipGrid, source_px: int) -> int:
    """Tiles that a grid lies on: counted, or for very many chips reckoned from the area."""
    if grid.count <= _COUNTED_CHIPS or not isinstance(source, TiledSource):
        return count_tiles(source, grid, source_px).tiles
    middle = grid.rows(grid.count // 2, grid.count // 2 + 1)
    west, _, east, _ = middle.mercator()[0]
    level = source.level_for(float(east - west) / source_px)
    side = level.resolution * level.tile_px * grid.side_m / float(east - west)  # ground metres
    return round(grid.area.km2 * 1e6 / side**2)


def _measure(plan: Plan, reader: Any, encoder: Encoder) -> tuple[float, float]:
    """Seconds per chip to cut and to embed, each the better of two samples after a warm-up."""
    grid = plan.grids[0]
    number = min(grid.count, max(encoder.batch_size, 8))
    middle = max(0, (grid.count - number) // 2)
    cuts: list[float] = []
    embeds: list[float] = []
    for start in (0, middle, max(0, min(middle + number, grid.count - number))):
        begin = time.perf_counter()
        images = reader.cut(grid.rows(start, start + number)).images
        cuts.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        encoder.embed(images, "satellite")
        embeds.append(time.perf_counter() - begin)
    return min(cuts[1:]) / number, min(embeds[1:]) / number
