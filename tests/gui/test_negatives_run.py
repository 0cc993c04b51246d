"""From the window: mine photos of the list, see them, judge ten by keyboard, mine again, see the moves."""

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


@pytest.mark.timeout(600)
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
    assert wait(lambda: page.bench.triptych._alike is not None, 120)
    assert not page.bench.triptych._alike[0].isNull()
    first = page.inspector.result.folder
    page.show_form()
    page.form.start()
    assert wait(lambda: page.inspector.result.folder != first, 240)
    assert page.inspector.judging.progress.judged == 9  # verdicts outlive a mining
    page.inspector.compare_with(first)
    assert wait(lambda: page.inspector.table.moved is not None)
    assert (
        "9 judged confusions" in page.inspector.moves_sentence
        or "0 moved up" in page.inspector.moves_sentence
    )
