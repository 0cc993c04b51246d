"""Training: one loop, read from top to bottom.

`train` is a generator of events that returns the finished state. It saves a state from which the same call
continues exactly: weights, their average, the optimiser, the step, and the random generator; batches are a
function of the step (see `pairs.Feed`), the learning rate too.
"""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from geolocator_gui.errors import DataError, FaultError
from geolocator_gui.events import Metric, Note, Progress, Steps
from geolocator_gui.ml import depthwise
from geolocator_gui.ml.loss import InfoNCE
from geolocator_gui.ml.model import SharedEncoder, to_input
from geolocator_gui.ml.pairs import Feed, prefetched
from geolocator_gui.ml.train_config import TrainConfig

Evaluate = Callable[[SharedEncoder], dict[str, float]]
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Trained:
    """What a run ends with.

    Attributes:
        model: The averaged weights where the run averages, else the last ones; in evaluation mode.
        last: The weights of the last step.
        steps: Optimiser steps done.
        seconds: Time spent in training, all sittings together.
    """

    model: SharedEncoder
    last: SharedEncoder
    steps: int
    seconds: float


def train(
    config: TrainConfig,
    model: SharedEncoder,
    feed: Feed,
    checkpoint: Path,
    *,
    evaluate: Evaluate | None = None,
    mean: tuple[float, float, float] = IMAGENET_MEAN,
    std: tuple[float, float, float] = IMAGENET_STD,
) -> Steps[Trained]:
    """Train a model on a feed of pairs, or continue where `checkpoint` says.

    Args:
        config: What to do.
        model: Freshly made or with the start weights; trained in place.
        feed: Batches by step.
        checkpoint: Where the state is kept; a file there is continued.
        evaluate: Figures of a model in evaluation mode, by name.
        mean: Per channel, of images scaled to 0..1.
        std: Per channel, of images scaled to 0..1.

    Raises:
        DataError: The checkpoint belongs to another configuration.
        FaultError: The loss is no longer a number.
    """
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    device = torch.device(pick_device(config.device))
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    fast = config.fast_depthwise and device.type == "cpu" and depthwise.available()
    if fast:
        depthwise.use_fast_depthwise(model.backbone)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    averaged = copy.deepcopy(model).eval().requires_grad_(False)
    loss_of = InfoNCE(config.label_smoothing)
    state = _State(config, model, averaged, optimiser)
    if checkpoint.exists():
        state.load(checkpoint)
        yield Note(f"Continuing from step {state.step} of {config.steps}.")
    embed: Callable[[Tensor], Tensor] = torch.compile(model, dynamic=False) if config.compile else model
    autocast = torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.precision == "bf16")
    every = config.evaluate_every_pairs // config.batch_size
    last_save = last_word = time.monotonic()
    last_step = state.step
    batches = prefetched(feed, state.step, config.steps)
    try:
        with closing(batches):
            for batch in batches:
                started = time.monotonic()
                model.train()
                rate = learning_rate(config, state.step)
                for group in optimiser.param_groups:
                    group["lr"] = rate
                ground = to_input(torch.from_numpy(batch.ground).to(device), mean, std)
                satellite = to_input(torch.from_numpy(batch.satellite).to(device), mean, std)
                with autocast:
                    query, reference = embed(ground), embed(satellite)
                loss = loss_of(query, reference, model.logit_scale.exp())
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                if config.clip_norm:
                    nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
                optimiser.step()
                state.step += 1
                state.average()
                now = time.monotonic()
                state.seconds += now - started

                if state.step % 20 == 0 or state.step == config.steps:
                    value = loss.item()
                    if not math.isfinite(value):
                        raise FaultError(
                            f"the loss became {value} at step {state.step}",
                            hint="Continue from the last saved state with a lower learning rate.",
                        )
                    pace = (state.step - last_step) / max(1e-9, now - last_word)
                    last_word, last_step = now, state.step
                    yield Metric(
                        state.step,
                        {
                            "loss": value,
                            "learning_rate": rate,
                            "temperature": float(torch.exp(-model.logit_scale.detach())),
                            "pairs": float(state.step * config.batch_size),
                            "pairs_per_second": pace * config.batch_size,
                        },
                    )
                    left = (config.steps - state.step) / max(1e-9, pace)
                    yield Progress("Training", state.step * config.batch_size, config.pairs, "pairs", left)
                if evaluate is not None and every and (state.step % every == 0 or state.step == config.steps):
                    yield Metric(
                        state.step, evaluate(averaged if config.ema else copy.deepcopy(model).eval())
                    )
                if time.monotonic() - last_save > 60.0 * config.save_minutes:
                    state.save(checkpoint)
                    last_save = time.monotonic()
                    yield Note(f"Saved at step {state.step}.")
    except GeneratorExit:
        # The caller stops between two steps: what was learned since the last save is kept.
        state.save(checkpoint)
        raise
    state.save(checkpoint)
    model.eval()
    return Trained(averaged if config.ema else model, model, state.step, state.seconds)


def pick_device(wanted: str) -> str:
    """The device of a run: what was asked for, else the best there is."""
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then half a cosine to zero at the end of the run."""
    warmup = config.warmup_pairs // config.batch_size
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    share = (step - warmup) / max(1, config.steps - warmup)
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * min(1.0, share)))


class _State:
    """All that a continued run needs, and where it is written."""

    def __init__(
        self,
        config: TrainConfig,
        model: SharedEncoder,
        averaged: SharedEncoder,
        optimiser: torch.optim.Optimizer,
    ) -> None:
        self.config, self.model, self.averaged, self.optimiser = config, model, averaged, optimiser
        self.step, self.seconds = 0, 0.0

    @torch.no_grad()
    def average(self) -> None:
        """Move the averaged weights towards the present ones; faster at first."""
        if not self.config.ema:
            return
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(
            list(self.averaged.parameters()), [p.detach() for p in self.model.parameters()], 1.0 - decay
        )

    def save(self, path: Path) -> None:
        """Write the state, whole or not at all."""
        content = {
            "config": self.config.model_dump(mode="json"),
            "step": self.step,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "random": torch.get_rng_state(),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(".part")
        with scratch.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)

    def load(self, path: Path) -> None:
        """Continue from a state; raises `DataError` if it belongs to another run."""
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        mine, theirs = self.config.model_dump(mode="json"), content["config"]
        # These change how a step is computed or how often one hears of it, not what is learned.
        free = {"threads", "device", "evaluate_every_pairs", "save_minutes", "compile", "fast_depthwise"}
        other = sorted(key for key in mine if key not in free and mine[key] != theirs.get(key))
        if other:
            raise DataError(
                f"this state belongs to a run with other settings ({', '.join(other)})",
                path=path,
                hint="Continue with the settings it was started with, or train into another folder.",
            )
        self.model.load_state_dict(content["model"])
        self.averaged.load_state_dict(content["averaged"])
        self.optimiser.load_state_dict(content["optimiser"])
        torch.set_rng_state(content["random"])
        self.step, self.seconds = int(content["step"]), float(content["seconds"])
