"""Places, the fused position, and whether it stands out."""

import numpy as np
import pytest

from geolocator_gui.geo.projection import distance_m, geod
from geolocator_gui.ml.fuse import belief, fuse, margin_of, separate_places


def around(lon, lat, metres_east, metres_north):
    """Positions some metres from another."""
    east, north = np.asarray(metres_east, float), np.asarray(metres_north, float)
    azimuth, distance = np.degrees(np.arctan2(east, north)), np.hypot(east, north)
    ones = np.ones_like(azimuth)
    lons, lats, _ = geod().fwd(lon * ones, lat * ones, azimuth, distance)
    return np.asarray(lons), np.asarray(lats)


@pytest.mark.parametrize(("lon", "lat"), [(10.0, 0.0), (20.7, 60.2), (-70.0, -80.0), (179.9999, 50.0)])
def test_overlapping_chips_are_one_place(lon, lat):
    lons, lats = around(lon, lat, [0, 30, 0, 200, 0], [0, 0, -39, 0, 41])
    assert separate_places(lons, lats, 40.0, 10).tolist() == [0, 3, 4]
    assert separate_places(lons, lats, 0.0, 10).tolist() == [0, 1, 2, 3, 4]
    assert separate_places(lons, lats, 40.0, 2).tolist() == [0, 3]


@pytest.mark.parametrize(("lon", "lat"), [(10.0, 0.0), (20.7, 60.2), (-70.0, -80.0), (179.99995, 50.0)])
def test_fused_position_is_the_weighted_mean_on_the_ground(lon, lat):
    lons, lats = around(lon, lat, [0, 60, 500], [0, 0, 0])
    scores = np.array([0.8, 0.8, 0.79], dtype=np.float32)
    fused = fuse(lons, lats, scores, 100.0, 20.0)
    expected = around(lon, lat, [30], [0])
    there = (float(expected[0][0]), float(expected[1][0]))
    assert distance_m(tuple(fused.position), there) < 0.01
    assert fused.spread_m == pytest.approx(30.0, abs=0.01)


def test_a_clearly_better_chip_outweighs_its_neighbours():
    lons, lats = around(20.7, 60.2, [0, 60], [0, 0])
    fused = fuse(lons, lats, np.array([0.9, 0.5], dtype=np.float32), 100.0, 30.0)
    assert distance_m(tuple(fused.position), (20.7, 60.2)) < 0.01
    assert fused.spread_m < 0.5


def test_margin_is_to_the_next_place_not_to_the_next_chip():
    lons, lats = around(20.7, 60.2, [0, 30, 300], [0, 0, 0])
    scores = np.array([0.9, 0.88, 0.6], dtype=np.float32)
    assert margin_of(lons, lats, scores, 80.0) == pytest.approx(0.3)
    assert margin_of(lons[:2], lats[:2], scores[:2], 80.0) is None


def test_belief_is_the_softmax_of_the_neighbourhood():
    lons, lats = around(20.7, 60.2, [0, 30, 300, 600], [0, 0, 0, 0])
    scores = np.array([0.9, 0.8, 0.8, 0.7], dtype=np.float32)
    weight = np.exp(20.0 * (scores.astype(float) - 0.9))
    found = belief(lons, lats, scores, 80.0, 20.0, float(weight.sum()))
    assert found == pytest.approx(weight[:2].sum() / weight.sum(), rel=1e-5)
    # A thousand further chips that score as well as the second place take most of it away.
    assert belief(lons, lats, scores, 80.0, 20.0, float(weight.sum() + 1000 * weight[2])) < 0.02
    assert belief(lons[:2], lats[:2], scores[:2], 80.0, 20.0, float(weight[:2].sum())) == 1.0
