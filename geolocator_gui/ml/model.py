"""The network: one backbone for both views, and the learned temperature."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from geolocator_gui.ml.backbone import create_backbone


class SharedEncoder(nn.Module):
    """A backbone shared by both views; its raw features are L2-normalised by the loss.

    Attributes:
        backbone: timm module without a classifier.
        logit_scale: ln of the inverse temperature, a scalar.
    """

    def __init__(self, backbone: nn.Module, temperature: float = 0.07) -> None:
        super().__init__()
        self.backbone = backbone
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1.0 / temperature)))

    def forward(self, images: Tensor) -> Tensor:
        """Raw features (N, D) of normalised images (N, 3, H, W)."""
        features: Tensor = self.backbone(images)
        return features


def create_encoder(architecture: str, temperature: float, seed: int) -> SharedEncoder:
    """A fresh network, the same for the same seed.

    ConvNeXt's layer scale starts at 0.1 instead of 1e-6: the small networks that are trained from scratch
    here see few steps, and need not be held back.
    """
    torch.manual_seed(seed)
    backbone = create_backbone(architecture)
    for name, parameter in backbone.named_parameters():
        if name.endswith(".gamma"):
            nn.init.constant_(parameter, 0.1)
    return SharedEncoder(backbone, temperature)


def to_input(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Normalised float32 (N, 3, H, W) in channels-last memory from uint8 (N, H, W, 3)."""
    scale = 255.0 * torch.tensor(std, device=images.device)
    shift = 255.0 * torch.tensor(mean, device=images.device)
    return ((images.float() - shift) / scale).permute(0, 3, 1, 2)
