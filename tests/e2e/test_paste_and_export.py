"""Paste a photo, locate it, and export the answer through the window's own menu actions."""

import json

import pytest
from PySide6.QtCore import QMimeData, QUrl
from PySide6.QtGui import QGuiApplication, QImage

from geolocator_gui.records import LonLat

pytestmark = pytest.mark.gui


def paste(mime: QMimeData, window) -> None:
    QGuiApplication.clipboard().setMimeData(mime)
    window.commands.paste()
    QGuiApplication.clipboard().clear()  # what Python made must not outlive Python: the process would crash


@pytest.mark.timeout(400)
def test_a_pasted_photo_is_located_and_exported(
    open_town, index_centre, wait, town, photos, tmp_path
) -> None:
    window = open_town()
    session = window.session
    index_centre(window)

    files = QMimeData()
    files.setUrls([QUrl.fromLocalFile(str(photos[0]))])
    paste(files, window)
    assert wait(lambda: len(session.tray) == 1 and session.tray.at(0).answer is not None, 120)
    session.select(session.tray.at(0).key)
    name = photos[0].name

    written = {suffix: tmp_path / f"out{suffix}" for suffix in (".html", ".pdf", ".csv", ".geojson")}
    window.exports.table(".csv", everything=True, path=written[".csv"])
    window.exports.table(".geojson", everything=False, path=written[".geojson"])
    for suffix in (".html", ".pdf"):
        window.exports.evidence(suffix, path=written[suffix])
    for file in written.values():
        told = f"{file.name} was written."
        assert wait(lambda told=told: any(told in text for text in window.toasts.texts()), 120), told
    for suffix in (".html", ".csv", ".geojson"):
        assert name in written[suffix].read_text("utf-8"), suffix
    assert json.loads(written[".geojson"].read_text("utf-8"))["features"]
    assert written[".pdf"].read_bytes().startswith(b"%PDF-")
    assert not list(tmp_path.glob("*.part.html"))

    # a run that continues takes the device: the worker lets go of model and index before
    asked = []
    session.locator.progress.connect(lambda done, total: asked.append(total))
    session.jobs.resume(town / "indexes" / "small")
    assert session.locator.index is None
    assert wait(lambda: session.jobs.rows and session.jobs.rows[0].state == "finished", 60)
    # what an index answered before it was worked on again is asked again
    assert wait(lambda: asked and session.tray.at(0).state == "located" and not session.locator.busy, 60)
    assert max(asked) == 1


def test_pictures_and_positions_are_pasted(open_town, wait) -> None:
    window = open_town()
    session = window.session
    image = QImage(64, 32, QImage.Format.Format_RGB32)
    image.fill(0x336699)
    pixels = QMimeData()
    pixels.setImageData(image)
    paste(pixels, window)
    assert wait(lambda: len(session.tray) == 1, 20)
    assert session.tray.at(0).path.read_bytes().startswith(b"\x89PNG")

    flown = []
    window.inputs.position_pasted.connect(flown.append)
    words = QMimeData()
    words.setText("60.17, 20.75")
    paste(words, window)
    assert [(round(p.lon, 2), round(p.lat, 2)) for p in flown] == [(20.75, 60.17)]

    nothing = QMimeData()
    nothing.setText("hello")
    paste(nothing, window)
    assert any("no photo and no position" in text for text in window.toasts.texts())


def test_the_map_looks_at_the_imagery_and_stands_still_when_asked(open_town, wait, ask) -> None:
    window = open_town()
    assert wait(lambda: ask(window, "map_page.getZoom()") > 12, 20)
    before = ask(window, "map_page.getCenter()")
    window.map_view.set_motion(False)
    window.map_view.page.runJavaScript("map_page.flyTo = () => { throw new Error('it flew'); }")
    window.fly_to(LonLat(20.7505, 60.1701))
    assert wait(lambda: ask(window, "map_page.getCenter()") != before, 20)
    assert abs(ask(window, "map_page.getCenter()")["lng"] - 20.7505) < 1e-4
