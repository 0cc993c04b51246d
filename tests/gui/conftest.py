"""The window is tested for real, offscreen, with real WebEngine; one application per process."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest


@pytest.fixture
def wait(application) -> Callable[..., bool]:
    """Let the event loop run until something holds; False when it never did."""
    from PySide6.QtCore import QEventLoop

    def until(holds: Callable[[], object], seconds: float = 30) -> bool:
        end = time.monotonic() + seconds
        while not holds() and time.monotonic() < end:
            application.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 50)
            time.sleep(0.002)
        return bool(holds())

    return until


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
