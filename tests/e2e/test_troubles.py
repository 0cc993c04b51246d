"""What goes wrong between workspaces, windows and a photo in work: nothing is lost or mixed up."""

import shutil

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from geolocator_gui.configs import IndexConfig
from geolocator_gui.gui import tray
from geolocator_gui.runs import RunFolder
from geolocator_gui.workspace import ImageryEntry, Workspace

pytestmark = pytest.mark.gui


def opened(window, wait, root) -> None:
    window.session.open_workspace(root)
    assert wait(lambda: window.session.workspace is not None and window.session.workspace.root == root, 20)


@pytest.mark.timeout(400)
def test_nothing_leaks_from_one_workspace_or_question_into_the_next(
    open_town, index_centre, make_window, wait, town, photos, tmp_path
) -> None:
    window = open_town()
    session = window.session
    index_centre(window)

    moved = tmp_path / "<b>moved & co.jpg"
    shutil.copyfile(photos[0], moved)
    session.add_photos([moved, photos[1]])
    assert wait(lambda: not session.locator.busy, 120)
    key = session.tray.at(0).key
    own = session.tray.get(key).facts.heading
    assert own is not None

    # what is changed while a photo is in work is asked again
    session.select(key)
    told = []
    session.locator.progress.connect(lambda done, asked: told.append((done, asked)))
    session.locator.enqueue([key])
    assert wait(lambda: session.tray.get(key).state == "locating", 20)
    window.photos_panel.heading.setValue(round(own + 90) % 360)
    window.photos_panel.heading.editingFinished.emit()
    assert wait(lambda: not session.locator.busy, 60)
    turned = session.tray.get(key).answer.matches[0].score
    session.locator.enqueue([key])
    assert wait(lambda: not session.locator.busy, 60)
    assert session.tray.get(key).answer.matches[0].score == pytest.approx(turned, abs=1e-6)
    assert all(done <= asked for done, asked in told), told

    # the file's heading need not be trusted
    window.photos_panel.heading.setValue(-1)
    window.photos_panel.heading.editingFinished.emit()
    assert wait(lambda: not session.locator.busy, 60)
    assert session.tray.get(key).answer.matches[0].heading is not None, "it was not swept"
    assert window.photos_panel.heading.text() == "not known"

    # a name is no markup and no shortcut
    model = window.photos_panel.list.cards
    assert "&lt;b&gt;" in model.data(model.index(0), Qt.ItemDataRole.ToolTipRole)

    # a second window shows the photos, and leaves the list to the first
    second = make_window()
    opened(second, wait, town)
    assert wait(lambda: any("another window" in text for text in second.toasts.texts()), 20)
    second.session.remove_photos([card.key for card in second.session.tray])
    wait(lambda: False, 2)
    second.close()
    assert len(tray.load(town / "photos" / "tray.json").rows) == 2

    # another workspace: no search limit, no undo, no queue of the last one
    position = session.tray.get(key).answer.matches[0].position
    window.commands._search_around(position, 100)
    assert wait(lambda: not session.locator.busy, 60)
    assert wait(lambda: "within 100 m" in window.photos_panel.subtitle.text(), 5)
    session.remove_photos([session.tray.at(1).key])
    other = Workspace.create(tmp_path / "R&D")
    other.add_imagery(ImageryEntry("Town", session.imagery.source))
    opened(window, wait, other.root)
    assert session.locator.options.within_circle is None
    session.undo()
    assert len(session.tray) == 0

    # a workspace and a photo that come together
    shutil.copyfile(photos[2], tmp_path / "new.jpg")
    window.inputs.take_paths([other.root, tmp_path / "new.jpg"])
    assert wait(lambda: [card.path.name for card in session.tray] == ["new.jpg"], 20)

    # an index that cannot be opened takes no answer away
    shutil.copytree(town / "indexes" / "small", town / "indexes" / "broken")
    for file in (town / "indexes" / "broken" / "vectors").iterdir():
        file.unlink()
    opened(window, wait, town)
    assert wait(lambda: session.locator.index is not None, 60)
    session.set_index(next(row for row in session.lists.indexes if row.name == "broken"))
    assert wait(lambda: any("vectors" in text for text in window.toasts.texts()), 60)
    assert wait(lambda: not session.locator.busy, 20)
    assert [card.state for card in session.tray] == ["located"]
    session.set_index(next(row for row in session.lists.indexes if row.name == "small"))
    opened(window, wait, other.root)

    # the answer of a photo that has gone since is kept, also when it is looked at
    moved.unlink()
    opened(window, wait, town)
    assert wait(lambda: session.locator.index is not None, 60)
    assert len(session.tray) == 1
    session.select(None)
    session.select(session.tray.at(0).key)
    assert wait(lambda: not session.locator.busy, 60)
    assert session.tray.at(0).state == "located"
    assert session.tray.at(0).answer.matches
    assert (session.locator._done, session.locator._asked) == (0, 0), "a quiet question was counted"


def test_two_areas_of_one_name_and_two_files_of_one_name(make_window, wait, town, tmp_path) -> None:
    from geolocator_gui.geo.area import area_from_circle

    window = make_window()
    session, panel = window.session, window.area_panel
    opened(window, wait, town)
    assert wait(lambda: session.imagery_info is not None, 20)
    copy = tmp_path / f"{session.imagery.name}.mbtiles"
    shutil.copyfile(session.imagery.source, copy)
    window.commands.take_imagery(copy)
    assert wait(lambda: len(session.lists.imagery) == 2, 20), window.toasts.texts()
    assert [entry.name for entry in session.lists.imagery] == ["Town", "Town (2)"]

    # a name that was typed stays when corners are moved
    session.set_area(area_from_circle(20.75, 60.17, 100))
    panel.area_name.setFocus()
    panel.area_name.selectAll()
    QTest.keyClicks(panel.area_name, "harbour")
    moved = area_from_circle(20.751, 60.17, 100)
    window.map._make_area(lambda: moved)
    assert wait(lambda: session.area.geometry == moved.geometry, 10)
    assert session.area.name == panel.area_name.text() == "harbour"

    # an outline that another one replaces comes back
    first, second = (area_from_circle(lon, 60.17, 100) for lon in (20.75, 20.746))
    session.set_area(first)
    session.set_area(second)
    session.delete_area()
    for expected in (second, first):
        session.undo()
        assert session.area is expected
    session.undo()
    session.undo()
    session.undo()
    assert "There is nothing to take back." in window.toasts.texts()

    files = []
    for name, lon in (("東京", 20.75), ("東京-2", 20.745), ("東京-3", 20.75)):
        session.set_area(area_from_circle(lon, 60.17, 100, "東京"))
        assert wait(lambda: panel._estimate is not None, 20)
        panel.build.click()
        thing = town / "indexes" / name
        assert wait(lambda thing=thing: session.jobs.job(thing) is not None, 20)
        session.jobs.job(thing).kill()
        files.append(RunFolder(thing).read_config(IndexConfig).area)
    assert files[0] == files[2] != files[1], "a stopped index finds the outline that it was begun with"


def test_nothing_to_export_is_said(make_window, wait, town) -> None:
    window = make_window()
    opened(window, wait, town)
    window.exports.table(".csv", everything=True)
    window.exports.evidence(".pdf")
    assert window.toasts.texts() == ["There is nothing to export yet."]


def test_a_workspace_keeps_no_key_of_its_imagery(make_window, wait, town) -> None:
    window = make_window()
    opened(window, wait, town)
    address = "http://127.0.0.1:9/{z}/{x}/{y}.png?map_key=SECRET1234"
    window.session.add_imagery(ImageryEntry("Web", address))
    workspace = window.session.workspace
    assert wait(lambda: any(entry.name == "Web" for entry in workspace.imagery()), 30)
    assert next(e.source for e in workspace.imagery() if e.name == "Web").endswith("map_key={key}")
    texts = [path.read_bytes() for path in workspace.root.rglob("*.toml")]
    assert not any(b"SECRET1234" in text for text in texts)


def test_a_workspace_that_is_opened_twice_at_once_is_not_taken_for_another_window(
    make_window, wait, town
) -> None:
    window = make_window()
    session = window.session
    for _ in range(4):
        session.open_workspace(town)
    assert wait(lambda: session.keeper.may_write, 20), window.toasts.texts()
    wait(lambda: False, 1)
    assert session.keeper.may_write
    assert window.toasts.texts() == []
