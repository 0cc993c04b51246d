"""From a bundle to a module with its weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from geolocator_gui.ml.backbone import create_backbone
from geolocator_gui.ml.checkpoint import load_strict, read_state_dict

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from geolocator_gui.ml.bundle import Bundle


def load_backbone(bundle: Bundle) -> nn.Module:
    """The bundle's backbone in float32, in evaluation mode, on the CPU.

    Raises:
        WeightsError: The weights cannot be read or do not fit the architecture.
    """
    state = read_state_dict(bundle.weights_path).state
    return build_backbone(bundle.config.architecture, state, bundle.weights_path)


def build_backbone(architecture: str, state: dict[str, Tensor], path: Path | str) -> nn.Module:
    """A backbone with these weights in float32, in evaluation mode, on the CPU."""
    module = create_backbone(architecture, image_size=_grid_side(architecture, state))
    load_strict(module, state, path, architecture)
    return module.float().eval()


def _grid_side(architecture: str, state: dict[str, Tensor]) -> int | None:
    """Side in pixels of the square image that the state's position embeddings are for, None without any."""
    positions, patches = state.get("pos_embed"), state.get("patch_embed.proj.weight")
    if positions is None or patches is None or positions.ndim != 3 or patches.ndim != 4:
        return None
    for prefix in range(6):  # class, distillation and register tokens
        side = math.isqrt(max(positions.shape[1] - prefix, 0))
        if side and side * side == positions.shape[1] - prefix:
            return side * int(patches.shape[-1])
    return None
