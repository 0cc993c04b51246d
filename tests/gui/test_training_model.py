"""What the Training page shows, as plain data: curves, fields, plan, queue, comparison."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from geolocator_gui.errors import ConfigError
from geolocator_gui.events import EventWriter, Metric, Note, Outcome
from geolocator_gui.gui.run_rows import RunTail
from geolocator_gui.gui.training import fields, planning
from geolocator_gui.gui.training.curves import Curves, Line, thinned
from geolocator_gui.gui.training.follow import Followers, remember_published
from geolocator_gui.gui.training.queue import leave_queue, next_in_queue, put_in_queue, take_from_queue
from geolocator_gui.runs import RunFolder
from geolocator_gui.training import TrainRun


def small_run(**train) -> TrainRun:
    return TrainRun.from_mapping({"data": "town:", "train": {"batch_size": 8, **train}})


def write_events(thing: Path, *events) -> RunFolder:
    run = RunFolder(thing)
    run.write_config("train", small_run())
    writer = EventWriter(run.events_path)
    for event in events:
        writer.write(event)
    writer.close()
    return run


def test_what_a_killed_sitting_said_is_said_again() -> None:
    curves = Curves(8)
    for step, loss in ((20, 3.0), (40, 2.0), (60, 1.5)):
        curves.add(Metric(step, {"loss": loss}))
    curves.add(Metric(40, {"loss": 1.9}))  # continued from step 20
    assert curves.lines()["loss"].x.tolist() == [160, 320]
    assert curves.lines()["loss"].y.tolist() == [3.0, 1.9]


def test_the_first_of_equal_recalls_is_the_best() -> None:
    curves = Curves(8)
    assert curves.best() is None
    for step, recall in ((10, 0.2), (20, 0.5), (30, 0.5), (40, 0.4)):
        curves.add(Metric(step, {"recall_at_1": recall}))
    best = curves.best()
    assert best is not None
    assert (best.pairs, best.recall) == (160, 0.5)


def test_thinning_keeps_spikes_and_order() -> None:
    y = np.sin(np.arange(100_000) / 500)
    y[54_321] = 40.0
    y[77_000] = -9.0
    few = thinned(Line(np.arange(100_000, dtype=float), y), 5_000)
    assert len(few.x) <= 5_000
    assert (np.diff(few.x) > 0).all()
    assert (few.y.max(), few.y.min()) == (40.0, -9.0)
    assert few.at(54_321.2) == (54_321.0, 40.0)


def test_a_run_is_followed_by_its_news(tmp_path: Path) -> None:
    thing = tmp_path / "one"
    run = write_events(thing, Outcome("running", pid=17), Metric(20, {"loss": 2.0, "recall_at_1": 0.3}))
    run.log_path.write_text("--- started\nTraceback\n")
    followers = Followers()
    first = followers.read(tmp_path)[thing]
    assert first.pid == 17
    assert first.best is not None
    assert not first.saved
    assert first.log[-1] == "Traceback"
    assert followers.read(tmp_path)[thing].lines is first.lines  # no news, no work
    writer = EventWriter(run.events_path)
    writer.write(Metric(40, {"loss": 1.0}))
    writer.write(Note("half the photos are gone", "warning"))
    writer.close()
    (thing / "checkpoints").mkdir()
    (thing / "checkpoints" / "last.pt").write_bytes(b"")
    hard = [{"query": "a.jpg", "right": "", "first": "b.jpg", "rank": 9}]
    (thing / "hardest.json").write_text(json.dumps(hard))
    remember_published(thing, "my-model")
    second = followers.read(tmp_path)[thing]
    assert second.lines["loss"].y.tolist() == [2.0, 1.0]
    assert second.last == {"loss": 1.0, "recall_at_1": 0.3}
    assert any("! half the photos are gone" in line for line in second.log)
    assert second.saved
    assert second.published == "my-model"
    assert second.hardest[0].right is None
    assert second.hardest[0].rank == 9


@pytest.mark.parametrize("text", ["", "[", "[1]", '[{"query": "a"}]', '{"a": 1}'])
def test_a_damaged_list_of_hard_photos_is_no_end(tmp_path: Path, text: str) -> None:
    write_events(tmp_path / "one", Metric(20, {"loss": 2.0}))
    (tmp_path / "one" / "hardest.json").write_text(text)
    assert Followers().read(tmp_path)[tmp_path / "one"].hardest == ()


def test_a_run_whose_settings_are_damaged_is_still_listed(tmp_path: Path) -> None:
    folder = tmp_path / "one" / "run"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("verb = 'train'\n[train]\nnonsense = 1\n")
    assert Followers().read(tmp_path)[tmp_path / "one"].config is None


def test_the_queue_is_first_come_first_served_and_outlives_the_window(tmp_path: Path) -> None:
    def rows():
        return [RunTail(RunFolder(tmp_path / name)).read() for name in "ab"]

    put_in_queue(tmp_path / "b", small_run(), now=200.0)
    put_in_queue(tmp_path / "a", small_run(), now=300.0)
    assert next_in_queue(rows()) == tmp_path / "b"
    assert not any(row.works for row in rows())
    assert take_from_queue(tmp_path / "b")
    assert not take_from_queue(tmp_path / "b")  # of two windows only one starts it
    assert next_in_queue(rows()) == tmp_path / "a"
    assert RunFolder(tmp_path / "a").read_config(TrainRun) == small_run()
    leave_queue(tmp_path / "a")
    assert next_in_queue(rows()) is None
    assert rows()[0].can_continue


def test_a_run_whose_process_never_came_is_not_starting_for_ever(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "one")
    run.write_config("train", small_run())
    assert RunTail(run).read().works
    with run.lock():
        assert RunTail(run).read(1).works, "another process works on it"
    killed, refused = RunTail(run).read(-15), RunTail(run).read(3)
    assert killed.state == refused.state == "interrupted"
    assert killed.hint == "Its process ended at once (SIGTERM): continue it, or see the log."
    assert "(exit code 3)" in refused.hint
    os.utime(run.path / "config.toml", (1.0, 1.0))
    assert RunTail(run).read().state == "interrupted"
    assert RunTail(run).read(lives=True).works, "it is continued"


def test_every_setting_of_the_configuration_is_a_field() -> None:
    run = small_run()
    found = {field.key: field for field in fields.all_fields()}
    wanted = {
        f"{part}.{name}" for part in fields.PARTS if part for name in type(getattr(run, part)).model_fields
    }
    assert wanted <= set(found)
    assert "data" not in found
    assert found["train.precision"].choices == ("fp32", "bf16", "fp16")
    assert found["sampling.neighbours"].choices == ("random", "position", "similarity")
    assert found["train.micro_batch"].optional
    assert found["train.compile"].kind == "bool"
    without = [key for key, field in found.items() if not field.about]
    assert set(without) <= {"town.first_seed"}, without


def test_a_shown_value_is_read_back_as_it_was() -> None:
    run = small_run(learning_rate=1.25e-4)
    for field in fields.all_fields():
        value = field.value(run)
        if value is None or isinstance(value, bool):
            continue
        made = planning.with_settings(run, [field.setting(fields.shown(value))])
        assert field.value(made) == value, field.key


def test_a_plan_names_what_was_set_aside() -> None:
    dropped = {"reason": "the photo is not there", "count": 30, "examples": ["a.jpg", "b.jpg"]}
    document = {
        "data": "cvusa:/data",
        "splits": {
            "train": {"found": 400, "dropped": [dropped], "notes": ["A city is missing."]},
            "val": {"found": 90, "dropped": [], "notes": ["A city is missing."]},
        },
    }
    found = planning.found_of(document)
    assert (found.pairs, found.held_out, found.missing) == (400, 90, 30)
    assert found.aside == (("a.jpg", "the photo is not there"), ("b.jpg", "the photo is not there"))
    assert found.notes == ("A city is missing.",)
    assert "400 pairs" in found.sentence()
    run = planning.make_run(found, "demo-town", "fine-tune", ["train.batch_size=16"])
    assert (run.train.pairs, run.train.batch_size, run.data) == (4000, 16, "cvusa:/data")
    assert dict(planning.needs(run, found))["Pairs to see"].endswith("(10 epochs)")
    with pytest.raises(ConfigError):
        planning.make_run(found, "demo-town", "fine-tune", ["train.batch_size=many"])


def test_the_time_is_told_once_a_run_was_measured() -> None:
    run = planning.make_run(planning.TOWN, "demo-town", "quick", [])
    assert dict(planning.needs(run, planning.TOWN))["Time"] == "being estimated…"
    assert dict(planning.needs(run, planning.TOWN, None, "–"))["Time"] == "–"
    planning.learn_rate(run, 20.0)
    assert dict(planning.needs(run, planning.TOWN))["Time"] == "about 2 min"


def test_memory_follows_from_a_trial_for_any_batch() -> None:
    run = planning.make_run(planning.TOWN, "demo-town", "quick", [])
    small = planning.with_settings(run, ["train.batch_size=8", "train.pairs=8"])
    document = {
        "device": "cuda",
        "steps": 1,
        "seconds": 0.4,
        "fixed_bytes": 2e9,
        "memory_bytes": 3.6e9,
        "free_bytes": 8e9,
    }
    probe = planning.Probe.of(document, small)
    assert probe is not None
    rows = dict(planning.needs(run, planning.TOWN, probe))  # 32 pairs of 0.2 GB and 2 GB
    assert (
        rows["Memory"] == "about 8.4 GB on cuda (estimated), 8.0 GB free; fewer images at a time make it fit"
    )
    assert rows["Time"] == "about 2 min (estimated)"  # 2,000 pairs of 0.05 s
    cached = planning.with_settings(run, ["train.micro_batch=8"])
    assert "about 2.8 GB" in dict(planning.needs(cached, planning.TOWN, probe))["Memory"]
    assert planning.Probe.of({}, small) is None


def test_a_comparison_as_rows() -> None:
    def fact(error, score):
        return {"error_m": error, "score": score, "margin": 0.1, "stands_out": True, "error": ""}

    document = {
        "photos": [
            {"file": "/x/a.jpg", "a": fact(120.0, 0.5), "b": fact(12.0, 0.7)},
            {"file": "/x/b.jpg", "a": fact(10.0, 0.5), "b": fact(44.0, 0.5)},
            {"file": "/x/c.jpg", "a": fact(None, None), "b": fact(None, 0.2)},
        ],
        "with_position": 2,
        "median_error_m_a": 65.0,
        "median_error_m_b": 28.0,
        "within_50_m_a": 0.5,
        "within_50_m_b": 1.0,
        "within_50_m_difference": {"b_minus_a": 0.5, "low": 0.0, "high": 1.0},
    }
    rows = planning.compared_rows(document)
    assert [row.better for row in rows] == [1, -1, None]
    assert rows[0].new == ("12 m", "0.700")
    assert rows[2].old == ("–", "–")
    assert "+50%" in planning.compared_sentence(document)
    assert "only scores" in planning.compared_sentence({"photos": [], "with_position": 0})
