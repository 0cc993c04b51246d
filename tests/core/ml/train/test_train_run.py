"""A whole run: from data on disk to a published bundle, and by way of another machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import typer
from click.testing import Result
from typer.testing import CliRunner

from geolocator_gui.cli_commands import train as commands
from geolocator_gui.cli_commands.train import plan, unpacked
from geolocator_gui.errors import BundleError, ConfigError, DataError
from geolocator_gui.events import Note, finish
from geolocator_gui.ml.bundle import open_bundle, write_bundle
from geolocator_gui.ml.encoder import Encoder
from geolocator_gui.ml.train.estimate import estimate
from geolocator_gui.ml.train.pack import _PARTS, _README, _REQUIREMENTS, pack, read_packed
from geolocator_gui.ml.train.run import publish, run_training, start_model
from geolocator_gui.pairs_folder import PairsConfig
from geolocator_gui.runs import RunFolder
from geolocator_gui.training import TrainRun
from tests.core.ml.train.training_stand_ins import MODEL, colour_image, tiny_model


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder of bundles with one tiny model."""
    state = {
        key.removeprefix("backbone."): value
        for key, value in tiny_model().state_dict().items()
        if key.startswith("backbone.")
    }
    write_bundle(tmp_path / "models" / "tiny", MODEL, state, "# tiny\n")
    return tmp_path / "models"


@pytest.fixture
def cvusa(tmp_path: Path) -> Path:
    """CVUSA's layout with 40 training and 10 validation pairs."""
    root = tmp_path / "cvusa"
    for folder in ("splits", "bingmap/19", "streetview/panos", "split_locations"):
        (root / folder).mkdir(parents=True)
    lines: dict[str, list[str]] = {"train": [], "val": []}
    for number in range(1, 51):
        name = f"{number:07d}"
        cv2.imwrite(str(root / f"bingmap/19/{name}.jpg"), colour_image(number, 60, 60, 5)[..., ::-1])
        cv2.imwrite(str(root / f"streetview/panos/{name}.jpg"), colour_image(number, 40, 220, 6)[..., ::-1])
        split = "val" if number % 5 == 0 else "train"
        lines[split].append(
            f"bingmap/19/{name}.jpg,streetview/panos/{name}.jpg,streetview/annotations/{name}.png"
        )
    for split, rows in lines.items():
        (root / f"splits/{split}-19zl.csv").write_text("\n".join(rows) + "\n")
    places = [f"{38 + n * 0.01},{-120 + n * 0.01},{38 + n * 0.01},{-120 + n * 0.01},0" for n in range(50)]
    (root / "split_locations/all.csv").write_text("\n".join(places) + "\n")
    return root


def call(*words: object) -> Result:
    """What a verb answers; its error is in `exception`."""
    app = typer.Typer()
    for verb in (commands.train, commands.pack, commands.publish):
        app.command(verb.__name__)(verb)
    return CliRunner().invoke(app, [str(word) for word in words])


def small_run(cvusa: Path, models: Path, *settings: str) -> TrainRun:
    return plan(
        f"cvusa:{cvusa}",
        str(models / "tiny"),
        "quick",
        [
            "pairs=48",
            "batch_size=8",
            "evaluate_every_pairs=16",
            "precision=fp32",
            "device=cpu",
            "threads=1",
            *settings,
        ],
    )


def test_a_run_trains_evaluates_and_is_published(tmp_path, cvusa, models):
    run = small_run(cvusa, models, "learning_rate=0.003")
    summary = finish(run_training(run, tmp_path / "run"))
    assert summary.steps == 6
    assert summary.best_step in (2, 4, 6)
    assert set(summary.figures) >= {"recall_at_1", "chance_recall_at_1"}
    hardest = json.loads((tmp_path / "run" / "hardest.json").read_text())
    assert Path(hardest[0]["query"]).is_file()
    assert hardest[0]["rank"] >= hardest[-1]["rank"]

    bundle = publish(tmp_path / "run", run, "better", models)
    assert bundle.config.source == "fine-tuned here from tiny"
    assert "cvusa" in (bundle.folder / "MODEL_CARD.md").read_text()
    best = torch.load(tmp_path / "run/checkpoints/best.pt", weights_only=True)["averaged"]
    image = colour_image(1, 32, 64, 3)[None]
    with Encoder(open_bundle(bundle.folder), backend="torch", device="cpu", precision="fp32") as encoder:
        found = encoder.embed(image, "ground")[0]
    model = tiny_model().eval()
    model.load_state_dict(best)
    from geolocator_gui.ml.model import to_input

    with torch.inference_mode():
        expected = model(to_input(torch.from_numpy(image), MODEL.mean, MODEL.std))[0]
    expected = (expected / expected.norm()).numpy()
    assert np.dot(found, expected) > 0.9999

    with pytest.raises(BundleError, match="already"):
        publish(tmp_path / "run", run, "better", models)


def test_a_run_says_what_is_missing_and_goes_on(tmp_path, cvusa, models):
    (cvusa / "bingmap/19/0000001.jpg").unlink()
    notes = []
    steps = run_training(small_run(cvusa, models), tmp_path / "run")
    for event in steps:
        if isinstance(event, Note):
            notes.append(event.text)
    assert any("39 pairs to train on" in text for text in notes)
    assert any("1 left out" in text for text in notes)


def test_nothing_is_published_before_anything_is_saved(tmp_path, cvusa, models):
    with pytest.raises(DataError, match="saved nothing yet"):
        publish(tmp_path / "run", small_run(cvusa, models), "early", models)


def test_a_batch_larger_than_the_data_is_refused(tmp_path, cvusa, models):
    with pytest.raises(DataError, match="fewer than a batch of 64"):
        finish(run_training(small_run(cvusa, models, "batch_size=64"), tmp_path / "run"))


def test_a_test_set_is_not_trained_on(tmp_path, models):
    with pytest.raises(DataError, match="test set"):
        plan(f"cvact-test:{tmp_path}", str(models / "tiny"), "quick", [])


@pytest.mark.parametrize("data", ["cvusa", "moon:x"])
def test_data_must_say_their_kind(data, models):
    with pytest.raises((ConfigError, DataError)):
        plan(data, str(models / "tiny"), "quick", [])


@pytest.mark.slow
def test_a_packed_run_trains_elsewhere_and_comes_back(tmp_path, cvusa, models):
    run = small_run(cvusa, models)
    size = finish(pack(run, open_bundle(models / "tiny"), tmp_path / "run.zip"))
    assert size == (tmp_path / "run.zip").stat().st_size
    there = tmp_path / "elsewhere"
    with zipfile.ZipFile(tmp_path / "run.zip") as archive:
        archive.extractall(there)
    for gone in (cvusa, models):
        gone.rename(gone.with_name(gone.name + "-away"))
    environment = {**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "train.py"], cwd=there, env=environment, check=True, capture_output=True)
    # Another start finds it finished and changes nothing.
    before = (there / "checkpoints/best.pt").read_bytes()
    subprocess.run([sys.executable, "train.py"], cwd=there, env=environment, check=True, capture_output=True)
    assert (there / "checkpoints/best.pt").read_bytes() == before

    back = tmp_path / "back.zip"
    with zipfile.ZipFile(back, "w") as archive:
        for file in there.rglob("*"):
            if file.is_file() and "program" not in file.parts and "packed" not in file.parts:
                archive.write(file, f"elsewhere/{file.relative_to(there).as_posix()}")
    place = unpacked(back, tmp_path / "scratch")
    bundle = publish(place, TrainRun.read_json(place / "run.json"), "from-elsewhere", tmp_path / "new")
    assert bundle.has_weights


@pytest.mark.parametrize(
    "name", ["../evil", "/tmp/evil", "", ".", "..", "a/b", "a\\b", "a b", "-x", "ä", "a."]
)
def test_a_name_stays_inside_the_folder_of_models(tmp_path, cvusa, models, name):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match="not a name"):
        publish(tmp_path / "run", small_run(cvusa, models), name, models)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_device_that_is_not_there_is_refused_before_a_folder_is_made(tmp_path, cvusa, models):
    arguments = ["--model", str(models / "tiny"), "--preset", "quick", "--out", str(tmp_path / "run")]
    for device in ("cuda", "cuda:1"):
        answer = call("train", "--data", f"cvusa:{cvusa}", *arguments, "--set", f"device={device}")
        assert isinstance(answer.exception, ConfigError)
        assert "no CUDA" in str(answer.exception)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="device"):
        small_run(cvusa, models, "device=gpu")


def test_a_run_that_saved_nothing_can_be_corrected(tmp_path, cvusa, models):
    folder = tmp_path / "run"
    basic = ["train", "--data", f"cvusa:{cvusa}", "--model", str(models / "tiny"), "--preset", "quick"]
    small = ["--set", "precision=fp32", "--set", "threads=1", "--set", "pairs=16", "--out", folder, "--quiet"]
    wrong = call(*basic, *small, "--set", "batch_size=64")
    assert "fewer than a batch of 64" in str(wrong.exception)
    assert (folder / "run" / "config.toml").exists()
    right = call(*basic, *small, "--set", "batch_size=8")
    assert right.exception is None, right.exception
    # What has saved something is not overwritten.
    other = call(*basic, *small, "--set", "batch_size=4")
    assert "other settings" in str(other.exception)


def test_hints_fit_the_folder_they_are_about(tmp_path):
    for words in (("pack", tmp_path, tmp_path / "a.zip"), ("publish", tmp_path, "--name", "a")):
        problem = call(*words).exception
        assert isinstance(problem, ConfigError)
        assert "no training run" in str(problem)
        assert "--resume" not in str(problem)
    pairs = PairsConfig(photos="x", imagery=("y",))
    RunFolder(tmp_path / "pairs").write_config("pairs", pairs)
    problem = call("train", "--resume", tmp_path / "pairs").exception
    assert "--data pairs:" in str(problem)


def test_an_unknown_setting_says_what_may_be_meant(cvusa, models):
    with pytest.raises(ConfigError, match="Did you mean learning_rate") as caught:
        small_run(cvusa, models, "learning_rat=1")
    assert "loaders" in str(caught.value)
    assert "views: enabled" in str(caught.value)


def test_probabilities_are_probabilities(cvusa, models):
    with pytest.raises(ConfigError, match="flip"):
        small_run(cvusa, models, "flip=1.5")


def test_the_packed_requirements_are_what_it_imports():
    lines = {re.split("[<>=]", line)[0] for line in _REQUIREMENTS.splitlines() if line[0] != "#"}
    package = Path(commands.__file__).parents[1]
    used = set()
    for part in _PARTS:
        for file in (package / part).glob("*.py"):
            used |= set(re.findall(r"^ *(?:import|from) ([a-z_A-Z0-9]+)", file.read_text("utf-8"), re.M))
    names = {"opencv-python-headless": "cv2", "pillow": "PIL"}
    assert {names.get(line, line) for line in lines} <= used
    for small in ("scipy", "opencv-python-headless", "pydantic", "tomlkit"):
        assert small in lines
        assert small in _README
    # What the run imports as soon as it starts is in the list, or comes with what is.
    script = "import sys, geolocator_gui.ml.train.run; print(*{n.partition('.')[0] for n in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    for heavy in ("rasterio", "geopandas", "faiss", "PySide6", "typer", "rich", "onnxruntime"):
        assert heavy not in loaded.split()


def test_a_damaged_image_is_no_grey_picture_in_a_pack(tmp_path, cvusa, models):
    (cvusa / "bingmap/19/0000001.jpg").write_bytes(b"no image")
    finish(pack(small_run(cvusa, models), open_bundle(models / "tiny"), tmp_path / "run.zip"))
    with zipfile.ZipFile(tmp_path / "run.zip") as archive:
        archive.extractall(tmp_path / "there")
    assert len(read_packed(tmp_path / "there" / "packed", "train").query_paths) == 39


def test_a_zip_that_reaches_outside_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("../run.json", "{}")
    with pytest.raises(DataError, match="outside of itself"):
        unpacked(tmp_path / "bad.zip", tmp_path / "scratch")


def test_an_estimate_grows_with_the_batch_and_shrinks_with_frozen_parts(cvusa, models):
    def needs(*settings):
        run = small_run(cvusa, models, *settings)
        return estimate(run, start_model(run, open_bundle(models / "tiny")), MODEL)

    small, large, frozen = needs(), needs("batch_size=32"), needs("batch_size=32", "freeze=5")
    assert 2 * small.bytes_whole < large.bytes_whole
    assert frozen.bytes_whole < large.bytes_whole
    assert small.steps == 6
    assert small.seconds > 0
    assert small.micro_batch is None
