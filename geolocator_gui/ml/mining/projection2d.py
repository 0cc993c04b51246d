"""All embeddings on a plane: principal components, each domain about its own centre.

Photos and chips lie in two clouds side by side; without taking each cloud's mean away the first component
would only tell which is which.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_CHUNK = 8192


@dataclass(frozen=True)
class Plane:
    """Two directions and the centre of a domain are enough to place a vector.

    Attributes:
        directions: (D, 2) float32, orthonormal, in order of variance.
        explained: Share of the variance along each.
    """

    directions: NDArray[np.float32]
    explained: tuple[float, float]

    @classmethod
    def fit(cls, domains: tuple[NDArray[np.floating], ...], at_most: int = 20_000) -> Plane:
        """Principal plane of evenly spaced vectors of all domains; the signs are fixed, so runs agree."""
        parts = []
        for vectors in domains:
            some = np.asarray(vectors[:: max(-(-len(vectors) * len(domains) // at_most), 1)], np.float32)
            parts.append(some - some.mean(0))
        stacked = np.concatenate(parts)
        values, directions = np.linalg.eigh((stacked.T @ stacked).astype(np.float64))
        best = directions[:, :-3:-1]
        if best.shape[1] < 2:
            best = np.pad(best, ((0, 0), (0, 2 - best.shape[1])))
        signs = np.sign(best[np.abs(best).argmax(0), np.arange(2)])
        total = max(float(values.sum()), 1e-12)
        shares = [float(value) / total for value in values[:-3:-1]] + [0.0, 0.0]
        return cls((best * np.where(signs == 0, 1, signs)).astype(np.float32), (shares[0], shares[1]))

    def place(self, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        """(N, 2) float32 of one domain about its centre, a chunk at a time."""
        placed = np.empty((len(vectors), 2), np.float32)
        for start in range(0, len(vectors), _CHUNK):
            part = np.asarray(vectors[start : start + _CHUNK], np.float32)
            placed[start : start + _CHUNK] = part @ self.directions
        return placed - placed.mean(0) if len(placed) else placed
