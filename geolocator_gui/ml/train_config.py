"""What a training run does: frozen, written into its run folder."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from geolocator_gui.configs import Config


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
        ema: Decay of the averaged weights per step; 0 for none. They are what is evaluated and published.
        precision: Autocast of the forward and backward pass.
        compile: Fuse the backbone with `torch.compile` (needs a C++ compiler on CPU).
        fast_depthwise: Own gradient of the 7 × 7 depthwise weights on CPU (needs numba).
        threads: CPU threads of a step; None for torch's choice.
        device: "auto", "cpu", "cuda", "mps".
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
    ema: float = Field(default=0.999, ge=0, lt=1)
    precision: Literal["fp32", "bf16"] = "bf16"
    compile: bool = False
    fast_depthwise: bool = False
    threads: int | None = Field(default=None, ge=1)
    device: str = "auto"
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
        towns_per_batch: A batch is drawn from so many towns in equal shares.
        shipped_seed: A town of special interest that joins some batches; None for none.
        shipped_share: Share of the batches in which it takes one of the places.
        reserve_m: Side of the squares in the shipped town that training leaves out, one in four of a
            chequerboard, for evaluation.
        size_m: Side of a town.
        side_m: Side of a chip.
        chip_px: Side of a chip in pixels.
        panorama_px: Height and width of a panorama in pixels.
        offset_m: Largest distance between chip centre and camera in each axis.
        gap_m: Smallest distance between two cameras of a batch.
        local_share: Share of the places of a batch that are drawn around one spot, at the end.
        local_from: Share of the run after which those begin; they rise linearly to the full share.
        local_radius_m: How far around the spot.
        mirror: Share of pairs mirrored, both views alike.
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
    reserve_m: float = Field(default=24.0, gt=0)
    size_m: float = Field(default=1024.0, gt=200)
    side_m: float = Field(default=80.0, gt=0)
    chip_px: int = Field(default=96, ge=16)
    panorama_px: tuple[int, int] = (48, 192)
    offset_m: float = Field(default=14.0, ge=0)
    gap_m: float = Field(default=16.0, ge=0)
    local_share: float = Field(default=0.5, ge=0, le=1)
    local_from: float = Field(default=0.3, ge=0, le=1)
    local_radius_m: float = Field(default=150.0, gt=0)
    mirror: float = Field(default=0.5, ge=0, le=1)
    perspective: float = Field(default=0.12, ge=0, le=1)
    blur: float = Field(default=0.5, ge=0, le=1)
    jpeg: float = Field(default=0.3, ge=0, le=1)
    fill: tuple[int, int, int] = (124, 116, 104)
