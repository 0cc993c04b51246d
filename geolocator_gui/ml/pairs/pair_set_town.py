"""A generated town as a pair set: something to evaluate and mine without any data."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import DataError
from geolocator_gui.ml.pairs.sampling import spaced_positions
from geolocator_gui.ml.transforms import Pixels
from geolocator_gui.records import View
from geolocator_gui.town.geometry import generate_town
from geolocator_gui.town.scene import Scene

_TRAIN_SEED, _VAL_SEED = 1, 2
_PANORAMA = (96, 384)
_GAP_M = 16.0  # between two photographers, where the town has room


@dataclass(frozen=True)
class TownPairSet:
    """Panoramas at street positions of one town and the north-up chips about them, rendered when asked for.

    The attributes are those of `PairSet`.
    """

    name: str
    scene: Scene
    metres: NDArray[np.float64]
    centres: NDArray[np.float64]
    side_m: float
    chip_px: int
    query_names: Sequence[str]
    reference_names: Sequence[str]
    query_label: NDArray[np.int64]
    reference_label: NDArray[np.int64]
    query_lonlat: NDArray[np.float64] | None
    reference_lonlat: NDArray[np.float64] | None
    query_view: View = "ground"
    reference_view: View = "satellite"

    @classmethod
    def of(
        cls, seed: str, *, split: str = "val", count: int = 500, side_m: float = 80.0, chip_px: int = 96
    ) -> TownPairSet:
        """Pairs of a town.

        Args:
            seed: Number of the town, "" for one of the split's.
            split: "train" or "val": two towns, nothing shared.
            count: Number of pairs.
            side_m: Side of a chip.
            chip_px: Side of a chip in pixels.

        Raises:
            DataError: The seed is not a number.
        """
        try:
            number = int(seed) if seed else (_TRAIN_SEED if split == "train" else _VAL_SEED)
        except ValueError as error:
            raise DataError(
                f'"{seed}" is not the number of a town', hint="Write town:7, or town: alone."
            ) from error
        scene = Scene(generate_town(number))
        rng = np.random.default_rng([number, zlib.crc32(split.encode())])
        candidates = np.asarray(scene.street_positions(20 * count, rng), np.float64)
        metres = spaced_positions(candidates, count, _GAP_M, rng)
        # The photographer does not stand in the middle of the chip.
        centres = metres + rng.uniform(-0.15, 0.15, metres.shape) * side_m
        names = [f"{x:.1f},{y:.1f}" for x, y in metres]
        return cls(
            name=f"town-{number}",
            scene=scene,
            metres=metres,
            centres=centres,
            side_m=side_m,
            chip_px=chip_px,
            query_names=names,
            reference_names=names,
            query_label=np.arange(count),
            reference_label=np.arange(count),
            query_lonlat=np.asarray(scene.town.to_lonlat(metres)),
            reference_lonlat=np.asarray(scene.town.to_lonlat(centres)),
        )

    def query_image(self, row: int) -> Pixels:
        """A panorama whose centre looks north; the light depends on the row alone."""
        height, width = _PANORAMA
        images = self.scene.panoramas(
            self.metres[row : row + 1],
            np.zeros(1),
            height=height,
            width=width,
            variation=np.random.default_rng([row, 1]),
        )
        return np.asarray(images[0])

    def reference_image(self, row: int) -> Pixels:
        """A north-up chip."""
        images = self.scene.chips(
            self.centres[row : row + 1],
            np.zeros(1),
            side_m=self.side_m,
            size=self.chip_px,
            variation=np.random.default_rng([row, 2]),
        )
        return np.asarray(images[0])

    def query_file(self, row: int) -> str:
        """No file."""
        return ""

    def reference_file(self, row: int) -> str:
        """No file."""
        return ""
