"""Pictures for lists and the compare view: read off the GUI thread, kept for a while.

`Pictures.get` answers at once: with a pixmap, or with None and a promise that `ready` is emitted later.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage, QPixmap

from geolocator_gui.gui.background import Background
from geolocator_gui.gui.map.imagery_pool import ImageryPool
from geolocator_gui.records import BoundingBox

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_KEPT = 600
_MOST_WAITING = 64


def to_image(pixels: NDArray[np.uint8]) -> QImage:
    """An RGB array (h, w, 3) as an image of its own."""
    import numpy as np

    height, width, _ = pixels.shape
    whole = np.ascontiguousarray(pixels)
    return QImage(whole.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()


def read_photo(path: Path, longest: int) -> QImage:
    """A photo, upright, at most `longest` pixels a side; raises `PhotoError`."""
    from geolocator_gui.geo.photo import load_image

    return to_image(load_image(path, longest_side=longest))


class Pictures(QObject):
    """A cache of pixmaps that fills itself in the background.

    Signals:
        ready: The name of a picture that can be had now.
        trouble: Why no chip can be shown from an imagery, once for each.
    """

    ready = Signal(object)
    trouble = Signal(object)

    def __init__(self, imagery: ImageryPool, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._imagery = imagery
        self._background = Background(self, threads=2)
        self._background.failed.connect(lambda error: None)
        self._kept: OrderedDict[Hashable, QPixmap | None] = OrderedDict()
        self._waiting: OrderedDict[Hashable, Callable[[], QImage]] = OrderedDict()
        self._running: set[Hashable] = set()
        self._told: set[Hashable] = set()

    def photo(self, path: Path, longest: int) -> QPixmap | None:
        """A photo's thumbnail."""
        return self._get(("photo", path, longest), lambda: read_photo(path, longest))

    def chip(self, source: str, bounds: BoundingBox, side: int) -> QPixmap | None:
        """A chip's picture from an imagery source that the pool knows."""
        work = lambda: to_image(self._imagery.chip(source, bounds, side))  # noqa: E731 - a thunk
        return self._get(("chip", source, bounds, side), work)

    def forget(self) -> None:
        """Drop everything (another workspace)."""
        self._kept.clear()
        self._waiting.clear()
        self._told.clear()

    def close(self) -> None:
        """Wait for what runs."""
        self._waiting.clear()
        self._background.close()

    def _get(self, name: Hashable, work: Callable[[], QImage]) -> QPixmap | None:
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name]
        if name not in self._running:
            # The newest wish first: what was scrolled past is dropped, and asked for again if needed.
            self._waiting[name] = work
            self._waiting.move_to_end(name)
            while len(self._waiting) > _MOST_WAITING:
                self._waiting.popitem(last=False)
            self._feed()
        return None

    def _feed(self) -> None:
        while self._waiting and len(self._running) < 2:
            name, work = self._waiting.popitem(last=True)
            self._running.add(name)
            self._background.run(
                work,
                partial(self._on_image, name),
                partial(self._on_failure, name),
            )

    def _on_failure(self, name: Hashable, error: Exception) -> None:
        self._on_image(name, None)  # an icon stands for it; a photo's card says why
        if isinstance(name, tuple) and name[0] == "chip" and name[1] not in self._told:
            self._told.add(name[1])
            self.trouble.emit(error)

    def _on_image(self, name: Hashable, image: QImage | None) -> None:
        self._running.discard(name)
        self._kept[name] = None if image is None else QPixmap.fromImage(image)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        self.ready.emit(name)
        self._feed()
