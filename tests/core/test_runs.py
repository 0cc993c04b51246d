"""Runs: what is on disk tells the truth whatever happened to the process."""

import os
import signal
import subprocess
import sys
import time

import pytest

from geolocator_gui import runs
from geolocator_gui.configs import IndexConfig
from geolocator_gui.errors import ConfigError, ImageryError, InputError, StoppedError
from geolocator_gui.events import (
    Metric,
    Note,
    Outcome,
    Pace,
    Progress,
    finish,
    from_json,
    read_events,
    to_json,
)
from geolocator_gui.runs import RunFolder, execute


def count_to(total, wait=0.0):
    for number in range(total):
        time.sleep(wait)
        yield Progress("Counting", number + 1, total, "numbers")
    return total


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path / "thing")
    folder.write_config("index", IndexConfig(imagery=("town.mbtiles",)))
    return folder


def test_a_finished_run_says_so_and_keeps_its_result(run):
    assert execute(count_to(3), run, summary=lambda total: {"total": total}) == 3
    status = run.status()
    assert (status.verb, status.state, status.outcome.result) == ("index", "finished", {"total": 3})
    assert status.progress == Progress("Counting", 3, 3, "numbers")


def test_stop_file_stops_at_the_next_step_and_closes_the_work(run):
    closed = []

    def work():
        try:
            for number in range(1000):
                if number == 5:
                    run.request_stop()
                yield Progress("Counting", number)
        finally:
            closed.append(True)

    with pytest.raises(StoppedError):
        execute(work(), run)
    assert run.status().state == "stopped"
    assert run.status().progress.done == 5
    assert closed == [True]


def test_an_old_stop_file_does_not_stop_the_next_sitting(run):
    run.request_stop()
    assert execute(count_to(2), run) == 2


def test_a_failure_is_written_with_path_and_hint(run):
    def work():
        yield Note("begin")
        raise ImageryError("the file ends early", path="a.tif", hint="Copy it again.")

    with pytest.raises(ImageryError):
        execute(work(), run)
    outcome = run.status().outcome
    assert (outcome.state, outcome.message, outcome.hint) == (
        "failed",
        "a.tif: the file ends early",
        "Copy it again.",
    )


def test_a_killed_run_is_seen_as_interrupted_and_can_go_on(run):
    code = (
        "import sys, time; from pathlib import Path\n"
        "from geolocator_gui.runs import RunFolder, execute\n"
        "from geolocator_gui.events import Progress\n"
        "def work():\n"
        "    for n in range(100000):\n"
        "        time.sleep(0.01); yield Progress('Counting', n)\n"
        "execute(work(), RunFolder(Path(sys.argv[1])))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(run.thing)])
    try:
        until = time.monotonic() + 30
        while not run.events_path.exists() or run.status().progress is None:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert run.status().state == "running"
        with pytest.raises(InputError, match="another Geolocator process"):
            execute(count_to(1), run)
    finally:
        child.kill()
        child.wait()
    assert run.status().state == "interrupted"
    assert execute(count_to(2), run) == 2
    assert run.status().state == "finished"


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_is_a_stop(run):
    # A shell's background job starts with this signal ignored; a user's terminal does not.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def work():
        yield Note("begin")
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(100):
            time.sleep(0.01)
            yield Note("still here")

    try:
        with pytest.raises(StoppedError):
            execute(work(), run)
    finally:
        signal.signal(signal.SIGINT, before)
    assert run.status().state == "stopped"


def test_a_run_keeps_its_settings(run):
    assert run.read_config(IndexConfig) == IndexConfig(imagery=("town.mbtiles",))
    run.write_config("index", IndexConfig(imagery=("town.mbtiles",)))
    with pytest.raises(ConfigError, match="other settings"):
        run.write_config("index", IndexConfig(imagery=("other.mbtiles",)))


def test_settings_that_are_wrong_are_named(tmp_path):
    folder = RunFolder(tmp_path)
    folder.path.mkdir()
    (folder.path / "config.toml").write_text(
        'verb = "index"\n[index]\nimagery = ["a"]\noverlap = 3.0\nsize = 1\n'
    )
    with pytest.raises(ConfigError) as caught:
        folder.read_config(IndexConfig)
    assert "overlap" in str(caught.value)
    assert "size" in str(caught.value)


def test_a_half_written_line_is_left_for_the_next_read(tmp_path):
    path = tmp_path / "events.jsonl"
    first, second = to_json(Note("one")), to_json(Metric(3, {"loss": 0.5}))
    path.write_text(first + "\n" + second[:10])
    events, offset = read_events(path)
    assert [event for _, event in events] == [Note("one")]
    path.write_text(first + "\n" + second + "\n")
    events, offset = read_events(path, offset)
    assert [event for _, event in events] == [Metric(3, {"loss": 0.5})]


def test_lines_of_a_newer_version_are_skipped():
    assert from_json('{"time": 1, "kind": "telepathy", "text": "x"}') is None
    assert from_json('{"time": 1, "kind": "note", "colour": "x"}') is None
    assert from_json("not json") is None
    assert from_json(to_json(Outcome("finished", result={"a": 1}), 5.0)) == (
        5.0,
        Outcome("finished", result={"a": 1}),
    )


def test_pace_always_tells_the_end():
    pace = Pace("Counting", 1000)
    told = [event for number in range(1, 1001) for event in pace.at(number)]
    assert told[-1].done == 1000
    assert len(told) < 100


def test_finish_returns_the_result():
    assert finish(count_to(4)) == 4


@pytest.mark.skipif(not hasattr(os, "getpriority"), reason="Windows has priority classes instead")
def test_a_run_that_the_window_starts_stands_back_behind_it(run):
    process = runs.start("index", run.path.parent)
    try:
        nice = os.getpriority(os.PRIO_PROCESS, process.pid)
        assert nice == min(19, os.getpriority(os.PRIO_PROCESS, 0) + runs.BACKGROUND_NICE)
    finally:
        process.kill()
        process.wait()
