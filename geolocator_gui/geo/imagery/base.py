"""What every imagery source can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.records import ImageryInfo

Pixels = NDArray[np.uint8]
Valid = NDArray[np.bool_]
MercatorBounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class Patch:
    """Pixels of a rectangle.

    Attributes:
        pixels: (h, w, 3) uint8 RGB, north up; what is not valid holds no meaning.
        valid: (h, w) bool, where there is imagery.
        coarser: How many times coarser than asked for the coarsest imagery used is; 1 where it is as fine.
        filled: A coarser level of detail stands in where a tile of the right one is missing.
    """

    pixels: Pixels
    valid: Valid
    coarser: float = 1.0
    filled: bool = False


class ImagerySource(ABC):
    """A place satellite pixels come from; a context manager.

    An instance belongs to one thread; `clone` gives another thread its own, which shares the decoded tiles.
    """

    info: ImageryInfo

    @abstractmethod
    def read(self, bounds: MercatorBounds, width: int, height: int) -> Patch:
        """Read a rectangle at a size of one's own.

        Args:
            bounds: West, south, east, north in EPSG:3857 metres; may run on beyond the antimeridian.
            width: Pixels.
            height: Pixels.

        Returns:
            Pixels averaged over their area from the coarsest level that is fine enough, bilinear where the
            imagery is coarser than asked for.

        Raises:
            ImageryError: The source is gone; a corrupt tile alone is only marked missing.
        """

    # Not abstract: only sources that are far away have something to do.
    def prefetch(  # noqa: B027
        self, rectangles: Sequence[MercatorBounds], width: int, height: int
    ) -> None:
        """Bring what reading some rectangles at a size will need from afar, all at once.

        Raises:
            ImageryError: The source is gone. Local sources have nothing to do.
        """

    def look_anew(self) -> None:  # noqa: B027
        """From now on use nothing fetched before that the server does not confirm; for sources far away."""

    @property
    def trouble(self) -> str:
        """In words what was wrong with imagery that is there but could not be used so far; "" for nothing."""
        return ""

    @abstractmethod
    def clone(self) -> Self:
        """The same source for another thread."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections; a second call does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
