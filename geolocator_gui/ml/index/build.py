"""Building an index: reading, cutting and encoding overlap; every batch is committed by itself."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geolocator_gui import __version__
from geolocator_gui.configs import IndexConfig
from geolocator_gui.errors import IndexFolderError, InputError
from geolocator_gui.events import Metric, Note, Pace, Steps
from geolocator_gui.ml.index.begin import forget_empty, start_index
from geolocator_gui.ml.index.cells import Cells
from geolocator_gui.ml.index.finish import finish_index
from geolocator_gui.ml.index.manifest import Manifest, write_manifest
from geolocator_gui.ml.index.plan import make_plan
from geolocator_gui.ml.index.reading import CutChips, ReadAhead, Reader, opened
from geolocator_gui.ml.index.segments import CELL, BatchWriter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geolocator_gui.ml.encoder import Encoder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class IndexSummary:
    """What a build made.

    Attributes:
        folder: Of the index.
        chips: Embedded.
        candidates: Cells of the grids.
        skipped: Chips left out, by reason.
        seconds: Wall time of this sitting.
        encoder_seconds: Of it, spent in the encoder.
        reused: The index was already whole.
        model: Name of the bundle.
    """

    folder: Path
    chips: int
    candidates: int
    skipped: Mapping[str, int]
    seconds: float
    encoder_seconds: float
    reused: bool
    model: str

    def to_dict(self) -> dict[str, object]:
        """JSON-able."""
        return {
            "index": str(self.folder),
            "chips": self.chips,
            "candidates": self.candidates,
            "skipped": dict(self.skipped),
            "seconds": round(self.seconds, 3),
            "encoder_seconds": round(self.encoder_seconds, 3),
            "reused": self.reused,
            "model": self.model,
        }


def build_index(
    config: IndexConfig, folder: Path, *, workspace_models: Path | None = None
) -> Steps[IndexSummary]:
    """Build an index, continue a partial one, or take a whole one as it is.

    Args:
        config: What to build.
        folder: Where; made if it does not exist.
        workspace_models: The workspace's bundles, first on the search path.

    Raises:
        GeolocatorError: An input cannot be used, the folder holds another index, the disk is full.
    """
    begin = time.perf_counter()
    plan = make_plan(config, folder, workspace_models)
    manifest = start_index(plan, folder)
    for text in plan.notes:
        yield Note(text, "warning")
    cells = Cells(folder, manifest)
    if manifest.state != "building":
        yield Note(f"The index is whole: {manifest.count:,} chips.")
        return summarise(folder, manifest, cells, begin, 0.0, reused=True)
    yield Note(f"{plan.area.km2:,.2f} km², {plan.candidates:,} chips of {plan.side_m:g} m.")
    try:
        encoder = open_encoder(plan.bundle, manifest, config)
        try:
            manifest = note_encoder(folder, manifest, encoder)
            times = yield from embed_batches(folder, manifest, cells, encoder, config.imagery)
        finally:
            encoder.close()
        if times.changes:
            manifest = manifest.updated(changes=(*manifest.changes, *times.changes))
        timings = {"encoder": times.encoder, "wall": time.perf_counter() - begin, "embedding": times.wall}
        manifest = yield from finish_index(folder, manifest, cells, timings, troubles=times.troubles)
    except InputError:
        forget_empty(folder)
        raise
    return summarise(folder, manifest, cells, begin, times.encoder, reused=False)


def summarise(
    folder: Path, manifest: Manifest, cells: Cells, begin: float, encoder_seconds: float, *, reused: bool
) -> IndexSummary:
    """What a build or a change made."""
    return IndexSummary(
        folder=folder,
        chips=manifest.count,
        candidates=cells.candidates,
        skipped=manifest.skipped,
        seconds=time.perf_counter() - begin,
        encoder_seconds=encoder_seconds,
        reused=reused,
        model=manifest.model_name,
    )


def open_encoder(bundle: Any, manifest: Manifest, config: IndexConfig) -> Encoder:
    """The encoder of the bundle, with the back-end and precision that the index began with, if it began."""
    from geolocator_gui.ml.encoder import Encoder

    before = manifest.encoder
    return Encoder(
        bundle,
        device=config.device,
        backend=before.get("backend", config.backend),
        precision=before.get("precision", config.precision),
        threads=config.threads,
        batch_size=int(before["batch_size"]) if "batch_size" in before else None,
        expected=sum(part.candidates for part in manifest.parts),
    )


def note_encoder(folder: Path, manifest: Manifest, encoder: Encoder) -> Manifest:
    """Write down what embeds before the first batch; later sittings on another device leave a sentence."""
    found = {
        **encoder.description,
        "batch_size": str(encoder.batch_size),
        "geolocator": __version__,
        "numpy": np.__version__,
        "opencv": _version("opencv-python-headless"),
    }
    if not manifest.encoder:
        manifest = manifest.updated(encoder=found)
        write_manifest(folder, manifest)
        return manifest
    for key in ("backend", "precision"):
        if found.get(key) != manifest.encoder.get(key):
            raise IndexFolderError(
                f"the index was begun with {key} {manifest.encoder.get(key)}; here there is {found.get(key)}",
                path=folder,
                hint="One index is built with one back-end and precision. Continue it where it was begun, "
                "or build it anew in another folder.",
            )
    if found.get("device") != manifest.encoder.get("device"):
        text = f"Continued on {found.get('device')}; begun on {manifest.encoder.get('device')}."
        if text not in manifest.changes:
            manifest = manifest.updated(changes=(*manifest.changes, text))
            write_manifest(folder, manifest)
    return manifest


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


@dataclass
class Times:
    """Where the seconds of a sitting went, what changed under way, and what was wrong with the imagery."""

    encoder: float = 0.0
    wall: float = 0.0
    changes: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Embedded:
    """A batch ready to be committed; `reused` if its vectors are those that were there already.

    `filled` is the number of its chips in which a coarser level of detail stands in for missing tiles.
    """

    vectors: NDArray[np.float16]
    cells: NDArray[np.void]
    skipped: dict[str, int]
    filled: int = 0
    reused: bool = False


def embed_batches(
    folder: Path,
    manifest: Manifest,
    cells: Cells,
    encoder: Encoder,
    imagery: Sequence[str],
) -> Steps[Times]:
    """Embed and commit every batch that is not committed yet."""
    times = Times()
    begin = time.perf_counter()
    writer = BatchWriter(folder, manifest.generation, manifest.dimension)
    disk = ThreadPoolExecutor(1, thread_name_prefix="commit")
    waiting: list[Future[Any]] = []
    done = sum(cells.span(commit.batch)[2] - cells.span(commit.batch)[1] for commit in writer.commits)
    first = done
    pace = Pace("Embedding chips", cells.candidates, "chips", done=done)
    try:
        todo = range(len(writer.commits), cells.batches)
        yield from pace.at(done)
        for number, item in produce(manifest, cells, encoder, imagery, todo, times):
            waiting.append(disk.submit(writer.commit, item.vectors, item.cells, item.skipped, item.filled))
            while len(waiting) > 2:
                waiting.pop(0).result()
            _, start, stop = cells.span(number)
            done += stop - start
            yield from pace.at(done)
            if number % 16 == 15:
                rate = (done - first) / (time.perf_counter() - begin)
                yield Metric(number, {"chips_per_second": round(rate, 1)})
        for future in waiting:
            future.result()
    finally:
        disk.shutdown(wait=True)
        writer.close()
    times.wall = time.perf_counter() - begin
    return times


def produce(
    manifest: Manifest,
    cells: Cells,
    encoder: Encoder,
    imagery: Sequence[str],
    batches: Iterable[int],
    times: Times,
    stored: Callable[[int], tuple[NDArray[np.float16], NDArray[np.void]] | None] | None = None,
    *,
    anew: bool = False,
) -> Iterator[tuple[int, Embedded]]:
    """Cut ahead in threads, embed here: batches in order, ready to be committed.

    Args:
        manifest: Of the index.
        cells: Of the index.
        encoder: Open.
        imagery: Where the sources are now.
        batches: Which, in order.
        times: Where the encoder's seconds go.
        stored: Vectors and cells that a batch had before, None where they are damaged; a batch whose cells
            are the same keeps its vectors.
        anew: Ask servers again for tiles that were fetched before.
    """
    model = encoder.config
    most = max(part.max_missing for part in manifest.parts)
    device = encoder.description.get("device", "cpu")
    readers = 1 if device == "cpu" else 4

    def read(reader: Reader, batch: int) -> tuple[Any, dict[str, int], CutChips]:
        chips, skipped = cells.chips(batch)
        part, _, _ = cells.span(batch)
        return chips, skipped, reader.cut(chips, part.imagery)

    stack = contextlib.ExitStack()
    sources = stack.enter_context(opened(imagery))
    for source in sources if anew else ():
        source.look_anew()

    def look_for_trouble() -> None:
        found = [f"{source.info.name}: {source.trouble}" for source in sources if source.trouble]
        times.troubles = tuple(found)

    stack.callback(look_for_trouble)
    ahead = ReadAhead(
        lambda: Reader([source.clone() for source in sources], model, most),
        threads=readers,
        ahead=2 * readers,
    )
    stack.callback(ahead.close)
    with stack:
        for batch, (chips, skipped, found) in ahead.map(read, batches):
            part, _, _ = cells.span(batch)
            keep = found.missing <= part.max_missing
            blank = int((found.missing >= 1.0).sum())
            if blank:
                skipped["blank"] = blank
            if int((~keep).sum()) - blank > 0:
                skipped["missing"] = int((~keep).sum()) - blank
            records = np.zeros(int(keep.sum()), dtype=CELL)
            records["cell"] = chips.ids[keep]
            records["digest"] = found.digests[keep]
            records["missing"] = found.missing[keep]
            records["source"] = found.sources[keep]
            records["part"] = cells.part_of(batch)
            filled = int(np.count_nonzero(found.filled[keep]))
            before = None if stored is None else stored(batch)
            if before is not None and np.array_equal(before[1], records):
                yield batch, Embedded(before[0], records, skipped, filled, reused=True)
                continue
            start = time.perf_counter()
            vectors = embed_shrinking(encoder, found.images[keep], times)
            times.encoder += time.perf_counter() - start
            yield batch, Embedded(vectors.astype(np.float16), records, skipped, filled)


def embed_shrinking(encoder: Encoder, images: NDArray[np.uint8], times: Times) -> NDArray[np.float32]:
    """Vectors of chips; where memory runs out, with passes half as large, and that is written down."""
    if not len(images):
        return np.empty((0, encoder.config.embedding_size), dtype=np.float32)
    while True:
        try:
            return encoder.embed(images, "satellite")
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error) or encoder.batch_size <= 1:
                raise
            log.warning("out of memory with %d images per pass", encoder.batch_size)
        encoder.batch_size = max(1, encoder.batch_size // 2)
        times.changes = (
            *times.changes,
            f"Memory ran out: continued with {encoder.batch_size} images per pass.",
        )


def _out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text
