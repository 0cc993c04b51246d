"""What a training loop is fed: batches as a pure function of the step, so that a run can be continued."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Batch:
    """Pairs of one step; row i of each belongs together.

    Attributes:
        ground: uint8 (B, h, w, 3) at the encoder's ground size.
        satellite: uint8 (B, s, s, 3) at the encoder's satellite size.
        rows: Pairs of the whole batch in the feed's order (of several processes all shares), None where
            pairs have no lasting identity.
        ignore: bool (B, B) over the whole batch: pairs that are not each other's negatives; None for none.
    """

    ground: Pixels
    satellite: Pixels
    rows: NDArray[np.int32] | None = None
    ignore: NDArray[np.bool_] | None = None


class Feed(Protocol):
    """A source of batches.

    `batch(step)` depends on the step and on the feed's configuration alone: that is all the state a run
    needs to be continued exactly, and it may be called from several threads ahead of time.
    """

    def batch(self, step: int) -> Batch:
        """The pairs of a step, counted from 0."""
        ...


def prefetched(feed: Feed, first: int, last: int, *, ahead: int = 4, threads: int = 1) -> Iterator[Batch]:
    """Batches of the steps first … last - 1 in order, prepared in threads while the caller works."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="pairs")
    waiting: list[Future[Batch]] = []
    try:
        for step in range(first, last):
            waiting.append(pool.submit(feed.batch, step))
            if len(waiting) > ahead:
                yield waiting.pop(0).result()
        while waiting:
            yield waiting.pop(0).result()
    finally:
        for future in waiting:
            future.cancel()
        pool.shutdown(wait=True)
