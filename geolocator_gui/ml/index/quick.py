"""Quick search in large indexes: RaBitQ codes find candidates, the float16 vectors rank them exactly.

RaBitQ (Gao and Long, SIGMOD 2024) keeps one bit per dimension, as faiss implements it. Up to one and a half
million chips all codes are scanned (11 ms of a core per million of 1024 dimensions, and no training); beyond,
an inverted file narrows the scan. Candidates are re-ranked with the stored vectors, so the scores of matches
are exact. On macOS faiss and torch abort in one process (each brings
its own OpenMP), so there the search is exact throughout.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import IndexFolderError
from geolocator_gui.events import Note, Pace, Steps
from geolocator_gui.ml.index import durable
from geolocator_gui.ml.index.manifest import SEARCH_FILE, Manifest
from geolocator_gui.ml.index.search import exact_search, top_of
from geolocator_gui.ml.index.segments import Floats, Rows, Vectors

log = logging.getLogger(__name__)

EXACT_UP_TO = 100_000
FLAT_UP_TO = 1_500_000
_BLOCK = 32_768
# Bits per dimension of a query's own code, and candidates re-ranked: fewer bits scan quicker and need more
# candidates, which pays for many queries at once (measured at 10^6 chips of 1024 dimensions).
_FEW, _MANY = (4, 400), (2, 600)
_MANY_QUERIES = 16
_GATHER = 20_000
_PER_LIST = 40
_TRAINING_BYTES = 600_000_000


def _faiss() -> Any:
    import faiss

    return faiss


def wants_structure(count: int) -> bool:
    """Whether an index of this size is searched through a structure."""
    return count > EXACT_UP_TO and sys.platform != "darwin"


def bits_per_dimension(dimension: int) -> int:
    """Bits of a code per dimension: short vectors need more for the candidates to be the right ones."""
    if dimension >= 384:
        return 1
    return 2 if dimension >= 192 else 4


def build_search(folder: Path, manifest: Manifest, name: str = SEARCH_FILE) -> Steps[None]:
    """Make the search structure where the size of the index asks for one; an old one goes if not.

    Memory beyond the mapped vectors: the codes, and at most 0.6 GB of training vectors.
    """
    path = folder / name
    if not wants_structure(manifest.count):
        if path.exists():
            durable.remove(path)
        return
    faiss = _faiss()
    vectors = Vectors(folder, manifest.segments, manifest.dimension)
    index = _empty(len(vectors), manifest.dimension)
    sample = _sample(vectors, index)
    yield Note(f"Building the search structure of {len(vectors):,} chips.")
    index.train(sample)
    del sample
    pace = Pace("Building the search structure", len(vectors), "chips")
    for start, block in vectors.blocks(_BLOCK):
        index.add(block.astype(np.float32))
        yield from pace.at(start + len(block))
    if isinstance(index, faiss.IndexIVF):
        index.nprobe = yield from _tuned(index, vectors)
    scratch = durable.scratch_of(path)
    try:
        faiss.write_index(index, str(scratch))
    except RuntimeError as error:
        raise durable.explain(OSError(28, str(error)), path) from error
    durable.put_in_place(scratch, path)


def _empty(count: int, dimension: int) -> Any:
    faiss = _faiss()
    bits = bits_per_dimension(dimension)
    if count <= FLAT_UP_TO:
        flat = faiss.IndexRaBitQ(dimension, faiss.METRIC_INNER_PRODUCT, bits)
        flat.qb = _FEW[0]
        return flat
    lists = 1 << round(np.log2(1.3 * np.sqrt(count)))
    coarse = faiss.IndexFlatIP(dimension)
    index = faiss.IndexIVFRaBitQ(coarse, dimension, lists, faiss.METRIC_INNER_PRODUCT, True, bits)
    index.qb = _FEW[0]
    index.own_fields = True
    coarse.this.disown()
    index.cp.niter, index.cp.seed = 6, 1234
    index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 1, _PER_LIST
    index.cp.spherical = True
    return index


def _sample(vectors: Vectors, index: Any) -> Floats:
    """Vectors spread over the index, as many as training uses."""
    most = _TRAINING_BYTES // (4 * vectors.dimension)
    wanted = min(most, len(vectors), _PER_LIST * getattr(index, "nlist", 1000))
    rows = np.linspace(0, len(vectors) - 1, wanted).astype(np.int64)
    return vectors.take(np.unique(rows)).astype(np.float32)


def _tuned(index: Any, vectors: Vectors) -> Steps[int]:
    """The fewest lists to visit for a recall@10 of 0.99 on queries that are as unlike as photos are."""
    random = np.random.default_rng(0)
    rows = random.integers(0, len(vectors), 48)
    queries = vectors.take(rows).astype(np.float32)
    noise = random.standard_normal(queries.shape, dtype=np.float32)
    queries += 1.2 * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    _, truth = exact_search(vectors, queries, 10)
    probes = 16
    while probes < index.nlist:
        index.nprobe = probes
        _, found = index.search(queries, _FEW[1])
        _, best = rerank(vectors, queries, found, 10)
        right = [len(set(a) & set(b)) / 10 for a, b in zip(truth.tolist(), best.tolist(), strict=True)]
        yield Note(f"Visiting {probes} of {index.nlist} lists finds {np.mean(right):.1%} of the ten nearest.")
        if np.mean(right) >= 0.992:
            break
        probes *= 2
    return min(probes, int(index.nlist))


def rerank(vectors: Vectors, queries: Floats, found: Rows, k: int) -> tuple[Floats, Rows]:
    """Exact scores of candidates (Q, C), -1 for none, and the `k` best of them."""
    scores = np.full(found.shape, -np.inf, dtype=np.float32)
    for number, rows in enumerate(found):
        held = np.sort(rows[rows >= 0])  # in file order: neighbours share pages
        found[number, : len(held)], found[number, len(held) :] = held, -1
        # Not a BLAS product: its pool of threads and faiss's would wait for each other.
        block = vectors.take(held).astype(np.float32)
        scores[number, : len(held)] = np.einsum("cd,d->c", block, queries[number])
    return top_of(scores, found, k)


class QuickSearch:
    """The search structure of an index, opened when it is first needed.

    Args:
        path: Of the structure.
        vectors: Of the index.
    """

    def __init__(self, path: Path, vectors: Vectors) -> None:
        faiss = _faiss()
        self._vectors = vectors
        self._index: Any = _read(path)
        if self._index.ntotal != len(vectors) or self._index.d != vectors.dimension:
            raise IndexFolderError(
                f"the search structure holds {self._index.ntotal} chips, the index {len(vectors)}",
                path=path,
                hint="`geolocator index verify --repair` makes it anew.",
            )
        self._ivf = isinstance(self._index, faiss.IndexIVF)

    def search(self, queries: Floats, k: int, mask: NDArray[np.bool_] | None = None) -> tuple[Floats, Rows]:
        """As `exact_search`; the scores are exact, a match may rarely be missed."""
        allowed = len(self._vectors) if mask is None else int(np.count_nonzero(mask))
        if mask is not None and allowed <= _GATHER:
            return exact_search(self._vectors, queries, k, mask)
        bits, candidates = _MANY if len(queries) >= _MANY_QUERIES else _FEW
        number = min(allowed, max(candidates, 4 * k))
        _, found = self._index.search(queries, number, params=self._parameters(bits, mask, allowed))
        return rerank(self._vectors, queries, np.asarray(found), min(k, allowed))

    def _parameters(self, bits: int, mask: NDArray[np.bool_] | None, allowed: int) -> Any:
        faiss = _faiss()
        kind = faiss.IVFRaBitQSearchParameters if self._ivf else faiss.RaBitQSearchParameters
        parameters = kind()
        parameters.qb = bits
        if self._ivf:
            parameters.nprobe = self._index.nprobe
        if mask is not None:
            # A filter must cost no recall: the fewer chips may be found, the more lists are visited.
            if self._ivf:
                widened = self._index.nprobe * len(self._vectors) / allowed
                parameters.nprobe = int(min(self._index.nlist, np.ceil(widened)))
            packed = np.packbits(mask, bitorder="little")
            parameters.sel = faiss.IDSelectorBitmap(packed)
            parameters.held = packed  # faiss keeps a pointer only
        return parameters


def _read(path: Path) -> Any:
    faiss = _faiss()
    try:
        try:
            return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError:
            # Windows and some file systems cannot map it: a plain read.
            return faiss.read_index(str(path))
    except RuntimeError as error:
        raise IndexFolderError(
            "the search structure cannot be read",
            path=path,
            hint="`geolocator index verify --repair` makes it anew.",
        ) from error
