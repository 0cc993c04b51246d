"""From a bundle to a module with its weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from geolocator_gui.ml.backbone import create_backbone
from geolocator_gui.ml.weights.checkpoint import load_strict, read_state_dict

if TYPE_CHECKING:
    from torch import Tensor

    from geolocator_gui.configs import ModelConfig
    from geolocator_gui.ml.bundle import Bundle


class PixelsToVectors(nn.Module):
    """The whole way on the device: uint8 pixels (N, h, w, 3) to unit vectors, float32 (N, D).

    Args:
        backbone: Takes normalised images (N, 3, h, w).
        config: Names mean and std.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, backbone: nn.Module, config: ModelConfig) -> None:
        super().__init__()
        self.backbone = backbone
        shift = torch.tensor(config.mean, dtype=torch.float32) * 255
        scale = 1 / (torch.tensor(config.std, dtype=torch.float32) * 255)
        self.register_buffer("shift", shift.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", scale.view(1, 3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Unit vectors of pixels."""
        images = (pixels.permute(0, 3, 1, 2).float() - self.shift) * self.scale
        return functional.normalize(self.backbone(images).float(), dim=-1)


def load_backbone(bundle: Bundle) -> nn.Module:
    """The bundle's backbone in float32, in evaluation mode, on the CPU.

    Raises:
        WeightsError: The weights cannot be read or do not fit the architecture.
    """
    state = read_state_dict(bundle.weights_path).state
    return build_backbone(bundle.config.architecture, state, bundle.weights_path)


def build_backbone(architecture: str, state: dict[str, Tensor], path: Path | str) -> nn.Module:
    """A backbone with these weights in float32, in evaluation mode, on the CPU.

    Raises:
        WeightsError: timm does not know the architecture, or the weights do not fit it.
    """
    side = grid_side(state)
    # Shapes are compared before anything is allocated: a file that does not fit costs no memory.
    with torch.device("meta"):
        module = create_backbone(architecture, image_size=side)
    computed = set(dict(module.named_buffers())) - set(module.state_dict())
    load_strict(module, state, path, architecture)
    if computed:  # tables that are not stored must be computed on a real device
        module = create_backbone(architecture, image_size=side)
        load_strict(module, state, path, architecture)
    return module.requires_grad_(False).float().eval()


def size_it_takes(module: nn.Module, wanted: tuple[int, int], own: int) -> tuple[int, int]:
    """Height and width that a network takes, the wanted ones or near them.

    Transformers take multiples of their patch; some networks take nothing but the square they were made for.

    Args:
        module: The backbone; its weights are let go (only shapes are followed, on the device "meta").
        wanted: Height and width in pixels.
        own: Side of the square it was made for.
    """
    module.to("meta")
    near = [(_multiple(wanted[0], step), _multiple(wanted[1], step)) for step in (14, 16, 32)]
    for size in (wanted, *near, (own, own)):
        try:
            with torch.inference_mode():
                module(torch.zeros(1, 3, *size, device="meta"))
        except (AssertionError, RuntimeError, ValueError):
            continue  # not this one
        return size
    return wanted


def _multiple(pixels: int, step: int) -> int:
    return max(1, round(pixels / step)) * step


def grid_side(state: dict[str, Tensor]) -> int | None:
    """Side in pixels of the square image that a state's position embeddings are for, None without any."""
    positions, patches = state.get("pos_embed"), state.get("patch_embed.proj.weight")
    if positions is None or patches is None or positions.ndim != 3 or patches.ndim != 4:
        return None
    for prefix in range(6):  # class, distillation and register tokens
        tokens = max(positions.shape[1] - prefix, 0)
        side = math.isqrt(tokens)
        if side and side * side == tokens:
            return side * int(patches.shape[-1])
    return None
