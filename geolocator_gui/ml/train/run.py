"""A training run in its folder: from the frozen configuration to checkpoints and a published bundle."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import distributed

from geolocator_gui.configs import ModelConfig
from geolocator_gui.errors import BundleError, DataError
from geolocator_gui.events import Metric, Note, Steps
from geolocator_gui.marks import Mark
from geolocator_gui.ml.backbone import create_backbone
from geolocator_gui.ml.bundle import Bundle, find_bundle, open_bundle, write_bundle
from geolocator_gui.ml.datasets import KINDS, PairData, TrainingSamples, read_pairs
from geolocator_gui.ml.model import SharedEncoder, create_encoder
from geolocator_gui.ml.pairs.files import FeedSettings, FileFeed
from geolocator_gui.ml.pairs.marked import apply_marks, frozen_marks
from geolocator_gui.ml.pairs.town import TownPairs
from geolocator_gui.ml.train.loop import BEST, LAST, Evaluate, pick_device, train
from geolocator_gui.ml.train.pack import PACKED, read_packed
from geolocator_gui.ml.train.state import read_state
from geolocator_gui.ml.train.validation import FileValidation, TownValidation
from geolocator_gui.ml.weights.checkpoint import load_strict, read_state_dict
from geolocator_gui.training import TownPairsConfig, TrainRun, checked_model_name

T = TypeVar("T")
CHECKPOINTS = "checkpoints"
START = "start"  # a packed run brings its start model along in this folder


@dataclass(frozen=True)
class TrainSummary:
    """What a run ends with.

    Attributes:
        steps: Optimiser steps.
        pairs: Pairs seen.
        seconds: Time in steps.
        figures: Of the best evaluation.
        best_step: When that was.
        unreadable: Images that could not be read, with the reason.
    """

    steps: int
    pairs: int
    seconds: float
    figures: dict[str, float]
    best_step: int
    unreadable: dict[str, str]

    def to_dict(self) -> dict[str, object]:
        """JSON-able."""
        return {
            "steps": self.steps,
            "pairs": self.pairs,
            "seconds": round(self.seconds, 1),
            "figures": self.figures,
            "best_step": self.best_step,
            "unreadable": self.unreadable,
        }


def run_training(run: TrainRun, folder: Path, *, workspace_models: Path | None = None) -> Steps[TrainSummary]:
    """Train as a run's configuration says, or continue it where its checkpoints are.

    Args:
        run: The configuration.
        folder: The training's folder; `checkpoints/` is made in it.
        workspace_models: The workspace's bundles, first on the search path.

    Raises:
        GeolocatorError: The data or the model cannot be used.
    """
    pick_device(run.train.device)
    folder.mkdir(parents=True, exist_ok=True)
    with process_group() as (rank, world):
        bundle = start_bundle(run, folder, workspace_models)
        model = start_model(run, bundle)
        marks = verdicts(run, folder, workspace_models, rank, world)
        feed, evaluate = yield from open_data(run, bundle.config, folder, rank, world, marks=marks)
        try:
            trained = yield from _with_tensorboard(
                run,
                folder,
                train(run.train, model, bundle.config, feed, folder / CHECKPOINTS, evaluate=evaluate),
            )
        finally:
            feed.close()
        unreadable = dict(feed.failed) if isinstance(feed, FileFeed) else {}
        if unreadable:
            yield Note(f"{len(unreadable):,} images could not be read; their pairs were left out.", "warning")
        best, figures = trained.steps, trained.figures
        if (folder / CHECKPOINTS / BEST).exists():
            content = read_state(folder / CHECKPOINTS / BEST)
            best, figures = int(content["step"]), dict(content["figures"])
        pairs = trained.steps * run.train.batch_size
        return TrainSummary(trained.steps, pairs, trained.seconds, figures, best, unreadable)


@contextlib.contextmanager
def process_group() -> Iterator[tuple[int, int]]:
    """Rank and number of processes; under `torchrun` they find each other."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield 0, 1
        return
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    try:
        yield distributed.get_rank(), distributed.get_world_size()
    finally:
        distributed.destroy_process_group()


def verdicts(
    run: TrainRun, folder: Path, workspace_models: Path | None, rank: int = 0, world: int = 1
) -> list[Mark]:
    """The verdicts of a run; of several processes the first one copies them."""
    workspace = None if workspace_models is None else workspace_models.parent
    begun = (folder / CHECKPOINTS / LAST).exists()
    if rank > 0:
        distributed.barrier()
    marks = frozen_marks(run.marks, folder, workspace, begun=begun)
    if rank == 0 and world > 1:
        distributed.barrier()
    return marks


def start_bundle(run: TrainRun, folder: Path, workspace_models: Path | None) -> Bundle:
    """The bundle a run starts from: the packed one beside it, else by name."""
    if (folder / START / "model.json").is_file():
        return open_bundle(folder / START)
    return find_bundle(run.model, workspace_models)


def start_model(run: TrainRun, bundle: Bundle) -> SharedEncoder:
    """The network with its start weights in float32."""
    config = bundle.config
    if run.start == "scratch":
        return create_encoder(config.architecture, run.train.temperature, run.train.seed)
    bundle.verify()
    checkpoint = read_state_dict(bundle.weights_path)
    torch.manual_seed(run.train.seed)
    backbone = create_backbone(config.architecture)
    load_strict(backbone, checkpoint.state, bundle.weights_path, config.architecture)
    model = SharedEncoder(backbone.float(), run.train.temperature)
    scale = checkpoint.logit_scale if checkpoint.logit_scale is not None else config.logit_scale
    if scale is not None:
        torch.nn.init.constant_(model.logit_scale, scale)
    return model


def open_data(
    run: TrainRun,
    model: ModelConfig,
    folder: Path,
    rank: int = 0,
    world: int = 1,
    *,
    marks: Sequence[Mark] = (),
) -> Steps[tuple[FileFeed | TownPairs, Evaluate | None]]:
    """The feed of a run and what evaluates it; says what is left out.

    Raises:
        DataError: The kind is unknown or its folder cannot be used.
    """
    kind, _, place = run.data.partition(":")
    if kind == "town":
        town = town_for(run.town, model)
        if marks:
            yield Note("Verdicts are about single places; pairs rendered at random have none of them.")
        feed = TownPairs(
            town,
            batch_size=run.train.batch_size,
            steps=run.train.steps,
            seed=run.train.seed,
            rank=rank,
            world=world,
        )
        per_town = min(150, max(4, (run.evaluate_limit or 600) // 4))
        return feed, (yield from TownValidation.steps(town, model, per_town))
    if kind == PACKED:
        yield Note("The pairs came with the run.")
    elif kind not in KINDS:
        raise DataError(
            f"'{kind}' is not a kind of data",
            path=run.data,
            hint=f"Write KIND:PATH with KIND {', '.join([*KINDS, 'town'])}.",
        )
    elif not KINDS[kind].trains:
        raise DataError(f"{kind} is a test set; nothing may be trained on it", path=place)

    def read(split: str) -> PairData:
        if kind == PACKED:
            return read_packed(folder / place, split)
        return read_pairs(kind, place, split, run.limit if split == "train" else None).for_model(model)

    pairs = read("train")
    for text in pairs.report.sentences():
        yield Note(text)
    settings = FeedSettings(
        model=model,
        sampling=run.sampling,
        augment=run.augment,
        views=run.views,
        batch_size=run.train.batch_size,
        steps=run.train.steps,
        seed=run.train.seed,
        threads=run.loaders,
        rank=rank,
        world=world,
    )
    samples, marked = apply_marks(TrainingSamples.of(pairs), marks)
    if marks:
        yield Note(marked.sentence())
    file_feed = FileFeed(samples, settings, marked)
    yield Note(f"{len(file_feed.samples):,} pairs to train on.")
    try:
        held_out = read("val")
    except DataError as error:
        yield Note(f"No evaluation during the run: {error.what}.", "warning")
        return file_feed, None
    yield Note(f"{len(held_out.query_paths):,} pairs to validate on.")
    return file_feed, FileValidation(held_out, model, run.evaluate_limit, folder)


def town_for(town: TownPairsConfig, model: ModelConfig) -> TownPairsConfig:
    """Rendered pairs in the geometry of a model."""
    fill = tuple(round(255 * value) for value in model.mean)
    return town.model_copy(
        update={
            "chip_px": model.satellite_size,
            "panorama_px": model.ground_size,
            "side_m": model.side_m or town.side_m,
            "fill": fill,
        }
    )


def _with_tensorboard(run: TrainRun, folder: Path, steps: Steps[T]) -> Steps[T]:
    """The same steps, with their metrics also written as TensorBoard events where the run wants it."""
    if not run.tensorboard:
        return (yield from steps)
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        yield Note(
            "TensorBoard is not installed: install the extra 'tensorboard' to get its files.", "warning"
        )
        return (yield from steps)
    writer = SummaryWriter(str(folder / "tensorboard"))  # type: ignore[no-untyped-call]
    try:
        while True:
            try:
                event = next(steps)
            except StopIteration as stop:
                result: T = stop.value
                return result
            if isinstance(event, Metric):
                for name, value in event.values.items():
                    writer.add_scalar(name, value, event.step)  # type: ignore[no-untyped-call]
            yield event
    finally:
        steps.close()
        writer.close()  # type: ignore[no-untyped-call]


def publish(
    folder: Path, run: TrainRun, name: str, models: Path, *, workspace_models: Path | None = None
) -> Bundle:
    """Make a bundle of a run's best state (its last where nothing was evaluated).

    Args:
        folder: The training's folder.
        run: Its configuration.
        name: Of the bundle.
        models: Folder of bundles that it is written into.
        workspace_models: The workspace's bundles, to find the one the run started from.

    Raises:
        DataError: The run has no saved state yet.
        ConfigError: The name cannot be a folder's.
        BundleError: A bundle of this name is there already.
    """
    checked_model_name(name)
    if (models / name).exists():
        raise BundleError(
            f"there is a model named '{name}' already", path=models / name, hint="Choose another name."
        )
    best, last = folder / CHECKPOINTS / BEST, folder / CHECKPOINTS / LAST
    path = best if best.exists() else last
    if not path.exists():
        raise DataError(
            "this run has saved nothing yet", path=folder, hint="Let it run for some minutes first."
        )
    content = read_state(path)
    weights = content["averaged" if path == best or run.train.ema else "model"]
    start = start_bundle(run, folder, workspace_models)
    figures = {key: float(value) for key, value in content.get("figures", {}).items()}
    config = start.config.model_copy(
        update={
            "name": name,
            "title": name,
            "source": f"fine-tuned here from {start.config.name}",
            "trained_on": run.data,
            "synthetic": run.data.startswith("town:"),
            "scores": {f"validation {key}": round(100 * value, 2) for key, value in figures.items()},
            "logit_scale": float(weights["logit_scale"]),
        }
    )
    state = {
        key.removeprefix("backbone."): value for key, value in weights.items() if key.startswith("backbone.")
    }
    return write_bundle(models / name, config, state, _card(run, start, int(content["step"]), figures))


def _card(run: TrainRun, start: Bundle, step: int, figures: dict[str, float]) -> str:
    """The model card of a published run."""
    rows = "\n".join(f"| {key} | {100 * value:.1f} % |" for key, value in figures.items())
    train = run.train
    measured = f"| validation | |\n|---|---|\n{rows}" if figures else "Nothing was evaluated during the run."
    begun = f"the weights of {start.config.name}" if run.start == "bundle" else "random weights"
    return f"""# {start.config.name}, trained further

Started from {begun}; geometry, input sizes and chip side are those of {start.config.name}.

- data: `{run.data}`
- preset: {run.preset}; neighbours: {run.sampling.neighbours}
- training for ordinary photos: {"on" if run.views.enabled else "off"}
- {step * train.batch_size:,} pairs in batches of {train.batch_size}
- AdamW {train.learning_rate:g}, {train.precision}
- frozen parts: {train.freeze}; averaged weights: {train.ema or "no"}

{measured}

The figures are on the validation split of the same data. Licence of the start weights:
{start.config.licence or "not stated"}.
"""
