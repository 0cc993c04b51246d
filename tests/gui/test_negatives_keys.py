"""The Hard negatives page under real keys and clicks: held modifiers, notes, repeats, hidden photos."""

import numpy as np
import pytest

from tests.gui.test_negatives import make_mining, page, press, written

pytestmark = pytest.mark.gui
__all__ = ["page"]  # the fixture


def chord(window, key, *, shift: bool = False) -> None:
    """Ctrl held, the key pressed, everything released: as fingers do it."""
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    held = Qt.KeyboardModifier.ControlModifier
    if shift:
        held |= Qt.KeyboardModifier.ShiftModifier
    QTest.keyClick(window, key, held)


def type_note(page, words: str) -> None:
    from PySide6.QtTest import QTest

    QTest.keyClick(page.list, "n")
    assert page.note.hasFocus()
    QTest.keyClicks(page.note, words)


def messages(page) -> list:
    got: list = []
    page.session.notifications.posted.connect(got.append)
    return got


def test_undo_and_redo_by_keyboard_choose_one_photo_only(page, window, wait) -> None:
    from PySide6.QtCore import Qt

    inspector = page.inspector
    rows = inspector.table.rows.tolist()
    for letter in "kku":
        press(page, letter)
    assert inspector.row == rows[3]
    chord(window, Qt.Key.Key_Z)
    assert (inspector.row, page.list.selected_rows()) == (rows[2], [rows[2]])
    chord(window, Qt.Key.Key_Z)
    assert (inspector.row, page.list.selected_rows()) == (rows[1], [rows[1]])
    chord(window, Qt.Key.Key_Z, shift=True)
    assert (inspector.row, page.list.selected_rows()) == (rows[1], [rows[1]])
    press(page, "s")  # one verdict, about one photo
    assert inspector.judging.progress.judged == 2


def test_a_batch_verdict_is_undone_by_one_chord(page, window) -> None:
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    for _ in range(4):
        QTest.keyClick(page.list, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert len(page.inspector.selected) == 5
    press(page, "k")
    assert page.inspector.judging.progress.judged == 5
    chord(window, Qt.Key.Key_Z)
    assert page.inspector.judging.progress.judged == 0
    assert len(page.list.selected_rows()) == 1


def test_only_return_and_escape_give_the_keyboard_back(page, wait) -> None:
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    type_note(page, "chimneys")
    QTest.keyClick(page.note, Qt.Key.Key_Return)
    assert page.list.hasFocus()
    key = page.inspector.key()
    assert page.inspector.judging.marks.get(*key).note == "chimneys"
    type_note(page, " no")
    QTest.keyClick(page.note, Qt.Key.Key_Escape)
    assert page.list.hasFocus()
    assert page.note.text() == "chimneys"
    assert page.inspector.judging.marks.get(*key).note == "chimneys"
    type_note(page, "!")
    QTest.mouseClick(page.filters.search, Qt.MouseButton.LeftButton)
    assert page.filters.search.hasFocus()  # where it was clicked
    assert page.inspector.judging.marks.get(*key).note == "chimneys!"


def test_a_note_stays_with_its_photo_when_the_arrows_go_on(page, wait) -> None:
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    inspector = page.inspector
    first = inspector.key()
    type_note(page, "same tower")
    QTest.keyClick(page.note, Qt.Key.Key_Down)
    assert inspector.row == inspector.table.rows[1]
    assert inspector.judging.marks.get(*first).note == "same tower"
    assert page.note.text() == ""
    second = inspector.key()
    QTest.keyClicks(page.note, "other")
    QTest.keyClick(page.note, Qt.Key.Key_Up)
    assert inspector.judging.marks.get(*second).note == "other"
    assert page.note.text() == "same tower"
    assert {mark.note for mark in written(page, wait)} == {"same tower", "other"}


def test_a_note_goes_along_with_the_verdict_that_is_clicked(page, wait) -> None:
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    inspector = page.inspector
    key, query = inspector.key(), inspector.row
    type_note(page, "two mills")
    QTest.mouseClick(page.buttons["hard"], Qt.MouseButton.LeftButton)
    mark = inspector.judging.marks.get(*key)
    assert (mark.verdict, mark.note) == ("hard", "two mills")
    assert inspector.row != query
    assert page.note.text() == ""
    window = page.window()
    page.list.setFocus()
    chord(window, Qt.Key.Key_Z)  # verdict and note were one step
    assert inspector.judging.marks.get(*key) is None


def test_a_note_can_be_made_on_a_bad_pair(page, wait) -> None:
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    inspector = page.inspector
    pair, impostor = inspector.result.pair_key(inspector.row), inspector.key()
    type_note(page, "coordinates are off")
    QTest.mouseClick(page.buttons["bad_pair"], Qt.MouseButton.LeftButton)
    assert inspector.judging.marks.get(*pair).note == "coordinates are off"
    assert inspector.judging.marks.get(*impostor) is None
    page.list.setFocus()
    QTest.keyClick(page.list, Qt.Key.Key_Up)
    assert wait(lambda: inspector.candidates)
    assert page.note.text() == "coordinates are off"
    type_note(page, " by far")
    QTest.keyClick(page.note, Qt.Key.Key_Return)
    assert inspector.judging.marks.get(*pair).note == "coordinates are off by far"
    assert inspector.judging.marks.get(*impostor) is None


def test_a_note_being_typed_survives_the_closing_of_the_window(page, window) -> None:
    from geolocator_gui.marks import read_marks

    file, key = page.session.workspace.marks, page.inspector.key()
    type_note(page, "last words")
    window.close()
    assert [(mark.key, mark.note) for mark in read_marks(file)] == [(key, "last words")]


def test_a_note_being_typed_goes_to_the_workspace_it_was_typed_in(page, window, wait, tmp_path) -> None:
    from geolocator_gui.marks import read_marks
    from geolocator_gui.workspace import Workspace

    file, other = page.session.workspace.marks, Workspace.create(tmp_path / "other")
    type_note(page, "belongs to the first")
    window.session.open_workspace(other.root)
    assert wait(lambda: window.session.workspace.root == other.root)
    assert [mark.note for mark in read_marks(file)] == ["belongs to the first"]
    assert not other.marks.exists()


@pytest.mark.parametrize("where", ["list", "gallery", "window"])
def test_a_key_held_down_gives_one_verdict(page, window, application, where) -> None:
    from PySide6.QtCore import QEvent, Qt
    from PySide6.QtGui import QKeyEvent

    target = {"list": page.list, "gallery": page.bench.gallery, "window": window}[where]
    if where == "window":
        page.buttons["hard"].setFocus()
    for repeat in (False, True, True, True):
        press_ = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_K, Qt.KeyboardModifier.NoModifier, "k", repeat)
        application.sendEvent(target, press_)
    assert len(page.inspector.judging.marks) == 1


def test_what_the_filters_hide_is_not_judged(page, wait) -> None:
    told = messages(page)
    page.filters.search.setText("no such photo")
    assert wait(lambda: page.inspector.table.rowCount() == 0)
    press(page, "k")
    assert len(page.inspector.judging.marks) == 0
    assert "filters hide" in told[-1].text


def test_no_verdict_left_to_undo_leaves_the_photos_alone(page, window, wait, tmp_path) -> None:
    from PIL import Image
    from PySide6.QtCore import Qt

    told = messages(page)
    photo = tmp_path / "p.jpg"
    Image.new("RGB", (64, 64), (90, 120, 60)).save(photo)
    session = window.session
    session.add_photos([photo])
    assert wait(lambda: len(session.tray))
    session.remove_photos([card.key for card in session.tray])
    assert not len(session.tray)
    chord(window, Qt.Key.Key_Z)
    assert not len(session.tray)
    assert "no verdict left" in told[-1].text


def test_the_mining_asked_for_last_is_shown(page, wait) -> None:
    inspector = page.inspector
    folder = page.session.workspace.mining
    slow, last = make_mining(folder / "slow", 60), make_mining(folder / "last", 20)
    inspector.refresh()
    assert wait(lambda: len(inspector.minings) == 3)
    begin, run = [], inspector.session.background.run

    def hold_first(work, *args, **named):
        begin.append((work, args, named))

    inspector.session.background.run = hold_first
    inspector.open(slow)
    inspector.open(last)
    inspector.session.background.run = run
    for work, args, named in reversed(begin):  # the first one asked for answers last
        run(work, *args, **named)
        wait(lambda: inspector.result.folder == last, 5)
    wait(lambda: False, 0.3)
    assert inspector.result.folder == last
    assert page.minings.currentData() == str(last)


def test_a_damaged_newest_mining_gives_way_to_the_next(window, wait, tmp_path) -> None:
    from geolocator_gui.workspace import Workspace

    workspace = Workspace.create(tmp_path / "town")
    good = make_mining(workspace.mining / "good")
    bad = make_mining(workspace.mining / "later")
    (bad / "queries.parquet").write_bytes(b"PAR1 no more")
    told: list = []
    window.session.notifications.posted.connect(told.append)
    window.show_page("negatives")
    window.session.open_workspace(workspace.root)
    panel = window.panels["negatives"]
    assert wait(lambda: panel.inspector.result is not None)
    assert panel.inspector.result.folder == good
    assert panel.minings.count() == 2
    panel.inspector.refresh()
    wait(lambda: False, 0.3)
    assert sum(message.level == "error" for message in told) == 1
    assert panel.inspector.row == panel.inspector.table.rows[0]
    assert np.isfinite(panel.inspector.result.margin).any()
