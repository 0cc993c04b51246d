"""What every test can ask for."""

import os
from pathlib import Path

# As the program does: numpy's own threads fight the encoder's and the other test process's for the cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest

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
