"""What a training run does: frozen, written into its run folder. No torch here: the window reads it too."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from geolocator_gui.configs import Config
from geolocator_gui.errors import ConfigError, printable


class TrainConfig(Config):
    """Optimisation and bookkeeping of a run; the data has its own configuration.

    Attributes:
        pairs: Pairs seen in the whole run; the learning rate's cosine ends there.
        batch_size: Pairs per optimiser step; each is a negative of all others.
        learning_rate: Peak.
        weight_decay: AdamW's.
        warmup_pairs: Pairs over which the learning rate rises linearly.
        label_smoothing: Of the InfoNCE loss.
        temperature: At the start; learned from there.
        clip_norm: Largest norm of all gradients together; 0 for none.
        clip_value: Largest absolute value of a single gradient; 0 for none.
        inner_contrast: Weight of the contrast inside each view, where the data give second looks.
        freeze: Parts of the backbone that stay as they are: 0 none, 1 the stem, 2 and the first stage, ….
        micro_batch: Images embedded at once with a graph (gradient caching: equal gradients, less memory);
            None for the whole batch.
        ema: Decay of the averaged weights per step; 0 for none. They are what is evaluated and published.
        precision: Autocast of the forward and backward pass; "fp16" scales the loss (CUDA only).
        compile: Fuse the backbone with `torch.compile` (needs a C++ compiler on CPU).
        fast_depthwise: Own gradient of the 7 × 7 depthwise weights on CPU (needs numba).
        threads: CPU threads of a step; None for torch's choice.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        seed: Of the initial weights and of everything drawn.
        evaluate_every_pairs: Pairs between two evaluations; 0 for none but the last.
        save_minutes: Longest time between two saved states.
    """

    pairs: int = Field(default=500_000, ge=1)
    batch_size: int = Field(default=128, ge=2)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup_pairs: int = Field(default=25_600, ge=0)
    label_smoothing: float = Field(default=0.05, ge=0, lt=1)
    temperature: float = Field(default=0.07, gt=0)
    clip_norm: float = Field(default=5.0, ge=0)
    clip_value: float = Field(default=0.0, ge=0)
    inner_contrast: float = Field(default=0.0, ge=0)
    freeze: int = Field(default=0, ge=0, le=5)
    micro_batch: int | None = Field(default=None, ge=1)
    ema: float = Field(default=0.999, ge=0, lt=1)
    precision: Literal["fp32", "bf16", "fp16"] = "bf16"
    compile: bool = False
    fast_depthwise: bool = False
    threads: int | None = Field(default=None, ge=1)
    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:[0-9]+)?)$")
    seed: int = 0
    evaluate_every_pairs: int = Field(default=40_000, ge=0)
    save_minutes: float = Field(default=4.0, gt=0)

    @property
    def steps(self) -> int:
        """Optimiser steps of the run; an incomplete last batch is not made."""
        return max(1, self.pairs // self.batch_size)


class TownPairsConfig(Config):
    """Pairs rendered from generated towns while training runs.

    Attributes:
        first_seed: Seed of the first town; the others follow.
        towns: Different towns in all.
        start_with: Towns that must be there before the first batch.
        steps_per_town: Batches after which one more town joins.
        towns_per_batch: A batch is drawn from so many towns, in equal shares but for the shipped one.
        shipped_seed: A town of special interest that joins some batches; None for none.
        shipped_share: Share of the batches in which it takes one of the places.
        shipped_weight: Pairs that come from it then, for each pair that comes from another town of the batch.
        reserve_m: Side of the squares in the shipped town that training leaves out, one in four of a
            chequerboard, for evaluation.
        size_m: Side of a town.
        side_m: Side of a chip.
        chip_px: Side of a chip in pixels.
        panorama_px: Height and width of a panorama in pixels.
        finer: How many times finer panoramas are rendered before they are averaged down, as photos are.
        offset_m: Largest distance between chip centre and camera in each axis.
        gap_m: Smallest distance between two cameras of a batch.
        local_share: Share of the places of a batch that are drawn around one spot, at the end.
        local_from: Share of the run after which those begin; they rise linearly to the full share.
        local_radius_m: How far around the spot.
        turned: Share of the parts of a batch (a part is what comes from one town) whose views all look to
            one random heading; the others look north, as every chip of an index does. A heading of its own
            per pair would tell a pair from its negatives by the direction of streets and shadows alone.
        mirror: Share of parts mirrored, both views alike.
        look_alikes: Places per town among which look-alikes are sought; 0 for none.
        look_alike_share: Share of the parts drawn as groups of look-alikes, where the town has been searched.
        look_alike_towns: Towns searched at a time beside the shipped one.
        mine_every: Batches after which other towns are searched, with the model as it is then.
        perspective: Share of pairs whose panorama is cut to the window of an ordinary photo.
        blur: Share of views softened; imagery and photos are averaged down, rendered views are sampled.
        jpeg: Share of chips that went through JPEG.
        fill: What lies outside that window, RGB 0..255.
    """

    first_seed: int = 1000
    towns: int = Field(default=64, ge=1)
    start_with: int = Field(default=6, ge=1)
    steps_per_town: int = Field(default=20, ge=1)
    towns_per_batch: int = Field(default=4, ge=1)
    shipped_seed: int | None = None
    shipped_share: float = Field(default=0.0, ge=0, le=1)
    shipped_weight: float = Field(default=1.0, gt=0)
    reserve_m: float = Field(default=24.0, gt=0)
    size_m: float = Field(default=1024.0, gt=200)
    side_m: float = Field(default=80.0, gt=0)
    chip_px: int = Field(default=96, ge=16)
    panorama_px: tuple[int, int] = (48, 192)
    finer: int = Field(default=1, ge=1, le=4)
    offset_m: float = Field(default=14.0, ge=0)
    gap_m: float = Field(default=16.0, ge=0)
    local_share: float = Field(default=0.5, ge=0, le=1)
    local_from: float = Field(default=0.3, ge=0, le=1)
    local_radius_m: float = Field(default=150.0, gt=0)
    turned: float = Field(default=0.5, ge=0, le=1)
    look_alikes: int = Field(default=0, ge=0)
    look_alike_share: float = Field(default=0.6, ge=0, le=1)
    look_alike_towns: int = Field(default=4, ge=0)
    mine_every: int = Field(default=600, ge=1)
    mirror: float = Field(default=0.5, ge=0, le=1)
    perspective: float = Field(default=0.12, ge=0, le=1)
    blur: float = Field(default=0.5, ge=0, le=1)
    jpeg: float = Field(default=0.3, ge=0, le=1)
    fill: tuple[int, int, int] = (124, 116, 104)


class SamplingConfig(Config):
    """Which pairs share a batch.

    Attributes:
        neighbours: "random", "position" (nearest on the ground), or "similarity" (position until the first
            mining, then the most similar ones).
        pool: Length of the neighbour lists.
        nearest: Of a list, the nearest that are pulled in.
        others: Drawn from the rest of the list.
        mine_every: Epochs between two minings by similarity.
        min_distance_m: Pairs nearer to each other than this are not each other's negatives; None for half a
            chip side where the imagery overlaps (own pairs, VIGOR), else 0.
    """

    neighbours: str = Field(default="similarity", pattern="^(random|position|similarity)$")
    pool: int = Field(default=128, ge=1, le=4096)
    nearest: int = Field(default=32, ge=0)
    others: int = Field(default=32, ge=0)
    mine_every: int = Field(default=4, ge=1)
    min_distance_m: float | None = Field(default=None, ge=0)


class AugmentConfig(Config):
    """Probabilities and strengths; the defaults are the published ones.

    Attributes:
        flip: Probability of mirroring both views.
        jpeg: Probability of compressing a view with quality 90–100.
        jitter: Probability of colour jitter.
        jitter_strength: Of brightness, contrast, saturation and hue.
        sharpness: Probability of blur or sharpening.
        dropout: Probability of grid or coarse dropout.
        rotate: Probability of turning both views by 90°, 180° or 270°.
    """

    flip: float = Field(default=0.5, ge=0, le=1)
    jpeg: float = Field(default=0.5, ge=0, le=1)
    jitter: float = Field(default=0.5, ge=0, le=1)
    jitter_strength: float = Field(default=0.15, ge=0, le=1)
    sharpness: float = Field(default=0.3, ge=0, le=1)
    dropout: float = Field(default=0.3, ge=0, le=1)
    rotate: float = Field(default=0.75, ge=0, le=1)


class ViewTrainingConfig(Config):
    """Training for ordinary photos.

    Attributes:
        enabled: Whether ground views are cut to parts and turned at all.
        smallest_fov: Degrees, reached at the end of the curriculum.
        curriculum: Share of the run over which the smallest field of view falls from 360°.
        heading: Share of pairs whose panorama is rolled by a random heading that the model is not told.
        full: Share of pairs that keep the full, north-aligned panorama.
        inner_contrast: Weight of the contrast inside each view; 0 for none. Costs a second pass of both.
    """

    enabled: bool = False
    smallest_fov: float = Field(default=70.0, ge=10, le=360)
    curriculum: float = Field(default=0.5, ge=0, le=1)
    heading: float = Field(default=1.0, ge=0, le=1)
    full: float = Field(default=0.25, ge=0, le=1)
    inner_contrast: float = Field(default=0.0, ge=0)


class TrainRun(Config):
    """A whole run: data, start and settings; the run's `config.toml`.

    Attributes:
        data: KIND:PATH of the pairs.
        model: Bundle that the run starts from; its geometry is kept.
        start: "bundle" goes on from its weights, "scratch" begins with random ones.
        preset: Name of the preset that the settings came from.
        limit: Only the first pairs; None for all.
        evaluate_limit: Validation queries of an evaluation during the run; None for all.
        loaders: Threads that load and augment images.
        tensorboard: Also write TensorBoard event files (needs the extra).
        marks: The verdicts that are heeded: "workspace" for those of the workspace that the run lies in,
            "none", or a marks.csv. They are copied into the run's folder when it begins.
        train: Optimisation.
        sampling: Which pairs share a batch.
        augment: What is done to the images.
        views: Training for ordinary photos.
        town: Rendered pairs (data of kind "town").
    """

    data: str
    model: str = "demo-town"
    start: Literal["bundle", "scratch"] = "bundle"
    preset: str = "fine-tune"
    limit: int | None = Field(default=None, ge=2)
    evaluate_limit: int | None = Field(default=1000, ge=1)
    loaders: int = Field(default=2, ge=1, le=64)
    tensorboard: bool = False
    marks: str = "workspace"
    train: TrainConfig = TrainConfig()
    sampling: SamplingConfig = SamplingConfig()
    augment: AugmentConfig = AugmentConfig()
    views: ViewTrainingConfig = ViewTrainingConfig()
    town: TownPairsConfig = TownPairsConfig()


_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def checked_model_name(name: str) -> str:
    """A name that a model can be published under, as it is: it becomes a folder of its own.

    Raises:
        ConfigError: It is empty, too long, or has a character that a folder's name should not have.
    """
    if not _MODEL_NAME.fullmatch(name) or name.endswith("."):
        raise ConfigError(
            f"'{printable(name)}' is not a name for a model",
            hint="Use 1 to 64 letters (a-z, A-Z), digits, dots, dashes and underscores; "
            "begin with a letter or digit, and do not end with a dot.",
        )
    return name


TOWN_PAIRS = 4_000
"""Rendered pairs have no end; presets count an epoch of the town as so many."""
PRESETS = ("fine-tune", "published", "quick")


def preset(name: str, pairs: int) -> dict[str, Any]:
    """Settings of a preset for a data set of so many training pairs, by field of `TrainRun`.

    "published" is Sample4Geo's recipe: 40 epochs, 128 pairs, AdamW 1e-3, one warm-up epoch, label smoothing
    0.1, gradients clipped at 100. "fine-tune" keeps stem and first two stages, at a tenth of the rate.

    Raises:
        ConfigError: There is no such preset.
    """
    if name == "published":
        return {
            "train": {
                "pairs": max(1, 40 * pairs),
                "batch_size": min(128, max(2, pairs)),
                "learning_rate": 1e-3,
                "warmup_pairs": pairs,
                "label_smoothing": 0.1,
                "clip_norm": 0.0,
                "clip_value": 100.0,
                "ema": 0.0,
                "evaluate_every_pairs": 4 * pairs,
            }
        }
    if name == "fine-tune":
        return {
            "train": {
                "pairs": max(1, 10 * pairs),
                "batch_size": min(64, max(2, pairs // 4)),
                "learning_rate": 1e-4,
                "warmup_pairs": max(0, pairs // 2),
                "label_smoothing": 0.1,
                "ema": 0.99,
                "freeze": 3,
                "evaluate_every_pairs": pairs,
            },
            "sampling": {"mine_every": 2},
        }
    if name == "quick":
        return {
            "train": {
                "pairs": max(1, min(2 * pairs, 2000)),
                "batch_size": min(32, max(2, pairs // 4)),
                "learning_rate": 1e-4,
                "warmup_pairs": 0,
                "ema": 0.9,
                "evaluate_every_pairs": max(1, min(pairs, 1000)),
                "save_minutes": 1.0,
            },
            "evaluate_limit": 200,
            "sampling": {"mine_every": 1},
            "town": {"towns": 4, "start_with": 2, "towns_per_batch": 2, "size_m": 400.0, "gap_m": 8.0},
        }
    raise ConfigError(f"there is no preset '{name}'", hint=f"Presets: {', '.join(PRESETS)}.")


def with_settings(run: TrainRun, settings: Sequence[str]) -> TrainRun:
    """A run with `key=value` settings applied; a key is `part.field`, or a field's name where it is unique.

    Raises:
        ConfigError: A key is unknown or ambiguous, or a value does not fit.
    """
    fields = run.model_dump(mode="json")
    parts = [name for name, value in fields.items() if isinstance(value, dict)]
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(f"'{setting}' is not a setting", hint="Write --set key=value.")
        part, dot, name = key.strip().rpartition(".")
        homes = (
            [part]
            if dot
            else [""] * (key in fields and key not in parts) + [home for home in parts if key in fields[home]]
        )
        homes = [home for home in homes if not home or (home in parts and name in fields[home])]
        if len(homes) != 1:
            problem = "is in several parts" if homes else "is unknown"
            hint = (
                f"Write one of {', '.join(f'{home}.{name}' for home in homes)}."
                if homes
                else _known_keys(fields, key)
            )
            raise ConfigError(f"the setting '{key}' {problem}", hint=hint)
        target = fields[homes[0]] if homes[0] else fields
        target[name] = _value(text.strip())
    return TrainRun.from_mapping(fields)


def _known_keys(fields: dict[str, Any], key: str) -> str:
    """What may have been meant by an unknown key, and every key that there is."""
    own = [name for name, value in fields.items() if not isinstance(value, dict)]
    parts = {name: list(value) for name, value in fields.items() if isinstance(value, dict)}
    full = [f"{part}.{name}" for part, names in parts.items() for name in names]
    short = [*own, *(name for names in parts.values() for name in names)]
    near = dict.fromkeys(difflib.get_close_matches(key, [*short, *full], n=4))
    lines = [f"Did you mean {' or '.join(near)}?"] if near else []
    lines.append(f"Settings of the run: {', '.join(own)}.")
    lines += [f"{part}: {', '.join(names)}." for part, names in parts.items()]
    return "\n".join(lines)


def _value(text: str) -> Any:
    """A value as written: JSON where it parses ("0.1", "true", "null", "[48, 192]"), else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
