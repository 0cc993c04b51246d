"""Indexes that are removed, replaced, let go of and opened again: photos are answered by the right one."""

import json
import os
import shutil
import signal

import pytest
from PySide6.QtTest import QTest

from geolocator_gui.configs import IndexConfig
from geolocator_gui.geo.area import area_from_circle
from geolocator_gui.gui import tray
from geolocator_gui.gui.map import messages
from geolocator_gui.gui.panels.index_card import IndexCard
from geolocator_gui.records import LonLat

pytestmark = pytest.mark.gui


def states(session) -> list[str]:
    return [card.state for card in session.tray]


def sent_by(window, monkeypatch) -> list[object]:
    """What is sent to the map page from now on."""
    sent, send = [], window.map_view.send
    monkeypatch.setattr(window.map_view, "send", lambda message: (sent.append(message), send(message)))
    return sent


def last_heat(sent) -> messages.SetOverlay:
    return [m for m in sent if isinstance(m, messages.SetOverlay) and m.kind == "heat"][-1]


@pytest.mark.timeout(400)
def test_photos_are_located_whenever_the_worker_let_go(
    open_town, index_centre, wait, town, photos, monkeypatch
) -> None:
    window = open_town()
    session = window.session
    index_centre(window)
    locator, folder = session.locator, town / "indexes" / "small"

    def all_located() -> bool:
        return wait(lambda: not locator.busy and set(states(session)) == {"located"}, 60)

    # a run begins while the index is being opened
    session.set_index(session.index)
    assert window.status._device.full_text() == "opening the index…"
    session.jobs.beginning.emit()
    assert wait(lambda: not locator._opening, 60)
    assert window.status._device.full_text() == "index closed; a photo opens it"
    session.add_photos(photos[:1])
    assert all_located(), (states(session), window.toasts.texts())

    # it is removed and taken back while it is being opened
    session.set_index(session.index)
    session.throw_away(folder)
    assert wait(lambda: "The index small was removed." in window.toasts.texts(), 20)
    session.undo()
    assert wait(lambda: locator.index is not None, 60), window.toasts.texts()
    session.add_photos(photos[1:2])
    assert all_located(), (states(session), window.toasts.texts())

    # the worker knows of no index although the window believes so
    locator.worker.ask("close", {}, lambda _: None, lambda _: None)
    session.add_photos(photos[2:3])
    assert all_located(), (states(session), window.toasts.texts())

    # nothing waits for an index that is gone, and what is asked for then is asked of the next one
    for asked_before in (True, False):
        before = session.tray.at(2).answer
        if asked_before:
            window.commands.locate_all()
        session.set_index(None)
        if not asked_before:
            window.commands.locate_all()
        assert "queued" not in states(session)
        assert wait(lambda: not locator.busy, 60)
        assert set(states(session)) == {"located"}
        session.set_index(session.lists.indexes[0])
        assert wait(lambda before=before: session.tray.at(2).answer is not before, 60)
        assert all_located()

    # a worker that is lost costs no answer
    session.locator.enqueue([session.tray.at(0).key])
    assert wait(lambda: states(session)[0] == "locating", 20)
    os.kill(locator.worker.pid, signal.SIGTERM)
    assert wait(lambda: not locator.busy and states(session)[0] == "failed", 60)
    assert session.tray.at(0).answer is not None
    session.locator.enqueue([session.tray.at(0).key])
    assert all_located()

    # a question without an answer takes the old answer away
    window.show_page("photos")
    session.select(session.tray.at(0).key)
    sent = sent_by(window, monkeypatch)
    window.commands._search_around(LonLat(0, 0), 100)
    assert wait(lambda: not locator.busy and states(session)[0] == "failed", 60)
    assert session.card.answer is None
    assert not window.answer.compare_button.isEnabled()
    assert not window.answer.export_button.isEnabled()
    assert window.answer.strip.model().rowCount() == 0
    assert [m for m in sent if isinstance(m, messages.SetMatches)][-1].matches == ()
    window.commands._search_everywhere()
    assert all_located()
    assert window.answer.compare_button.isEnabled()


@pytest.mark.timeout(400)
def test_an_index_of_the_same_name_is_another_index(
    open_town, index_centre, wait, town, photos, tmp_path, monkeypatch
) -> None:
    window = open_town()
    session = window.session
    index_centre(window)
    folder = town / "indexes" / "small"
    session.add_photos(photos[:1])
    assert wait(lambda: states(session) == ["located"], 120)
    sent = sent_by(window, monkeypatch)
    session.select(None)
    session.select(session.tray.at(0).key)
    assert wait(lambda: last_heat(sent).url, 20)
    first = session.card
    assert first.answered_by(session.index)

    # without its index an answer keeps whose imagery it was found in
    shutil.copytree(folder, tmp_path / "kept")
    session.throw_away(folder)
    assert wait(lambda: not folder.exists() and not session.lists.indexes, 20)
    assert last_heat(sent).url == ""
    window.exports.table(".geojson", everything=True, path=tmp_path / "out.geojson")
    assert wait(lambda: (tmp_path / "out.geojson").exists(), 20)
    assert first.attribution
    assert json.loads((tmp_path / "out.geojson").read_text())["attribution"] == first.attribution
    window.exports.evidence(".html", path=tmp_path / "out.html")
    assert window.toasts.texts()[-1] == "Its index was removed or made anew: small."

    # another index takes its name
    area = tmp_path / "elsewhere.geojson"
    area_from_circle(20.746, 60.17, 90).write_geojson(area)
    config = IndexConfig(imagery=(session.imagery.source,), area=str(area), model=str(session.model.folder))
    session.jobs.start("index", folder, config)
    assert wait(lambda: session.index is not None and session.locator.index is not None, 200)
    assert wait(lambda: not session.locator.busy and session.card.answer is not first.answer, 60)
    assert session.card.answered_by(session.index)
    assert not first.answered_by(session.index)
    assert wait(lambda: last_heat(sent).url, 20)
    east = last_heat(sent).bounds.east
    assert east < session.index.bounds.east + 0.001

    # so it does while no window looks, or while this one does not
    second = session.card
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "kept", folder)
    session.reload()
    assert wait(lambda: session.card.edition == first.edition and not session.locator.busy, 60)
    session.close_workspace()
    file = town / "photos" / "tray.json"
    assert wait(lambda: file.exists() and tray.load(file).rows[0]["edition"] == first.edition, 20)
    document = json.loads(file.read_text())
    del document["photos"][0]["edition"]  # as earlier versions wrote it
    file.write_text(json.dumps(document))
    session.open_workspace(town)
    assert wait(lambda: len(session.tray) == 1 and session.tray.at(0).edition == first.edition, 60)
    assert second.edition != first.edition

    # a card whose folder went elsewhere goes when it is touched
    window.show_page("area")
    for touch in (lambda card: QTest.keyClick(card, " "), lambda card: card.remove.click()):
        if not folder.exists():
            shutil.copytree(tmp_path / "kept", folder)
        session.reload()
        assert wait(lambda: len(session.lists.indexes) == 1, 20)
        wait(lambda: False, 0.3)
        shutil.rmtree(folder)
        card = window.panels["area"].indexes.cards[0]
        assert isinstance(card, IndexCard)
        touch(card)
        assert wait(lambda: not session.lists.indexes and session.index is None, 60)
        assert "no longer there" in window.toasts.texts()[-1]
        assert "`geolocator" not in str([toast.message for toast in window.toasts.shown])
        assert wait(lambda: not session.locator.busy, 20)
