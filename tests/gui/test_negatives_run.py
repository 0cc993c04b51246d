"""From the window: mine photos, judge ten by keyboard, train with them, mine again, see the moves."""

import subprocess
import sys
from pathlib import Path

import pytest

from geolocator_gui.marks import read_marks

pytestmark = [pytest.mark.gui, pytest.mark.slow]


@pytest.fixture
def town(root: Path, tmp_path: Path) -> Path:
    """A workspace with a small index of the demo town's middle."""
    from geolocator_gui.workspace import ImageryEntry, Workspace

    imagery = root / "resources" / "demo" / "town.mbtiles"
    if not imagery.exists() or not (root / "models" / "demo-town" / "weights.safetensors").exists():
        pytest.skip("the demo town or its model is not in this checkout")
    workspace = Workspace.create(tmp_path / "town")
    workspace.add_imagery(ImageryEntry("Town", str(imagery), "Made up"))
    command = [
        sys.executable,
        "-m",
        "geolocator_gui.cli",
        "index",
        "--imagery",
        str(imagery),
        "--overlap",
        "0.2",
    ]
    done = subprocess.run(
        [*command, "--workspace", str(workspace.root), "--quiet"],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return workspace.root


@pytest.mark.timeout(1500)
def test_mine_judge_and_mine_again_from_the_window(window, wait, town, root) -> None:
    from PySide6.QtTest import QTest

    session = window.session
    session.open_workspace(town)
    assert wait(lambda: session.index is not None)
    window.show_page("negatives")
    page = window.panels["negatives"]
    photos = sorted((root / "resources" / "demo" / "photos").glob("p*.jpg"))[::2]
    session.add_photos(photos)
    assert page.form.isVisible()
    assert page.form.start_button.isEnabled()
    page.form.start()
    assert wait(lambda: page.inspector.candidates, 240)
    assert len(page.inspector.result) == len(photos)
    assert not page.form.isVisible()
    assert (page.inspector.result.margin[page.inspector.table.rows[:3]] < 0.5).all()
    page.list.setFocus()
    for _ in range(10):
        QTest.keyClick(page.list, "k")
    window.judging.undo()
    assert wait(lambda: page.inspector.judging.is_written)
    assert page.inspector.judging.progress.judged == 9
    assert len(read_marks(session.workspace.marks)) == 11  # ten given, one withdrawn
    assert wait(lambda: page.inspector.candidates)
    page.bench.compare_button.setChecked(True)
    page.bench.triptych.alike.setChecked(True)
    assert "Computing" in page.bench.triptych.photo.words  # over the pictures, until the map is there
    assert wait(lambda: page.bench.triptych._alike is not None, 120)
    assert not page.bench.triptych._alike[0].isNull()
    assert page.bench.triptych.photo.words == page.bench.triptych.impostor.words == ""
    first = page.inspector.result.folder
    tuned = train_with_the_verdicts(root, town)
    session.reload()
    assert wait(lambda: page.form.index.findData(str(tuned)) >= 0, 60)
    page.show_form()
    page.form.index.setCurrentIndex(page.form.index.findData(str(tuned)))
    page.form.start()
    assert wait(lambda: page.inspector.result.folder != first, 300)
    assert page.inspector.judging.progress.judged == 9  # verdicts outlive a mining
    assert page.inspector.result.about["model"] == "tuned"
    # The run compared itself with the mining before it, and the page shows how.
    assert wait(lambda: page.inspector.table.moved is not None)
    moves = page.inspector.result.summary["moves"]
    assert moves["with"] == first.name
    assert moves["judged"] == 9
    assert "judged confusions are resolved" in page.inspector.moves_sentence
    log = (page.inspector.result.folder / "run" / "events.jsonl").read_text("utf-8")
    assert page.inspector.moves_sentence in log


def train_with_the_verdicts(root: Path, town: Path) -> Path:
    """Pairs of the same photos, a short training in the workspace, its model, an index; its folder."""
    town_imagery = str(root / "resources" / "demo" / "town.mbtiles")
    settings = ("pairs=16", "batch_size=4", "evaluate_every_pairs=0")
    steps = (
        [
            "pairs",
            str(root / "resources" / "demo" / "photos"),
            "--imagery",
            town_imagery,
            "--out",
            "pairs/own",
        ],
        ["train", "--data", "pairs:pairs/own", "--preset", "quick", "--out", "training/one"]
        + [part for setting in settings for part in ("--set", setting)],
        ["publish", "training/one", "--name", "tuned"],
        [
            "index",
            "--imagery",
            town_imagery,
            "--overlap",
            "0.2",
            "--model",
            "tuned",
            "--workspace",
            str(town),
        ],
    )
    known = set((town / "indexes").iterdir())
    for step in steps:
        quiet = [] if step[0] == "publish" else ["--quiet"]
        command = [sys.executable, "-m", "geolocator_gui.cli", *step, *quiet]
        done = subprocess.run(command, cwd=town, capture_output=True, text=True, timeout=400, check=False)
        assert done.returncode == 0, done.stderr
    assert len(read_marks(town / "training" / "one" / "marks.csv")) == 11
    log = (town / "training" / "one" / "run" / "events.jsonl").read_text("utf-8")
    assert "kept confusions are put together" in log
    (index,) = set((town / "indexes").iterdir()) - known
    return index
