"""Training: one loop, read from top to bottom.

`train` is a generator of events that returns the finished model. It saves a state from which the same call
continues exactly (see `train_state`); batches and the learning rate are functions of the step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn

from geolocator_gui.configs import ModelConfig
from geolocator_gui.errors import ConfigError, FaultError
from geolocator_gui.events import Metric, Note, Pace, Progress, Steps
from geolocator_gui.ml.model import SharedEncoder, to_input
from geolocator_gui.ml.pairs.batches import Batch, Feed, Pixels, prefetched
from geolocator_gui.ml.train import depthwise
from geolocator_gui.ml.train.batch_loss import BatchLoss
from geolocator_gui.ml.train.gradcache import batch_gradients
from geolocator_gui.ml.train.state import TrainState
from geolocator_gui.ml.transforms import prepare
from geolocator_gui.records import View
from geolocator_gui.training import TrainConfig

Evaluate = Callable[[SharedEncoder], dict[str, float] | Steps[dict[str, float]]]
"""Figures of a model in evaluation mode; steps where it takes long, so that it is seen and can be stopped."""
LAST, BEST = "last.pt", "best.pt"
RECALL = "recall_at_1"  # the figure that decides which state is the best
_TOLD_EVERY = 20
_TOLD_SECONDS, _TOLD_LATER = 2.0, 30.0  # of slow steps: every few seconds at first, seldom in a long run
_EARLY_STEPS = 500


@dataclass(frozen=True)
class Trained:
    """What a run ends with.

    Attributes:
        model: The averaged weights where the run averages, else the last ones; in evaluation mode.
        last: The weights of the last step.
        steps: Optimiser steps done.
        seconds: Time spent in steps, all sittings together.
        figures: Of the last evaluation.
    """

    model: SharedEncoder
    last: SharedEncoder
    steps: int
    seconds: float
    figures: dict[str, float]


def train(
    config: TrainConfig,
    model: SharedEncoder,
    bundle: ModelConfig,
    feed: Feed,
    checkpoints: Path,
    *,
    evaluate: Evaluate | None = None,
) -> Steps[Trained]:
    """Train a model on a feed of pairs, or continue a run.

    Args:
        config: What to do.
        model: Freshly made or with the start weights; trained in place.
        bundle: Input sizes, mean and std.
        feed: Batches by step.
        checkpoints: Folder of `last.pt`, which is continued if it is there, and `best.pt`.
        evaluate: Figures of a model in evaluation mode, by name; `recall_at_1` decides which is the best.

    Raises:
        DataError: The saved state belongs to another configuration.
        FaultError: The loss is no longer a number, or the state cannot be written.
    """
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    device = torch.device(pick_device(config.device))
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    freeze(model.backbone, config.freeze)
    if config.fast_depthwise and device.type == "cpu" and depthwise.available():
        depthwise.use_fast_depthwise(model.backbone)
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(learned, lr=config.learning_rate, weight_decay=config.weight_decay)
    scaler = torch.amp.GradScaler(device.type, init_scale=2.0**10, enabled=config.precision == "fp16")
    state = TrainState(config, model, optimiser, scaler, feed)
    if (checkpoints / LAST).exists():
        state.load(checkpoints / LAST)
        yield Note(f"Continuing from step {state.step} of {config.steps}.")
    main = not distributed.is_initialized() or distributed.get_rank() == 0
    compiled: Callable[[Tensor], Tensor] = torch.compile(model, dynamic=False) if config.compile else model
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(config.precision)
    micro_batch = config.micro_batch
    every = config.evaluate_every_pairs // config.batch_size
    figures: dict[str, float] = {}
    last_save = last_word = last_sign = time.monotonic()
    last_step = state.step

    def embed(images: Tensor) -> Tensor:
        with torch.autocast(device.type, dtype=half, enabled=half is not None):
            return compiled(images)

    def embed_rows(load: Callable[[int], Pixels], count: int, view: View) -> Steps[NDArray[np.float32]]:
        return (yield from embed_images(model, bundle, load, count, view))

    def assess() -> Steps[None]:
        nonlocal figures, last_word, last_step
        if not main or evaluate is None or state.evaluated == state.step:
            return
        if state.step < config.steps and not (state.step and every and state.step % every == 0):
            return
        answer = evaluate(state.evaluated_model())
        figures = (yield from answer) if isinstance(answer, Generator) else answer
        state.evaluated = state.step
        yield Metric(state.step, figures)
        if RECALL in figures and state.save_best(checkpoints / BEST, figures[RECALL], figures):
            yield Note(f"The best so far, at step {state.step}.")
        last_word, last_step = time.monotonic(), state.step

    try:
        yield from assess()  # a sitting may have ended in the middle of one
        while state.step < config.steps:
            fixed = yield from feed.begin(state.step, embed_rows)
            last_word, last_step = time.monotonic(), state.step
            with closing(prefetched(feed, state.step, min(fixed, config.steps))) as batches:
                for batch in batches:
                    for text in batch.notes:
                        yield Note(text, "warning")
                    started = time.monotonic()
                    model.train()
                    rate = learning_rate(config, state.step)
                    for group in optimiser.param_groups:
                        group["lr"] = rate
                    views = [
                        to_input(torch.from_numpy(images).to(device), bundle.mean, bundle.std)
                        for images in (
                            batch.ground,
                            batch.satellite,
                            batch.ground_again,
                            batch.satellite_again,
                        )
                        if images is not None
                    ]
                    loss_of = batch_loss(config, batch, device)
                    while True:
                        optimiser.zero_grad(set_to_none=True)
                        try:
                            loss = batch_gradients(
                                model,
                                embed,
                                views,
                                loss_of,
                                micro_batch=micro_batch,
                                scale=scaler.get_scale(),
                            )
                            break
                        except torch.OutOfMemoryError:
                            micro_batch = smaller(micro_batch or config.batch_size)
                            torch.cuda.empty_cache()
                            yield Note(
                                f"Out of memory: {micro_batch} images at once from here on.", "warning"
                            )
                    scaler.unscale_(optimiser)
                    if config.clip_norm:
                        nn.utils.clip_grad_norm_(learned, config.clip_norm)
                    if config.clip_value:
                        nn.utils.clip_grad_value_(learned, config.clip_value)
                    scaler.step(optimiser)
                    scaler.update()
                    state.step += 1
                    state.average()
                    now = time.monotonic()
                    state.seconds += now - started

                    last_one = state.step == config.steps
                    patience = _TOLD_SECONDS if state.step < _EARLY_STEPS else _TOLD_LATER
                    pace = (state.step - last_step) / max(1e-9, now - last_word)
                    if state.step % _TOLD_EVERY == 0 or last_one or now - last_word > patience:
                        value = loss.item()
                        if not math.isfinite(value):
                            raise FaultError(
                                f"the loss became {value} at step {state.step}",
                                hint="Continue from the last saved state with a lower learning rate.",
                            )
                        last_word, last_step, last_sign = now, state.step, 0.0
                        yield Metric(
                            state.step,
                            {
                                "loss": value,
                                "learning_rate": rate,
                                "temperature": float(torch.exp(-model.logit_scale.detach())),
                                "pairs": float(state.step * config.batch_size),
                                "pairs_per_second": pace * config.batch_size,
                                **device_memory(device),
                            },
                        )
                    if now - last_sign > _TOLD_SECONDS:  # a request to stop is heard here
                        last_sign = now
                        left = (config.steps - state.step) / max(1e-9, pace)
                        done, total = state.step * config.batch_size, config.steps * config.batch_size
                        yield Progress("Training", done, total, "pairs", left)
                    yield from assess()
                    if main and time.monotonic() - last_save > 60.0 * config.save_minutes:
                        state.save(checkpoints / LAST)
                        last_save = time.monotonic()
                        yield Note(f"Saved at step {state.step}.")
    except GeneratorExit:
        # The caller stops between two steps: what was learned since the last save is kept.
        if main:
            state.save(checkpoints / LAST)
        raise
    if main:
        state.save(checkpoints / LAST)
    return Trained(state.evaluated_model(), model.eval(), state.step, state.seconds, figures)


def pick_device(wanted: str) -> str:
    """The device of a run: what was asked for, else the best there is.

    Raises:
        ConfigError: This machine does not have what was asked for.
    """
    kind, _, number = wanted.partition(":")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "cuda" and not gpus:
        raise ConfigError("this machine has no CUDA", hint="Set device=auto or device=cpu.")
    if kind == "cuda" and number and int(number) >= gpus:
        raise ConfigError(
            f"this machine has no {wanted}", hint=f"It has cuda:0 to cuda:{gpus - 1}; set one of them."
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("this machine has no MPS device", hint="Set device=auto or device=cpu.")
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def device_memory(device: torch.device) -> dict[str, float]:
    """GB that the run has held on its device at most, by name; nothing on a CPU."""
    if device.type != "cuda":
        return {}
    return {"gpu_memory_gb": torch.cuda.max_memory_allocated(device) / 1e9}


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then half a cosine to zero at the end of the run."""
    warmup = config.warmup_pairs // config.batch_size
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    share = (step - warmup) / max(1, config.steps - warmup)
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * min(1.0, share)))


def freeze(backbone: nn.Module, parts: int) -> int:
    """Keep the stem and the first stages as they are; returns how many parameters that are."""
    prefixes = ("stem", "stages.0", "stages.1", "stages.2", "stages.3")[:parts]
    frozen = 0
    for name, parameter in backbone.named_parameters():
        if name.startswith(prefixes) and prefixes:
            parameter.requires_grad_(False)
            frozen += parameter.numel()
    return frozen


def smaller(micro_batch: int) -> int:
    """The next size to try after the device ran out of memory; raises `FaultError` at the end."""
    if micro_batch <= 1:
        raise FaultError(
            "the device has too little memory for even one image at a time",
            hint="Choose a smaller model, smaller input sizes, or another device.",
        )
    return micro_batch // 2


def batch_loss(config: TrainConfig, batch: Batch, device: torch.device) -> BatchLoss:
    """The loss of one batch."""
    ignore = None if batch.ignore is None else torch.from_numpy(batch.ignore).to(device)
    return BatchLoss(config.label_smoothing, config.inner_contrast, ignore)


def embed_images(
    model: SharedEncoder,
    bundle: ModelConfig,
    load: Callable[[int], Pixels],
    count: int,
    view: View,
    *,
    what: str = "Embedding to mine neighbours",
) -> Steps[NDArray[np.float32]]:
    """Unit vectors (N, D) of images by the model as it is now, after the evaluation transform."""
    training = model.training
    device = model.logit_scale.device
    model.eval()
    pace = Pace(what, count, "images")
    vectors: NDArray[np.float32] | None = None
    for start in range(0, count, 64):
        rows = range(start, min(count, start + 64))
        images = np.stack([prepare(load(row), view, bundle) for row in rows])
        with torch.inference_mode():
            batch = to_input(torch.from_numpy(images).to(device), bundle.mean, bundle.std)
            features = nn.functional.normalize(model(batch).float(), dim=-1).cpu().numpy()
        if vectors is None:
            vectors = np.empty((count, features.shape[1]), dtype=np.float32)
        vectors[start : start + len(rows)] = features
        yield from pace.at(start + len(rows))
    model.train(training)
    return vectors if vectors is not None else np.zeros((0, 1), dtype=np.float32)
