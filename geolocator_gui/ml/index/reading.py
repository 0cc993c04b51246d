"""From grid cells to encoder input: cut, judged, resized, ahead of the encoder in threads of their own."""

from __future__ import annotations

import contextlib
import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.geo.chips import ChipCutter
from geolocator_gui.geo.imagery import ImagerySource, open_imagery
from geolocator_gui.ml.transforms import Pixels, prepare

if TYPE_CHECKING:
    from geolocator_gui.configs import ModelConfig
    from geolocator_gui.geo.grid import Chips

T = TypeVar("T")
# Chips held at their full source resolution at a time: 8 of CVACT's 1200 x 1200 are 35 MB.
_SLICE = 8


@dataclass(frozen=True)
class CutChips:
    """Chips as the encoder takes them.

    Attributes:
        images: uint8 (N, S, S, 3).
        missing: float32 (N,), fraction of pixels that are missing or blank.
        digests: uint64 (N,), of each image's pixels.
        sources: uint16 (N,), position of the source it was cut from.
        filled: bool (N,), a coarser level of detail stands in for a tile that is missing.
    """

    images: Pixels
    missing: NDArray[np.float32]
    digests: NDArray[np.uint64]
    sources: NDArray[np.uint16]
    filled: NDArray[np.bool_]


class Reader:
    """Cuts chips from the sources in order of preference; used by the thread that made it only.

    Args:
        sources: Its own, closed with it.
        model: Says at which resolution a chip is cut and what the encoder takes.
        max_missing: A chip with more missing pixels than this is tried from the next source.
    """

    def __init__(
        self, sources: Sequence[ImagerySource], model: ModelConfig, max_missing: float = 0.1
    ) -> None:
        self._model, self._max_missing = model, max_missing
        self._cutters = [ChipCutter(source, source_px=model.satellite_source_px) for source in sources]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the sources."""
        for cutter in self._cutters:
            cutter.close()

    def cut(self, chips: Chips, order: Sequence[int] | None = None) -> CutChips:
        """Cut chips.

        Args:
            chips: Which.
            order: Positions of the sources to use; None for all.
        """
        number, side = len(chips), self._model.satellite_size
        images = np.empty((number, side, side, 3), dtype=np.uint8)
        missing = np.ones(number, dtype=np.float32)
        sources = np.zeros(number, dtype=np.uint16)
        filled = np.zeros(number, dtype=bool)
        for rank, source in enumerate(order if order is not None else range(len(self._cutters))):
            wanted = np.arange(number) if rank == 0 else np.flatnonzero(missing > self._max_missing)
            if len(wanted):
                self._cutters[source].prefetch(chips.take(wanted))
            for start in range(0, len(wanted), _SLICE):
                rows = wanted[start : start + _SLICE]
                pixels, absent = self._cutters[source].cut(chips.take(rows))
                stand_ins = self._cutters[source].filled
                for row, image, lacking, stand_in in zip(rows, pixels, absent, stand_ins, strict=True):
                    if lacking >= 1.0 and rank == 0:
                        images[row] = 0
                        continue
                    share = min(1.0, float(lacking) + blank_fraction(image))
                    if rank == 0 or share < missing[row]:
                        images[row] = prepare(image, "satellite", self._model)
                        missing[row], sources[row], filled[row] = share, source, stand_in
        digests = np.array([digest(image) for image in images], dtype=np.uint64)
        return CutChips(images, missing, digests, sources, filled)


def digest(image: Pixels) -> int:
    """64 bits that change when a pixel does."""
    return int.from_bytes(
        hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=8).digest(), "little"
    )


def blank_fraction(image: Pixels) -> float:
    """Share of an image (h, w, 3) that is pure black or pure white in blocks: no data, drawn as a colour."""
    import cv2

    black, white = (
        cv2.inRange(image, (0, 0, 0), (0, 0, 0)),
        cv2.inRange(image, (255, 255, 255), (255, 255, 255)),
    )
    pure = np.asarray(cv2.bitwise_or(black, white))
    if not cv2.countNonZero(pure):
        return 0.0
    height, width = image.shape[0] // 4 * 4, image.shape[1] // 4 * 4
    blocks = pure[:height, :width].reshape(height // 4, 4, width // 4, 4)
    return float((blocks > 0).all(axis=(1, 3)).mean()) if blocks.size else 0.0


@contextlib.contextmanager
def opened(imagery: Sequence[str]) -> Iterator[list[ImagerySource]]:
    """The sources, open until the block ends."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(open_imagery(item)) for item in imagery]


class ReadAhead:
    """Reads batches in order, a few ahead of whoever takes them, each reader in a thread of its own.

    Args:
        make: Makes a reader, in its thread.
        threads: Number of readers; batches go round them.
        ahead: Batches that may be read but not taken.
    """

    def __init__(self, make: Callable[[], Reader], *, threads: int = 1, ahead: int = 2) -> None:
        self._pools = [ThreadPoolExecutor(1, thread_name_prefix=f"chips-{n}") for n in range(threads)]
        self._readers = [pool.submit(make) for pool in self._pools]
        self._ahead = max(ahead, threads)

    def map(self, work: Callable[[Reader, int], T], batches: Iterable[int]) -> Iterator[tuple[int, T]]:
        """`work(reader, batch)` of each batch, in order."""
        waiting: deque[tuple[int, Future[T]]] = deque()
        turns = enumerate(batches)

        def fill() -> None:
            while len(waiting) < self._ahead:
                turn = next(turns, None)
                if turn is None:
                    return
                place, batch = turn
                at = place % len(self._pools)
                waiting.append((batch, self._pools[at].submit(_call, work, self._readers[at], batch)))

        fill()
        while waiting:
            batch, future = waiting.popleft()
            result = future.result()
            fill()
            yield batch, result

    def close(self) -> None:
        """Stop the threads: what is being read is finished, the rest dropped."""
        for pool, reader in zip(self._pools, self._readers, strict=True):
            pool.shutdown(wait=True, cancel_futures=True)
            if reader.cancelled() or reader.exception() is not None:
                continue
            reader.result().close()


def _call(work: Callable[[Reader, int], T], reader: Future[Reader], batch: int) -> T:
    return work(reader.result(), batch)
