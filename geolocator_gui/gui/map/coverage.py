"""How far an index run has come, as a raster to lay over the map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from geolocator_gui.gui.run_rows import RunRow
from geolocator_gui.records import BoundingBox

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def covered(row: RunRow) -> tuple[NDArray[np.float32] | None, BoundingBox | None]:
    """Raster of the chips that an index run has embedded so far, None before the first."""
    import numpy as np

    from geolocator_gui.configs import IndexConfig, ModelConfig
    from geolocator_gui.geo.area import area_of_imagery, read_area
    from geolocator_gui.geo.grid import build_grid
    from geolocator_gui.geo.imagery import open_imagery
    from geolocator_gui.gui.map import heat
    from geolocator_gui.runs import RunFolder

    if row.progress is None or not row.progress.total or row.progress.unit != "chips":
        return None, None
    config = RunFolder(row.thing).read_config(IndexConfig)
    file = Path(config.model) / "model.json"
    if not file.exists():
        return None, None
    model = ModelConfig.read_json(file)
    if config.area is not None:
        area = read_area(config.area)
    else:
        with open_imagery(config.imagery[0]) as source:
            area = area_of_imagery(source.info)
    overlap = model.recommended_overlap if config.overlap is None else config.overlap
    grid = build_grid(area, config.side_m or model.side_m or 100.0, overlap)
    chips = grid.rows(0, min(row.progress.done, grid.count))
    if not len(chips):
        return None, None
    everything = grid.rows(0, grid.count) if grid.count <= 200_000 else chips
    where = heat.plan(everything.lon, everything.lat)
    done = heat.HeatPlan(where.cells[: len(chips)], where.height, where.width, where.bounds)
    return heat.raster(done, np.ones(len(chips), np.float32)), where.bounds
