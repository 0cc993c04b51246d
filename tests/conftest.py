"""What every test can ask for."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

# As the program does: numpy's own threads fight the encoder's and the other test process's for the cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("QT_API", "pyside6")
if sys.platform.startswith("linux"):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    # Only tests ask for this: there is no graphics card here, and containers run as root.
    os.environ.setdefault("QTWEBENGINE_CHROMIUM_FLAGS", "--no-sandbox --disable-gpu")

import hypothesis
import pytest

# Continuous integration tries the same examples every time; developers' runs go on exploring.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    folder = ROOT.parent / "shared"
    if not (folder / "golden").is_dir():
        pytest.skip("the shared data (../shared) are not on this machine")
    return folder


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own bundles, caches and recent workspaces are never read or written by a test."""
    monkeypatch.setenv("GEOLOCATOR_HOME", str(tmp_path_factory.mktemp("home")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything that opens a window runs in one test process: there is one QApplication per process."""
    for item in items:
        if item.get_closest_marker("gui"):
            item.add_marker(pytest.mark.xdist_group("gui"))


@pytest.fixture(scope="session")
def application():
    """The one QApplication, made the way the program makes it; fails with what to install."""
    from tools.system_libraries import explain, missing

    lacking = missing()
    if lacking:
        pytest.fail(explain(lacking))
    from geolocator_gui.gui.app import make_application

    return make_application()


@pytest.fixture
def wait(application) -> Callable[..., bool]:
    """Let the event loop run until something holds; False when it never did."""
    from PySide6.QtCore import QEventLoop

    def until(holds: Callable[[], object], seconds: float = 60) -> bool:
        end = time.monotonic() + seconds
        while not holds() and time.monotonic() < end:
            application.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 50)
            time.sleep(0.002)
        return bool(holds())

    return until
