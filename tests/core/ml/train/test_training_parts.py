"""Augmentation, partial views, the depthwise gradient, rendered pairs, presets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from geolocator_gui.errors import ConfigError
from geolocator_gui.events import finish
from geolocator_gui.ml.pairs.augment import Target, augment_pair, coarse_dropout, grid_dropout, turn
from geolocator_gui.ml.pairs.look_alikes import find_look_alikes
from geolocator_gui.ml.pairs.town import TownPairs, is_reserved, make_town, window
from geolocator_gui.ml.train import depthwise
from geolocator_gui.ml.train.view_training import partial_view, smallest_fov, train_view
from geolocator_gui.training import (
    AugmentConfig,
    TownPairsConfig,
    TrainRun,
    ViewTrainingConfig,
    preset,
    with_settings,
)


def compass(width: int = 80) -> np.ndarray:
    """A panorama whose columns know their azimuth, and the chip that fits: each side has its own colour."""
    panorama = np.zeros((40, width, 3), np.uint8)
    chip = np.zeros((40, 40, 3), np.uint8)
    colours = {"north": (250, 0, 0), "east": (0, 250, 0), "south": (0, 0, 250), "west": (250, 250, 0)}
    quarter = width // 4
    for place, name in enumerate(("south", "west", "north", "east")):
        # Columns run clockwise with north in the middle: the first eighth still looks south.
        panorama[:, np.arange(quarter) + place * quarter - quarter // 2] = colours[name]
    chip[:4], chip[-4:], chip[4:-4, -4:], chip[4:-4, :4] = (
        colours["north"],
        colours["south"],
        colours["east"],
        colours["west"],
    )
    return panorama, chip


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_both_views_turn_together(quarters):
    panorama, chip = turn(*compass(), quarters, panorama=True)
    middle = panorama.shape[1] // 2
    assert tuple(chip[0, 20]) == tuple(panorama[20, middle])
    assert tuple(chip[20, -1]) == tuple(panorama[20, middle + panorama.shape[1] // 4])


def test_both_views_are_mirrored_together():
    only_flip = AugmentConfig(flip=1, jpeg=0, jitter=0, sharpness=0, dropout=0, rotate=0)
    panorama, chip = augment_pair(
        *compass(), Target(40, 80), Target(40, 40), only_flip, np.random.default_rng(0)
    )
    assert tuple(chip[20, -1]) == tuple(panorama[20, 60]) == (250, 250, 0)


def test_augmented_views_have_the_input_sizes_and_follow_from_the_generator():
    rng = np.random.default_rng(1)
    ground, satellite = (
        rng.integers(0, 256, (90, 300, 3), np.uint8),
        rng.integers(0, 256, (75, 75, 3), np.uint8),
    )
    seen = []
    for _ in range(2):
        again = np.random.default_rng(5)
        for _ in range(30):
            pair = augment_pair(ground, satellite, Target(32, 64, 10), Target(48, 48), AugmentConfig(), again)
            assert pair[0].shape == (32, 64, 3)
            assert pair[1].shape == (48, 48, 3)
            assert pair[0].dtype == np.uint8
        seen.append(pair)
    assert np.array_equal(seen[0][0], seen[1][0])
    assert np.array_equal(seen[0][1], seen[1][1])


def test_dropout_blanks_what_is_published():
    white = np.full((384, 384, 3), 255, np.uint8)
    # Units of 38 pixels, holes of int(38 · 0.4) = 15, anchored at the corner.
    grid = grid_dropout(white, 0.4)[..., 0] == 0
    assert grid[:15, :15].all()
    assert not grid[15:38].any()
    assert grid[38:53, 38:53].all()
    wide = np.full((140, 768, 3), 255, np.uint8)
    for seed in range(20):
        share = (coarse_dropout(wide, np.random.default_rng(seed))[..., 0] == 0).mean()
        # 10 squares of 14 px that overlap at worst, 25 of 28 px at most: holes follow the height.
        assert 0.001 < share <= 25 * 28 * 28 / (140 * 768)


def test_the_curriculum_falls_to_the_smallest_field_of_view():
    views = ViewTrainingConfig(enabled=True, smallest_fov=70, curriculum=0.5)
    assert [round(smallest_fov(views, share)) for share in (0, 0.25, 0.5, 1)] == [360, 215, 70, 70]


def test_a_partial_view_shows_what_the_camera_would():
    panorama, _ = compass(360)
    east = partial_view(panorama, 60.0, 90.0, (7, 7, 7))
    shown = (east != 7).any(axis=(0, 2))
    assert shown.sum() == 60
    assert (east[:, shown] == (0, 250, 0)).all()
    assert shown[150:210].all()


def test_view_training_cuts_and_turns():
    panorama = np.random.default_rng(0).integers(8, 256, (8, 360, 3), np.uint8)
    views = ViewTrainingConfig(enabled=True, smallest_fov=90, curriculum=0, full=0)
    shares = [
        (train_view(panorama, views, 1.0, (0, 0, 0), np.random.default_rng(seed)) != 0).any((0, 2)).mean()
        for seed in range(200)
    ]
    assert 0.24 < min(shares) < 0.35
    assert max(shares) > 0.9
    off = ViewTrainingConfig()
    assert train_view(panorama, off, 1.0, (0, 0, 0), np.random.default_rng(0)) is panorama


@pytest.mark.skipif(not depthwise.available(), reason="numba is not installed")
@pytest.mark.parametrize("shape", [(8, 12, 6, 9), (5, 4, 1, 6), (3, 16, 3, 3)])
def test_the_fast_depthwise_gradient_is_the_gradient(shape):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(shape[1], shape[1], 7, padding=3, groups=shape[1]))
    fast = nn.Sequential(nn.Conv2d(shape[1], shape[1], 7, padding=3, groups=shape[1]))
    fast.load_state_dict(plain.state_dict())
    assert depthwise.use_fast_depthwise(fast) == 1
    images = torch.randn(shape).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(shape)
    results = []
    for module in (plain, fast):
        inputs = images.clone().requires_grad_()
        (module(inputs) * weight).sum().backward()
        results.append([inputs.grad, module[0].weight.grad, module[0].bias.grad])
    for expected, found in zip(*results, strict=True):
        assert torch.allclose(expected, found, atol=1e-4, rtol=1e-4)


def test_reserved_squares_are_one_in_four_and_keep_their_distance():
    xy = np.random.default_rng(0).uniform(-500, 500, (200_000, 2))
    reserved, around = is_reserved(xy, 24.0), is_reserved(xy, 24.0, -5.0)
    assert 0.24 < reserved.mean() < 0.26
    assert (around | ~reserved).all()
    kept, held_out = xy[~around][:4000], xy[reserved][:4000]
    assert np.hypot(*(kept[:, None] - held_out[None]).transpose(2, 0, 1)).min() >= 5.0 - 1e-9


def test_the_training_positions_of_the_shipped_town_keep_clear_of_the_reserved_squares():
    town = make_town(3, 300.0, 24.0)
    assert len(town.positions) > 100
    assert not is_reserved(town.positions, 24.0, -5.0).any()


@pytest.mark.slow
def test_rendered_batches_follow_from_the_step():
    config = TownPairsConfig(
        size_m=300.0, towns=3, start_with=2, steps_per_town=5, towns_per_batch=2, gap_m=4.0
    )
    feeds = [TownPairs(config, batch_size=8, steps=20, seed=1) for _ in range(2)]
    try:
        first = [feeds[0].batch(step) for step in (0, 1, 12)]
        again = [feeds[1].batch(step) for step in (12, 0, 1)]
    finally:
        for feed in feeds:
            feed.close()
    for one, other in zip(first, [again[1], again[2], again[0]], strict=True):
        assert np.array_equal(one.ground, other.ground)
        assert np.array_equal(one.satellite, other.satellite)
    assert not np.array_equal(first[0].ground, first[1].ground)


def test_look_alikes_are_apart_and_share_batches():
    """Two kinds of place, told apart by brightness: batches are drawn in groups of one kind."""
    rng = np.random.default_rng(0)
    places = rng.uniform(-200.0, 200.0, (400, 2))
    kind = rng.integers(0, 20, 400)
    images = np.broadcast_to(kind.astype(np.uint8)[:, None, None, None], (400, 2, 2, 3))
    directions = np.random.default_rng(1).normal(size=(20, 8))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)

    def embed(load, count, view):
        yield from ()
        return directions[[int(load(row)[0, 0, 0]) for row in range(count)]].astype(np.float32)

    found = finish(find_look_alikes(places, images, images, 40.0, embed))
    for row, near in enumerate(found.lists):
        assert (np.hypot(*(places[near[near >= 0]] - places[row]).T) >= 40.0).all()
    first = found.lists[:, :8]
    assert (kind[first] == kind[:, None]).mean() > 0.9
    drawn = found.draw(64, 16.0, rng)
    apart = np.hypot(*(drawn[:, None] - drawn[None]).transpose(2, 0, 1)) + np.eye(64) * 1e9
    assert drawn.shape == (64, 2)
    assert apart.min() >= 16.0
    kinds = kind[[int(np.flatnonzero((places == xy).all(axis=1))[0]) for xy in drawn]]
    assert np.unique(kinds).size <= 14  # of 20; random places show 19 or all of them


@pytest.mark.slow
def test_batches_with_look_alikes_go_on_from_a_state():
    config = TownPairsConfig(
        size_m=300.0, towns=2, start_with=2, towns_per_batch=2, gap_m=4.0, look_alikes=60, mine_every=5
    )

    def embed(load, count, view):
        yield from ()
        return np.stack([load(row).reshape(-1)[:300] for row in range(count)]).astype(np.float32)

    whole, continued = (TownPairs(config, batch_size=8, steps=20, seed=1) for _ in range(2))
    try:
        assert finish(whole.begin(0, embed)) == 5
        continued.restore(whole.state())
        assert finish(continued.begin(3, embed)) == 5
        assert np.array_equal(whole.batch(3).ground, continued.batch(3).ground)
    finally:
        whole.close()
        continued.close()


def test_a_window_leaves_what_the_photo_shows():
    panorama = np.full((48, 192, 3), 200, np.uint8)
    cut = window(panorama, 0.0, 90.0, 0.75, (1, 2, 3))
    shown = (cut == 200).all(axis=2)
    assert shown.any(axis=0).sum() == 48
    # At the middle 0.75 of a half width of tan 45° is 36.9° up and down, 73.7° in rows of 1.875°.
    assert shown[:, 96].sum() == 40
    assert shown[:, 73].sum() < 40


@pytest.mark.parametrize("name", ["fine-tune", "published", "quick"])
def test_presets_are_whole_configurations(name):
    run = TrainRun.from_mapping({"data": "pairs:x", "preset": name, **preset(name, 1000)})
    assert run.train.steps >= 1
    assert TrainRun.from_mapping(run.model_dump(mode="json")) == run


def test_settings_are_found_by_name():
    run = with_settings(
        TrainRun(data="town:"), ["learning_rate=0.5", "views.enabled=true", "micro_batch=null"]
    )
    assert (run.train.learning_rate, run.views.enabled, run.train.micro_batch) == (0.5, True, None)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("rate=1", "unknown"),
        ("learning_rate", "not a setting"),
        ("learning_rate=-1", "greater than 0"),
        ("inner_contrast=1", "several"),
    ],
)
def test_wrong_settings_are_named(setting, words):
    with pytest.raises(ConfigError, match=words):
        with_settings(TrainRun(data="town:"), [setting])


def test_an_unknown_preset_is_refused():
    with pytest.raises(ConfigError, match="no preset 'slow'"):
        preset("slow", 10)
