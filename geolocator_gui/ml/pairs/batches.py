"""What a training loop is fed: batches as a pure function of the step, so that a run can be continued."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from geolocator_gui.events import Steps
from geolocator_gui.records import View

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
        ground_again: A second look at each ground view, as `ground`; None where none is wanted.
        satellite_again: Likewise.
        notes: What the user should be told when this batch is used, such as files that are damaged.
    """

    ground: Pixels
    satellite: Pixels
    rows: NDArray[np.int32] | None = None
    ignore: NDArray[np.bool_] | None = None
    ground_again: Pixels | None = None
    satellite_again: Pixels | None = None
    notes: tuple[str, ...] = ()


EmbedImages = Callable[[Callable[[int], Pixels], int, View], Steps[NDArray[np.float32]]]
"""Embeds images by row: a loader of single images as the data hold them, how many there are, their view."""


class Feed(Protocol):
    """A source of batches.

    `batch(step)` depends on the step, on the feed's configuration and on what `begin` fixed alone. With
    `state` that is all a run needs to be continued exactly; `batch` may be called from threads ahead of time.
    """

    def begin(self, step: int, embed: EmbedImages) -> Steps[int]:
        """Fix the batches from a step on (mining neighbours if it is time); returns the step they end before.

        Called with the first step of a sitting and with every step it returned.
        """
        ...

    def batch(self, step: int) -> Batch:
        """The pairs of a step, counted from 0."""
        ...

    def state(self) -> dict[str, torch.Tensor]:
        """What `restore` needs to go on in the middle of what `begin` fixed."""
        ...

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from a state."""
        ...


def prefetched(
    feed: Feed, first: int, last: int, *, ahead: int = 4, threads: int = 1
) -> Generator[Batch, None, None]:
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
