"""What a mined candidate probably is, by thresholds taken from the mining itself.

Positives. For every query the similarity of its positive is measured in standard deviations above that
query's strangers (all chips): z. A wrong pair (swapped photo, wrong coordinates) is a stranger too, so its
z follows the standard normal; right pairs follow another normal whose mean and deviation, together with the
share of wrong pairs, are fitted to all z (expectation maximisation, the stranger's part held fixed). A pair
is *suspect* when the fitted posterior says that it is more likely a stranger than a right pair and it does
not rank in the best hundredth, or when the photo was taken outside its own chip (more than a chip side off).

Candidates. *Very similar* is a candidate within half a stranger's standard deviation of the positive or above
it, or as similar as the median right pair (for suspect pairs and photos without a chip only the latter). With
the distance from where the photo was taken:

- *same place*: nearer than one chip side, similar or not (likely a false negative);
- *near twin*: very similar, within `NEAR_SIDES` chip sides;
- *far twin*: very similar and further off, or at an unknown distance: the useful ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from geolocator_gui.mined import FLAGS

NEAR_SIDES = 3.0
"""Up to how many chip sides a twin counts as near."""
_NEAR_POSITIVE = 0.5
_BEST_HUNDREDTH = 0.01
_FEWEST = 50
_STEPS = 200
NO_FLAG, SAME_PLACE, NEAR_TWIN, FAR_TWIN = (np.int8(FLAGS.index(name)) for name in FLAGS)


@dataclass(frozen=True)
class Strangers:
    """Mean and covariance of the chips' vectors, from which those of any query's similarities follow.

    Attributes:
        mean: (D,) float64.
        covariance: (D, D) float64.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @classmethod
    def of(cls, chips: NDArray[np.floating], at_most: int = 20_000) -> Strangers:
        """From evenly spaced chips."""
        some = np.asarray(chips[:: -(-len(chips) // at_most)], np.float32)
        mean = some.mean(0, dtype=np.float64)
        centred = some - mean.astype(np.float32)
        return cls(mean, (centred.T @ centred).astype(np.float64) / max(len(some) - 1, 1))

    def mean_and_deviation(
        self, query: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(B,) mean and standard deviation of the similarities of each query to all chips."""
        vectors = np.asarray(query, np.float32)
        spread = np.einsum("bd,bd->b", vectors @ self.covariance.astype(np.float32), vectors)
        return vectors @ self.mean, np.sqrt(np.maximum(spread.astype(np.float64), 1e-12))


@dataclass(frozen=True)
class Thresholds:
    """What was fitted to a mining.

    Attributes:
        wrong_share: Fitted share of wrong pairs.
        right_mean: Mean z of right pairs.
        right_deviation: Standard deviation of z of right pairs.
        suspect_below_z: A pair with a z below is more likely a stranger; -inf when no z is.
        suspect_from_rank: And only if at least that many chips lie above the positive.
        similar_cosine: Median cosine of the pairs that are not suspect; NaN without any.
    """

    wrong_share: float
    right_mean: float
    right_deviation: float
    suspect_below_z: float
    suspect_from_rank: int
    similar_cosine: float


def fit_thresholds(z: NDArray[np.floating], cosine: NDArray[np.floating], chips: int) -> Thresholds:
    """Fit right and wrong pairs.

    Args:
        z: (Q,) deviations of each positive above its query's strangers, NaN without a positive.
        cosine: (Q,) similarity of each positive, NaN without one.
        chips: Number of chips.
    """
    known = np.isfinite(z)
    values = np.asarray(z[known], np.float64)
    from_rank = max(int(np.ceil(_BEST_HUNDREDTH * chips)), 1)
    if len(values) == 0:
        return Thresholds(0.0, float("nan"), float("nan"), float("-inf"), from_rank, float("nan"))
    middle = float(np.median(values))
    deviation = max(float(1.4826 * np.median(np.abs(values - middle))), 0.25)
    wrong = 0.02
    if len(values) >= _FEWEST:
        for _ in range(_STEPS):
            before = wrong
            stranger = _posterior(values, wrong, middle, deviation)
            right = 1 - stranger
            wrong = float(np.clip(stranger.mean(), 1e-4, 0.5))
            middle = float(np.average(values, weights=right))
            deviation = max(float(np.sqrt(np.average((values - middle) ** 2, weights=right))), 0.25)
            if abs(wrong - before) < 1e-6:
                break
    # The first z below the right pairs' mean where the stranger is the better explanation; everything further
    # down is suspect too, though a wide normal would claim its far tail back.
    grid = np.arange(middle, -4.0, -0.01)
    likely = (
        np.flatnonzero(_posterior(grid, wrong, middle, deviation) >= 0.5) if len(grid) else np.zeros(0, int)
    )
    below = float(grid[likely[0]]) if len(likely) else float("-inf")
    trusted = np.asarray(cosine[known])[values >= below]
    similar = float(np.median(trusted)) if len(trusted) else float("nan")
    return Thresholds(wrong, middle, deviation, below, from_rank, similar)


def _posterior(z: NDArray[np.float64], wrong: float, middle: float, deviation: float) -> NDArray[np.float64]:
    stranger = np.log(wrong) + norm.logpdf(z)
    right = np.log1p(-wrong) + norm.logpdf(z, middle, deviation)
    return np.asarray(np.exp(stranger - np.logaddexp(stranger, right)))


def suspect_pairs(
    thresholds: Thresholds,
    z: NDArray[np.floating],
    rank: NDArray[np.integer],
    positive_distance_m: NDArray[np.floating],
    side_m: NDArray[np.floating] | float,
) -> NDArray[np.bool_]:
    """(Q,) pairs that look wrong; False for queries without a positive.

    Args:
        thresholds: Of this mining.
        z: (Q,) as in `fit_thresholds`.
        rank: (Q,) chips strictly above the positive, -1 without one.
        positive_distance_m: (Q,) from the photo to its own chip's centre, NaN where unknown.
        side_m: Chip side in metres, of each positive or of all; NaN where unknown.
    """
    with np.errstate(invalid="ignore"):
        low = (z < thresholds.suspect_below_z) & (rank >= thresholds.suspect_from_rank)
        outside = positive_distance_m > side_m
    return np.asarray((rank >= 0) & (low | outside))


def flag_candidates(
    thresholds: Thresholds,
    *,
    cosine: NDArray[np.floating],
    distance_m: NDArray[np.floating],
    positive_cosine: NDArray[np.floating],
    stranger_deviation: NDArray[np.floating],
    suspect: NDArray[np.bool_],
    side_m: NDArray[np.floating] | float,
    near_sides: float = NEAR_SIDES,
) -> NDArray[np.int8]:
    """(B, k) places in `FLAGS`.

    Args:
        thresholds: Of this mining.
        cosine: (B, k) of the candidates, NaN where there is none.
        distance_m: (B, k) from where the photo was taken, NaN where unknown.
        positive_cosine: (B,) NaN without a positive.
        stranger_deviation: (B,) standard deviation of the query's similarities.
        suspect: (B,) whose positive cannot be trusted.
        side_m: Chip side in metres, (B, k) or of all; NaN where unknown.
        near_sides: Chip sides up to which a twin is near.
    """
    with np.errstate(invalid="ignore"):
        bar = np.where(suspect, np.nan, positive_cosine - _NEAR_POSITIVE * stranger_deviation)
        similar = (cosine >= bar[:, None]) | (cosine >= thresholds.similar_cosine)
        same = distance_m < side_m
        near = distance_m < near_sides * side_m
    flags = np.where(similar, np.where(near, NEAR_TWIN, FAR_TWIN), NO_FLAG)
    return np.where(np.isnan(cosine), NO_FLAG, np.where(same, SAME_PLACE, flags)).astype(np.int8)
