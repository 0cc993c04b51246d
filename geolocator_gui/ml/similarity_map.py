"""Which regions of a photo and of a chip make their vectors alike.

The similarity s = q · r of two unit vectors is followed back to the feature map that enters the last stage of
the backbone (for a ConvNeXt at stride 16). Gradient times activation, summed over the channels, is what each
position contributes to s in first order; what lowers s is left out. The method is Grad-CAM's (Selvaraju et
al., ICCV 2017) without the averaging of the gradient, which would lose the place.

Only the last stage is differentiated: the stages before it run once without a graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

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
        backbone: Turns normalised images into raw features; in evaluation mode.
        config: Names mean and std.
    """

    def __init__(self, backbone: nn.Module, config: ModelConfig) -> None:
        self._backbone: Any = backbone
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
        return Alike(float(similarity), maps[0], maps[1])

    def _split(self, image: Pixels) -> tuple[Tensor, Tensor]:
        """The features that enter the last stage, a leaf of the graph, and the unit vector made of them."""
        network = self._backbone
        pixels = torch.from_numpy(normalise(image[None], self._config.mean, self._config.std))
        stages = getattr(network, "stages", None)
        if isinstance(stages, nn.Sequential) and hasattr(network, "stem") and len(stages) > 1:
            with torch.no_grad():
                features = stages[:-1](network.stem(pixels))
            leaf = features.detach().requires_grad_(True)
            last = getattr(network, "norm_pre", nn.Identity())(stages[-1](leaf))
        else:
            with torch.no_grad():
                features = network.forward_features(pixels)
            leaf = features.detach().requires_grad_(True)
            last = leaf
        vector = functional.normalize(network.forward_head(last).float(), dim=-1)
        return leaf, vector


def _contribution(features: Tensor, gradient: Tensor, size: tuple[int, ...]) -> Floats:
    """(h, w) in 0..1 from features and gradient, (1, C, a, b) or tokens (1, T, C)."""
    product = (features * gradient).detach()
    plane = _tokens_to_plane(product.sum(-1)[0], size) if product.ndim == 3 else product.sum(1)[0]
    plane = plane.clamp_min(0)[None, None]
    whole = functional.interpolate(plane, size=tuple(size[:2]), mode="bicubic", align_corners=False)
    values: NDArray[np.float32] = whole[0, 0].clamp_min(0).numpy().astype(np.float32)
    return values / max(float(values.max()), 1e-12)


def _tokens_to_plane(values: Tensor, size: tuple[int, ...]) -> Tensor:
    """Patch tokens (T,) as a grid with the image's proportions; class and register tokens come first."""
    count = len(values)
    for prefix in range(6):
        patches = count - prefix
        rows = round((patches * size[0] / size[1]) ** 0.5)
        if (
            rows > 0
            and patches % rows == 0
            and abs(patches / rows / rows - size[1] / size[0]) < 0.05 * size[1]
        ):
            return values[prefix:].reshape(rows, patches // rows)
    return values[None, :]


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
