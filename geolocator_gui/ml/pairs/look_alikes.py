"""Places of one town that a model confuses, and batches drawn from them.

Sample4Geo's second stage of hard negatives (section 3.3 of the paper) for pairs that are rendered rather than
listed: some places of a town are rendered and embedded, and groups of similar ones share a batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.events import Steps
from geolocator_gui.ml.neighbours import neighbours_by_similarity
from geolocator_gui.ml.pairs.batches import EmbedImages, Pixels

LENGTH = 24  # of the lists
_GROUP = 8  # places that share a batch for their likeness; small, as lists hold few of them


@dataclass(frozen=True)
class LookAlikes:
    """The places of one town that were searched.

    Attributes:
        places: float64 (n, 2), metres.
        lists: int32 (n, LENGTH) rows of the places most similar to each, most similar first, -1 at the end.
    """

    places: NDArray[np.float64]
    lists: NDArray[np.int32]

    def draw(self, count: int, gap_m: float, rng: np.random.Generator) -> NDArray[np.float64]:
        """Positions (count, 2) in groups of look-alikes, at least the gap apart while the town has room."""
        order = rng.permutation(len(self.places))
        chosen: list[int] = []
        for anchor in order:
            likes = self.lists[anchor]
            likes = rng.permutation(likes[likes >= 0])[: _GROUP - 1]
            for row in (int(anchor), *likes.tolist()):
                apart = self.places[chosen] - self.places[row]
                if len(chosen) < count and (not chosen or float(np.hypot(*apart.T).min()) >= gap_m):
                    chosen.append(row)
            if len(chosen) == count:
                break
        chosen += order[: count - len(chosen)].tolist()
        return self.places[chosen]


def find_look_alikes(
    places: NDArray[np.float64], ground: Pixels, satellite: Pixels, least_m: float, embed: EmbedImages
) -> Steps[LookAlikes]:
    """Which places a model takes for each other.

    Args:
        places: (n, 2), metres.
        ground: uint8 (n, h, w, 3), what is seen from them.
        satellite: uint8 (n, s, s, 3), the chips around them.
        least_m: Places nearer than this are not look-alikes but the same place.
        embed: The model as it is now.
    """
    query = yield from embed(lambda row: np.asarray(ground[row]), len(places), "ground")
    reference = yield from embed(lambda row: np.asarray(satellite[row]), len(places), "satellite")
    found = neighbours_by_similarity(query, reference, k=min(3 * LENGTH, len(places) - 1))
    lists = np.full((len(places), LENGTH), -1, dtype=np.int32)
    for row, near in enumerate(found):
        near = near[near >= 0]
        apart = np.hypot(*(places[near] - places[row]).T)
        kept = near[apart >= least_m][:LENGTH]
        lists[row, : len(kept)] = kept
    return LookAlikes(places, lists)
