"""A small piece of ground with a hole in it, a random model, and an undisturbed index of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from geolocator_gui.configs import IndexConfig, ModelConfig
from geolocator_gui.events import finish
from geolocator_gui.ml.index import build_index
from tests.core.geo.makers import cut_tiles, texture, write_mbtiles

ZOOM, COLUMN, ROW = 19, 280_000, 150_000

# Imports everything once, then forks a build per line of JSON and says how it ended: a kill test per second.
SERVER = """
import json, os, sys
from pathlib import Path
import geopandas, pyarrow.parquet, shapely, torch
torch.set_num_threads(1)
from geolocator_gui.configs import IndexConfig
from geolocator_gui.ml import encoder
from geolocator_gui.ml.backbone import create_backbone
from geolocator_gui.ml.backends import torch_backend
from geolocator_gui.ml.index import build_index
create_backbone("test_convnext")
print("ready", flush=True)
for line in sys.stdin:
    order = json.loads(line)
    pid = os.fork()
    if pid == 0:
        os.environ.update(order["environment"])
        if order["largest_file"]:
            import resource, signal
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (order["largest_file"],) * 2)
        try:
            for event in build_index(IndexConfig(**order["config"]), Path(order["folder"])):
                pass
        except BaseException as error:
            print(json.dumps({"error": str(error)}), flush=True)
            os._exit(1)
        os._exit(0)
    print(json.dumps({"status": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}), flush=True)
"""


class Builds:
    """Builds in processes of their own, forked from one that has everything imported."""

    def __init__(self):
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._server.stdout.readline() == "ready\n"

    def run(self, folder, config, *, largest_file=0, **environment):
        """Exit status (negative: the signal it died of) and error text of a build."""
        order = {
            "folder": str(folder),
            "config": config.model_dump(mode="json"),
            "largest_file": largest_file,
            "environment": {key: str(value) for key, value in environment.items()},
        }
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        error = ""
        while True:
            answer = json.loads(self._server.stdout.readline())
            error = answer.get("error", error)
            if "status" in answer:
                return answer["status"], error

    def close(self):
        self._server.stdin.close()
        self._server.wait(timeout=60)


@pytest.fixture(scope="session")
def builds():
    server = Builds()
    yield server
    server.close()


def tiny_model(folder, seed=0, **changes):
    import torch

    from geolocator_gui.ml.backbone import create_backbone
    from geolocator_gui.ml.bundle import write_bundle

    fields = {
        "name": folder.name,
        "architecture": "test_convnext",
        "embedding_size": 64,
        "satellite_size": 32,
        "ground_size": (32, 96),
        "ground_view": "panorama",
        "satellite_source_px": 48,
        "side_m": 40.0,
        "recommended_overlap": 0.75,
        **changes,
    }
    torch.manual_seed(seed)
    state = create_backbone("test_convnext").state_dict()
    return write_bundle(folder, ModelConfig(**fields), state, "# Random\n")


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A folder with `ground.mbtiles` (768 x 1280 px of about 0.14 m, one tile missing) and `model`."""
    folder = tmp_path_factory.mktemp("world")
    tiles = cut_tiles(texture(768, 1280, seed=5), ZOOM, COLUMN, ROW)
    del tiles[ZOOM, COLUMN + 3, ROW + 1]
    write_mbtiles(folder / "ground.mbtiles", tiles, attribution="Nobody, public domain", name="Ground")
    tiny_model(folder / "model")
    return folder


@pytest.fixture(scope="session")
def config(world):
    return IndexConfig(
        imagery=(str(world / "ground.mbtiles"),),
        model=str(world / "model"),
        batch_size=8,
        threads=1,
        backend="torch",
        precision="fp32",
    )


@pytest.fixture(scope="session")
def whole(world, config):
    """An index that was built without a disturbance; not to be written to."""
    folder = world / "whole"
    finish(build_index(config, folder))
    return folder


@pytest.fixture
def copy(whole, tmp_path):
    """A copy of it to play with, beside a copy of the imagery."""
    import shutil

    shutil.copytree(whole.parent, tmp_path / "world", ignore=shutil.ignore_patterns("other*"))
    return tmp_path / "world" / "whole"


def lasting_bytes(folder: Path) -> dict[str, bytes]:
    """What two equal builds must agree on: everything but the manifest's dates and timings."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith("index.") and "run" not in path.parts
    }
