"""Marks that cannot be written or read, and two windows on one workspace: told, and nothing is lost."""

import pytest
from PySide6.QtCore import Qt

from geolocator_gui.marks import COLUMNS, Mark, append_marks, read_marks
from tests.gui.test_negatives import make_mining, page, press
from tests.gui.test_negatives_keys import chord, messages

pytestmark = pytest.mark.gui
__all__ = ["page"]  # the fixture


def errors(told: list) -> list:
    return [message for message in told if message.level == "error"]


def test_marks_that_cannot_be_written_are_told_once_and_written_when_they_can_be(page, wait) -> None:
    from PySide6.QtTest import QTest

    told, file = messages(page), page.session.workspace.marks
    file.mkdir()
    press(page, "k")
    assert wait(page.unsaved.isVisible)
    press(page, "s")
    assert wait(lambda: len(read_marks(page.inspector.judging.file.kept_in)) == 2)
    assert len(errors(told)) == 1
    words = errors(told)[0]
    assert str(file) in words.text
    assert "not being saved" in words.text
    assert "marks-unsaved-" in words.hint
    assert "fault of the program" not in words.hint
    file.rmdir()
    QTest.mouseClick(page.unsaved.retry, Qt.MouseButton.LeftButton)
    assert wait(lambda: not page.unsaved.isVisible())
    assert [mark.verdict for mark in read_marks(file)] == ["hard", "same_place"]
    assert list(file.parent.glob("marks-unsaved-*")) == []


def test_closing_goes_on_and_keeps_the_verdicts_in_a_file(page, window, wait) -> None:
    file, settings = page.session.workspace.marks, window.session.settings
    file.mkdir()
    press(page, "k")
    window.resize(1111, 777)
    wait(lambda: False, 0.2)
    window.close()
    kept = list(file.parent.glob("marks-unsaved-*.csv"))
    assert [mark.verdict for mark in read_marks(kept[0])] == ["hard"]
    assert not window.session.background._open  # every service was ended
    assert settings is window.session.settings


def test_switching_workspaces_goes_on_and_says_where_the_verdicts_are(page, window, wait, tmp_path) -> None:
    from geolocator_gui.workspace import Workspace

    other = Workspace.create(tmp_path / "other")
    make_mining(other.mining / "elsewhere", 12)
    told, file = messages(page), page.session.workspace.marks
    file.mkdir()
    press(page, "k")
    assert wait(page.unsaved.isVisible)
    window.session.open_workspace(other.root)
    assert wait(lambda: page.inspector.result is not None and len(page.inspector.result) == 12)
    assert page.inspector.judging.progress.judged == 0
    assert not page.unsaved.isVisible()
    assert "marks-unsaved-" in errors(told)[-1].hint
    assert not other.marks.exists()
    window.session.open_workspace(file.parent)
    assert wait(lambda: any("earlier sitting" in message.text for message in told))


def test_a_damaged_marks_file_opens_read_only_and_is_set_aside_on_request(window, wait, tmp_path) -> None:
    from PySide6.QtTest import QTest

    from geolocator_gui.workspace import Workspace

    workspace = Workspace.create(tmp_path / "town")
    make_mining(workspace.mining / "first")
    append_marks(workspace.marks, [Mark("photo:004", "chip:town/80m/5", "hard", "", "2026-01-01T00:00:00Z")])
    with workspace.marks.open("a") as text:
        text.write("what,is,this,,,\r\n")
    before = workspace.marks.read_bytes()
    told: list = []
    window.session.notifications.posted.connect(told.append)
    window.show_page("negatives")
    window.session.open_workspace(workspace.root)
    page = window.panels["negatives"]
    assert wait(lambda: page.inspector.candidates)
    assert page.unsaved.isVisible()
    assert "line 3" in page.unsaved.words.full_text()
    assert page.inspector.judging.progress.judged == 1
    page.list.setFocus()
    press(page, "u")
    assert wait(lambda: page.inspector.judging.file.kept_in is not None)
    assert workspace.marks.read_bytes() == before
    QTest.mouseClick(page.unsaved.aside, Qt.MouseButton.LeftButton)
    assert wait(lambda: not page.unsaved.isVisible())
    assert (workspace.root / "marks.csv.damaged").read_bytes() == before
    assert {mark.verdict for mark in read_marks(workspace.marks)} == {"hard", "unsure"}


def test_a_tool_that_damages_the_open_file_takes_nothing(page, wait) -> None:
    file = page.session.workspace.marks
    press(page, "k")
    assert wait(lambda: page.inspector.judging.is_written and file.exists())
    file.write_text(f"{','.join(COLUMNS)}\nx,y,nonsense,,,\n")
    press(page, "s")
    assert wait(page.unsaved.isVisible)
    assert page.inspector.judging.progress.judged == 2
    copy = file.with_name("copy.csv")
    page.unsaved.save_copy(copy)
    assert len(read_marks(copy)) == 2


def test_verdicts_of_another_window_are_seen_and_not_undone(page, window, wait) -> None:
    inspector = page.inspector
    rows, file = inspector.table.rows.tolist(), page.session.workspace.marks
    first, second = (inspector.result.hardest_key(row) for row in rows[:2])
    press(page, "k")
    assert wait(lambda: inspector.judging.is_written)
    append_marks(file, [Mark(*first, "unsure", "mine", "2030-01-01T00:00:00Z", "first")])
    append_marks(file, [Mark(*second, "same_place", "", "2030-01-01T00:00:00Z", "first")])
    window.show_page("photos")
    window.show_page("negatives")
    assert wait(lambda: inspector.judging.progress.judged == 2)
    page.list.setFocus()
    chord(window, Qt.Key.Key_Z)
    assert inspector.judging.verdict(first) == "unsure"
    assert inspector.judging.verdict(second) == "same_place"
    assert wait(lambda: inspector.judging.is_written)
    assert [mark.verdict for mark in read_marks(file)] == ["hard", "unsure", "same_place"]
