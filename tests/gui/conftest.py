"""The window is tested for real, offscreen, with real WebEngine; one application per process."""

import threading
from collections.abc import Iterator

import pytest


@pytest.fixture
def window(application, wait) -> Iterator[object]:
    """The real window in an empty home; leaves no thread behind."""
    from geolocator_gui.gui import theme
    from geolocator_gui.gui.main_window import MainWindow
    from geolocator_gui.gui.settings import Settings

    theme.current().choose("light")
    before = {thread.ident for thread in threading.enumerate()}
    made = MainWindow(Settings())
    made.resize(1200, 800)
    made.show()
    yield made
    made.close()
    made.deleteLater()
    wait(lambda: False, 0.1)
    left = [
        thread.name
        for thread in threading.enumerate()
        if thread.ident not in before and thread.is_alive() and not thread.name.startswith("Dummy")
    ]
    assert not left, f"threads left running: {left}"
