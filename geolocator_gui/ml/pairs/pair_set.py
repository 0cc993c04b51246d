"""Pairs to evaluate and mine: what a source must say, and their vectors, embedded once and kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import DataError
from geolocator_gui.events import Note, Pace, Steps
from geolocator_gui.ml.datasets import PairData, open_pairs
from geolocator_gui.ml.encoder import Encoder
from geolocator_gui.ml.transforms import Pixels, prepare
from geolocator_gui.records import View
from geolocator_gui.workspace import write_atomically

_BLOCK = 64
_THREADS = 2


class PairSet(Protocol):
    """Queries, references and what belongs together."""

    @property
    def name(self) -> str:
        """Short name of the data ("cvusa", a folder's name): the first part of stable ids."""
        ...

    @property
    def query_view(self) -> View:
        """Input of the encoder that a query is for."""
        ...

    @property
    def reference_view(self) -> View:
        """Input of the encoder that a reference is for."""
        ...

    @property
    def query_names(self) -> Sequence[str]:
        """Stable names of the queries within the data (file name or label), one each."""
        ...

    @property
    def reference_names(self) -> Sequence[str]:
        """Likewise of the references."""
        ...

    @property
    def query_label(self) -> NDArray[np.int64]:
        """(Q,) label of each query's reference, or (Q, 1 + S) with semi-positives."""
        ...

    @property
    def reference_label(self) -> NDArray[np.int64]:
        """(R,) labels; -1 is junk that is never ranked."""
        ...

    @property
    def query_lonlat(self) -> NDArray[np.float64] | None:
        """(Q, 2) degrees, NaN where unknown, or None."""
        ...

    @property
    def reference_lonlat(self) -> NDArray[np.float64] | None:
        """(R, 2) degrees, NaN where unknown, or None."""
        ...

    @property
    def side_m(self) -> float | None:
        """Ground metres per chip side, None where unknown."""
        ...

    def query_image(self, row: int) -> Pixels:
        """uint8 (h, w, 3) RGB as the data hold it, before any transform; called from threads."""
        ...

    def reference_image(self, row: int) -> Pixels:
        """Likewise for a reference."""
        ...

    def query_file(self, row: int) -> str:
        """Path of the image, "" if it is not a file."""
        ...

    def reference_file(self, row: int) -> str:
        """Likewise for a reference."""
        ...


@dataclass(frozen=True)
class Embedded:
    """Vectors of a pair set.

    Attributes:
        query: (Q, D) float32 memmap, unit.
        reference: (R, D) float32 memmap, unit.
    """

    query: NDArray[np.float32]
    reference: NDArray[np.float32]


def embed_pairs(pairs: PairSet, encoder: Encoder, folder: Path) -> Steps[Embedded]:
    """Embed queries and references into a folder; stopped, the same call goes on."""
    query = yield from embed_queries(pairs, encoder, folder)
    reference = yield from embed_images(
        folder / "reference.f32",
        len(pairs.reference_names),
        pairs.reference_image,
        pairs.reference_view,
        encoder,
        what="Embedding satellite images" if pairs.reference_view == "satellite" else "Embedding gallery",
        key=(pairs.name, pairs.reference_names),
    )
    return Embedded(query, reference)


def embed_queries(
    pairs: PairSet,
    encoder: Encoder,
    folder: Path,
    *,
    view: Callable[[Pixels, int], Pixels] = lambda image, row: image,
    view_name: str = "",
    title: str = "",
) -> Steps[NDArray[np.float32]]:
    """Embed the queries, each changed by `view` (image, row) first: what an ordinary photo would show.

    `view_name` tells the files of the views apart, `title` the progress.
    """
    if isinstance(pairs, PairData):
        pairs = pairs.for_model(encoder.config)  # own photos are placed as the model takes them
    return (
        yield from embed_images(
            folder / f"query{view_name}.f32",
            len(pairs.query_names),
            lambda row: view(pairs.query_image(row), row),
            pairs.query_view,
            encoder,
            what="Embedding photos" + (f" ({title})" if title else ""),
            key=(pairs.name, pairs.query_names),
        )
    )


def embed_images(
    path: Path,
    count: int,
    load: Callable[[int], Pixels],
    view: View,
    encoder: Encoder,
    *,
    what: str,
    key: tuple[str, Sequence[str]],
) -> Steps[NDArray[np.float32]]:
    """Append the vectors of images to a file of float32 rows; whole rows that are there are kept.

    Args:
        path: File of vectors; `path.json` beside it says of what, and a file of something else is begun anew.
        count: Number of images.
        load: Image of a row, before the evaluation transform; called from threads.
        view: Input of the encoder.
        encoder: The model.
        what: Progress in words.
        key: Name of the data and of its images, in order.
    """
    size = encoder.config.embedding_size
    about = {
        "images": hashlib.sha256("\n".join([key[0], *key[1]]).encode()).hexdigest(),
        "model": encoder.bundle.fingerprint,
        "encoder": encoder.description,
    }
    side = path.with_name(path.name + ".json")
    try:
        known = json.loads(side.read_text("utf-8")) == about
    except (OSError, ValueError):
        known = False
    path.parent.mkdir(parents=True, exist_ok=True)
    if not known:
        path.unlink(missing_ok=True)
        write_atomically(side, json.dumps(about))
    done = min(path.stat().st_size // (4 * size), count) if path.exists() else 0
    if 0 < done < count:
        yield Note(f"{what}: {done:,} of {count:,} were embedded before.")
    pace = Pace(what, count, "images", done=done)
    with path.open("ab") as file, ThreadPoolExecutor(_THREADS) as pool:
        file.truncate(4 * size * done)

        def block(start: int) -> list[Pixels]:
            rows = range(start, min(start + _BLOCK, count))
            return list(pool.map(lambda row: prepare(load(row), view, encoder.config), rows))

        for start in range(done, count, _BLOCK):
            images = block(start)
            file.write(encoder.embed(np.stack(images), view).astype("<f4").tobytes())
            file.flush()
            yield from pace.at(start + len(images))
    if count == 0:
        raise DataError("there are no images to embed", path=path.parent)
    return np.memmap(path, "<f4", "r", shape=(count, size))


def open_pair_set(data: str, *, split: str = "val", limit: int | None = None) -> PairSet:
    """The pairs of `KIND:PATH`.

    Args:
        data: As on the command line.
        split: "train" or "val".
        limit: Only the first pairs.

    Raises:
        DataError: The kind is unknown, or its reader refuses.
    """
    kind, _, place = data.partition(":")
    return open_pairs(kind, place, split=split, limit=limit)
