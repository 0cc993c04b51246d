"""From the window: start a training on stand-in pairs, queue another, stop, resume, publish the result."""

import subprocess
import sys
import zipfile

import pytest

from geolocator_gui.runs import RunFolder
from geolocator_gui.training import TrainRun
from geolocator_gui.workspace import Workspace

pytestmark = [pytest.mark.gui, pytest.mark.slow]

STAND_INS = """
import sys
from pathlib import Path
import cv2
from geolocator_gui.ml.bundle import write_bundle
from tests.core.ml.train.training_stand_ins import MODEL, colour_image, tiny_model

home = Path(sys.argv[1])
state = {
    key.removeprefix("backbone."): value
    for key, value in tiny_model().state_dict().items()
    if key.startswith("backbone.")
}
write_bundle(home / "town" / "models" / "tiny", MODEL, state, "# tiny")
root = home / "cvusa"
for folder in ("splits", "bingmap/19", "streetview/panos", "split_locations"):
    (root / folder).mkdir(parents=True)
lines = {"train": [], "val": []}
for number in range(1, 51):
    name = f"{number:07d}"
    cv2.imwrite(str(root / f"bingmap/19/{name}.jpg"), colour_image(number, 60, 60, 5)[..., ::-1])
    cv2.imwrite(str(root / f"streetview/panos/{name}.jpg"), colour_image(number, 40, 220, 6)[..., ::-1])
    row = f"bingmap/19/{name}.jpg,streetview/panos/{name}.jpg,streetview/annotations/{name}.png"
    lines["val" if number % 5 == 0 else "train"].append(row)
for split, rows in lines.items():
    (root / f"splits/{split}-19zl.csv").write_text("\\n".join(rows) + "\\n")
places = [f"{38 + n * 0.01},{-120 + n * 0.01},{38 + n * 0.01},{-120 + n * 0.01},0" for n in range(50)]
(root / "split_locations/all.csv").write_text("\\n".join(places) + "\\n")
"""


@pytest.fixture
def workspace(tmp_path):
    """A workspace whose runs do not outlive the test, however it ends."""
    made = Workspace.create(tmp_path / "town")
    yield made
    for config in made.training.glob("*/run/config.toml"):
        RunFolder(config.parent.parent).request_stop()


@pytest.mark.timeout(900)
def test_start_stop_resume_and_publish_from_the_window(window, wait, root, tmp_path, workspace) -> None:
    made = subprocess.run(
        [sys.executable, "-c", STAND_INS, str(tmp_path)],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    session, page = window.session, window.panels["training"]
    session.open_workspace(workspace.root)
    window.show_page("training")
    form = page.form
    assert wait(lambda: form.model.findText("tiny") >= 0 or form.model.count() > 0)
    place = next(n for n in range(form.model.count()) if form.model.itemData(n).endswith("tiny"))
    form.model.setCurrentIndex(place)
    form.preset.setCurrentIndex(form.preset.findData("quick"))
    form.show_data(f"cvusa:{tmp_path / 'cvusa'}")
    assert wait(lambda: form.found is not None, 200), form.words.text()
    assert (form.found.pairs, form.found.held_out) == (40, 10)
    form.overrides = [
        "train.batch_size=8",
        "train.pairs=80000",
        "train.evaluate_every_pairs=320",
        "train.precision=fp32",
        "train.device=cpu",
        "train.threads=1",
    ]
    form.refresh()
    form.start_button.click()
    assert wait(lambda: page.rows and page.rows[0].state == "running", 200)
    thing = page.rows[0].thing
    form.queue_button.click()
    assert wait(lambda: sum(run.queued is not None for run in page.runs.values()) == 1, 60)
    assert wait(lambda: thing in page.runs and page.runs[thing].best is not None, 300), page.runs[thing].log
    assert wait(page.live.stop_button.isVisible, 5)
    page.live.stop_button.click()
    state = lambda: next(row.state for row in page.rows if row.thing == thing)  # noqa: E731 - a thunk
    assert wait(lambda: state() == "stopped", 120)
    # the one that waited takes its turn by itself
    other = next(one for one in page.runs if one != thing)
    assert wait(lambda: next(r.state for r in page.rows if r.thing == other) == "running", 200)
    page.choose(other)
    assert wait(lambda: page.runs[other].pid > 0)
    page.live.asked.emit("kill")
    assert wait(lambda: next(r.state for r in page.rows if r.thing == other) != "running", 120)
    # on it goes, from where it was
    page.choose(thing)
    before = len(page.runs[thing].lines["loss"].x)
    page.live.resume_button.click()
    assert wait(lambda: state() == "running", 200)
    assert wait(lambda: len(page.runs[thing].lines["loss"].x) > before, 200)
    page.live.stop_button.click()
    assert wait(lambda: state() == "stopped", 120)
    page.actions_.publish(thing, "mine")
    assert wait(lambda: page.runs[thing].published == "mine", 200), window.toasts.texts()
    assert (workspace.models / "mine" / "model.json").exists()
    assert wait(lambda: any(row.name == "mine" for row in session.lists.models), 30)


SAVED = """
from geolocator_gui.ml.train.state import write_whole
state = {"step": 3, "figures": {"recall_at_1": 0.5}, "averaged": tiny_model(seed=5).state_dict()}
write_whole(state, home / "best.pt")
"""


@pytest.mark.timeout(600)
def test_pack_and_import_from_the_window(window, wait, root, tmp_path, workspace, monkeypatch) -> None:
    from PySide6.QtWidgets import QFileDialog, QInputDialog

    made = subprocess.run(
        [sys.executable, "-c", STAND_INS + SAVED, str(tmp_path)],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    thing = workspace.training / "away"
    model = str(workspace.models / "tiny")
    RunFolder(thing).write_config(
        "train", TrainRun.from_mapping({"data": f"cvusa:{tmp_path / 'cvusa'}", "model": model})
    )
    session, page = window.session, window.panels["training"]
    session.open_workspace(workspace.root)
    window.show_page("training")
    assert wait(lambda: thing in page.runs, 30)
    page.choose(thing)

    packed = tmp_path / "away.zip"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(packed), ""))
    page.live.asked.emit("pack")
    assert wait(packed.exists, 200), window.toasts.texts()
    with zipfile.ZipFile(packed) as archive:
        names = archive.namelist()
        assert {"train.py", "run.json", "start/weights.safetensors"} <= set(names)
        assert sum(name.startswith("packed/train/ground/") for name in names) == 40
        kept = {name: archive.read(name) for name in names if name == "run.json" or name.startswith("start/")}

    # there it was trained; what comes back is its folder as a zip
    back = tmp_path / "back.zip"
    with zipfile.ZipFile(back, "w") as archive:
        for name, content in kept.items():
            archive.writestr(f"away/{name}", content)
        archive.write(tmp_path / "best.pt", "away/checkpoints/best.pt")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(back), ""))
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("from-away", True))
    page.live.asked.emit("import")
    listed = lambda: {row.name for row in session.lists.models}  # noqa: E731 - a thunk
    assert wait(lambda: "from-away" in listed(), 200), (listed(), window.toasts.texts())
    card = (workspace.models / "from-away" / "MODEL_CARD.md").read_text("utf-8")
    assert "50.0 %" in card
