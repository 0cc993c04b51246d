"""What training draws from: ground and satellite images as pairs, whatever the direction of the test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import DataError
from geolocator_gui.ml.datasets.pair_data import PairData, without_margin
from geolocator_gui.ml.transforms import Pixels


@dataclass(frozen=True)
class TrainingSamples:
    """Pairs to train on; arrays of one length N.

    Attributes:
        data: Where they come from.
        ground: int64 (N,), rows of the ground images on their side of `data`.
        satellite: int64 (N,), likewise of the satellite images.
        label: int64 (N,), satellite (or class) of each pair; equal labels must not share a batch.
        lonlat: float64 (N, 2) degrees of the satellite images, NaN where unknown; None if all are.
        semi_positive: int64 (N, S) labels that show the place as well and are no negatives; S is 3
            for VIGOR, else 0.
        heading_known: bool (N,); where False, the ground image's centre may look anywhere.
    """

    data: PairData
    ground: NDArray[np.int64]
    satellite: NDArray[np.int64]
    label: NDArray[np.int64]
    lonlat: NDArray[np.float64] | None
    semi_positive: NDArray[np.int64]
    heading_known: NDArray[np.bool_]

    @classmethod
    def of(cls, data: PairData) -> TrainingSamples:
        """The pairs of some data; a ground image of several satellites goes with the first.

        Raises:
            DataError: There is no pair.
        """
        label = data.query_label if data.query_label.ndim == 2 else data.query_label[:, None]
        if data.query_view == "ground":
            satellite = data.pair_reference
            ground = np.flatnonzero(satellite >= 0)
            satellite = satellite[ground]
            labels, near = label[ground, 0], label[ground, 1:]
            lonlat = data.reference_lonlat
        else:
            # Satellites ask for ground images here: every ground image is a pair of its own.
            order = np.argsort(label[:, 0], kind="stable")
            ordered = label[order, 0]
            place = np.minimum(np.searchsorted(ordered, data.reference_label), max(0, len(ordered) - 1))
            ground = np.flatnonzero(ordered[place] == data.reference_label)
            satellite = order[place[ground]]
            labels, near = data.reference_label[ground], np.empty((len(ground), 0), np.int64)
            lonlat = data.query_lonlat
        if not len(ground):
            raise DataError("there is no pair to train on", path=data.root)
        known = data.heading_known
        return cls(
            data=data,
            ground=ground.astype(np.int64),
            satellite=satellite.astype(np.int64),
            label=labels.astype(np.int64),
            lonlat=None if lonlat is None else lonlat[satellite],
            semi_positive=near.astype(np.int64),
            heading_known=np.ones(len(ground), bool) if known is None else known[ground],
        )

    def __len__(self) -> int:
        return len(self.ground)

    def ground_path(self, sample: int) -> str:
        """File of a ground image."""
        row = int(self.ground[sample])
        return self.data.query_file(row) if self._forward else self.data.reference_file(row)

    def satellite_path(self, sample: int) -> str:
        """File of a satellite image."""
        row = int(self.satellite[sample])
        return self.data.reference_file(row) if self._forward else self.data.query_file(row)

    def load_ground(self, sample: int) -> Pixels:
        """uint8 (h, w, 3) RGB; raises `DataError` if the file is damaged, so that another can be taken."""
        row = int(self.ground[sample])
        return self.data.read_query(row) if self._forward else self.data.read_reference(row)

    def load_satellite(self, sample: int, offset: tuple[float, float] = (0.0, 0.0)) -> Pixels:
        """uint8 (s, s, 3) RGB, north up; raises `DataError` if the file is damaged.

        Args:
            sample: Which pair.
            offset: East and south of the stored centre in chip sides; held to the margin that the file has,
                so nothing where it has none.
        """
        row = int(self.satellite[sample])
        if not self._forward:
            return self.data.read_query(row)
        image, margin = self.data.wide_reference(row), self.data.reference_margin
        if margin == 0 or offset == (0.0, 0.0):
            return without_margin(image, margin)
        side = round(image.shape[0] / (1 + 2 * margin))
        middle = (image.shape[0] - side) / 2
        left, top = (int(np.clip(round(middle + share * side), 0, image.shape[0] - side)) for share in offset)
        return np.ascontiguousarray(image[top : top + side, left : left + side])

    @property
    def max_offset(self) -> float:
        """Largest offset that `load_satellite` can give, in chip sides."""
        return self.data.reference_margin if self._forward else 0.0

    @property
    def _forward(self) -> bool:
        return self.data.query_view == "ground"
