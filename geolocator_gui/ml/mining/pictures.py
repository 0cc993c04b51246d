"""Pictures of pairs that are rendered when asked for, kept beside the mining to be looked at."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np

from geolocator_gui.mined import PICTURES
from geolocator_gui.ml.pairs.pair_set_town import TownPairSet
from geolocator_gui.ml.transforms import Pixels

_QUALITY = 92


@dataclass(frozen=True)
class PicturedTown(TownPairSet):
    """A town's pairs whose images are also written as they are rendered for the encoder.

    Attributes:
        folder: Of the mining; the files lie in `pictures/` below it and are named relative to it.
    """

    folder: Path = Path()

    @classmethod
    def beside(cls, pairs: TownPairSet, folder: Path) -> Self:
        """The same pairs, kept beside a mining."""
        (folder / PICTURES).mkdir(parents=True, exist_ok=True)
        return cls(**{field.name: getattr(pairs, field.name) for field in fields(TownPairSet)}, folder=folder)

    def query_image(self, row: int) -> Pixels:
        """As rendered."""
        return self._kept(super().query_image(row), self.query_file(row))

    def reference_image(self, row: int) -> Pixels:
        """Likewise."""
        return self._kept(super().reference_image(row), self.reference_file(row))

    def query_file(self, row: int) -> str:
        """Where the picture lies, relative to the mining."""
        return f"{PICTURES}/photo-{row:06d}.jpg"

    def reference_file(self, row: int) -> str:
        """Likewise."""
        return f"{PICTURES}/chip-{row:06d}.jpg"

    def _kept(self, image: Pixels, name: str) -> Pixels:
        import cv2

        options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
        done, data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), options)
        if done:
            (self.folder / name).write_bytes(data.tobytes())
        return image
