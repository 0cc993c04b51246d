"""Which pairs meet: with positions that some lack, and never those too near to be negatives."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from geolocator_gui.events import Note
from geolocator_gui.ml.datasets import TrainingSamples
from geolocator_gui.ml.pairs_feed import FeedSettings, FileFeed
from geolocator_gui.training import AugmentConfig, SamplingConfig, ViewTrainingConfig
from tests.core.ml.training_stand_ins import MODEL, write_pairs

COUNT = 60


def feed_of(tmp_path, lonlat, **sampling) -> FileFeed:
    samples = dataclasses.replace(TrainingSamples.of(write_pairs(tmp_path, COUNT)), lonlat=lonlat)
    settings = SamplingConfig(**{"neighbours": "position", "pool": 8, **sampling})
    return FileFeed(samples, FeedSettings(MODEL, settings, AugmentConfig(), ViewTrainingConfig(), 4, 9, 0))


def notes(feed: FileFeed) -> list[str]:
    return [event.text for event in feed.begin(0, None) if isinstance(event, Note)]


def places() -> np.ndarray:
    """A line of pairs about 11 m apart."""
    return np.stack([np.full(COUNT, 20.0), 60.0 + 1e-4 * np.arange(COUNT)], axis=1)


def test_pairs_without_a_position_meet_at_random_and_it_is_said(tmp_path):
    lonlat = places()
    lonlat[::10] = np.nan
    feed = feed_of(tmp_path, lonlat)
    assert any("6 pairs know no position" in text for text in notes(feed))
    lost = np.arange(0, COUNT, 10)
    assert (feed.neighbours[lost] == -1).all()
    assert not np.isin(feed.neighbours, lost).any()
    assert set(feed.neighbours[25][:2].tolist()) <= {24, 26}
    planned = np.concatenate([feed.batch(step).rows for step in range(2)])
    assert len(np.unique(planned)) == len(planned)
    feed.close()


@pytest.mark.parametrize(
    ("neighbours", "words"), [("position", "at random."), ("similarity", "first mining")]
)
def test_no_positions_at_all_is_said(tmp_path, neighbours, words):
    feed = feed_of(tmp_path, np.full((COUNT, 2), np.nan), neighbours=neighbours)
    assert any(words in text for text in notes(feed))
    assert feed.neighbours is None
    feed.close()


def test_random_batches_need_no_words(tmp_path):
    feed = feed_of(tmp_path, None, neighbours="random")
    assert notes(feed) == []
    feed.close()


def test_what_is_too_near_is_in_no_list_and_the_rest_keeps_its_order(tmp_path):
    lonlat = places()
    lonlat[7] = np.nan
    feed = feed_of(tmp_path, lonlat, min_distance_m=25.0)
    feed.close()
    lists = np.tile(np.array([7, 31, 29, 28, 32, 33, -1, 40], np.int32), (COUNT, 1))
    # 11 m and 22 m are too near, 33 m is not; what has no position is not near.
    assert feed.allowed(lists)[30].tolist() == [7, 33, 40, -1, -1, -1, -1, -1]
    assert feed.allowed(lists)[7].tolist() == [7, 31, 29, 28, 32, 33, 40, -1]
    assert lists[30].tolist() == [7, 31, 29, 28, 32, 33, -1, 40]
