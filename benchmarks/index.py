"""The index by itself: `python -m benchmarks.index [--chips N] [--dimension D] [--folder DIR] [--part …]`.

Prints opening, single and 32 queries, recall@10 against exact search, a filtered search, the build of the
search structure with its memory, bytes per chip; and beside them the plain peers: a torch bf16 product with
re-scoring, `faiss.IndexFlatIP` loaded from disk, and HNSW with 64 links (as the published state-wide system
uses). Vectors and queries are invented (see `index_invented`). Defaults to 100 001 chips, the fewest that use
the structure; 1 000 000 is the full run, 10 000 000 with --dimension 64 the largest.

With --folder the parts can be run one by one (`--part make`, then `--part ours --part structure`, …), each a
process that is bounded in memory (--memory-gb) and, for the long build of HNSW, in time (--seconds: the same
command continues it).

`--build` instead times building: wall time against the encoder's own time, on the shipped demo town.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import index_peers
from benchmarks.index_invented import (
    MemoryLimit,
    Recipe,
    Task,
    best_of,
    make_index,
    make_task,
    recall,
    resident,
    say,
)
from geolocator_gui.configs import IndexConfig
from geolocator_gui.geo.area import area_from_circle
from geolocator_gui.ml.index import Index, build_index
from geolocator_gui.ml.index.quick import build_search
from geolocator_gui.ml.index.search import exact_search
from geolocator_gui.paths import demo_dir

__all__ = ["Recipe", "main", "make_index", "recall"]

PARTS = ("make", "ours", "structure", "torch", "flat", "hnsw")
_HNSW_UP_TO = 200_000


def threads() -> str:
    """How many threads search with."""
    import faiss
    import torch

    return f"faiss with {faiss.omp_get_max_threads()} threads, torch with {torch.get_num_threads()}"


def batch32_ms(task: Task) -> float:
    """Wall time of 32 queries."""
    return 1e3 * best_of(lambda: task.index.search(task.queries[:32], 10))


def ours(task: Task, report: dict[str, float]) -> None:
    """Opening and searching the index."""
    folder, queries = task.index.folder, task.queries
    report["open_ms"] = 1e3 * best_of(lambda: Index.open(folder))
    say("open", f"{report['open_ms']:.1f} ms")
    index = Index.open(folder)
    begin = time.perf_counter()
    index.search(queries[:1], 10)
    report["first_search_ms"] = 1e3 * (time.perf_counter() - begin)
    say("first search after opening", f"{report['first_search_ms']:.1f} ms")
    turn = iter(range(10**9))
    number = len(queries)
    report["single_ms"] = 1e3 * best_of(lambda: index.search(queries[next(turn) % number][None], 10), 20)
    say("one query", f"{report['single_ms']:.1f} ms")
    report["batch32_ms"] = batch32_ms(task)
    say("32 queries", f"{report['batch32_ms']:.0f} ms")
    one_by_one = np.concatenate([index.search(query[None], 10)[1] for query in queries])
    report["recall_at_10"] = recall(task.truth, one_by_one)
    report["batch_recall_at_10"] = recall(task.truth, index.search(queries, 10)[1])
    say(
        "recall@10 against exact search",
        f"{report['recall_at_10']:.4f} one by one, {report['batch_recall_at_10']:.4f} many at once",
    )
    report["exact_single_ms"] = 1e3 * best_of(lambda: exact_search(index.vectors, queries[:1], 10), 2)
    say("one query, exact over every chip", f"{report['exact_single_ms']:.1f} ms")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    report["bytes_per_chip"] = size / index.count
    say("on disk", f"{report['bytes_per_chip']:.0f} bytes per chip")
    filtered(index, queries[:32], report)


def filtered(index: Index, queries: np.ndarray, report: dict[str, float]) -> None:
    """Searching within a circle that holds about a third of the chips."""
    centre = index.chips.lon[index.count // 2], index.chips.lat[index.count // 2]
    radius = 80 * 0.5 * np.sqrt(index.count * 0.3 / np.pi)
    mask = index.within([area_from_circle(*centre, float(radius)).geometry])
    masked = exact_search(index.vectors, queries, 10, mask)[1]
    report["filtered_share"] = float(mask.mean())
    report["filtered_recall_at_10"] = recall(masked, index.search(queries, 10, mask)[1])
    report["filtered_single_ms"] = 1e3 * best_of(lambda: index.search(queries[:1], 10, mask), 3)
    say(
        f"one query within a circle ({report['filtered_share']:.0%} of the chips)",
        f"{report['filtered_single_ms']:.1f} ms   recall@10 {report['filtered_recall_at_10']:.4f}",
    )


def structure(index: Index, report: dict[str, float]) -> None:
    """Building the search structure anew, and what it takes in memory."""
    before, peak = resident(), 0
    begin = time.perf_counter()
    for _ in build_search(index.folder, index.manifest, "again.faiss"):
        peak = max(peak, resident() - before)
    report["structure_seconds"] = time.perf_counter() - begin
    report["structure_resident_mb"] = peak / 1e6
    (index.folder / "again.faiss").unlink(missing_ok=True)
    say(
        "building the search structure",
        f"{report['structure_seconds']:.1f} s, {report['structure_resident_mb']:.0f} MB beyond the vectors",
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


def run_parts(options: argparse.Namespace, folder: Path, report: dict[str, float]) -> None:
    """The parts asked for, in their order."""
    parts = options.part or [part for part in PARTS if part in PARTS[:3] or not options.no_peers]
    place = folder / "index"
    if not Index.is_finished(place):
        if "make" not in parts:
            raise SystemExit(f"there is no index in {place}; make it with --part make")
        shutil.rmtree(place, ignore_errors=True)
        (folder / "task.npz").unlink(missing_ok=True)
        seconds = make_index(place, options.chips, options.dimension)
        say("committing, finishing", f"{seconds['commit']:.1f} s, {seconds['finish']:.1f} s")
    index = Index.open(place)
    print(f"{index.count:,} chips of {index.manifest.dimension} dimensions, {threads()}", flush=True)
    task = make_task(folder, index)
    for part in parts:
        if part == "ours":
            ours(task, report)
        elif part == "structure":
            structure(index, report)
        elif part == "torch":
            index_peers.torch_product(task, report.get("batch32_ms") or batch32_ms(task), report)
        elif part == "flat":
            index_peers.flat(task, folder, report)
        elif part == "hnsw" and (index.count <= _HNSW_UP_TO or options.part):
            index_peers.hnsw(task, folder, options.seconds, options.memory_gb, report)
        elif part == "hnsw":
            say("peer HNSW64", f"beyond {_HNSW_UP_TO:,} chips only with --part hnsw: it takes long")


def main() -> None:
    """Parse the arguments and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chips", type=int, default=100_001)
    parser.add_argument("--dimension", type=int, default=1024)
    parser.add_argument(
        "--folder", type=Path, help="where to work, and what to go on with; a temporary folder if not given"
    )
    parser.add_argument(
        "--part",
        choices=PARTS,
        action="append",
        help="only this, several times for several; all if not given",
    )
    parser.add_argument("--no-peers", action="store_true", help="only make, ours and structure")
    parser.add_argument("--memory-gb", type=float, default=12.0, help="end before taking more (default 12)")
    parser.add_argument("--seconds", type=float, help="build HNSW at most so long in this call")
    parser.add_argument("--build", action="store_true", help="time a build of the demo town instead")
    parser.add_argument("--model", default="demo-town", help="of --build")
    parser.add_argument("--overlap", type=float, default=0.75, help="of --build")
    parser.add_argument("--json", type=Path, help="add the figures to this file")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="geolocator-index-"))
    folder.mkdir(parents=True, exist_ok=True)
    report: dict[str, float] = {}
    begin = time.perf_counter()
    try:
        with MemoryLimit(options.memory_gb) as memory:
            if options.build:
                build_time(folder, report, options.model, options.overlap)
            else:
                run_parts(options, folder, report)
    finally:
        if options.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    say("the whole of this call", f"{time.perf_counter() - begin:.0f} s, at most {memory.peak / 1e9:.2f} GB")
    if options.json:
        held = json.loads(options.json.read_text()) if options.json.exists() else {}
        options.json.write_text(json.dumps(held | report, indent=1) + "\n")


if __name__ == "__main__":
    main()
