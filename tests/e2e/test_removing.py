"""Removing what runs made, from the window: taken back, never under the feet of a run."""

import shutil

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from geolocator_gui.configs import IndexConfig
from geolocator_gui.gui.panels.index_card import IndexCard
from geolocator_gui.runs import RunFolder

pytestmark = pytest.mark.gui
GONE = "The index small was removed."


def index_card(window) -> IndexCard:
    """The card of the only index."""
    return window.panels["area"].indexes.cards[0]


@pytest.mark.timeout(400)
def test_an_index_is_removed_and_taken_back(open_town, index_centre, wait, town, photos) -> None:
    window = open_town()
    session = window.session
    index_centre(window)
    folder = town / "indexes" / "small"
    aside = town / "indexes" / ".removed"
    session.add_photos(photos[:1])
    assert wait(lambda: session.tray.at(0).state == "located", 120)
    texts = window.toasts.texts

    # not while a run works in it or with it
    window.show_page("area")
    window.activateWindow()
    assert wait(window.isActiveWindow, 5)
    assert wait(lambda: not session.jobs.busy, 20)
    with RunFolder(folder).lock():
        card = index_card(window)
        card.setFocus()
        QTest.keyClick(card, Qt.Key.Key_Delete)
        assert wait(lambda: any("a run works on it" in text for text in texts()), 20)
    other = RunFolder(town / "mining" / "busy")
    other.write_config("index", IndexConfig(imagery=(str(folder),), model="demo-town"))
    assert wait(lambda: other.thing in session.jobs.busy, 20), "a run that is about to begin works"
    index_card(window).remove.click()
    assert wait(lambda: any("the run busy works with it" in text for text in texts()), 20), texts()
    assert folder.exists()
    assert wait(lambda: session.index is not None, 20)
    shutil.rmtree(other.thing)
    assert wait(lambda: other.thing not in session.jobs.busy, 20)

    # two clicks are one; the keyboard stays on the page
    card = index_card(window)
    card.setFocus()
    card.remove.click()
    card.remove.click()
    assert wait(lambda: GONE in texts(), 20)
    assert not any("not there" in text for text in texts())
    assert session.index is None
    assert not folder.exists()
    assert wait(lambda: not session.lists.indexes, 20)
    assert window.isAncestorOf(QApplication.focusWidget())

    # undo takes the message away; what has its name meanwhile stays
    folder.mkdir()
    session.undo()
    assert wait(lambda: GONE not in texts(), 5)
    assert wait(lambda: session.locator.index is not None, 60), texts()
    assert session.index.folder == town / "indexes" / "small-2"
    folder.rmdir()

    # undo at once, before it has gone
    window.show_page("runs")
    thing = session.index.folder
    assert wait(lambda: thing in window.panels["runs"].cards, 20)
    gone = []
    session.trash.gone.connect(lambda: gone.append(thing))
    window.panels["runs"].cards[thing].remove.click()
    session.undo()
    assert wait(lambda: gone, 20)
    assert wait(lambda: session.index is not None and session.index.folder == thing, 60), texts()

    # who closes the workspace can take nothing back: the space is free again
    window.panels["runs"].cards[thing].remove.click()
    assert wait(lambda: not thing.exists() and len(list(aside.iterdir())) == 1, 20)
    session.open_workspace(town)
    assert wait(lambda: not list(aside.iterdir()), 20)
    session.undo()
    assert wait(lambda: "There is nothing to take back." in texts(), 20)
