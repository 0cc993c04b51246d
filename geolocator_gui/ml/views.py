"""What an ordinary photo shows of a panorama: fields of view with known and unknown heading.

The test of Sample4Geo's successors on crops (CVUSA at 360, 180, 90 and 70 degrees): the photo looks to a
random direction; the rest of the panorama is blank. With a known heading the photo stands where it belongs;
with an unknown one it stands in the middle, wherever it looked to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geolocator_gui.ml.transforms import Pixels

FIELDS_OF_VIEW = (360.0, 180.0, 90.0, 70.0)


@dataclass(frozen=True)
class PartialView:
    """One of the tests; call it with a panorama whose centre looks north.

    Attributes:
        fov: Degrees of the panorama's width that are seen.
        known_heading: Whether the photo stands where it belongs.
        fill: Colour of the rest, RGB 0..255: the model's mean is nothing to it.
        seed: Directions depend on it and on the row, not on the field of view or the model.
    """

    fov: float
    known_heading: bool
    fill: tuple[int, int, int]
    seed: int = 0

    @property
    def name(self) -> str:
        """For tables: "90° unknown heading"."""
        return f"{self.fov:g}° {'known' if self.known_heading else 'unknown'} heading"

    @property
    def is_whole(self) -> bool:
        """The panorama as it is."""
        return self.fov >= 360 and self.known_heading

    def __call__(self, panorama: Pixels, row: int) -> Pixels:
        """uint8 (h, w, 3) of the same size.

        Args:
            panorama: Equirectangular or a strip, the centre looking north.
            row: Which query it is.
        """
        width = panorama.shape[1]
        look = int(np.random.default_rng([self.seed, row]).integers(width))
        middle = np.roll(panorama, -look, axis=1)
        seen = min(width, max(1, round(width * self.fov / 360)))
        left = (width - seen) // 2
        shown = np.empty_like(panorama)
        shown[:] = np.asarray(self.fill, np.uint8)
        shown[:, left : left + seen] = middle[:, left : left + seen]
        return np.roll(shown, look, axis=1) if self.known_heading else shown


def standard_views(mean: tuple[float, float, float], seed: int = 0) -> tuple[PartialView, ...]:
    """All fields of view, known and unknown heading, blank in the model's mean (of images scaled to 0..1)."""
    red, green, blue = (round(255 * value) for value in mean)
    return tuple(
        PartialView(fov, known, (red, green, blue), seed) for fov in FIELDS_OF_VIEW for known in (True, False)
    )
