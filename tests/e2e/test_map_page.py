"""The map page on its own: nothing foreign runs in it, nothing is fetched from elsewhere."""

import pytest
from PySide6.QtCore import QMimeData, QUrl
from PySide6.QtGui import QImage

from geolocator_gui.gui.map import messages
from geolocator_gui.records import BoundingBox
from geolocator_gui.workspace import ImageryEntry

pytestmark = pytest.mark.gui

_BAD = "<img src=x onerror='window.pwned=1'><script>window.pwned=1</script>"


@pytest.fixture
def open_window(make_window, wait, town):
    window = make_window()
    window.session.open_workspace(town)
    ready = []
    assert wait(lambda: window.session.workspace is not None)
    window.map_ready.connect(lambda: ready.append(True))
    assert wait(lambda: ready)
    return window


def test_names_are_text_never_markup(open_window, wait, ask) -> None:
    def shown() -> bool:
        # Sent anew each time: the window's own imagery may arrive after it.
        open_window.map_view.send(messages.SetImagery("Town", BoundingBox(20, 60, 21, 61), _BAD))
        return ask(open_window, "document.querySelector('.attribution').textContent") == _BAD

    assert wait(shown)
    assert ask(open_window, "window.pwned === undefined")
    assert ask(open_window, "document.querySelectorAll('.attribution img, .attribution script').length") == 0


def test_the_page_can_reach_nothing_else(open_window, wait, ask) -> None:
    run = open_window.map_view.page.runJavaScript
    for code in (
        "fetch('https://example.org/x').then(() => window.got = 1, () => window.refused = 1)",
        "s = document.createElement('script'); s.src = 'https://example.org/x.js'; document.head.append(s)",
        "document.body.append(Object.assign(new Image(), {src: 'https://example.org/x.png'}))",
        "document.body.append(Object.assign(new Image(), {src: 'file:///etc/passwd'}))",
        "t = document.createElement('script'); t.textContent = 'window.pwned=1'; document.head.append(t)",
        "window.open('https://example.org')",
        "location.href = 'https://example.org/'",
    ):
        run(code)
    assert wait(lambda: ask(open_window, "window.refused === 1"), 10)
    assert ask(open_window, "window.got === undefined && window.pwned === undefined")
    assert open_window.map_view.page.url().toString() == "geolocator://map/"


def test_pictures_addresses_and_text_can_be_dropped_on_the_map(open_window, wait, hands) -> None:
    session = open_window.session
    target = open_window.map_view.view.focusProxy()
    picture = QMimeData()
    image = QImage(64, 32, QImage.Format.Format_RGB32)
    image.fill(0x336699)
    picture.setImageData(image)
    hands.drop(target, picture)
    assert wait(lambda: len(session.tray) == 1, 10)
    assert session.tray.at(0).path.parent == session.workspace.photos

    address = QMimeData()
    address.setUrls([QUrl("https://example.org/photo.jpg")])
    hands.drop(target, address)
    assert wait(lambda: any("downloads no photos" in text for text in open_window.toasts.texts()), 10)

    text = QMimeData()
    text.setText("60.17, 20.75")
    flown = []
    open_window.inputs.position_pasted.connect(flown.append)
    hands.drop(target, text)
    assert [round(value, 2) for value in flown[0]] == [20.75, 60.17]
    assert open_window.map_view.page.url().toString() == "geolocator://map/"


def test_imagery_that_is_dropped_becomes_the_base_layer(open_window, wait, ask, shared_dir) -> None:
    session = open_window.session
    open_window.inputs.take_paths([shared_dir / "real" / "nairobi.mbtiles"])
    assert wait(lambda: session.imagery is not None and session.imagery.name == "nairobi", 20)
    assert wait(lambda: session.imagery_info is not None, 20)
    tiles = (
        "[...document.querySelectorAll('.leaflet-tile-loaded')].filter(t => t.src.includes('nairobi')).length"
    )
    assert wait(lambda: ask(open_window, tiles) > 0, 20)


def test_imagery_that_cannot_be_read_says_why(open_window, wait, tmp_path) -> None:
    broken = tmp_path / "broken.mbtiles"
    broken.write_bytes(b"this is no database")
    open_window.inputs.take_paths([broken])
    assert wait(lambda: any("broken.mbtiles" in text for text in open_window.toasts.texts()), 20)
    assert ImageryEntry("broken", str(broken)) not in open_window.session.workspace.imagery()


def test_photos_removed_come_back(open_window, wait, photos) -> None:
    session = open_window.session
    session.add_photos(photos[:3])
    keys = [card.key for card in session.tray]
    session.remove_photos(keys[:2])
    assert len(session.tray) == 1
    session.undo()
    assert [card.key for card in session.tray] == keys


def test_every_page_and_both_looks_can_be_shown(open_window, wait) -> None:
    from geolocator_gui.gui import theme

    for scheme in ("dark", "light"):
        theme.current().choose(scheme)
        for page in ("area", "photos", "negatives", "training", "runs"):
            open_window.show_page(page)
            wait(lambda: False, 0.05)
            assert open_window.panels[page].isVisible()
    open_window.resize(1024, 700)
    wait(lambda: False, 0.1)
    bar = open_window.top_bar
    assert bar.minimumSizeHint().width() <= 1024
    assert bar.go_to.geometry().right() <= bar.width()
