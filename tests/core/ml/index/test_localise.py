"""Localising: files in, one answer each; the prior, the sweep, the bad photo."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from geolocator_gui.configs import LocaliseConfig
from geolocator_gui.errors import AreaError, IndexFolderError
from geolocator_gui.events import Progress, finish
from geolocator_gui.geo.projection import distance_m
from geolocator_gui.ml.bundle import find_bundle
from geolocator_gui.ml.encoder import Encoder
from geolocator_gui.ml.index import Index
from geolocator_gui.ml.localise import Localiser, Query, localise_photos, open_localiser
from geolocator_gui.ml.placement import Placed
from geolocator_gui.records import LonLat, PhotoFacts
from tests.core.ml.index.conftest import tiny_model


@pytest.fixture(scope="module")
def localiser(whole, world):
    bundle = find_bundle(world / "model")
    with Localiser(
        Index.open(whole), Encoder(bundle, threads=1, backend="torch", precision="fp32")
    ) as opened:
        yield opened


@pytest.fixture
def panorama(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (48, 96, 3), dtype=np.uint8)
    path = tmp_path / "panorama.png"
    Image.fromarray(pixels).resize((384, 192)).save(path)
    return path


def query_of(localiser, rows, position=None, headings=None):
    """A query that looks exactly like some chips."""
    vectors = np.asarray(localiser.index.vectors.take(rows), dtype=np.float32)
    facts = PhotoFacts(384, 192, position=position)
    images = np.zeros((len(rows), 32, 96, 3), dtype=np.uint8)
    return Query("x.jpg", facts, Placed(images, headings, headings is not None, "panorama"), vectors)


def test_every_photo_gets_an_answer_and_a_bad_one_an_error(localiser, panorama, tmp_path):
    empty, text = tmp_path / "empty.jpg", tmp_path / "text.jpg"
    empty.touch()
    text.write_text("no photo")
    files = [panorama, empty, tmp_path / "absent.jpg", text, panorama]
    events = list(localise_photos(localiser, files))
    assert events[-1] == Progress("Localising photos", 5, 5, "photos", 0.0)
    answers = finish(localise_photos(localiser, files, LocaliseConfig(mode="panorama")))
    assert [answer.file for answer in answers] == [str(file) for file in files]
    assert [bool(answer.error) for answer in answers] == [False, True, True, True, False]
    assert "0 bytes" in answers[1].error
    assert not answers[1].matches
    assert len(answers[0].matches) == 5
    assert [match.rank for match in answers[0].matches] == [1, 2, 3, 4, 5]
    assert answers[0].mode == "panorama"
    assert answers[0].matches[0].heading is not None  # the heading was unknown: it is estimated
    same = dataclasses.replace(answers[4], seconds=answers[0].seconds)
    assert same == answers[0]


def test_matches_are_ranked_exact_and_apart(localiser):
    query = query_of(localiser, [40])
    answer = localiser.answer(query, LocaliseConfig(top=8))
    index = localiser.index
    assert answer.matches[0].chip == 40
    assert answer.matches[0].score == pytest.approx(1.0, abs=2e-3)
    assert answer.matches[0].position == pytest.approx((index.chips.lon[40], index.chips.lat[40]))
    west, south, east, north = answer.matches[0].bounds
    assert west < answer.matches[0].position.lon < east
    assert south < answer.matches[0].position.lat < north
    places = [match.position for match in answer.matches]
    for number, place in enumerate(places):
        for other in places[:number]:
            assert distance_m(place, other) >= 20.0
    scores = localiser.scores(query)
    assert [match.score for match in answer.matches] == pytest.approx(
        [min(1.0, float(scores[match.chip])) for match in answer.matches], abs=1e-5
    )
    every = localiser.answer(query, LocaliseConfig(top=8, min_distance_m=0.0))
    assert [match.chip for match in every.matches] == np.argsort(-scores, kind="stable")[:8].tolist()


def test_the_best_hypothesis_gives_match_and_heading(localiser):
    query = query_of(localiser, [10, 60, 25], headings=(0.0, 120.0, 240.0))
    answer = localiser.answer(query, LocaliseConfig(top=20, min_distance_m=0.0))
    found = {match.chip: match.heading for match in answer.matches}
    assert (found[10], found[60], found[25]) == (0.0, 120.0, 240.0)
    known = localiser.answer(query_of(localiser, [10]), LocaliseConfig())
    assert known.matches[0].heading is None


def test_error_is_from_the_fused_position_and_outside_is_said(localiser):
    index = localiser.index
    inside = LonLat(float(index.chips.lon[40]), float(index.chips.lat[40]))
    answer = localiser.answer(query_of(localiser, [40], inside), LocaliseConfig())
    assert answer.error_m == pytest.approx(float(distance_m(tuple(answer.fused.position), inside)))
    assert not answer.outside
    away = localiser.answer(query_of(localiser, [40], LonLat(13.4, 52.5)), LocaliseConfig())
    assert away.outside
    assert "GPS position lies outside the indexed area" in away.sentence
    nowhere = localiser.answer(query_of(localiser, [40]), LocaliseConfig())
    assert nowhere.error_m is None
    assert not nowhere.outside


def test_rank_of_the_truth_counts_chips_above_the_best_that_holds_it(localiser):
    index = localiser.index
    query = query_of(localiser, [40])
    here = LonLat(float(index.chips.lon[40]), float(index.chips.lat[40]))
    assert localiser.rank_of(query, here) == 1
    assert localiser.rank_of(query, LonLat(0.0, 0.0)) is None
    scores = localiser.scores(query)
    west, south, east, north = index.bounds
    random = np.random.default_rng(0)
    for _ in range(10):
        position = LonLat(random.uniform(west, east), random.uniform(south, north))
        holding = index.containing(position)
        bounds = index.chips.bounds()
        by_hand = np.flatnonzero(
            (bounds[:, 0] <= position.lon)
            & (position.lon <= bounds[:, 2])
            & (bounds[:, 1] <= position.lat)
            & (position.lat <= bounds[:, 3])
        )
        assert holding.tolist() == by_hand.tolist()
        if len(holding):
            expected = int((scores > scores[holding].max()).sum()) + 1
            assert localiser.rank_of(query, position) == expected
            assert localiser.chance(position) == len(holding) / index.count


def test_a_prior_limits_the_search_and_nothing_else(localiser):
    index = localiser.index
    query = query_of(localiser, [40])
    far = int(np.argmax(distance_m(np.column_stack([index.chips.lon, index.chips.lat]),
                                   (index.chips.lon[40], index.chips.lat[40]))))  # fmt: skip
    circle = (float(index.chips.lon[far]), float(index.chips.lat[far]), 30.0)
    options = LocaliseConfig(within_circle=circle, top=50, min_distance_m=0.0)
    mask = localiser.prior(options)
    assert 0 < mask.sum() < index.count
    answer = localiser.answer(query, options, mask)
    assert {match.chip for match in answer.matches} == set(np.flatnonzero(mask).tolist())
    scores = localiser.scores(query)
    for match in answer.matches:
        assert match.score == pytest.approx(float(scores[match.chip]), abs=1e-5)
    with pytest.raises(AreaError, match="no chip of the index lies"):
        localiser.localise("x.jpg", LocaliseConfig(within_circle=(0.0, 0.0, 100.0)))


def test_large_indexes_give_the_same_answer(localiser, monkeypatch):
    from geolocator_gui.ml import localise

    query = query_of(localiser, [10, 60], headings=(0.0, 120.0))
    small = localiser.answer(query, LocaliseConfig())
    monkeypatch.setattr(localise, "_SCORE_ALL", 10)
    large = localiser.answer(query, LocaliseConfig())
    assert large.matches == small.matches
    assert large.stands_out == small.stands_out
    assert large.fused == small.fused


def test_scores_of_all_chips_are_saved_for_the_heat_layer(localiser, panorama, tmp_path):
    answer = localiser.localise(panorama, scores_path=tmp_path / "2.npy")
    scores = np.load(tmp_path / "2.npy")
    assert scores.shape == (localiser.index.count,)
    assert scores.dtype == np.float32
    assert int(scores.argmax()) == answer.matches[0].chip


def test_another_model_is_refused_and_both_are_named(whole, world, tmp_path):
    tiny_model(tmp_path / "stranger", seed=4)
    with pytest.raises(IndexFolderError) as caught:
        open_localiser(whole, model=str(tmp_path / "stranger"))
    assert "'model'" in str(caught.value)
    assert "'stranger'" in str(caught.value)
    with pytest.raises(IndexFolderError, match="not on the search path") as caught:
        open_localiser(whole)
    assert "--model" in caught.value.hint


def test_the_model_is_found_on_the_search_path(whole, tmp_path):
    tiny_model(tmp_path / "models" / "model")
    with open_localiser(whole, models=tmp_path / "models") as opened:
        assert opened.encoder.bundle.name == "model"
