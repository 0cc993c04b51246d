"""Sends the photos of the tray to the worker, one after another, and puts the answers on their cards."""

from __future__ import annotations

import gc
import shutil
import tempfile
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from geolocator_gui.configs import LocaliseConfig
from geolocator_gui.errors import GeolocatorError, InputError, NoIndexOpenError
from geolocator_gui.gui.answers import localisation_from
from geolocator_gui.gui.background import Background
from geolocator_gui.gui.catalogue import read_index
from geolocator_gui.gui.notifications import Notifications
from geolocator_gui.gui.tray import PhotoCard, Tray
from geolocator_gui.gui.worker import ProcessOutcome, WorkerClient, WorkerLostError
from geolocator_gui.paths import user_cache_dir

_SCORES_KEPT = 24


@dataclass(frozen=True)
class OpenIndex:
    """The index that answers, as the worker described it.

    Attributes:
        folder: Where it lies.
        chips: How many can be found.
        model: Name of the bundle.
        device: "cpu", "cuda", …
        edition: Tells it from any other index of its name.
        attribution: Of its imagery.
        details: Back-end, precision and the like.
    """

    folder: Path
    chips: int
    model: str
    device: str
    edition: str
    attribution: str
    details: Mapping[str, Any]


class Locator(QObject):
    """The queue between the tray and the worker.

    Signals:
        cards_changed: Keys of cards that changed, gathered for a moment.
        answered: Key of a card that has a new answer, or lost the one it had.
        opened: An `OpenIndex`, or None when none is open.
        missing: The index that was to be opened is no longer there.
        progress: How many are done and how many were asked for, of the current batch.
    """

    cards_changed = Signal(list)
    answered = Signal(int)
    opened = Signal(object)
    missing = Signal()
    progress = Signal(int, int)

    def __init__(
        self, tray: Tray, background: Background, notifications: Notifications, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.tray = tray
        self.worker = WorkerClient(user_cache_dir() / "worker.log", self)
        self.options = LocaliseConfig(top=10)
        self.index: OpenIndex | None = None
        self._background = background
        self._notifications = notifications
        self._wanted: tuple[Path, Path | None] | None = None
        self._advice = ""
        self._opening = self._released = False
        self._reopened: int | None = None
        self._queue: deque[int] = deque()
        self._current: int | None = None
        self._quiet: set[int] = set()
        self._again: set[int] = set()
        self._asked = self._done = 0
        self._changed: set[int] = set()
        self._scores_folder = Path(tempfile.mkdtemp(prefix="geolocator-"))
        self._scores: dict[int, Path] = {}
        self._tell = QTimer(self, interval=40, singleShot=True)
        self._tell.timeout.connect(self._on_tell)
        self.worker.died.connect(self._on_died)

    # -- the index ----------------------------------------------------------------------------------------

    def open_index(self, folder: Path | None, models: Path | None, advice: str = "") -> None:
        """Answer from this index from now on; None closes. `advice` is for when it cannot be opened."""
        self._advice = advice
        self._wanted = None if folder is None else (folder, models)
        self.index = None
        if folder is None:
            waiting = list(self._queue)
            self.cancel()
            self.enqueue(waiting)
            self.release()
            return
        self._released = False
        self.opened.emit(None)
        self._open()

    @property
    def opening(self) -> bool:
        """Whether an index is on its way."""
        return self._opening and not self._released

    def release(self) -> None:
        """Let go of model and index (before a run needs the device); the next photo opens them again."""
        self.index = None
        self._released = True
        if self.worker.is_running:
            self.worker.ask("close", {}, lambda _: None, lambda _: None)
        self.opened.emit(None)

    def _open(self) -> None:
        if self._wanted is None or self._opening:
            return
        self._opening, self._released = True, False
        self.opened.emit(None)
        wanted = folder, models = self._wanted
        fields = {"index": str(folder), "models": None if models is None else str(models), "device": "auto"}

        def success(result: Mapping[str, Any]) -> None:
            self._opening = False
            if self._wanted is not wanted:  # asked for anew meanwhile, be it the same folder
                self._open()
                return
            if self._released:  # the worker has closed it again
                self._next_photo()
                return
            known = {"chips", "model", "device", "edition", "attribution"}
            details = {key: value for key, value in result.items() if key not in known}
            words = {name: str(result.get(name, "")) for name in known - {"chips"}}
            self.index = OpenIndex(folder, int(result["chips"]), details=details, **words)
            self.opened.emit(self.index)
            # Libraries and widgets stay for good: a full collection that walks through them stops the window
            # for a tenth of a second.
            gc.freeze()
            self._next_photo()

        def failure(error: GeolocatorError) -> None:
            self._opening = False
            if self._wanted is not wanted:
                self._open()
                return
            error.hint = self._advice or error.hint
            look = partial(read_index, folder, [])
            self._background.run(look, lambda row: self._on_unopened(folder, error, there=row is not None))

        self.worker.ask("open", fields, success, failure)

    def _on_unopened(self, folder: Path, error: GeolocatorError, *, there: bool) -> None:
        if not there:
            hint = self.tr("It was removed or moved outside this window: choose another index, or build one.")
            error = InputError(self.tr("this index is no longer there"), path=folder, hint=hint)
        self._notifications.error(error, log=self.worker.log_file if there else None)
        self.opened.emit(self.index)
        if self._wanted is not None and self._wanted[0] == folder and self.index is None:
            self._fail_queue(error)
        if not there:
            self.missing.emit()

    # -- the photos ---------------------------------------------------------------------------------------

    def enqueue(self, keys: Iterable[int], *, first: bool = False) -> None:
        """Locate these photos; without an index nothing is asked, and the next one is asked for them."""
        for key in keys:
            if key == self._current:  # its question is out, and what is asked has changed since
                self._again.add(key)
                continue
            if self._wanted is None:
                self._set(key, edition="")
                continue
            if key in self._queue or self.tray.get(key) is None:
                continue
            self._set(key, state="queued", error="", hint="")
            self._asked += 1
            if first:
                self._queue.appendleft(key)
            else:
                self._queue.append(key)
        self.progress.emit(self._done, self._asked)
        self._next_photo()

    def refresh(self, key: int) -> None:
        """Ask once more for a photo whose answer was read from disk, quietly: it brings the scores back."""
        card = self.tray.get(key)
        if card is None or card.answer is None or key in self._scores or self.index is None or self.busy:
            return
        self._quiet.add(key)
        self._queue.append(key)
        self._next_photo()

    @property
    def busy(self) -> bool:
        """Whether a photo is in work or waits."""
        return self._current is not None or bool(self._queue)

    def cancel(self) -> None:
        """Take everything that waits out of the queue; the photo in work is finished."""
        for key in self._queue:
            card = self.tray.get(key)
            self._set(key, state="new" if card is None else card.at_rest)
        self._queue.clear()
        self._quiet.clear()
        self._asked = self._done + (self._current is not None)
        self.progress.emit(self._done, self._asked)
        self._next_photo()

    def forget(self) -> None:
        """Another workspace: nothing waits, and the search is limited to no place of the last one."""
        self.cancel()
        self._again.clear()
        self.options = self.options.model_copy(update={"within": None, "within_circle": None})

    def scores(self, key: int) -> Path | None:
        """File with the scores of all chips for a photo (float32, row order), None when it is gone."""
        return self._scores.get(key)

    def close(self) -> None:
        """End the worker and delete what was scratch."""
        self.worker.close()
        shutil.rmtree(self._scores_folder, ignore_errors=True)

    def _next_photo(self) -> None:
        if self._current is not None or not self._queue:
            if self._current is None and self._asked:
                self._asked = self._done = 0
                self.progress.emit(0, 0)
            return
        if self.index is None:
            self._open()
            return
        key = self._queue.popleft()
        card = self.tray.get(key)
        if card is None:
            self._done += 1
            self._next_photo()
            return
        self._current = key
        quiet = key in self._quiet
        self._quiet.discard(key)
        if not quiet:
            self._set(key, state="locating")
        scores = self._scores_folder / f"{key}.npy"
        options = card.options(self.options).model_dump(mode="json", exclude_none=True)
        index = self.index
        self.worker.ask(
            "localise",
            {"photo": str(card.path), "options": options, "scores": str(scores)},
            lambda result: self._on_answer(card, index, scores, result, quiet=quiet),
            lambda error: self._on_failure(key, error, quiet=quiet),
        )

    def _on_answer(
        self, card: PhotoCard, index: OpenIndex, scores: Path, result: Mapping[str, Any], *, quiet: bool
    ) -> None:
        self._reopened = None
        answer = localisation_from(result)
        if answer.error and quiet:
            pass  # the file has gone since; the answer that was kept stays
        elif answer.error:
            self._set(card.key, state="failed", error=answer.error, hint="", answer=None, facts=answer.facts)
        else:
            self._scores[card.key] = scores
            for old in list(self._scores)[:-_SCORES_KEPT]:
                self._background.run(partial(self._scores.pop(old).unlink, missing_ok=True))
            facts = answer.facts or card.facts
            by = {"index": index.folder.name, "edition": index.edition, "attribution": index.attribution}
            self._set(card.key, state="located", answer=answer, facts=facts, error="", hint="", **by)
        self._finish(card.key, quiet=quiet)
        self.answered.emit(card.key)

    def _on_failure(self, key: int, error: GeolocatorError, *, quiet: bool) -> None:
        if isinstance(error, NoIndexOpenError) and self._wanted is not None and self._reopened != key:
            self._reopened, self._current, self.index = key, None, None
            if quiet:
                self._quiet.add(key)
            else:
                self._set(key, state="queued")
            self._queue.appendleft(key)
            self._next_photo()
            return
        self._reopened = None
        lost = isinstance(error, WorkerLostError)
        if lost:
            self._notifications.error(error, log=self.worker.log_file)
        if not quiet:
            answer: dict[str, Any] = {} if lost else {"answer": None}  # to what was asked there is none
            self._set(key, state="failed", error=error.what, hint=error.hint, **answer)
        self._finish(key, quiet=quiet)
        if not quiet:
            self.answered.emit(key)

    def _finish(self, key: int, *, quiet: bool) -> None:
        if self._current == key:
            self._current = None
        self._done += not quiet
        self.progress.emit(self._done, self._asked)
        if key in self._again:
            self._again.discard(key)
            self.enqueue([key], first=True)
        else:
            self._next_photo()

    def _fail_queue(self, error: GeolocatorError) -> None:
        for key in self._queue:
            card = self.tray.get(key)
            if card is not None and card.answer is not None:
                self._set(key, state="located")  # by the index before; that answer still stands
            else:
                self._set(key, state="failed", error=error.what, hint=error.hint)
        self._queue.clear()
        self._asked = self._done = 0
        self.progress.emit(0, 0)

    def _on_died(self, outcome: ProcessOutcome) -> None:
        self.index = None
        self._opening = False
        self.opened.emit(None)

    def _set(self, key: int, **fields: Any) -> None:
        if self.tray.change(key, **fields) is not None:
            self._changed.add(key)
            if not self._tell.isActive():
                self._tell.start()

    def _on_tell(self) -> None:
        changed, self._changed = sorted(self._changed), set()
        self.cards_changed.emit(changed)
