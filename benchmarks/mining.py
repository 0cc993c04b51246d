"""What mining costs beside the bare matrix product: `python -m benchmarks.mining` (--help lists the parts).

Vectors: chips are random unit vectors, a photo is its chip at cosine 0.7 +- 0.1, so that ranks are what a
good model gives; `--random` makes photos strangers of their chips, so that ranks are anything. Positions are
uniform over a degree. Part `pass`: the product and the pass that gives neighbours and ranks, timed in turn,
2560 photos at a time. Part `whole`: the whole mining (geographic lists with their ranks, flags, tables,
projection) between two halves of the product. Each part stands alone, so that the full size can be taken in
sittings of some minutes. Seconds are of the clock, and of the processor for machines that have other things
to do. Memory is the growth of the process's peak beyond the vectors.

Part `published`, at a size that fits: the whole similarity matrix, ranked row by row in a Python loop, and a
second product with a sort of the best per query; neighbours by position from the whole haversine matrix.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from geolocator_gui.events import finish
from geolocator_gui.ml.mining.mine import mine
from geolocator_gui.ml.mining.parts import MiningData
from geolocator_gui.ml.neighbours import neighbours_by_position
from geolocator_gui.ml.ranks import stream_ranks

PARTS = ("pass", "whole", "published")
K = 128
ROWS, CHUNK = 640, 2560


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--queries", type=int, default=50_000)
    parser.add_argument("--chips", type=int, default=50_000)
    parser.add_argument("--size", type=int, default=1024, help="length of a vector")
    parser.add_argument("--published", type=int, default=10_000, help="pairs for the published way")
    parser.add_argument("--random", action="store_true", help="photos are strangers of their chips")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path, help="figures are added to those that the file has")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    print(
        f"{torch.get_num_threads()} threads, {options.queries:,} x {options.chips:,} x {options.size}, k {K}",
        flush=True,
    )
    figures: dict[str, float] = {}
    if {"pass", "whole"} & set(options.part):
        data = planted(options.queries, options.chips, options.size, strangers=options.random)
        if "pass" in options.part:
            figures |= one_pass(data)
        if "whole" in options.part:
            figures |= whole_run(data)
        del data
    if "published" in options.part:
        figures |= published_way(options.published, options.size)
    if options.json:
        known = json.loads(options.json.read_text()) if options.json.exists() else {}
        options.json.write_text(json.dumps(known | vars(options) | figures, indent=2, default=str) + "\n")


def planted(queries: int, chips: int, size: int, *, strangers: bool) -> MiningData:
    """Seeded vectors and positions."""
    rng = np.random.default_rng(0)
    references = rng.standard_normal((chips, size), np.float32)
    references /= np.linalg.norm(references, axis=1, keepdims=True)
    photos = rng.standard_normal((queries, size), np.float32)
    photos /= np.linalg.norm(photos, axis=1, keepdims=True)
    positive = np.arange(queries) % chips
    if not strangers:
        for start in range(0, queries, 4096):
            part = slice(start, start + 4096)
            cosine = np.clip(rng.normal(0.7, 0.1, len(photos[part])), -0.99, 0.99).astype(np.float32)[:, None]
            photos[part] = cosine * references[positive[part]] + np.sqrt(1 - cosine**2) * photos[part]
            photos[part] /= np.linalg.norm(photos[part], axis=1, keepdims=True)
    return MiningData(
        query_vectors=photos,
        chip_vectors=references,
        query_ids=np.array([f"photo:{row:07d}" for row in range(queries)]),
        chip_ids=np.array([f"chip:{row:07d}" for row in range(chips)]),
        positive=positive,
        chip_lonlat=np.array([8.0, 47.0]) + rng.random((chips, 2)),
        side_m=80.0,
    )


def one_pass(data: MiningData) -> dict[str, float]:
    """The bare product against neighbours with ranks, in turn."""
    before = peak_mb()
    bare, close = np.zeros(2), np.zeros(2)
    block = torch.empty((ROWS, len(data.chip_vectors)))
    for start in range(0, len(data.query_vectors), CHUNK):
        stop = min(start + CHUNK, len(data.query_vectors))
        bare += timed(partial(product, data, block, start, stop))
        close += timed(partial(neighbours_and_ranks, data, start, stop))
    memory = peak_mb() - before
    say("bare matrix product, in blocks", bare, bare)
    say(f"neighbours ({K}) and ranks", close, bare)
    print(f"{'memory beyond the vectors':<50}{memory:8.0f} MB", flush=True)
    return {**named("product", bare), **named("neighbours", close), "pass_memory_mb": memory}


def whole_run(data: MiningData) -> dict[str, float]:
    """The whole mining, between two halves of the bare product."""
    before, count = peak_mb(), len(data.query_vectors)
    block = torch.empty((ROWS, len(data.chip_vectors)))
    bare = timed(lambda: product(data, block, 0, count // 2))
    with tempfile.TemporaryDirectory() as folder:
        whole = timed(lambda: finish(mine(data, Path(folder), neighbours=K)))
        size = (Path(folder) / "negatives.parquet").stat().st_size / 1e6
    bare += timed(lambda: product(data, block, count // 2, count))
    memory = peak_mb() - before
    say("bare matrix product, in blocks", bare, bare)
    say("whole mining: lists, flags, tables, projection", whole, bare)
    print(f"{'memory beyond the vectors':<50}{memory:8.0f} MB;  negatives.parquet {size:.0f} MB", flush=True)
    return {**named("product_beside_whole", bare), **named("whole", whole), "memory_mb": memory}


def product(data: MiningData, block: torch.Tensor, start: int, stop: int) -> None:
    """Every similarity of some photos once, nothing read from it."""
    query, reference = torch.from_numpy(data.query_vectors), torch.from_numpy(data.chip_vectors)
    for first in range(start, stop, ROWS):
        part = query[first : min(first + ROWS, stop)]
        torch.mm(part, reference.T, out=block[: len(part)])


def neighbours_and_ranks(data: MiningData, start: int = 0, stop: int | None = None) -> None:
    """The one pass that evaluation and mining need."""
    for _ in stream_ranks(
        data.query_vectors, data.chip_vectors, k=K, positive=data.positive, start=start, stop=stop
    ):
        pass


def published_way(count: int, size: int) -> dict[str, float]:
    """Whole matrices, a Python loop over rows, a second product, a haversine matrix; and ours beside."""
    data = planted(count, count, size, strangers=False)
    query, reference = torch.from_numpy(data.query_vectors), torch.from_numpy(data.chip_vectors)
    lonlat = data.chip_lonlat
    assert lonlat is not None

    def rank_and_mine() -> None:
        similarity = query @ reference.T
        for row in range(count):
            (similarity[row] > similarity[row, row]).sum()
        again = query @ reference.T
        best = torch.topk(again, K + 1, dim=1).indices
        lists = {row: [int(one) for one in best[row] if one != row][:K] for row in range(count)}
        assert len(lists) == count

    def by_position() -> None:
        radians = np.radians(lonlat)
        apart = np.sin((radians[:, None, 1] - radians[None, :, 1]) / 2) ** 2
        apart += (
            np.cos(radians[:, None, 1])
            * np.cos(radians[None, :, 1])
            * np.sin((radians[:, None, 0] - radians[None, :, 0]) / 2) ** 2
        )
        near = np.argsort(2 * np.arcsin(np.sqrt(apart)), axis=1)[:, 1 : K + 1]
        assert near.shape == (count, K)

    print(f"\nThe published way, {count:,} pairs")
    own = timed(lambda: neighbours_and_ranks(data))
    theirs = timed(rank_and_mine)
    say("ranks and similar neighbours, published", theirs, own)
    say("the same here", own, own)
    tree = timed(lambda: neighbours_by_position(lonlat, k=K))
    matrix = timed(by_position)
    say("neighbours by position, published", matrix, tree)
    say("the same here", tree, tree)
    return {
        "published_pairs": count,
        **named("published_ranks", theirs),
        **named("own_ranks", own),
        **named("published_position", matrix),
        **named("own_position", tree),
    }


def timed(work: Callable[[], object]) -> NDArray[np.float64]:
    """Seconds of the clock and of the processor of one call."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return np.array([time.perf_counter() - clock, time.process_time() - processor])


def named(name: str, seconds: NDArray[np.float64]) -> dict[str, float]:
    """For the JSON file."""
    return {f"{name}_s": float(seconds[0]), f"{name}_cpu_s": float(seconds[1])}


def peak_mb() -> float:
    """Largest resident size of this process so far, MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1024)


def say(what: str, seconds: NDArray[np.float64], unit: NDArray[np.float64]) -> None:
    """One line: seconds, and how many times the unit, by the clock and by the processor."""
    times = seconds / unit
    print(
        f"{what:<50}{seconds[0]:8.2f} s {times[0]:6.2f}x   processor {seconds[1]:8.2f} s {times[1]:6.2f}x",
        flush=True,
    )


if __name__ == "__main__":
    main()
