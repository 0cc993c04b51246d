"""Finds what the GUI thread stood still for: the gaps of its event loop, and where it was meanwhile.

On a machine with other work a gap is often the scheduler's, so each one carries the thread's own processor
time beside the clock's, and what the thread was seen doing: the innermost lines of the package on its stack.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
import traceback
from array import array
from collections import Counter
from dataclasses import dataclass
from types import FrameType

_LOOK_EVERY = 0.004
_LATE = 0.015


@dataclass(frozen=True)
class Gap:
    """One turn of the event loop.

    Attributes:
        seconds: On the clock.
        busy: Processor time of the GUI thread within it, seconds.
        culprit: Where the thread was most often seen, "" for a short gap.
    """

    seconds: float
    busy: float
    culprit: str = ""


class Stalls:
    """Measures between calls of `turn` on the GUI thread, and looks at that thread from another one."""

    def __init__(self) -> None:
        self.gaps: list[Gap] = []  # those that took a while: millions of objects would stall the collector
        self.seconds = array("d")  # of every turn
        self._main = threading.get_ident()
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._collecting = self._collected = 0.0
        self._began, self._busy = time.perf_counter(), time.thread_time()
        self._thread = threading.Thread(target=self._look, name="stalls", daemon=True)

    def __enter__(self) -> Stalls:
        """Begin."""
        gc.callbacks.append(self._on_collection)
        self._thread.start()
        self._began, self._busy = time.perf_counter(), time.thread_time()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        gc.callbacks.remove(self._on_collection)
        self._ended.set()
        self._thread.join()

    def turn(self) -> None:
        """The event loop has come round."""
        now, busy = time.perf_counter(), time.thread_time()
        with self._lock:
            seen, self._seen = self._seen, Counter()
        culprit = seen.most_common(1)[0][0] if seen else ""
        if self._collected > 0.004:
            culprit += f" (collecting garbage: {self._collected * 1000:.0f} ms)"
        self._collected = 0.0
        self.seconds.append(now - self._began)
        if now - self._began > _LATE:
            self.gaps.append(Gap(now - self._began, busy - self._busy, culprit))
        self._began, self._busy = now, busy

    def worst(self, count: int = 1) -> list[Gap]:
        """The longest gaps."""
        return sorted(self.gaps, key=lambda gap: -gap.seconds)[:count]

    def busiest(self, count: int = 1) -> list[Gap]:
        """The gaps in which the thread itself worked longest: what an idle machine would see."""
        return sorted(self.gaps, key=lambda gap: -gap.busy)[:count]

    def _on_collection(self, phase: str, info: dict[str, int]) -> None:
        # Nothing else runs meanwhile, the other thread neither: it has to be measured here.
        if threading.get_ident() != self._main:
            return
        if phase == "start":
            self._collecting = time.thread_time()
        else:
            self._collected += time.thread_time() - self._collecting

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_EVERY):
            if time.perf_counter() - self._began < _LATE:
                continue
            frame = sys._current_frames().get(self._main)
            place = _place(frame) or "inside Qt"
            del frame
            with self._lock:
                self._seen[place] += 1


def _place(frame: FrameType | None) -> str:
    """The innermost lines of the package as `file:line function`, "" where it has none."""
    if frame is None:
        return ""
    lines = [
        f"{entry.filename.rpartition('geolocator_gui/')[2]}:{entry.lineno} {entry.name}"
        for entry in traceback.extract_stack(frame)
        if "geolocator_gui" in entry.filename
    ]
    return " < ".join(reversed(lines[-3:]))
