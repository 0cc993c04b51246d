"""Decoded tiles in memory, shared by the threads of one source: each tile is decoded once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future

from geolocator_gui.geo.imagery.decode import Tile

DEFAULT_BYTES = 384 * 1024 * 1024


class DecodedTiles:
    """A least-recently-used cache bounded in bytes.

    Two threads that want the same tile at once decode it once: the second waits for the first.

    Attributes:
        decoded: Tiles loaded so far.
        spoilt: Tiles that are there but could not be decoded.
        reason: What was wrong with the last of them, in words.
    """

    def __init__(self, max_bytes: int = DEFAULT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._held: OrderedDict[Hashable, tuple[Tile | None, int]] = OrderedDict()
        self._under_way: dict[Hashable, Future[Tile | None]] = {}
        self._lock = threading.Lock()
        self.decoded = 0
        self.spoilt = 0
        self.reason = ""

    def note_spoilt(self, reason: str) -> None:
        """Remember that a tile could not be decoded."""
        with self._lock:
            self.spoilt += 1
            self.reason = reason

    def holds(self, key: Hashable) -> bool:
        """Whether a tile, or that there is none, is known without loading."""
        with self._lock:
            return key in self._held

    def get(self, key: Hashable, load: Callable[[], Tile | None], *, counts: bool = True) -> Tile | None:
        """The tile of a key, from memory or from `load`; None (no such tile) is remembered too.

        What is made of other tiles does not count as decoded (`counts=False`).
        """
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key][0]
            waiting = self._under_way.get(key)
            if waiting is None:
                mine: Future[Tile | None] = Future()
                self._under_way[key] = mine
        if waiting is not None:
            return waiting.result()
        try:
            tile = load()
        except BaseException as error:
            with self._lock:
                del self._under_way[key]
            mine.set_exception(error)
            raise
        with self._lock:
            self.decoded += counts and tile is not None
            size = 256 if tile is None else tile.nbytes
            self._held[key] = (tile, size)
            self._bytes += size
            while self._bytes > self._max_bytes and len(self._held) > 1:
                self._bytes -= self._held.popitem(last=False)[1][1]
            del self._under_way[key]
        mine.set_result(tile)
        return tile
