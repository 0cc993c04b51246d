"""The wheel: what is in it, and that it works away from the checkout."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

# One process builds the wheel, the others need not.
pytestmark = pytest.mark.xdist_group("wheel")

SOURCES = ("geolocator_gui", "models", "resources", "pyproject.toml", "README.md", "LICENSE", ".gitignore")
PLANTED = "models/x/weights.pth"


def pip(*arguments, cwd):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy of the sources in which a user has put weights of their own."""
    root = tmp_path_factory.mktemp("wheel")
    source, built = root / "source", root / "built"
    source.mkdir()
    checkout = os.path.join(os.path.dirname(__file__), "..", "..")
    for name in SOURCES:
        origin = os.path.join(checkout, name)
        if os.path.isdir(origin):
            shutil.copytree(origin, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.pth"))
        else:
            shutil.copy(origin, source / name)
    (source / PLANTED).parent.mkdir(parents=True)
    (source / PLANTED).write_bytes(b"not for shipping")
    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", built, ".", cwd=source)
    (only,) = built.glob("*.whl")
    return only


@pytest.fixture(scope="module")
def names(wheel):
    return zipfile.ZipFile(wheel).namelist()


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    target = tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--no-index", "--target", target, wheel, cwd=target)
    return target


def run_installed(program, *arguments, installed, root, cwd):
    """Run Python code with the installed package first and the checkout off `sys.path`, children included."""
    guard = f"import sys; sys.path[:] = [p for p in sys.path if p not in ('', {str(root)!r})]\n"
    environment = os.environ | {"PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", guard + program, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_has_one_top_level_name(names):
    assert {name.split("/")[0] for name in names} == {"geolocator_gui", "geolocator-0.1.0.dist-info"}


def test_models_and_resources_travel_inside_the_package(names):
    assert "geolocator_gui/_bundled/models/demo-town/model.json" in names
    assert any(name.startswith("geolocator_gui/_bundled/resources/demo/") for name in names)


def test_ignored_weights_stay_behind(names):
    weights = {name for name in names if name.endswith((".pth", ".pt", ".safetensors", ".onnx", ".bin"))}
    assert weights <= {"geolocator_gui/_bundled/models/demo-town/weights.safetensors"}


def test_both_commands_are_declared(wheel):
    with zipfile.ZipFile(wheel) as archive:
        declared = archive.read("geolocator-0.1.0.dist-info/entry_points.txt").decode()
    assert "geolocator = geolocator_gui.cli:main" in declared
    assert "geolocator-gui = geolocator_gui.gui.app:main" in declared


def test_the_installed_package_finds_its_own_data(installed, root, tmp_path):
    program = "from geolocator_gui import paths; print(paths.models_dir()); print(paths.resources_dir())"
    models, resources = run_installed(program, installed=installed, root=root, cwd=tmp_path).splitlines()
    bundled = installed / "geolocator_gui" / "_bundled"
    assert (models, resources) == (str(bundled / "models"), str(bundled / "resources"))


@pytest.mark.slow
def test_the_installed_package_runs_the_demo_from_an_empty_folder(installed, root, tmp_path):
    program = "from geolocator_gui.cli import main; sys.argv[0] = 'geolocator'; main()"
    printed = run_installed(
        program, "demo", "--workspace", "town", "--json", installed=installed, root=root, cwd=tmp_path
    )
    result = json.loads(printed)
    assert len(result["photos"]) == 24
    assert result["recall_at_1"] > 10 * result["chance_recall_at_1"]
    assert (tmp_path / result["map"]).is_file()
    assert [entry.name for entry in tmp_path.iterdir()] == ["town"]
