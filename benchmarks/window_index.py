"""An index of invented vectors around the demo town, for what depends on the number of chips alone.

    python -m benchmarks.window_index FOLDER CHIPS

It answers photos of the demo's model: a real grid, written through the same writer, of random unit vectors.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from geolocator_gui.configs import IndexConfig
from geolocator_gui.demo import create_demo_workspace
from geolocator_gui.events import finish
from geolocator_gui.geo.area import area_from_circle
from geolocator_gui.ml.bundle import find_bundle
from geolocator_gui.ml.index import Manifest
from geolocator_gui.ml.index.cells import Cells
from geolocator_gui.ml.index.finish import finish_index
from geolocator_gui.ml.index.manifest import ImageryRecord, write_manifest
from geolocator_gui.ml.index.plan import make_grids, part_of
from geolocator_gui.ml.index.segments import CELL, BatchWriter

_OVERLAP = 0.75


def make(folder: Path, chips: int) -> int:
    """Write it; returns how many chips it holds."""
    bundle = find_bundle("demo-town")
    side = bundle.config.side_m or 80.0
    source = create_demo_workspace().imagery()[0].source
    radius = side * (1 - _OVERLAP) * float(np.sqrt(chips / np.pi))
    grid = make_grids(area_from_circle(20.75, 60.17, radius * 1.002), side, _OVERLAP, (1,))[0][0]
    folder.mkdir(parents=True)
    manifest = Manifest(
        state="building",
        fingerprint=bundle.fingerprint,
        model=bundle.config.model_dump(mode="json"),
        imagery=(ImageryRecord(source=source, name="town", kind="mbtiles"),),
        parts=(part_of(grid, side, IndexConfig(imagery=(source,), batch_size=4096), (0,)),),
    )
    write_manifest(folder, manifest)
    cells = Cells(folder, manifest)
    writer = BatchWriter(folder, 0, bundle.config.embedding_size)
    random = np.random.default_rng(7)
    for number in range(cells.batches):
        batch, _ = cells.chips(number)
        vectors = random.standard_normal((len(batch), bundle.config.embedding_size), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        records = np.zeros(len(batch), dtype=CELL)
        records["cell"] = batch.ids
        writer.commit(vectors.astype(np.float16), records, {})
    writer.close()
    return finish(finish_index(folder, manifest, cells, {})).count


if __name__ == "__main__":
    print(make(Path(sys.argv[1]), int(sys.argv[2])))
