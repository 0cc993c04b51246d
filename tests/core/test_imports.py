"""What an import loads, seen from a fresh process."""

import json
import subprocess
import sys

import pytest

QT = {"PySide6", "shiboken6"}


def loaded_by(module: str, root) -> set[str]:
    """Top-level packages in `sys.modules` after `import module` in a new process."""
    listing = f"import sys, json, {module}; print(json.dumps([m.split('.')[0] for m in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", listing], cwd=root, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("geolocator_gui.cli", QT | {"torch", "timm", "faiss", "openvino", "geopandas", "rasterio", "cv2"}),
        ("geolocator_gui.ml.train.loop", QT | {"faiss"}),
        ("main", QT | {"torch"}),
    ],
)
def test_an_import_loads_only_what_it_needs(module, unwanted, root):
    assert not loaded_by(module, root) & unwanted


def test_ten_thousand_signals_in_a_fresh_process(root):
    """PySide6 6.12.0 on Python 3.11 dies after about 580."""
    program = """
from PySide6.QtCore import QCoreApplication, QObject, Signal

class Sender(QObject):
    told = Signal(int)

app = QCoreApplication([])
sender, heard = Sender(), []
sender.told.connect(heard.append)
for number in range(10_000):
    sender.told.emit(number)
assert heard == list(range(10_000)), len(heard)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
