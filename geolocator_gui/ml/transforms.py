"""The evaluation transforms: cut, resize, normalise; cv2 and numpy only.

What Sample4Geo (Deuser et al., ICCV 2023) does to an image at test time, so that released weights see what
they were measured with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import InputError
from geolocator_gui.records import View

if TYPE_CHECKING:
    from geolocator_gui.configs import ModelConfig

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


def input_size(view: View, config: ModelConfig) -> tuple[int, int]:
    """Height and width in pixels of what the encoder takes for a view."""
    return (config.satellite_size, config.satellite_size) if view == "satellite" else config.ground_size


def cut(image: Pixels, rows: int) -> Pixels:
    """Cut `rows` rows from the top and from the bottom of an image (h, w, 3)."""
    if rows <= 0:
        return image
    if image.shape[0] <= 2 * rows:
        raise InputError(
            f"an image of {image.shape[0]} rows cannot lose {rows} rows at the top and at the bottom",
            hint="The model's ground_cutting is meant for taller panoramas.",
        )
    return image[rows:-rows]


def resize(image: Pixels, height: int, width: int) -> Pixels:
    """Bilinear resize without antialiasing (OpenCV INTER_LINEAR_EXACT) of a uint8 image (h, w, 3)."""
    import cv2

    if image.shape[:2] == (height, width):
        return np.ascontiguousarray(image)
    resized = cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=cv2.INTER_LINEAR_EXACT)
    return np.asarray(resized, dtype=np.uint8)


def prepare(image: Pixels, view: View, config: ModelConfig) -> Pixels:
    """One image as the encoder takes it: cuts first (ground only), then the resize.

    Args:
        image: RGB, uint8 (h, w, 3): a chip, or a ground image that is already placed.
        view: Which of the two inputs it is for.
        config: The model's preprocessing.

    Returns:
        uint8 (H, W, 3) of the view's input size.
    """
    if view == "ground":
        image = cut(image, config.ground_cutting)
    return resize(image, *input_size(view, config))


def normalise(images: Pixels, mean: Sequence[float], std: Sequence[float]) -> Floats:
    """Images as normalised tensors.

    Args:
        images: uint8 (N, h, w, 3), or (h, w, 3).
        mean: Per channel, of images scaled to 0..1.
        std: Per channel, of images scaled to 0..1.

    Returns:
        float32 (N, 3, h, w), or (3, h, w), contiguous: (pixel - 255 mean) / (255 std).
    """
    shift = np.asarray(mean, dtype=np.float32) * np.float32(255)
    scale = np.reciprocal(np.asarray(std, dtype=np.float32) * np.float32(255))
    return np.ascontiguousarray(np.moveaxis((images.astype(np.float32) - shift) * scale, -1, -3))
