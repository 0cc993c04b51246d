"""The published training augmentations of Sample4Geo, on OpenCV and numpy.

Order and strengths are those of the paper's implementation: joint flip, cut, JPEG at native size, resize,
colour jitter, blur or sharpening, grid or coarse dropout, and, after the resize, joint rotation by quarter
turns. Images are uint8 RGB throughout; normalisation happens on the device.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from geolocator_gui.ml.pairs.batches import Pixels
from geolocator_gui.ml.transforms import cut, resize
from geolocator_gui.training import AugmentConfig


@dataclass(frozen=True)
class Target:
    """What a view becomes.

    Attributes:
        height: Pixels.
        width: Pixels.
        cutting: Rows cut from top and bottom before the resize.
        grid_ratio: Share of a grid cell that grid dropout blanks (0.4 satellite, 0.5 ground).
    """

    height: int
    width: int
    cutting: int = 0
    grid_ratio: float = 0.5


def augment_pair(
    ground: Pixels,
    satellite: Pixels,
    ground_target: Target,
    satellite_target: Target,
    config: AugmentConfig,
    rng: np.random.Generator,
    *,
    panorama: bool = True,
) -> tuple[Pixels, Pixels]:
    """Both views of a pair at their input sizes.

    Args:
        ground: uint8 (h, w, 3), as the data hold it.
        satellite: uint8 (h, w, 3).
        ground_target: Size and cut of the ground view.
        satellite_target: Size of the satellite view.
        config: What to do how often.
        rng: Decides everything.
        panorama: The ground view covers 360°: it is rolled with the satellite's turn. Else only the
            satellite view is turned (drone images).

    Returns:
        ground uint8 (H, W, 3), satellite uint8 (S, S, 3).
    """
    if rng.random() < config.flip:
        ground, satellite = ground[:, ::-1], satellite[:, ::-1]
    ground = augment_view(ground, ground_target, config, rng)
    satellite = augment_view(satellite, satellite_target, config, rng)
    if rng.random() < config.rotate:
        ground, satellite = turn(ground, satellite, int(rng.integers(1, 4)), panorama=panorama)
    return np.ascontiguousarray(ground), np.ascontiguousarray(satellite)


def turn(ground: Pixels, satellite: Pixels, quarters: int, *, panorama: bool) -> tuple[Pixels, Pixels]:
    """The satellite view turned counter-clockwise by quarter turns, the panorama rolled alike."""
    satellite = np.rot90(satellite, quarters)
    if panorama:
        ground = np.roll(ground, -ground.shape[1] // 4 * quarters, axis=1)
    return ground, satellite


def augment_view(image: Pixels, target: Target, config: AugmentConfig, rng: np.random.Generator) -> Pixels:
    """One view: cut, JPEG, resize, colours, sharpness, dropout."""
    if target.cutting:
        image = cut(image, target.cutting)
    if rng.random() < config.jpeg:
        image = jpeg(image, int(rng.integers(90, 101)))
    image = resize(np.ascontiguousarray(image), target.height, target.width)
    if rng.random() < config.jitter:
        image = jitter(image, config.jitter_strength, rng)
    if rng.random() < config.sharpness:
        image = blur(image, rng) if rng.random() < 0.5 else sharpen(image, rng)
    if rng.random() < config.dropout:
        grid = rng.random() < 0.5
        image = grid_dropout(image, target.grid_ratio) if grid else coarse_dropout(image, rng)
    return image


def jpeg(image: Pixels, quality: int) -> Pixels:
    """An image (h, w, 3) after JPEG compression."""
    data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])[
        1
    ]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)[..., ::-1]


def jitter(image: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Brightness, contrast, saturation (factors) and hue (a shift of the circle) in random order."""
    for which in rng.permutation(4):
        amount = float(rng.uniform(-strength, strength))
        if which == 0:
            image = _scaled(image, 1.0 + amount, 0.0)
        elif which == 1:
            grey = float(cv2.mean(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[0])
            image = _scaled(image, 1.0 + amount, -amount * grey)
        elif which == 2:
            grey_image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
            image = np.asarray(cv2.addWeighted(image, 1.0 + amount, grey_image, -amount, 0.0), dtype=np.uint8)
        else:
            hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
            hues = (np.arange(256) + round(180.0 * amount)) % 180
            hsv[..., 0] = cv2.LUT(hsv[..., 0], hues.astype(np.uint8))
            image = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), dtype=np.uint8)
    return image


def _scaled(image: Pixels, factor: float, shift: float) -> Pixels:
    table = np.clip(np.arange(256) * factor + shift, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(np.ascontiguousarray(image), table), dtype=np.uint8)


def blur(image: Pixels, rng: np.random.Generator) -> Pixels:
    """A turned generalised Gaussian of 3–7 pixels with noise on its weights (AdvancedBlur)."""
    size = int(rng.choice([3, 5, 7]))
    sigma_x, sigma_y = rng.uniform(0.2, 1.0, 2)
    angle = np.radians(rng.uniform(-90.0, 90.0))
    beta = rng.uniform(0.5, 1.0) if rng.random() < 0.5 else rng.uniform(1.0, 8.0)
    grid = np.arange(size) - (size - 1) / 2
    x, y = np.meshgrid(grid, grid)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    kernel = np.exp(-0.5 * ((along / sigma_x) ** 2 + (across / sigma_y) ** 2) ** beta)
    kernel *= rng.uniform(0.9, 1.1, kernel.shape)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), dtype=np.uint8)


def sharpen(image: Pixels, rng: np.random.Generator) -> Pixels:
    """A share of 0.2–0.5 of the image sharpened by a Laplacian of lightness 0.5–1."""
    alpha, lightness = rng.uniform(0.2, 0.5), rng.uniform(0.5, 1.0)
    kernel = np.full((3, 3), -1.0)
    kernel[1, 1] = 8.0 + lightness
    kernel *= alpha
    kernel[1, 1] += 1.0 - alpha
    return np.asarray(cv2.filter2D(image, -1, kernel), dtype=np.uint8)


def grid_dropout(image: Pixels, ratio: float) -> Pixels:
    """A grid of black squares anchored at the corner; cells of a tenth of the width."""
    unit = max(2, image.shape[1] // 10)
    hole = min(max(int(unit * ratio), 1), unit - 1)
    rows, columns = np.arange(image.shape[0]) % unit < hole, np.arange(image.shape[1]) % unit < hole
    result = image.copy()
    result[rows[:, None] & columns[None, :]] = 0
    return result


def coarse_dropout(image: Pixels, rng: np.random.Generator) -> Pixels:
    """10–25 black squares of 10–20 % of the height, anywhere."""
    height, width = image.shape[:2]
    result = image.copy()
    low, high = max(1, int(0.1 * height)), max(2, int(0.2 * height))
    for _ in range(int(rng.integers(10, 26))):
        tall, wide = (int(rng.integers(low, high + 1)) for _ in range(2))
        top = int(rng.integers(0, max(1, height - tall + 1)))
        left = int(rng.integers(0, max(1, width - wide + 1)))
        result[top : top + tall, left : left + wide] = 0
    return result
