"""The split in space, checked against every pair of chips by brute force."""

import numpy as np
import pytest

from geolocator_gui.geo.grid import Chips
from geolocator_gui.ml.datasets.split import near_any, split_in_space

SIDE_M = 120.0


def scattered(count: int, spread_m: float, lon: float, lat: float, seed: int = 0) -> np.ndarray:
    metres = np.random.default_rng(seed).uniform(-spread_m, spread_m, (count, 2))
    degrees = metres / 111_320.0
    degrees[:, 0] /= np.cos(np.radians(lat))
    return degrees + np.array([lon, lat])


def overlaps(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(N, M) whether the chips about two positions share ground, by their outlines."""

    def outlines(lonlat: np.ndarray) -> np.ndarray:
        n = len(lonlat)
        zero = np.zeros(n, np.int32)
        side = np.full(n, SIDE_M)
        return Chips(
            np.arange(n), lonlat[:, 0], lonlat[:, 1], side, zero, zero, zero.astype(np.int8)
        ).mercator()

    a, b = outlines(one)[:, None], outlines(other)[None]
    return ((a[..., :2] < b[..., 2:]) & (b[..., :2] < a[..., 2:])).all(axis=2)


@pytest.mark.parametrize(
    ("count", "spread_m", "lat"), [(20, 500, 60.2), (400, 1500, -33.9), (400, 20_000, 1.3), (60, 300, 78.2)]
)
def test_no_training_chip_shares_ground_with_a_validation_chip(count, spread_m, lat) -> None:
    lonlat = scattered(count, spread_m, 20.7, lat)
    split = split_in_space(lonlat, SIDE_M, 0.2)
    assert not overlaps(lonlat[split.train], lonlat[split.validation]).any()
    # Nobody is left out who need not be.
    if split.between.any():
        assert overlaps(lonlat[split.between], lonlat[split.validation]).any(axis=1).mean() > 0.99
    assert not (split.train & split.validation).any()
    assert (split.train | split.validation | split.between).all()
    assert split.train.sum() >= 0.4 * count


def test_scattered_photos_lose_little_and_give_the_share() -> None:
    lonlat = scattered(2000, 20_000, 8.5, 47.4)
    split = split_in_space(lonlat, SIDE_M, 0.2)
    assert split.between.mean() < 0.03
    assert 0.17 < split.validation.mean() < 0.23


def test_the_split_is_the_same_again_and_another_seed_draws_anew() -> None:
    lonlat = scattered(300, 3000, 8.5, 47.4)
    first = split_in_space(lonlat, SIDE_M, 0.2, seed=1)
    order = np.random.default_rng(2).permutation(300)
    assert (split_in_space(lonlat[order], SIDE_M, 0.2, seed=1).validation == first.validation[order]).all()
    assert (split_in_space(lonlat, SIDE_M, 0.2, seed=2).validation != first.validation).any()


def test_the_antimeridian_is_no_border() -> None:
    west, east = np.array([[179.9999, 10.0]]), np.array([[-179.9999, 10.0]])
    assert near_any(west, east, SIDE_M).all()
    assert not near_any(west, east, 5.0).any()


@pytest.mark.parametrize("lonlat", [np.zeros((0, 2)), np.ones((1, 2)), np.ones((5, 2))])
def test_too_few_places_give_no_validation(lonlat) -> None:
    split = split_in_space(lonlat, SIDE_M, 0.2)
    assert not split.validation.any()
    assert len(split.train) == len(lonlat)
