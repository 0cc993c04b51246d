"""Removing what runs made, from the window: taken back, never under the feet of a run."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from geolocator_gui.gui.panels.index_card import IndexCard
from geolocator_gui.runs import RunFolder

pytestmark = pytest.mark.gui


def index_card(window) -> IndexCard:
    """The card of the only index; a list made anew leaves the old cards to be deleted."""
    page = window.panels["area"]
    return page._indexes.layout().itemAt(0).widget()


@pytest.mark.timeout(400)
def test_an_index_is_removed_and_taken_back(open_town, index_centre, wait, town, photos) -> None:
    window = open_town()
    session = window.session
    index_centre(window)
    folder = town / "indexes" / "small"
    session.add_photos(photos[:1])
    assert wait(lambda: session.tray.at(0).state == "located", 120)

    window.show_page("area")
    with RunFolder(folder).lock():
        card = index_card(window)
        card.setFocus()
        QTest.keyClick(card, Qt.Key.Key_Delete)
        assert wait(lambda: any("a run works on it" in text for text in window.toasts.texts()), 20)
    assert folder.exists()
    assert session.index is not None

    index_card(window).remove.click()
    assert wait(lambda: "small was removed." in window.toasts.texts(), 20)
    assert session.index is None
    assert not folder.exists()
    assert wait(lambda: not session.lists.indexes and not session.jobs.rows, 20)

    session.undo()
    assert wait(lambda: session.locator.index is not None, 60), window.toasts.texts()
    assert session.index is not None
    assert session.index.folder == folder
    assert wait(lambda: [row.thing for row in session.jobs.rows] == [folder], 20)

    window.show_page("runs")
    window.panels["runs"].cards[folder].remove.click()
    assert wait(lambda: not folder.exists() and session.index is None, 20)
    assert list((town / "trash").iterdir())
    session.open_workspace(town)  # who opens it anew can take nothing back: the space is free again
    assert wait(lambda: not list((town / "trash").iterdir()), 20)
    session.undo()
    assert wait(lambda: "There is nothing to take back." in window.toasts.texts(), 20)
