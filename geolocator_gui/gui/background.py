"""Work off the GUI thread: `run(work, success, failure)`; the answers come back on the GUI thread.

The pool is the standard library's, so that work written as plain functions needs no Qt and a test can wait
for all of it. What is asked of an owner that has gone is dropped.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from PySide6.QtCore import QObject, Qt, QTimer, Signal, SignalInstance
from shiboken6 import isValid

from geolocator_gui.errors import GeolocatorError

T = TypeVar("T")
log = logging.getLogger(__name__)


class Background(QObject):
    """A pool of threads with answers on the GUI thread.

    Signals:
        failed: A piece of work raised and its caller gave no `failure`.
    """

    failed = Signal(object)
    _done = Signal(object)

    def __init__(self, parent: QObject | None = None, threads: int = 0) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(threads or min(4, (os.cpu_count() or 2) + 1), "background")
        self._open = True
        self._held: list[Callable[[], object]] | None = None
        self._done.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def run(
        self,
        work: Callable[[], T],
        success: Callable[[T], object] | None = None,
        failure: Callable[[Exception], object] | None = None,
        *,
        owner: QObject | None = None,
    ) -> None:
        """Call `work` in a thread, then `success(result)` or `failure(error)` on the GUI thread.

        Args:
            work: Touches no widget.
            success: Called with the result.
            failure: Called with the error; without it the error goes to `failed`.
            owner: When this object is deleted meanwhile, nothing is called.
        """
        if not self._open:  # the window is closing; nobody waits for an answer any more
            return
        if self._held is not None:
            self._held.append(partial(self.run, work, success, failure, owner=owner))
            return

        def finished(done: Future[T]) -> None:
            if self._open and not done.cancelled():
                self._done.emit((done, success, failure, owner))

        self._pool.submit(work).add_done_callback(finished)

    def hold_until(self, ready: SignalInstance, most_ms: int) -> None:
        """Begin nothing new until a signal, or for so long: Python shares one lock with the GUI thread."""
        if self._held is None:
            self._held = []
        ready.connect(self.let_go)
        QTimer.singleShot(most_ms, self, self.let_go)

    def let_go(self) -> None:
        """Begin what was held, in order."""
        held, self._held = self._held or [], None
        for begin in held:
            begin()

    def close(self, last: Callable[[], object] | None = None) -> None:
        """Cancel what waits, wait for what runs, then for `last` (in a thread, too)."""
        self._open = False
        self._pool.shutdown(wait=True, cancel_futures=True)
        if last is not None:
            with ThreadPoolExecutor(1, "last") as pool:
                error = pool.submit(last).exception()
            if error is not None:
                log.error("the last work of the window failed", exc_info=error)

    def _deliver(self, answer: tuple[Future[Any], Any, Any, QObject | None]) -> None:
        future, success, failure, owner = answer
        if not self._open or (owner is not None and not isValid(owner)):
            return
        error = future.exception()
        if error is None:
            if success is not None:
                success(future.result())
            return
        if not isinstance(error, GeolocatorError):
            log.error("background work failed", exc_info=error)
        if failure is not None:
            failure(error)
        else:
            self.failed.emit(error)
