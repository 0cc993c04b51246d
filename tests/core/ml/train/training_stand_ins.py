"""Small real pairs on disk, a tiny network, and a feed of colours for the training tests."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from geolocator_gui.configs import ModelConfig
from geolocator_gui.ml.datasets.common import Report
from geolocator_gui.ml.datasets.pair_data import PairData
from geolocator_gui.ml.model import SharedEncoder, create_encoder
from geolocator_gui.ml.pairs.batches import Batch, EmbedImages

MODEL = ModelConfig(
    name="tiny",
    architecture="test_convnext",
    embedding_size=64,
    satellite_size=32,
    ground_size=(32, 64),
    ground_view="panorama",
    side_m=80.0,
    satellite_source_px=32,
)


def tiny_model(seed: int = 3) -> SharedEncoder:
    return create_encoder("test_convnext", 0.07, seed)


def colour_image(number: int, height: int, width: int, noise_seed: int) -> np.ndarray:
    """Both views of a pair share two colours; the rest is noise."""
    colours = np.random.default_rng([number, 1]).integers(0, 256, (2, 3))
    rng = np.random.default_rng([number, noise_seed])
    image = np.empty((height, width, 3))
    image[: height // 2], image[height // 2 :] = colours
    return np.clip(image + rng.normal(0, 12, image.shape), 0, 255).astype(np.uint8)


class ColourFeed:
    """Endless pairs of colours; a batch is a function of the step."""

    def __init__(self, batch_size: int = 8, steps: int = 100) -> None:
        self._batch_size, self._steps = batch_size, steps

    def begin(self, step: int, embed: EmbedImages):
        return self._steps
        yield

    def batch(self, step: int) -> Batch:
        numbers = np.random.default_rng([step, 9]).choice(500, self._batch_size, replace=False)
        ground = np.stack([colour_image(int(n), 32, 64, 10 + step) for n in numbers])
        satellite = np.stack([colour_image(int(n), 32, 32, 900 + step) for n in numbers])
        return Batch(ground, satellite)

    def state(self) -> dict[str, torch.Tensor]:
        return {}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        return None


def write_pairs(root: Path, count: int, *, split: str = "train", first: int = 0) -> PairData:
    """Image files of pairs in a row of places 100 m apart."""
    for folder in ("ground", "satellite"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    numbers = range(first, first + count)
    for number in numbers:
        cv2.imwrite(str(root / f"ground/{number}.png"), colour_image(number, 40, 80, 5)[..., ::-1])
        cv2.imwrite(str(root / f"satellite/{number}.png"), colour_image(number, 40, 40, 6)[..., ::-1])
    label = np.array(numbers, dtype=np.int64)
    lonlat = np.stack([10.0 + label * 0.0018, np.full(count, 60.0)], axis=1)
    return PairData(
        name="stand-in",
        split=split,
        root=root,
        query_paths=[f"ground/{n}.png" for n in numbers],
        reference_paths=[f"satellite/{n}.png" for n in numbers],
        query_names=[str(n) for n in numbers],
        reference_names=[str(n) for n in numbers],
        query_label=label,
        reference_label=label,
        report=Report(count, count),
        query_lonlat=lonlat,
        reference_lonlat=lonlat,
        side_m=80.0,
    )
