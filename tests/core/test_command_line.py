"""The command line as a user meets it: child processes, real files, the promised JSON, errors in words."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from geolocator_gui.paths import demo_dir

BOX = "20.7455,60.1685,20.7505,60.1705"


def geolocator(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "geolocator_gui.cli", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=240,
        stdin=subprocess.DEVNULL,
        **options,
    )


@pytest.fixture(scope="module")
def small_index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("command-line") / "corner"
    done = geolocator(
        "index", "--imagery", demo_dir() / "town.mbtiles", "--bbox", BOX, "--out", folder, "--json", "--quiet"
    )
    assert done.returncode == 0, done.stderr
    built = json.loads(done.stdout)
    assert 10 < built["chips"] < 400
    return folder


def test_localise_keeps_its_promise(small_index, tmp_path):
    bad = tmp_path / "=notes <b>.jpg"
    bad.write_bytes(b"these are not pixels")
    good = demo_dir() / "photos" / "panorama_01.jpg"
    tables = [tmp_path / "out.geojson", tmp_path / "out.csv"]
    done = geolocator(
        "localise", good, bad, tmp_path / "gone.jpg", "--index", small_index, "--top", 3, "--json", "--quiet",
        "--geojson", tables[0], "--csv", tables[1],
    )  # fmt: skip
    assert done.returncode == 2
    first, second, third = json.loads(done.stdout)
    assert [match["rank"] for match in first["matches"]] == [1, 2, 3]
    west, south, east, north = first["matches"][0]["bounds"]
    assert west < first["matches"][0]["lon"] < east
    assert south < first["matches"][0]["lat"] < north
    assert isinstance(first["matches"][0]["chip"], int)
    assert set(first["exif"]) == {"lon", "lat", "heading"}
    assert first["error"] is None
    for item in (second, third):
        assert item["matches"] == []
        assert item["error"]
    assert "Traceback" not in done.stderr
    assert "gone.jpg" in done.stderr
    assert json.loads(tables[0].read_text())["features"]
    assert tables[1].read_text().count("\n") == 1 + 3 + 2


def test_the_same_command_takes_a_finished_index_as_it_is(small_index):
    done = geolocator(
        "index", "--imagery", demo_dir() / "town.mbtiles", "--bbox", BOX, "--out", small_index, "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["reused"] is True


def test_an_index_folder_is_not_overwritten_by_another(small_index):
    done = geolocator(
        "index",
        "--imagery",
        demo_dir() / "town.mbtiles",
        "--bbox",
        BOX,
        "--overlap",
        "0.25",
        "--out",
        small_index,
    )
    assert done.returncode == 2
    assert "other settings" in done.stderr


def test_estimate_builds_nothing(tmp_path):
    done = geolocator(
        "index",
        "--imagery",
        demo_dir() / "town.mbtiles",
        "--bbox",
        BOX,
        "--out",
        tmp_path / "x",
        "--estimate",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["chips"] > 10
    assert found["seconds"] > 0
    assert not (tmp_path / "x").exists()


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_stops_politely_and_the_same_command_goes_on(tmp_path):
    words = [
        "index",
        "--imagery",
        str(demo_dir() / "town.mbtiles"),
        "--batch-size",
        "16",
        *("--backend", "torch", "--precision", "fp32"),
        "--out",
        str(tmp_path / "town"),
    ]
    child = subprocess.Popen(
        [sys.executable, "-m", "geolocator_gui.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A background job of a shell starts with SIGINT ignored; a user's terminal does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    events = tmp_path / "town" / "run" / "events.jsonl"
    until = time.monotonic() + 120
    while not (events.exists() and re.search(r'"done": [1-9]', events.read_text())):
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "same command continues" in said
    assert "Traceback" not in said
    words += ["--json", "--quiet"]
    done = geolocator(*words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["chips"] > 900


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["localise", "x.jpg", "--index", "nowhere"], "nowhere"),
        (["index", "--imagery", "nowhere.tif"], "nowhere.tif"),
        (["index", "--imagery", "README.md", "--model", "no-such-model"], ""),
        (["index", "--imagery", "a.mbtiles", "--overlap", "0.9"], "overlap"),
        (["compare", "x.jpg", "--index", "only-one"], "two indexes"),
    ],
)
def test_wrong_input_is_one_message_and_exit_2(words, says, tmp_path):
    done = geolocator(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3
    assert list(tmp_path.iterdir()) == []


def test_a_refused_command_leaves_nothing_and_can_be_corrected(tmp_path):
    empty, foreign = tmp_path / "empty", tmp_path / "foreign"
    empty.mkdir()
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    imagery = demo_dir() / "town.mbtiles"
    assert geolocator("index", "--imagery", tmp_path / "typo.mbtiles", "--out", empty).returncode == 2
    assert geolocator("index", "--imagery", imagery, "--out", foreign).returncode == 2
    assert (
        geolocator("index", "--imagery", imagery, "--bbox", "1,1,1.01,1.01", "--out", empty).returncode == 2
    )
    assert not list(empty.iterdir())
    assert [path.name for path in foreign.iterdir()] == ["thesis.txt"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no file names that are not text")
def test_a_name_that_is_no_text_costs_nothing_but_its_own_entry(small_index, tmp_path):
    bad = os.fsdecode(b"bad\xff\x1b[2J\nline.jpg")
    good = demo_dir() / "photos" / "panorama_01.jpg"
    table = tmp_path / "out.csv"
    words = ("localise", bad, "a" * 300, good, "--index", small_index, "--quiet")
    done = geolocator(*words, "--json", "--csv", table)
    assert done.returncode == 2
    first, second, third = json.loads(done.stdout)
    assert first["error"]
    assert second["error"]
    assert third["matches"]
    assert "\x1b" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 2
    assert "panorama_01.jpg" in table.read_text("utf-8")
    assert "\x1b" not in geolocator(*words).stdout


@pytest.mark.skipif(os.name == "nt", reason="a shell that closes streams")
def test_a_closed_stdout_is_no_fault():
    words = f'"{sys.executable}" -m geolocator_gui.cli --version >&-'
    done = subprocess.run(words, shell=True, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_of_every_verb_is_there():
    top = geolocator("--help")
    assert top.returncode == 0
    for verb in ("demo", "index", "localise", "model", "mine", "evaluate", "compare"):
        assert verb in top.stdout
        done = geolocator(verb, "--help")
        assert done.returncode == 0, done.stderr
        assert len(done.stdout) > 300
