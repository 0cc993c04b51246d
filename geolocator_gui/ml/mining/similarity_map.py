"""Which regions of a photo and of a chip make their vectors alike.

The similarity s = q · r of two unit vectors is followed back to the feature map that enters the last stage of
the backbone (for a ConvNeXt at stride 16). The map at a position is gradient times activation, as in Grad-CAM
(Selvaraju et al., ICCV 2017) but without averaging the gradient, which would lose the place; and the
activation is taken relative to the image's mean. So the map says, in first order, what s would lose if this
position looked like the average of its image. The mean matters: a stage that begins with a normalisation of
each position is blind to its scale, and gradient times activation alone would be zero everywhere. What adds
less than the mean position is left out: both vectors have length 1, so only the relation of regions counts.

Only the last stage is differentiated: the stages before it run without a graph.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from geolocator_gui.errors import InputError
from geolocator_gui.ml.transforms import normalise

if TYPE_CHECKING:
    from geolocator_gui.configs import ModelConfig
    from geolocator_gui.ml.transforms import Floats, Pixels

_OPACITY = 0.72


@dataclass(frozen=True)
class Alike:
    """The two maps.

    Attributes:
        similarity: Cosine of the two vectors.
        photo: (h, w) float32 0..1, contributions in the photo as the encoder takes it.
        chip: (H, W) float32 0..1, in the chip.
    """

    similarity: float
    photo: Floats
    chip: Floats


class SimilarityMaps:
    """Explains similarities of one network.

    Args:
        backbone: Turns normalised images into raw features; in evaluation mode, its weights frozen.
        config: Names mean and std.

    Raises:
        InputError: The architecture has no last stage that is known.
    """

    def __init__(self, backbone: nn.Module, config: ModelConfig) -> None:
        self._backbone = backbone
        self._last = _last_stage(backbone, config.architecture)
        self._config = config

    def explain(self, photo: Pixels, chip: Pixels) -> Alike:
        """Maps of a photo and a chip.

        Args:
            photo: uint8 (h, w, 3) at the ground input's size.
            chip: uint8 (H, W, 3) at the satellite input's size.
        """
        with torch.enable_grad():
            left, q = self._split(photo)
            right, r = self._split(chip)
            similarity = (q * r).sum()
            gradients = torch.autograd.grad(similarity, (left, right))
        maps = [
            _contribution(features, gradient, image.shape[:2])
            for features, gradient, image in zip((left, right), gradients, (photo, chip), strict=True)
        ]
        return Alike(float(similarity.detach()), maps[0], maps[1])

    def _split(self, image: Pixels) -> tuple[Tensor, Tensor]:
        """The features that enter the last stage, a leaf of the graph, and the unit vector made of them."""
        pixels = torch.from_numpy(normalise(image[None], self._config.mean, self._config.std))
        leaves: list[Tensor] = []

        def cut(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            leaves.append(inputs[0].detach().requires_grad_(True))
            return (leaves[0], *inputs[1:])

        handle = self._last.register_forward_pre_hook(cut)
        try:
            vector = functional.normalize(self._backbone(pixels).float(), dim=-1)
        finally:
            handle.remove()
        return leaves[0], vector


def _last_stage(backbone: nn.Module, architecture: str) -> nn.Module:
    for name in ("stages", "blocks"):
        parts = getattr(backbone, name, None)
        if isinstance(parts, nn.Sequential | nn.ModuleList) and len(parts):
            return parts[-1]
    last = getattr(backbone, "layer4", None)
    if isinstance(last, nn.Module):
        return last
    raise InputError(
        f"a similarity map cannot be made for {architecture}",
        hint="It is made for ConvNeXt, vision transformers and ResNets.",
    )


def _contribution(features: Tensor, gradient: Tensor, size: tuple[int, ...]) -> Floats:
    """(h, w) in 0..1 from features and gradient, (1, C, a, b) or tokens (1, T, C)."""
    activation, slope = features.detach(), gradient.detach()
    if activation.ndim == 3:
        rows, columns = token_grid(activation.shape[1], size)
        prefix = activation.shape[1] - rows * columns
        activation, slope = (
            part[:, prefix:].transpose(1, 2).reshape(1, -1, rows, columns) for part in (activation, slope)
        )
    plane = (slope * (activation - activation.mean((2, 3), keepdim=True))).sum(1)[0]
    plane = (plane - plane.mean()).clamp_min(0)[None, None]
    whole = functional.interpolate(plane, size=tuple(size[:2]), mode="bicubic", align_corners=False)
    values: NDArray[np.float32] = whole[0, 0].clamp_min(0).numpy().astype(np.float32)
    return values / max(float(values.max()), 1e-12)


def token_grid(tokens: int, size: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of the patches among so many tokens of an image (h, w).

    Class and register tokens, at most eight, come first; of the grids that are left the one whose proportions
    are nearest to the image's is taken, the larger one of equals.
    """
    wanted = math.log(size[1] / size[0])
    found: list[tuple[float, int, int, int]] = []
    for prefix in range(min(9, tokens)):
        patches = tokens - prefix
        for rows in range(1, patches + 1):
            if patches % rows == 0:
                columns = patches // rows
                found.append((abs(math.log(columns / rows) - wanted), prefix, rows, columns))
    _, _, rows, columns = min(found)
    return rows, columns


def overlay(image: Pixels, weights: Floats, *, longest: int = 1024) -> Pixels:
    """An image, enlarged, under its map: viridis, transparent where nothing contributes.

    Args:
        image: uint8 (h, w, 3).
        weights: (h, w) in 0..1.
        longest: Longer side of the result, pixels.
    """
    import cv2

    scale = max(longest / max(image.shape[:2]), 1.0)
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    base = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    level = np.clip(cv2.resize(weights, size, interpolation=cv2.INTER_LINEAR), 0, 1)
    table = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_VIRIDIS)[:, 0, ::-1]
    colour = table[(level * 255).astype(np.uint8)].astype(np.float32)
    alpha = (_OPACITY * np.sqrt(level))[..., None]
    grey = base.mean(-1, keepdims=True) * 0.5 + base * 0.5  # quieter, so that the map is read first
    return np.asarray(np.clip(grey * (1 - alpha) + colour * alpha, 0, 255), np.uint8)
