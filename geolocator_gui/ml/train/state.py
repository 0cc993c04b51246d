"""The state of a run on disk: all that a continued run needs, written whole or not at all."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import torch

from geolocator_gui.errors import DataError, FaultError
from geolocator_gui.ml.model import SharedEncoder
from geolocator_gui.ml.pairs.batches import Feed
from geolocator_gui.training import TrainConfig

# These change how a step is computed or how often one hears of it, not what is learned.
_FREE = {
    "threads",
    "device",
    "evaluate_every_pairs",
    "save_minutes",
    "compile",
    "fast_depthwise",
    "micro_batch",
}


class TrainState:
    """Model, average, optimiser, scaler, feed, random generators and step of a run.

    Attributes:
        step: Optimiser steps done.
        seconds: Time spent in steps, all sittings together.
        evaluated: The step of the last evaluation, -1 before the first.
        best: Best figure so far, None before the first evaluation.
        averaged: The averaged weights, in evaluation mode.
    """

    def __init__(
        self,
        config: TrainConfig,
        model: SharedEncoder,
        optimiser: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        feed: Feed,
    ) -> None:
        self.config, self.model, self.optimiser, self.scaler, self.feed = (
            config,
            model,
            optimiser,
            scaler,
            feed,
        )
        self.averaged = copy.deepcopy(model).eval().requires_grad_(False)
        self.step, self.seconds, self.evaluated = 0, 0.0, -1
        self.best: float | None = None

    @torch.no_grad()
    def average(self) -> None:
        """Move the averaged weights towards the present ones; faster at first."""
        if not self.config.ema:
            return
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(
            list(self.averaged.parameters()), [p.detach() for p in self.model.parameters()], 1.0 - decay
        )

    def evaluated_model(self) -> SharedEncoder:
        """What is evaluated and published: the average where the run averages, else a copy of the model."""
        return self.averaged if self.config.ema else copy.deepcopy(self.model).eval()

    def save(self, path: Path) -> None:
        """Write the state."""
        content = {
            "config": self.config.model_dump(mode="json"),
            "step": self.step,
            "seconds": self.seconds,
            "evaluated": self.evaluated,
            "best": self.best,
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "feed": self.feed.state(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        write_whole(content, path)

    def save_best(self, path: Path, figure: float, figures: dict[str, float]) -> bool:
        """Keep the evaluated weights if they are the best so far; returns whether they are."""
        if self.best is not None and figure <= self.best:
            return False
        self.best = figure
        state = self.evaluated_model().state_dict()
        write_whole({"step": self.step, "figures": dict(figures), "averaged": state}, path)
        return True

    def load(self, path: Path) -> None:
        """Continue from a state; raises `DataError` if it belongs to another run or is damaged."""
        content = read_state(path)
        mine, theirs = self.config.model_dump(mode="json"), content["config"]
        other = sorted(key for key in mine if key not in _FREE and mine[key] != theirs.get(key, mine[key]))
        if other:
            raise DataError(
                f"this state belongs to a run with other settings ({', '.join(other)})",
                path=path,
                hint="Continue with the settings it was started with, or train into another folder.",
            )
        self.model.load_state_dict(content["model"])
        self.averaged.load_state_dict(content["averaged"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.scaler.load_state_dict(content.get("scaler", {}) or self.scaler.state_dict())
        if content.get("feed"):
            self.feed.restore(content["feed"])
        torch.set_rng_state(content["random"])
        if content.get("random_cuda") and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(content["random_cuda"])
        self.step, self.seconds = int(content["step"]), float(content["seconds"])
        self.best = content.get("best")
        self.evaluated = int(content.get("evaluated", self.step))  # older states were saved after it


def read_state(path: Path) -> dict[str, Any]:
    """A saved state; raises `DataError` if it cannot be read."""
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return content
    except Exception as error:
        raise DataError(
            f"this state of a training run cannot be read ({type(error).__name__})",
            path=path,
            hint="It is damaged or no state of a run; start the run anew in another folder.",
        ) from error


def write_whole(content: dict[str, Any], path: Path) -> None:
    """Write tensors, numbers and texts as a file that torch reads safely."""
    scratch = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except (OSError, RuntimeError) as error:
        scratch.unlink(missing_ok=True)
        raise FaultError(
            f"the state of the run cannot be written ({error})",
            path=path,
            hint="Free space on the disk, then continue the run; it goes on from the last saved state.",
        ) from error
