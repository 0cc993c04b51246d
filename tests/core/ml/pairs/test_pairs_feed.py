"""Which pairs meet: with positions that some lack, and never those too near to be negatives."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from geolocator_gui.events import Note, finish
from geolocator_gui.ml.datasets import TrainingSamples
from geolocator_gui.ml.datasets.pair_data import without_empty
from geolocator_gui.ml.pairs.files import FeedSettings, FileFeed
from geolocator_gui.training import AugmentConfig, SamplingConfig, ViewTrainingConfig
from tests.core.ml.train.training_stand_ins import MODEL, write_pairs

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


def test_a_damaged_pair_is_never_trained_on_and_is_told_at_once(tmp_path):
    feed = feed_of(tmp_path, None, neighbours="random")
    victim = Path(feed.samples.ground_path(17))
    victim.write_bytes(victim.read_bytes()[:40])
    end = finish(feed.begin(0, None))
    batches = [feed.batch(step) for step in range(end)]
    sizes = [len(batch.ground) for batch in batches]
    assert sorted(sizes) == [3, *[4] * (end - 1)]
    short = batches[sizes.index(3)]
    assert 17 not in short.rows
    assert len(short.rows) == len(short.satellite) == 3
    assert victim.name in short.notes[0]
    assert [batch.notes for batch in batches].count(()) == end - 1
    state = feed.state()
    again = [event.text for event in feed.begin(end, None) if isinstance(event, Note)]
    assert any("1 pairs with damaged images" in text for text in again)
    planned = np.concatenate([feed.batch(end + step).rows for step in range(14)])
    assert 17 not in planned
    feed.close()

    # Continued from the state, the next epoch is the same one.
    other = feed_of(tmp_path / "again", None, neighbours="random")
    other.restore(state)
    finish(other.begin(end, None))
    assert np.array_equal(np.concatenate([other.batch(end + step).rows for step in range(14)]), planned)
    other.close()


def test_empty_files_are_counted_when_the_pairs_are_read(tmp_path):
    data = write_pairs(tmp_path, 8)
    Path(data.query_file(2)).write_bytes(b"")
    Path(data.reference_file(5)).write_bytes(b"")
    left = without_empty(data)
    assert left.query_names == [name for row, name in enumerate(data.query_names) if row not in (2, 5)]
    assert len(left.reference_paths) == 7
    assert [one.count for one in left.report.dropped] == [1, 1, 1]
    assert len(TrainingSamples.of(left)) == 6


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
