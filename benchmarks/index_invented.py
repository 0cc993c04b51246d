"""Invented indexes for `benchmarks.index`, and how things are measured there: times, memory, recall.

Vectors x = unit(0.6 c_k + 0.9 U z + 0.35 e) with 1000 random unit centres c_k and U an orthonormal basis of a
128-dimensional subspace (of half the dimension where that is less); queries unit(x_i + 0.8 U z' + 0.9 e').
Everything is made and read in blocks: memory does not grow with the number of chips.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.configs import IndexConfig
from geolocator_gui.events import finish
from geolocator_gui.geo.area import area_from_circle
from geolocator_gui.ml.index import Index, Manifest
from geolocator_gui.ml.index.cells import Cells
from geolocator_gui.ml.index.finish import finish_index
from geolocator_gui.ml.index.manifest import ImageryRecord, write_manifest
from geolocator_gui.ml.index.plan import make_grids, part_of
from geolocator_gui.ml.index.search import exact_search
from geolocator_gui.ml.index.segments import CELL, BatchWriter

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
QUERIES = 64


def unit(vectors: Floats) -> Floats:
    """Rows of length 1."""
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


class Recipe:
    """The distribution of vectors and queries."""

    def __init__(self, dimension: int) -> None:
        self.random = np.random.default_rng(7)
        self.dimension = dimension
        self.centres = unit(self.normal(1000, dimension))
        inner = min(128, dimension // 2)
        self.basis = np.linalg.qr(self.normal(dimension, inner))[0].T.astype(np.float32)

    def normal(self, *shape: int) -> Floats:
        """Independent normal values."""
        return self.random.standard_normal(shape, dtype=np.float32)

    def inside(self, count: int) -> Floats:
        """Unit vectors of the subspace."""
        return unit(self.normal(count, len(self.basis))) @ self.basis

    def vectors(self, count: int) -> Floats:
        """What an index holds."""
        centres = self.centres[self.random.integers(0, len(self.centres), count)]
        noise = unit(self.normal(count, self.dimension))
        return unit(0.6 * centres + 0.9 * self.inside(count) + 0.35 * noise)

    def queries(self, vectors: Floats) -> Floats:
        """Photos of those places."""
        noise = unit(self.normal(len(vectors), self.dimension))
        return unit(vectors + 0.8 * self.inside(len(vectors)) + 0.9 * noise)


def make_index(folder: Path, count: int, dimension: int) -> dict[str, float]:
    """An index folder of invented vectors on a real grid, through the same writer; seconds by name."""
    recipe = Recipe(dimension)
    side, overlap = 80.0, 0.5
    radius = side * (1 - overlap) * np.sqrt(count / np.pi)
    grid = make_grids(area_from_circle(10.0, 50.0, float(radius) * 1.002), side, overlap, (1,))[0][0]
    settings = IndexConfig(imagery=("invented",), batch_size=4096)
    fields = {"name": "invented", "embedding_size": dimension, "satellite_source_px": 96}
    manifest = Manifest(
        state="building",
        fingerprint="0" * 64,
        model=fields,
        imagery=(ImageryRecord(source="invented", name="invented", kind="none"),),
        parts=(part_of(grid, side, settings, (0,)),),
    )
    write_manifest(folder, manifest)
    cells = Cells(folder, manifest)
    writer = BatchWriter(folder, 0, dimension)
    spent = 0.0
    for number in range(cells.batches):
        chips, _ = cells.chips(number)
        vectors = recipe.vectors(len(chips)).astype(np.float16)
        records = np.zeros(len(chips), dtype=CELL)
        records["cell"] = chips.ids
        begin = time.perf_counter()
        writer.commit(vectors, records, {})
        spent += time.perf_counter() - begin
    writer.close()
    begin = time.perf_counter()
    finish(finish_index(folder, manifest, cells, {}))
    return {"commit": spent, "finish": time.perf_counter() - begin}


@dataclass(frozen=True)
class Task:
    """What every way of searching is asked: queries (Q, D) unit, the rows of the ten nearest (Q, 10)."""

    index: Index
    queries: Floats
    truth: Rows


def make_task(folder: Path, index: Index) -> Task:
    """Queries and what exact search finds for them, kept in `folder` for the next part."""
    file = folder / "task.npz"
    if file.exists():
        held = np.load(file)
        if int(held["count"]) == index.count and held["queries"].shape[1] == index.manifest.dimension:
            return Task(index, held["queries"], held["truth"])
    rows = np.random.default_rng(1).integers(0, index.count, QUERIES)
    queries = Recipe(index.manifest.dimension).queries(index.vectors.take(rows).astype(np.float32))
    truth = exact_search(index.vectors, queries, 10)[1]
    np.savez(file, count=index.count, queries=queries, truth=truth)
    return Task(index, queries, truth)


def best_of(work: Callable[[], object], rounds: int = 5) -> float:
    """The least of some wall times in seconds, after one to warm up."""
    work()
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def recall(truth: Rows, found: Rows) -> float:
    """recall@10."""
    pairs = zip(truth.tolist(), found.tolist(), strict=True)
    return float(np.mean([len(set(a) & set(b)) / len(a) for a, b in pairs]))


def resident() -> int:
    """Bytes of memory that are not a mapped file; the most there ever were where the system does not say."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


class MemoryLimit:
    """Watches the process from a thread and ends it before it takes more memory than it may.

    faiss and torch let other threads run while they work, so nothing they allocate goes unseen for long.

    Attributes:
        peak: The most bytes seen, mapped files not counted.
    """

    def __init__(self, gigabytes: float) -> None:
        self._most = int(gigabytes * 1e9)
        self._over = threading.Event()
        self.peak = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> MemoryLimit:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.peak = max(self.peak, resident())
            if self.peak > self._most:
                print(
                    f"ended: {self.peak / 1e9:.1f} GB of memory are more than --memory-gb "
                    f"{self._most / 1e9:.1f}; run this part with fewer chips, or allow more",
                    file=sys.stderr,
                    flush=True,
                )
                os._exit(3)


def say(name: str, value: str) -> None:
    """One row of the table."""
    print(f"  {name:<52} {value}", flush=True)
