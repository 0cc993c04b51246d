"""Polygon, circle and corners by mouse on the map; dialogs for checkpoints, providers, outside maps."""

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QMessageBox

from geolocator_gui.records import LonLat

pytestmark = pytest.mark.gui


@pytest.fixture
def open_window(make_window, wait, town, ask):
    window = make_window()
    window.session.open_workspace(town)
    assert wait(lambda: window.session.imagery_info is not None)
    assert wait(lambda: window.map_view.is_ready and ask(window, "map_page.getZoom()") > 12)
    window.show_page("area")
    wait(lambda: False, 0.3)
    return window


def begin(window, wait, ask, shape):
    window.area_panel.draw_wanted.emit(shape)
    pressed = f"document.getElementById('tool-{shape}').getAttribute('aria-pressed')"
    assert wait(lambda: ask(window, pressed) == "true")
    view = window.map_view.view
    return view.focusProxy(), QPoint(view.width() // 2, view.height() // 2)


def click(window, hands, wait, ask, target, place) -> None:
    pointer = f"window.at === '{place.x()},{place.y()}'"  # the page moves its marker first
    window.map_view.page.runJavaScript(
        "document.addEventListener('mousemove', (e) => { window.at = `${e.clientX},${e.clientY}`; }, true);"
    )
    hands._mouse(target, QEvent.Type.MouseMove, place, False)
    assert wait(lambda: ask(window, pointer), 10)
    wait(lambda: False, 0.05)
    hands._mouse(target, QEvent.Type.MouseButtonPress, place, True)
    hands._mouse(target, QEvent.Type.MouseButtonRelease, place, False)


def test_polygon_by_clicks_and_a_corner_moved(open_window, wait, ask, hands) -> None:
    window, session = open_window, open_window.session
    target, middle = begin(window, wait, ask, "polygon")
    corners = [middle + QPoint(x, y) for x, y in ((-90, 70), (90, 70), (0, -80))]
    for number, place in enumerate((*corners, corners[0]), 1):
        click(window, hands, wait, ask, target, place)
        made = f"document.querySelectorAll('.leaflet-editing-icon').length === {number % 4}"
        assert wait(lambda made=made: ask(window, made), 10), f"corner {number}"
    assert wait(lambda: session.area is not None, 20), "no polygon was made"
    before = session.area.geometry
    assert len(before.exterior.coords) == 4
    window.area_panel.area_name.setText("corner")

    window.map_view.page.runJavaScript("document.getElementById('tool-edit').click()")
    assert wait(lambda: ask(window, "document.querySelectorAll('.leaflet-editing-icon').length") >= 3)
    places = "[...document.querySelectorAll('.leaflet-editing-icon')].map((e) => e.style.transform).join()"
    there = ask(window, places)
    hands.drag(target, corners[2], corners[2] + QPoint(30, -40))
    assert wait(lambda: ask(window, places) != there, 20), "the corner cannot be dragged"
    wait(lambda: False, 0.5)
    window.map_view.page.runJavaScript("document.getElementById('tool-edit').click()")
    assert wait(lambda: session.area.geometry != before, 20), "the corner did not move"
    after = session.area.geometry
    assert len(after.exterior.coords) == 4
    assert after.bounds[3] > before.bounds[3]
    assert after.bounds[:2] == pytest.approx(before.bounds[:2], abs=1e-6)


def test_circle_by_mouse_and_escape(open_window, wait, ask, hands) -> None:
    window, session = open_window, open_window.session
    target, middle = begin(window, wait, ask, "circle")
    hands.drag(target, middle, middle + QPoint(60, 0))
    assert wait(lambda: session.area is not None, 20), "no circle was made"
    west, south, east, north = session.area.geometry.bounds
    width, height = (east - west) * 0.4975, north - south  # cos 60.17°
    assert width == pytest.approx(height, rel=0.05)
    begin(window, wait, ask, "rectangle")
    QTest.keyClick(target, Qt.Key.Key_Escape)
    pressed = "document.getElementById('tool-rectangle').getAttribute('aria-pressed')"
    assert wait(lambda: ask(window, pressed) == "false", 10)
    session.delete_area()
    assert session.area is None
    session.undo()
    assert session.area is not None


def answer_dialog(wait, act) -> list[QDialog]:
    """Let `act` work on the dialog that opens next."""
    seen: list[QDialog] = []

    def look() -> None:
        dialog = QApplication.activeModalWidget()
        if dialog is None:
            QTimer.singleShot(50, look)
        elif not seen:
            seen.append(dialog)
            act(dialog)

    QTimer.singleShot(50, look)
    return seen


def test_a_provider_is_chosen_by_keys(open_window, wait) -> None:
    from geolocator_gui.gui.providers import ProviderDialog, known_providers

    dialog = ProviderDialog(open_window, known_providers())
    dialog.show()
    QTest.keyClicks(dialog._filter, "orthofoto")
    assert dialog.choices.count() == 1
    entry = dialog.entry()
    assert "{z}" in entry.source
    assert not entry.bulk
    assert entry.attribution
    QTest.keyClicks(dialog._filter, "nothing has this name")
    assert dialog.choices.count() == 0
    assert dialog.entry() is None
    dialog.reject()


def test_an_address_on_the_web_is_judged_while_it_is_typed(open_window) -> None:
    from geolocator_gui.gui.dialogs import AddressDialog

    dialog = AddressDialog(open_window)
    dialog.show()
    dialog.name.setText("Ortho")
    for address, fits in (
        ("https://tiles.example.org/{z}/{x}/{y}.jpg", True),
        ("https://tiles.example.org/{zoom}/{x}/{-y}.png?key={key}", True),
        ("https://tiles.example.org/a{q}.jpeg?g=1", True),
        ("https://maps.example.org/wms?service=WMS#layer=ortho", True),
        ("wmts:https://maps.example.org/capabilities.xml", True),
        ("https://maps.example.org/ortho.tif", True),
        ("https://tiles.example.org/{z}/{x}.jpg", False),
        ("https://maps.example.org/start.html", False),
        ("ftp://maps.example.org/{z}/{x}/{y}.jpg", False),
        ("https://[broken/{z}/{x}/{y}.jpg", False),
        ("", False),
    ):
        dialog.address.setText(address)
        assert dialog.ok.isEnabled() == fits, address
        assert dialog.trouble.isVisible() == (not fits and bool(address)), address
    dialog.reject()


def test_an_outside_map_asks_first(open_window, wait, monkeypatch) -> None:
    opened: list[str] = []
    from geolocator_gui.gui import commands

    monkeypatch.setattr(commands.QDesktopServices, "openUrl", lambda url: opened.append(url.toString()))
    texts: list[str] = []

    def answer(button):
        def act(dialog) -> None:
            texts.append(dialog.text())
            dialog.button(button).click()

        return act

    place = LonLat(20.75, 60.17)
    answer_dialog(wait, answer(QMessageBox.StandardButton.No))
    open_window.commands._open_outside(place)
    assert opened == []
    assert "leaves this machine" in texts[0]
    assert "openstreetmap.org" in texts[0]
    answer_dialog(wait, answer(QMessageBox.StandardButton.Yes))
    open_window.commands._open_outside(place)
    assert len(opened) == 1
    assert opened[0].startswith("https://www.openstreetmap.org/?mlat=60.170000&mlon=20.750000")


def test_a_checkpoint_asks_what_it_is(open_window, wait, tmp_path) -> None:
    window = open_window
    file = tmp_path / "weights.pth"
    file.write_bytes(b"this is no checkpoint")
    shown: list[tuple[str, int]] = []

    def act(dialog) -> None:
        shown.append((dialog.windowTitle(), dialog.choices.count()))
        QTest.keyClick(dialog, Qt.Key.Key_Return)

    answer_dialog(wait, act)
    window.inputs.take_paths([file])
    assert wait(lambda: shown, 20), "no dialog opened"
    assert shown[0][1] >= 4
    assert wait(lambda: any("weights.pth" in t and "Reading" not in t for t in window.toasts.texts()), 60), (
        window.toasts.texts()
    )


def test_a_window_that_was_never_closed_can_be_deleted(make_window, wait, town) -> None:
    window = make_window()
    window.session.open_workspace(town)
    assert wait(lambda: window.map_view is not None and window.map_view.is_ready)
    window.deleteLater()
    assert window._closed
    assert not window.session.locator.worker.is_running
