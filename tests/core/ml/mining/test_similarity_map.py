"""The similarity map points at what makes two images alike, for stages and for tokens."""

import time

import numpy as np
import pytest
import torch
from torch import nn

from geolocator_gui.configs import ModelConfig
from geolocator_gui.ml.mining.similarity_map import SimilarityMaps, overlay, token_grid
from geolocator_gui.ml.model_loading import PixelsToVectors


def config(**fields: object) -> ModelConfig:
    given = {
        "name": "toy",
        "architecture": "convnext_atto",
        "embedding_size": 320,
        "satellite_size": 96,
        "ground_size": (48, 192),
        "ground_view": "panorama",
        "satellite_source_px": 96,
        "weights_file": "weights.safetensors",
    }
    return ModelConfig.model_validate(given | fields)


class Colours(nn.Module):
    """Mean colour over cells of 8 pixels; the last stage only passes on."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.AvgPool2d(8)
        self.stages = nn.Sequential(nn.Identity(), nn.Identity())

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.stages(self.stem(pixels)).mean((2, 3))


def image(height: int, width: int, **spots: tuple[int, int, int]) -> np.ndarray:
    """Black with squares of 16 pixels: `name=(row, column, channel)`."""
    made = np.zeros((height, width, 3), np.uint8)
    for row, column, channel in spots.values():
        made[row : row + 16, column : column + 16, channel] = 255
    return made


def test_the_map_peaks_on_what_both_show_and_not_on_what_one_shows_alone() -> None:
    toy = config(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    photo = image(48, 192, shared=(16, 32, 0), alone=(16, 144, 1))
    chip = image(96, 96, shared=(64, 64, 0), alone=(8, 8, 2))
    found = SimilarityMaps(Colours(), toy).explain(photo, chip)
    assert found.similarity == pytest.approx(0.5)
    assert found.photo.shape == (48, 192)
    assert found.chip.shape == (96, 96)
    row, column = np.unravel_index(found.photo.argmax(), found.photo.shape)
    assert 16 <= row < 32
    assert 32 <= column < 48
    row, column = np.unravel_index(found.chip.argmax(), found.chip.shape)
    assert 64 <= row < 80
    assert 64 <= column < 80
    assert found.photo[20:28, 148:156].max() < 0.05
    assert found.chip[12:20, 12:20].max() < 0.05


@pytest.mark.parametrize("architecture", ["convnext_atto", "vit_tiny_patch16_224"])
def test_real_backbones_give_the_encoders_cosine_within_a_second(architecture: str) -> None:
    from geolocator_gui.ml.backbone import create_backbone

    torch.manual_seed(0)
    backbone = create_backbone(architecture).eval().requires_grad_(False)
    toy = config(architecture=architecture)
    rng = np.random.default_rng(2)
    photo, chip = rng.integers(0, 256, (48, 192, 3), np.uint8), rng.integers(0, 256, (96, 96, 3), np.uint8)
    maps = SimilarityMaps(backbone, toy)
    maps.explain(photo, chip)
    begin = time.thread_time()  # of this thread: others may spin for work on a busy machine
    found = maps.explain(photo, chip)
    assert time.thread_time() - begin < 1.0
    whole = PixelsToVectors(backbone, toy)
    with torch.no_grad():
        q, r = (whole(torch.from_numpy(one[None]))[0] for one in (photo, chip))
    assert found.similarity == pytest.approx(float(q @ r), abs=1e-4)
    for one, source in ((found.photo, photo), (found.chip, chip)):
        assert one.shape == source.shape[:2]
        assert one.max() == pytest.approx(1.0)
        assert one.min() >= 0.0


@pytest.mark.parametrize(
    ("tokens", "size", "grid"),
    [
        (36, (96, 96), (6, 6)),
        (37, (96, 96), (6, 6)),
        (41, (96, 96), (6, 6)),
        (37, (48, 192), (3, 12)),
        (197, (224, 224), (14, 14)),
    ],
)
def test_patch_tokens_lie_in_the_images_proportions(tokens, size, grid) -> None:
    assert token_grid(tokens, size) == grid


def test_an_overlay_is_enlarged_and_coloured_where_the_map_is() -> None:
    weights = np.zeros((48, 192), np.float32)
    weights[:, :96] = 1.0
    made = overlay(np.full((48, 192, 3), 100, np.uint8), weights, longest=384)
    assert made.shape == (96, 384, 3)
    assert np.abs(made[48, 300].astype(int) - 100).max() <= 1
    assert made[48, 60].astype(int).tolist() != [100, 100, 100]
    assert made[48, 60, 0] > made[48, 60, 2]  # the top of viridis is yellow
