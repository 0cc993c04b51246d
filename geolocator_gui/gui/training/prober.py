"""What a run will need on this machine: asked of a child process once per model and way of training."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal

from geolocator_gui.gui.training import planning
from geolocator_gui.gui.training.child import Child
from geolocator_gui.gui.training.planning import Probe
from geolocator_gui.training import TrainRun

_PAUSE_MS = 1200
_PAIRS = 8


class Prober(QObject):
    """Tries a few images in a child; the answer serves every batch size and length.

    Signals:
        answered: There is more to tell about some run.
    """

    answered = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._known: dict[str, Probe | None] = {}
        self._wanted: TrainRun | None = None
        self._child: Child | None = None
        self._pause = QTimer(self, interval=_PAUSE_MS, singleShot=True)
        self._pause.timeout.connect(self._ask)

    def of(self, run: TrainRun) -> Probe | None:
        """What is known about a run."""
        return self._known.get(planning.probe_key(run))

    def failed(self, run: TrainRun) -> bool:
        """Whether it was tried in vain."""
        key = planning.probe_key(run)
        return key in self._known and self._known[key] is None

    def want(self, run: TrainRun) -> None:
        """Find out about a run in a moment, unless it is known."""
        if planning.probe_key(run) not in self._known:
            self._wanted = run
            self._pause.start()

    def close(self) -> None:
        """Nobody wants to know any more."""
        self._pause.stop()
        self._wanted = None
        if self._child is not None:
            self._child.cancel()
            self._child = None

    def _ask(self) -> None:
        run = self._wanted
        if run is None or self._child is not None:
            return
        self._wanted = None
        train = run.train.model_copy(update={"batch_size": _PAIRS, "pairs": _PAIRS, "micro_batch": None})
        small = run.model_copy(update={"train": train})
        settings = {
            "train.batch_size": _PAIRS,
            "train.pairs": _PAIRS,
            "train.freeze": train.freeze,
            "train.precision": train.precision,
            "train.device": train.device,
            "train.ema": train.ema,
            "views.enabled": str(run.views.enabled).lower(),
            "views.inner_contrast": run.views.inner_contrast,
        }
        words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        # What an image costs does not depend on the data; the town needs no folder to be read.
        child = self._child = Child(
            ["train", "--data", "town:", "--model", run.model, *words, "--estimate", "--json"], self
        )
        key = planning.probe_key(run)

        def done(printed: str) -> None:
            self._child = None
            self._known[key] = Probe.of(planning.json_of(printed), small)
            self.answered.emit()
            if self._wanted is not None:
                self._ask()

        child.answered.connect(done)
        child.failed.connect(lambda what, hint: done(""))
