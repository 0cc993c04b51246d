"""The index by itself: `python -m benchmarks.index [--chips N] [--dimension D] [--folder DIR] [--keep]`.

Vectors x = unit(0.6 c_k + 0.9 U z + 0.35 e) with 1000 random unit centres c_k and U an orthonormal basis of a
128-dimensional subspace (of half the dimension where that is less); queries unit(x_i + 0.8 U z' + 0.9 e').
Prints opening, single and 32 queries, recall@10 against exact search, a filtered search, the build of the
search structure with its memory, bytes per chip; and beside them the plain peers: `faiss.IndexFlatIP` loaded
from disk, HNSW with 64 links (as the published state-wide system uses), and a torch bf16 product with
re-scoring. Defaults to 100 001 chips (the fewest that use the structure); 1 000 000 is the full run.

`--build` instead times building: wall time against the encoder's own time, on the shipped demo town.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.configs import IndexConfig
from geolocator_gui.events import finish
from geolocator_gui.geo.area import area_from_circle
from geolocator_gui.ml.index import Index, Manifest, build_index
from geolocator_gui.ml.index.cells import Cells
from geolocator_gui.ml.index.finish import finish_index
from geolocator_gui.ml.index.manifest import ImageryRecord, write_manifest
from geolocator_gui.ml.index.plan import make_grids, part_of
from geolocator_gui.ml.index.quick import build_search
from geolocator_gui.ml.index.search import exact_search
from geolocator_gui.ml.index.segments import CELL, BatchWriter
from geolocator_gui.paths import demo_dir

Floats = NDArray[np.float32]
_HNSW_UP_TO = 200_000
_QUERIES = 64


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
    batch = 4096
    settings = IndexConfig(imagery=("invented",), batch_size=batch)
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


def best_of(work: Callable[[], object], rounds: int = 5) -> float:
    """The least of some wall times in seconds, after one to warm up."""
    work()
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def recall(truth: NDArray[np.int64], found: NDArray[np.int64]) -> float:
    """recall@10."""
    pairs = zip(truth.tolist(), found.tolist(), strict=True)
    return float(np.mean([len(set(a) & set(b)) / len(a) for a, b in pairs]))


def resident() -> int:
    """Bytes of memory that are not a mapped file."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def threads() -> str:
    """How many threads search with."""
    import faiss
    import torch

    return f"faiss with {faiss.omp_get_max_threads()} threads, torch with {torch.get_num_threads()}"


def say(name: str, value: str) -> None:
    """One row of the table."""
    print(f"  {name:<52} {value}", flush=True)


def ours(folder: Path, report: dict[str, float]) -> tuple[Index, Floats, NDArray[np.int64]]:
    """Opening and searching the index."""
    report["open_ms"] = 1e3 * best_of(lambda: Index.open(folder))
    say("open", f"{report['open_ms']:.1f} ms")
    index = Index.open(folder)
    recipe = Recipe(index.manifest.dimension)
    rows = np.random.default_rng(1).integers(0, index.count, _QUERIES)
    queries = recipe.queries(index.vectors.take(rows).astype(np.float32))
    begin = time.perf_counter()
    index.search(queries[:1], 10)
    report["first_search_ms"] = 1e3 * (time.perf_counter() - begin)
    say("first search after opening", f"{report['first_search_ms']:.1f} ms")
    turn = iter(range(10**9))
    report["single_ms"] = 1e3 * best_of(lambda: index.search(queries[next(turn) % _QUERIES][None], 10), 20)
    say("one query", f"{report['single_ms']:.1f} ms")
    report["batch32_ms"] = 1e3 * best_of(lambda: index.search(queries[:32], 10))
    say("32 queries", f"{report['batch32_ms']:.0f} ms")
    truth = exact_search(index.vectors, queries, 10)[1]
    report["recall_at_10"] = recall(truth, index.search(queries, 10)[1])
    say("recall@10 against exact search", f"{report['recall_at_10']:.4f}")
    report["exact_single_ms"] = 1e3 * best_of(lambda: exact_search(index.vectors, queries[:1], 10), 2)
    say("one query, exact over every chip", f"{report['exact_single_ms']:.1f} ms")
    centre = index.chips.lon[index.count // 2], index.chips.lat[index.count // 2]
    radius = 80 * 0.5 * np.sqrt(index.count * 0.3 / np.pi)
    mask = index.within([area_from_circle(*centre, float(radius)).geometry])
    masked = exact_search(index.vectors, queries[:32], 10, mask)[1]
    report["filtered_share"] = float(mask.mean())
    report["filtered_recall_at_10"] = recall(masked, index.search(queries[:32], 10, mask)[1])
    report["filtered_single_ms"] = 1e3 * best_of(lambda: index.search(queries[:1], 10, mask), 3)
    say(
        f"one query within a circle ({report['filtered_share']:.0%} of the chips)",
        f"{report['filtered_single_ms']:.1f} ms   recall@10 {report['filtered_recall_at_10']:.4f}",
    )
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    report["bytes_per_chip"] = size / index.count
    say("on disk", f"{report['bytes_per_chip']:.0f} bytes per chip")
    return index, queries, truth


def structure(folder: Path, index: Index, report: dict[str, float]) -> None:
    """Building the search structure anew, and what it takes in memory."""
    before, peak = resident(), 0
    begin = time.perf_counter()
    for _ in build_search(folder, index.manifest, "again.faiss"):
        peak = max(peak, resident() - before)
    report["structure_seconds"] = time.perf_counter() - begin
    report["structure_resident_mb"] = peak / 1e6
    (folder / "again.faiss").unlink(missing_ok=True)
    say(
        "building the search structure",
        f"{report['structure_seconds']:.1f} s, {report['structure_resident_mb']:.0f} MB beyond the vectors",
    )


def torch_product(index: Index, queries: Floats, truth: NDArray[np.int64], report: dict[str, float]) -> None:
    """32 queries by a bf16 product over vectors that are in memory as bf16, and re-scoring of 100."""
    import torch

    held = torch.empty((index.count, index.manifest.dimension), dtype=torch.bfloat16)
    for start, block in index.vectors.blocks(65_536):
        held[start : start + len(block)] = torch.from_numpy(np.array(block)).bfloat16()
    wanted = torch.from_numpy(queries[:32])

    def search() -> NDArray[np.int64]:
        rough = torch.topk(wanted.bfloat16() @ held.T, 100, dim=1).indices.numpy()
        best = []
        for query, rows in zip(queries[:32], rough, strict=True):
            scores = index.vectors.take(rows).astype(np.float32) @ query
            best.append(rows[np.argsort(-scores)[:10]])
        return np.array(best)

    report["torch_bf16_batch32_ms"] = 1e3 * best_of(search, 3)
    report["torch_bf16_recall_at_10"] = recall(truth[:32], search())
    say(
        "torch bf16 product + re-scoring, 32 queries",
        f"{report['torch_bf16_batch32_ms']:.0f} ms   recall@10 {report['torch_bf16_recall_at_10']:.4f}   "
        f"ours / torch {report['batch32_ms'] / report['torch_bf16_batch32_ms']:.2f}",
    )


def peer(
    name: str, index: Index, queries: Floats, truth: NDArray[np.int64], folder: Path, report: dict[str, float]
) -> None:
    """A faiss index as one would use it plainly: built, saved, loaded, searched."""
    import faiss

    built = (
        faiss.IndexFlatIP(index.manifest.dimension)
        if name == "flat"
        else faiss.IndexHNSWFlat(index.manifest.dimension, 64, faiss.METRIC_INNER_PRODUCT)
    )
    begin = time.perf_counter()
    for _, block in index.vectors.blocks(32_768):
        built.add(block.astype(np.float32))
    report[f"{name}_build_seconds"] = time.perf_counter() - begin
    path = folder / f"{name}.peer"
    faiss.write_index(built, str(path))
    del built
    begin = time.perf_counter()
    loaded = faiss.read_index(str(path))
    report[f"{name}_open_ms"] = 1e3 * (time.perf_counter() - begin)
    if name != "flat":
        loaded.hnsw.efSearch = 128
    report[f"{name}_single_ms"] = 1e3 * best_of(lambda: loaded.search(queries[:1], 10), 3)
    report[f"{name}_batch32_ms"] = 1e3 * best_of(lambda: loaded.search(queries[:32], 10), 2)
    report[f"{name}_recall_at_10"] = recall(truth[:32], loaded.search(queries[:32], 10)[1])
    report[f"{name}_bytes_per_chip"] = path.stat().st_size / index.count
    path.unlink()
    say(
        f"peer {'IndexFlatIP' if name == 'flat' else 'HNSW64, efSearch 128'}",
        f"build {report[f'{name}_build_seconds']:.1f} s, open {report[f'{name}_open_ms']:.0f} ms, "
        f"one {report[f'{name}_single_ms']:.1f} ms, 32 {report[f'{name}_batch32_ms']:.0f} ms, "
        f"recall@10 {report[f'{name}_recall_at_10']:.4f}, "
        f"{report[f'{name}_bytes_per_chip']:.0f} bytes per chip",
    )


def build_time(folder: Path, report: dict[str, float], model: str, overlap: float) -> None:
    """Wall time of a build against the encoder's own time for the same chips."""
    config = IndexConfig(imagery=(str(demo_dir() / "town.mbtiles"),), model=model, overlap=overlap)
    peak = resident()
    begin = time.perf_counter()
    for _ in build_index(config, folder):
        peak = max(peak, resident())
    index = Index.open(folder)
    timings = index.manifest.timings
    report["build_chips"] = index.count
    report["build_wall_s"] = time.perf_counter() - begin
    report["build_embedding_s"], report["build_encoder_s"] = timings["embedding"], timings["encoder"]
    report["build_resident_mb"] = peak / 1e6
    say(
        f"building {index.count:,} chips of the demo town",
        f"wall {report['build_wall_s']:.1f} s, embedding {timings['embedding']:.1f} s, "
        f"encoder {timings['encoder']:.1f} s, embedding / encoder "
        f"{timings['embedding'] / timings['encoder']:.2f}, {peak / 1e6:.0f} MB",
    )


def main() -> None:
    """Parse the arguments and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chips", type=int, default=100_001)
    parser.add_argument("--dimension", type=int, default=1024)
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder if not given")
    parser.add_argument("--keep", action="store_true", help="use the index that is there, and leave it")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--hnsw", action="store_true", help="build HNSW however long it takes")
    parser.add_argument("--build", action="store_true", help="time a build of the demo town instead")
    parser.add_argument("--model", default="demo-town")
    parser.add_argument("--overlap", type=float, default=0.75)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="geolocator-index-"))
    folder.mkdir(parents=True, exist_ok=True)
    report: dict[str, float] = {}
    try:
        if options.build:
            build_time(folder, report, options.model, options.overlap)
        else:
            if not (options.keep and Index.is_finished(folder)):
                seconds = make_index(folder, options.chips, options.dimension)
                say("committing, finishing", f"{seconds['commit']:.1f} s, {seconds['finish']:.1f} s")
            manifest = Index.open(folder).manifest
            print(f"{manifest.count:,} chips of {manifest.dimension} dimensions, {threads()}", flush=True)
            index, queries, truth = ours(folder, report)
            structure(folder, index, report)
            if not options.no_peers:
                torch_product(index, queries, truth, report)
                peer("flat", index, queries, truth, folder, report)
                if index.count <= _HNSW_UP_TO or options.hnsw:
                    peer("hnsw", index, queries, truth, folder, report)
                else:
                    say("peer HNSW64", f"not built beyond {_HNSW_UP_TO:,} chips unless --hnsw is given")
    finally:
        if not options.keep and options.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
