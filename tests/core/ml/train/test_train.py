"""The loop: it learns, and a run that is stopped anywhere ends with the weights of an undisturbed one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geolocator_gui.errors import DataError, FaultError
from geolocator_gui.events import Metric, Note, finish
from geolocator_gui.ml.datasets import TrainingSamples
from geolocator_gui.ml.pairs.files import FeedSettings, FileFeed
from geolocator_gui.ml.train.loop import LAST, learning_rate, train
from geolocator_gui.training import AugmentConfig, SamplingConfig, TrainConfig, ViewTrainingConfig
from tests.core.ml.train.training_stand_ins import MODEL, ColourFeed, tiny_model, write_pairs


def config(**changes) -> TrainConfig:
    fields = {
        "pairs": 8 * 12,
        "batch_size": 8,
        "warmup_pairs": 16,
        "precision": "fp32",
        "device": "cpu",
        "threads": 1,
        "evaluate_every_pairs": 0,
        "save_minutes": 1e9,
    }
    return TrainConfig(**fields | changes)


def weights(trained) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trained.last.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def colour_run(folder, run):
    return train(run, tiny_model(), MODEL, ColourFeed(steps=run.steps), folder)


def test_it_learns(tmp_path):
    run = config(pairs=8 * 60, learning_rate=3e-3)
    losses = [
        event.values["loss"]
        for event in colour_run(tmp_path, run)
        if isinstance(event, Metric) and "loss" in event.values
    ]
    assert losses[-1] < 0.6 * np.log(8)


@pytest.mark.parametrize("stop", [1, 5, 11])
def test_a_run_killed_at_any_step_ends_with_the_same_weights(tmp_path, monkeypatch, stop):
    undisturbed = weights(finish(colour_run(tmp_path / "whole", config())))

    class Killed(BaseException):
        pass

    class MortalFeed(ColourFeed):
        def batch(self, step):
            if step == stop:
                raise Killed
            return super().batch(step)

    run = config(save_minutes=1e-9)  # a state after every step
    with pytest.raises(Killed):
        finish(train(run, tiny_model(), MODEL, MortalFeed(steps=run.steps), tmp_path / "cut"))
    saved = torch.load(tmp_path / "cut" / LAST, weights_only=True)
    assert saved["step"] == stop
    assert same(undisturbed, weights(finish(colour_run(tmp_path / "cut", run))))


def test_a_run_that_is_closed_saves_first(tmp_path, monkeypatch):
    monkeypatch.setattr("geolocator_gui.ml.train.loop._TOLD_EVERY", 3)
    undisturbed = weights(finish(colour_run(tmp_path / "whole", config())))
    steps = colour_run(tmp_path / "cut", config())
    for event in steps:
        if isinstance(event, Metric):
            steps.close()
            break
    assert torch.load(tmp_path / "cut" / LAST, weights_only=True)["step"] == 3
    assert same(undisturbed, weights(finish(colour_run(tmp_path / "cut", config()))))


def test_another_configuration_is_refused(tmp_path):
    finish(colour_run(tmp_path, config()))
    with pytest.raises(DataError, match="learning_rate"):
        finish(colour_run(tmp_path, config(learning_rate=1e-5)))


def test_a_damaged_state_is_refused(tmp_path):
    (tmp_path / LAST).write_bytes(b"PK\x03\x04 no state")
    with pytest.raises(DataError, match="cannot be read"):
        finish(colour_run(tmp_path, config()))


def test_a_loss_that_is_no_number_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr("geolocator_gui.ml.train.loop._TOLD_EVERY", 1)
    model = tiny_model()
    with torch.no_grad():
        model.logit_scale.fill_(float("nan"))
    with pytest.raises(FaultError, match="loss became nan"):
        finish(train(config(), model, MODEL, ColourFeed(), tmp_path))


def test_caching_trains_to_the_same_weights(tmp_path):
    whole = weights(finish(colour_run(tmp_path / "a", config(pairs=8 * 4))))
    cached = weights(finish(colour_run(tmp_path / "b", config(pairs=8 * 4, micro_batch=3))))
    for name, value in whole.items():
        assert torch.allclose(value, cached[name], atol=1e-4), name


def test_running_out_of_memory_shrinks_what_is_embedded_at_once(tmp_path, monkeypatch):
    from geolocator_gui.ml.train import loop as module

    real, asked = module.batch_gradients, []

    def small_device(*arguments, micro_batch, **options):
        asked.append(micro_batch)
        if micro_batch is None or micro_batch > 2:
            raise torch.OutOfMemoryError("stand-in for a full device")
        return real(*arguments, micro_batch=micro_batch, **options)

    monkeypatch.setattr(module, "batch_gradients", small_device)
    events = list(colour_run(tmp_path, config(pairs=16)))
    assert asked == [None, 4, 2, 2]
    assert any(isinstance(event, Note) and "2 images at once" in event.text for event in events)


def test_frozen_parts_stay_as_they_are(tmp_path):
    before = {name: value.clone() for name, value in tiny_model().state_dict().items()}
    after = weights(finish(colour_run(tmp_path, config(freeze=2))))
    for name, value in before.items():
        frozen = name.startswith(("backbone.stem", "backbone.stages.0"))
        assert torch.equal(value, after[name]) == frozen or not value.is_floating_point(), name


def test_the_rate_rises_and_falls_to_zero():
    run = config(pairs=8 * 100, warmup_pairs=80)
    rates = [learning_rate(run, step) for step in range(101)]
    assert rates[9] == pytest.approx(run.learning_rate)
    assert rates == sorted(rates[:10]) + sorted(rates[10:], reverse=True)
    assert rates[100] == pytest.approx(0.0, abs=1e-9)


def file_run(folder, data, stop=None, neighbours="similarity"):
    run = config(pairs=8 * 14, save_minutes=1e-9)
    settings = FeedSettings(
        model=MODEL,
        sampling=SamplingConfig(neighbours=neighbours, pool=8, nearest=2, others=2, mine_every=2),
        augment=AugmentConfig(),
        views=ViewTrainingConfig(enabled=True, inner_contrast=0.5),
        batch_size=8,
        steps=run.steps,
        seed=4,
    )
    feed = FileFeed(TrainingSamples.of(data), settings)
    if stop is not None:
        whole = feed.batch

        def mortal(step):
            if step == stop:
                raise KeyboardInterrupt
            return whole(step)

        feed.batch = mortal
    try:
        return finish(train(run, tiny_model(), MODEL, feed, folder))
    finally:
        feed.close()


@pytest.mark.parametrize("stop", [3, 8, 9])
def test_a_run_on_files_continues_exactly_across_epochs_and_minings(tmp_path, stop):
    data = write_pairs(tmp_path, 34)
    undisturbed = weights(file_run(tmp_path / "whole", data))
    with pytest.raises(KeyboardInterrupt):
        file_run(tmp_path / "cut", data, stop)
    assert same(undisturbed, weights(file_run(tmp_path / "cut", data)))


def test_an_image_that_cannot_be_read_is_named_and_does_not_end_the_run(tmp_path):
    data = write_pairs(tmp_path, 20)
    (tmp_path / "ground" / "3.png").write_bytes(b"not an image")
    settings = FeedSettings(
        MODEL, SamplingConfig(neighbours="random"), AugmentConfig(), ViewTrainingConfig(), 8, 4, 0
    )
    feed = FileFeed(TrainingSamples.of(data), settings)
    finish(train(config(pairs=32), tiny_model(), MODEL, feed, tmp_path / "run"))
    feed.close()
    assert [path.endswith("3.png") for path in feed.failed] == [True]


def test_pairs_that_show_the_same_place_are_not_negatives(tmp_path):
    data = write_pairs(tmp_path, 20)
    settings = FeedSettings(
        MODEL,
        SamplingConfig(neighbours="position", pool=8, min_distance_m=150.0),
        AugmentConfig(),
        ViewTrainingConfig(),
        8,
        4,
        0,
    )
    feed = FileFeed(TrainingSamples.of(data), settings)
    near = feed.neighbours
    assert (np.abs(np.where(near >= 0, near - np.arange(20)[:, None], 99)) > 1).all()
    finish(feed.begin(0, lambda *_: None))
    batch = feed.batch(0)
    side_by_side = np.abs(batch.rows[:, None] - batch.rows[None]) == 1
    expected = None if not side_by_side.any() else side_by_side
    assert (batch.ignore is None) == (expected is None)
    assert expected is None or np.array_equal(batch.ignore, expected)
    feed.close()
