"""End-to-end: the real window, page, worker and runs, offscreen, with the network refused."""

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Put on every Python process of the test through PYTHONPATH: refuses and records every connection.
_HOOK = """
import os, sys

def _refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        place = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
        if isinstance(place, (str, bytes)) and event == "socket.connect":
            return  # a socket file of this machine
        with open(os.environ["GEOLOCATOR_TEST_CONNECTIONS"], "a") as file:
            file.write(f"{os.getpid()} {event} {place!r}\\n")
        raise ConnectionRefusedError("the test refuses every connection")

sys.addaudithook(_refuse)
"""
_opened: list[tuple[str, bool]] = []


def _note_open(event: str, arguments: tuple) -> None:
    if event in ("open", "sqlite3.connect") and isinstance(arguments[0], str | Path | os.PathLike):
        _opened.append((str(arguments[0]), threading.current_thread() is threading.main_thread()))


sys.addaudithook(_note_open)


@pytest.fixture
def opened_files() -> list[tuple[str, bool]]:
    """Every file that this process opens from now on, and whether the GUI thread did it."""
    _opened.clear()
    return _opened


@pytest.fixture(autouse=True)
def connections(tmp_path_factory, monkeypatch) -> Path:
    """A file that names every connection that any process of the test tried to open."""
    folder = tmp_path_factory.mktemp("hook")
    (folder / "sitecustomize.py").write_text(_HOOK)
    record = folder / "connections.txt"
    record.touch()
    monkeypatch.setenv("GEOLOCATOR_TEST_CONNECTIONS", str(record))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
    return record


@pytest.fixture
def make_window(application, wait) -> Iterator[Callable[[], object]]:
    """Makes windows in one home, closes them, and checks that no thread is left."""
    from geolocator_gui.gui import theme
    from geolocator_gui.gui.main_window import MainWindow
    from geolocator_gui.gui.settings import Settings

    theme.current().choose("light")
    before = {thread.ident for thread in threading.enumerate()}
    made = []

    def make():
        window = MainWindow(Settings())
        window.resize(1280, 820)
        window.show()
        made.append(window)
        return window

    yield make
    for window in made:
        window.close()
        window.deleteLater()
    wait(lambda: False, 0.2)
    left = [t.name for t in threading.enumerate() if t.ident not in before and not t.name.startswith("Dummy")]
    assert not left, f"threads left running: {left}"


@pytest.fixture
def town(root: Path, tmp_path: Path) -> Path:
    """A workspace with the demo town's imagery and nothing else."""
    from geolocator_gui.workspace import ImageryEntry, Workspace

    imagery = root / "resources" / "demo" / "town.mbtiles"
    if not imagery.exists() or not (root / "models" / "demo-town" / "weights.safetensors").exists():
        pytest.skip("the demo town or its model is not in this checkout")
    workspace = Workspace.create(tmp_path / "my-town")
    workspace.add_imagery(ImageryEntry("Town", str(imagery), "Made up"))
    return workspace.root


@pytest.fixture
def open_town(make_window, wait, town: Path) -> Callable[[], object]:
    """Opens a window on the town; its map and imagery are there when it returns."""

    def opened():
        window = make_window()
        window.session.open_workspace(town)
        assert wait(lambda: window.map_view is not None and window.map_view.is_ready), "the map never came"
        assert wait(lambda: window.session.imagery_info is not None), "the imagery never came"
        return window

    return opened


@pytest.fixture
def index_centre(wait, town: Path, tmp_path: Path) -> Callable[..., None]:
    """Indexes what lies around the town's centre, as a run of the window; searchable when it returns."""
    from geolocator_gui.configs import IndexConfig
    from geolocator_gui.geo.area import area_from_circle

    def build(window, radius_m: float = 120) -> None:
        session = window.session
        area = tmp_path / "small.geojson"
        area_from_circle(20.75, 60.17, radius_m).write_geojson(area)
        config = IndexConfig(
            imagery=(session.imagery.source,), area=str(area), model=str(session.model.folder)
        )
        session.jobs.start("index", town / "indexes" / "small", config)
        assert wait(lambda: session.locator.index is not None, 300), window.toasts.texts()

    return build


@pytest.fixture
def photos(root: Path) -> list[Path]:
    """The demo's panoramas."""
    return sorted((root / "resources" / "demo" / "photos").glob("panorama_*.jpg"))


@pytest.fixture
def ask(wait) -> Callable[..., object]:
    """The value of an expression in the map page."""

    def evaluate(window, expression: str) -> object:
        answers: list[object] = []
        window.map_view.page.runJavaScript(f"JSON.stringify({expression})", answers.append)
        assert wait(lambda: answers, 20), expression
        return json.loads(answers[0]) if answers[0] else None

    return evaluate


class Hands:
    """What a user's hands do: press, drag and drop on the real widgets."""

    def __init__(self, wait) -> None:
        self._wait = wait

    def _mouse(self, target, kind, place, held: bool) -> None:
        from PySide6.QtCore import QEvent, QPointF, Qt
        from PySide6.QtGui import QMouseEvent
        from PySide6.QtWidgets import QApplication

        left = Qt.MouseButton.LeftButton
        none = Qt.MouseButton.NoButton
        button = none if kind == QEvent.Type.MouseMove else left
        at, over = QPointF(place), QPointF(target.mapToGlobal(place))
        event = QMouseEvent(kind, at, over, button, left if held else none, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(target, event)

    def drag(self, target, start, end) -> None:
        """Press, move and let go."""
        from PySide6.QtCore import QEvent

        self._mouse(target, QEvent.Type.MouseMove, start, False)
        self._wait(lambda: False, 0.2)
        self._mouse(target, QEvent.Type.MouseButtonPress, start, True)
        for step in range(1, 9):
            self._mouse(target, QEvent.Type.MouseMove, start + (end - start) * step / 8, True)
            self._wait(lambda: False, 0.05)
        self._mouse(target, QEvent.Type.MouseButtonRelease, end, False)

    def drop_files(self, target, *paths: Path) -> None:
        """Drag files in and let them fall, as a file manager would."""
        from PySide6.QtCore import QMimeData, QUrl

        mime = QMimeData()
        mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        self.drop(target, mime)

    def drop(self, target, mime) -> None:
        """Drag something in and let it fall."""
        from PySide6.QtCore import QPoint, QPointF, Qt
        from PySide6.QtGui import QDragEnterEvent, QDropEvent
        from PySide6.QtWidgets import QApplication

        place = QPoint(target.width() // 2, target.height() // 2)
        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        copy = Qt.DropAction.CopyAction
        QApplication.sendEvent(target, QDragEnterEvent(place, copy, mime, left, none))
        QApplication.sendEvent(target, QDropEvent(QPointF(place), copy, mime, left, none))


@pytest.fixture
def hands(wait) -> Hands:
    return Hands(wait)
