"""Training for ordinary photos: parts of panoramas, unknown headings, contrast inside each view.

The idea is SinGeo's (CVPR 2026): a field of view that shrinks as training goes on, random headings, and a
second look at each view that must be recognised beside the match across views.
"""

from __future__ import annotations

import numpy as np

from geolocator_gui.ml.pairs.batches import Pixels
from geolocator_gui.training import ViewTrainingConfig


def smallest_fov(config: ViewTrainingConfig, share: float) -> float:
    """Smallest field of view in degrees when `share` (0..1) of the run is done."""
    if config.curriculum == 0:
        return config.smallest_fov
    fallen = min(1.0, share / config.curriculum)
    return 360.0 - fallen * (360.0 - config.smallest_fov)


def partial_view(panorama: Pixels, fov: float, heading: float, fill: tuple[int, int, int]) -> Pixels:
    """What an ordinary photo would leave of a panorama (h, w, 3).

    The panorama is rolled so that its centre looks to `heading` degrees; columns farther than half the field
    of view from the centre are filled. A photo of unknown heading is placed in the same way.
    """
    width = panorama.shape[1]
    result = np.roll(panorama, -round(heading / 360.0 * width), axis=1)
    keep = round(fov / 360.0 * width)
    if keep < width:
        first = (width - keep) // 2
        result[:, :first] = fill
        result[:, first + keep :] = fill
    return result


def train_view(
    panorama: Pixels,
    config: ViewTrainingConfig,
    share: float,
    fill: tuple[int, int, int],
    rng: np.random.Generator,
) -> Pixels:
    """A panorama as a training step shows it when `share` (0..1) of the run is done."""
    if not config.enabled or rng.random() < config.full:
        return panorama
    fov = float(rng.uniform(smallest_fov(config, share), 360.0))
    heading = float(rng.uniform(0.0, 360.0)) if rng.random() < config.heading else 0.0
    return partial_view(panorama, fov, heading, fill)
