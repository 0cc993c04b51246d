"""The plain peers of `benchmarks.index`: a torch product, `faiss.IndexFlatIP`, HNSW with 64 links."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.index_invented import Rows, Task, best_of, recall, say

_BLOCK = 32_768


def torch_product(task: Task, ours_ms: float, report: dict[str, float]) -> None:
    """32 queries by a bf16 product over vectors that are in memory as bf16, and re-scoring of 100."""
    import torch

    index, queries = task.index, task.queries
    held = torch.empty((index.count, index.manifest.dimension), dtype=torch.bfloat16)
    for start, block in index.vectors.blocks(_BLOCK):
        held[start : start + len(block)] = torch.from_numpy(np.array(block)).bfloat16()
    wanted = torch.from_numpy(queries[:32])

    def search() -> Rows:
        rough = torch.topk(wanted.bfloat16() @ held.T, 100, dim=1).indices.numpy()
        best = []
        for query, rows in zip(queries[:32], rough, strict=True):
            scores = index.vectors.take(rows).astype(np.float32) @ query
            best.append(rows[np.argsort(-scores)[:10]])
        return np.array(best)

    report["torch_bf16_batch32_ms"] = 1e3 * best_of(search, 3)
    report["torch_bf16_recall_at_10"] = recall(task.truth[:32], search())
    say(
        "peer torch bf16 product + re-scoring, 32 queries",
        f"{report['torch_bf16_batch32_ms']:.0f} ms   recall@10 {report['torch_bf16_recall_at_10']:.4f}   "
        f"ours / torch {ours_ms / report['torch_bf16_batch32_ms']:.2f}",
    )


def flat(task: Task, folder: Path, report: dict[str, float]) -> None:
    """`IndexFlatIP`: built, saved, loaded, searched."""
    import faiss

    built = faiss.IndexFlatIP(task.index.manifest.dimension)
    _reserve(built, task.index.count)
    begin = time.perf_counter()
    for _, block in task.index.vectors.blocks(_BLOCK):
        built.add(block.astype(np.float32))
    report["flat_build_seconds"] = time.perf_counter() - begin
    path = folder / "flat.peer"
    faiss.write_index(built, str(path))
    del built
    _search("flat", "peer IndexFlatIP", path, task, report)
    path.unlink()


def hnsw(task: Task, folder: Path, seconds: float | None, most_gb: float, report: dict[str, float]) -> bool:
    """HNSW64; its long build goes on where the last call left it.

    Args:
        task: What is asked.
        folder: Where the unfinished graph waits.
        seconds: How long to build at most before it is put aside; None to the end.
        most_gb: Memory that may be used.
        report: For the figures.

    Returns:
        Whether it is whole, and was measured.
    """
    import faiss

    count, dimension = task.index.count, task.index.manifest.dimension
    path, notes = folder / "hnsw.peer", folder / "hnsw.json"
    # Vectors as float32 and 130 links of 4 bytes, twice: growing copies them.
    needed = 2 * count * (4 * dimension + 4 * 130) / 1e9
    if needed > most_gb:
        say("peer HNSW64", f"not built: it takes {needed:.0f} GB, --memory-gb allows {most_gb:g}")
        return False
    spent = 0.0
    built: Any
    if path.exists():
        built = faiss.read_index(str(path))
        spent = float(json.loads(notes.read_text())["seconds"])
    else:
        built = faiss.IndexHNSWFlat(dimension, 64, faiss.METRIC_INNER_PRODUCT)
    if built.ntotal < count:
        _reserve(faiss.downcast_index(built.storage), count)
        begin = time.perf_counter()
        for start in range(built.ntotal, count, _BLOCK // 4):
            built.add(task.index.vectors[start : start + _BLOCK // 4].astype(np.float32))
            if seconds is not None and time.perf_counter() - begin > seconds:
                break
        spent += time.perf_counter() - begin
        scratch = path.with_suffix(".partial")
        faiss.write_index(built, str(scratch))
        scratch.replace(path)
        notes.write_text(json.dumps({"seconds": spent, "chips": built.ntotal}))
    done = built.ntotal
    del built
    if done < count:
        left = spent / done * (count - done)
        say(
            "peer HNSW64",
            f"{done:,} of {count:,} chips in {spent:.0f} s, at least {left:.0f} s left: "
            "the same command continues",
        )
        return False
    report["hnsw_build_seconds"] = spent
    _search("hnsw", "peer HNSW64", path, task, report)
    return True


def _reserve(built: Any, count: int) -> None:
    """Make room for all vectors at once: growing step by step would hold them twice."""
    size = built.codes.size()
    built.codes.resize(count * built.code_size)
    built.codes.resize(size)


def _search(name: str, title: str, path: Path, task: Task, report: dict[str, float]) -> None:
    """Load from disk and search."""
    import faiss

    begin = time.perf_counter()
    loaded = faiss.read_index(str(path))
    report[f"{name}_open_ms"] = 1e3 * (time.perf_counter() - begin)
    report[f"{name}_bytes_per_chip"] = path.stat().st_size / task.index.count
    say(
        title,
        f"build {report[f'{name}_build_seconds']:.1f} s, open {report[f'{name}_open_ms']:.0f} ms, "
        f"{report[f'{name}_bytes_per_chip']:.0f} bytes per chip",
    )
    queries = task.queries
    for effort in (128, 512) if name == "hnsw" else (0,):
        key = f"{name}{effort or ''}"
        if effort:
            loaded.hnsw.efSearch = effort
        report[f"{key}_single_ms"] = 1e3 * best_of(lambda: loaded.search(queries[:1], 10), 3)
        report[f"{key}_batch32_ms"] = 1e3 * best_of(lambda: loaded.search(queries[:32], 10), 2)
        report[f"{key}_recall_at_10"] = recall(task.truth, loaded.search(queries, 10)[1])
        say(
            title + (f", efSearch {effort}" if effort else ""),
            f"one query {report[f'{key}_single_ms']:.1f} ms, 32 {report[f'{key}_batch32_ms']:.0f} ms, "
            f"recall@10 {report[f'{key}_recall_at_10']:.4f}",
        )
