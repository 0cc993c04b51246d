"""The set-up of a fresh machine, as far as it can be seen without one; and what is committed."""

import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest

from tools import make_constraints, setup_environment, system_libraries

linux_only = pytest.mark.skipif(os.name == "nt", reason="tools/setup.sh is for Linux and macOS")


def committed(root):
    """(name, bytes) of every file that git knows."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("this is not a git checkout, so nothing tells which files are committed")
    for name in listed.stdout.decode().split("\0"):
        if name and (root / name).is_file():
            yield name, (root / name).read_bytes()


def names_matching(pattern, root):
    found = re.compile(pattern.encode())
    return {
        f"{name}: {match.group().decode(errors='replace')}"
        for name, content in committed(root)
        for match in found.finditer(content)
    }


def test_no_committed_file_names_a_package_registry(root):
    # Put together here, so that this file does not match itself.
    hosts = [
        r"pypi\.o" + "rg",
        r"pythonh" + r"osted\.org",
        r"download\.pyt" + r"orch\.org",
        "registry" + r"\.npmjs",
    ]
    assert not names_matching("|".join(hosts), root)


def test_no_committed_file_names_a_path_of_one_machine(root):
    assert not names_matching(r"(?<![\w.}])/(?:ro" + r"ot|wo" + r"rk|ho" + r"me/\w+|Us" + r"ers/\w+)/", root)


# --- pinned packages ---


def pins(root):
    lines = (root / "constraints.txt").read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_every_pin_is_exact_and_without_an_address(root):
    for pin in pins(root):
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]*==[0-9][0-9a-z.]*( ; [^@/]+)?", pin), pin


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_every_requirement_has_one_pin_that_satisfies_it(python, root):
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [wanted for extra in project["optional-dependencies"].values() for wanted in extra]
    here = {
        "python_version": python,
        "python_full_version": f"{python}.4",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
    }
    pinned = {}
    for pin in map(Requirement, pins(root)):
        if pin.marker is None or pin.marker.evaluate(here):
            assert canonicalize_name(pin.name) not in pinned, f"two pins for {pin.name}"
            pinned[canonicalize_name(pin.name)] = str(pin.specifier).removeprefix("==")
    for wanted in map(Requirement, project["dependencies"] + extras):
        if wanted.marker is None or wanted.marker.evaluate(here):
            assert wanted.specifier.contains(pinned[canonicalize_name(wanted.name)]), str(wanted)


def test_markers_that_never_apply_are_dropped():
    resolved = (
        "a==1 ; sys_platform != 'emscripten'\n"
        "b==1 ; python_full_version >= '3.12' and sys_platform == 'emscripten'\n"
        "c==1 ; python_full_version < '3.15' and sys_platform == 'linux'\n"
        "d==1 ; python_full_version < '3.12'\n"
        "e==1\n"
    )
    assert make_constraints.simplify(resolved).splitlines() == [
        "a==1",
        "c==1 ; sys_platform == 'linux'",
        "d==1 ; python_full_version < '3.12'",
        "e==1",
    ]


# --- what a machine lacks ---


def run_setup(root, tmp_path, *, tools, python):
    """tools/setup.sh with nothing on PATH but `tools`, and an own Python."""
    for tool in tools:
        (tmp_path / tool).symlink_to(shutil.which(tool))
    environment = {"PATH": str(tmp_path), "PYTHON": str(python)}
    return subprocess.run(
        [shutil.which("sh"), str(root / "tools" / "setup.sh")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def python_that(tmp_path, *, cannot):
    """A Python that fails for programs that mention `cannot`."""
    script = tmp_path / "python3"
    script.write_text(f'#!/bin/sh\ncase "$2" in *{cannot}*) exit 1;; esac\nexec {sys.executable} "$@"\n')
    script.chmod(0o755)
    return "python3"


@linux_only
def test_a_missing_venv_package_is_named(root, tmp_path):
    done = run_setup(
        root, tmp_path, tools=["dirname", "git", "sh"], python=python_that(tmp_path, cannot="ensurepip")
    )
    assert done.returncode == 2
    assert "apt-get install -y python3-venv" in done.stderr


@linux_only
def test_a_missing_git_is_named(root, tmp_path):
    done = run_setup(
        root, tmp_path, tools=["dirname", "sh"], python=python_that(tmp_path, cannot="ensurepip")
    )
    assert "apt-get install -y python3-venv git" in done.stderr


@linux_only
def test_a_python_too_old_is_named(root, tmp_path):
    done = run_setup(
        root, tmp_path, tools=["dirname", "git", "sh"], python=python_that(tmp_path, cannot="version_info")
    )
    assert done.returncode == 2
    assert "Python 3.11, 3.12 or 3.13 is needed (found: Python 3." in done.stderr


def test_the_set_up_is_due_again_when_a_pin_changes(tmp_path, monkeypatch):
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text("a==1\n")
    (tmp_path / "python").write_text("")
    monkeypatch.setattr(setup_environment, "ROOT", tmp_path)
    monkeypatch.setattr(setup_environment, "VENV", tmp_path)
    monkeypatch.setattr(setup_environment, "VENV_PYTHON", tmp_path / "python")
    assert not setup_environment._is_ready("run")
    setup_environment._mark_ready("run")
    assert setup_environment._is_ready("run")
    assert not setup_environment._is_ready("dev")
    setup_environment._mark_ready("dev")
    assert setup_environment._is_ready("dev")
    (tmp_path / "constraints.txt").write_text("a==2\n")
    assert not setup_environment._is_ready("run")


@pytest.mark.parametrize(
    ("release", "package"),
    [
        ({"ID": "debian", "VERSION_ID": "12"}, "libasound2"),
        ({"ID": "debian", "VERSION_ID": "13"}, "libasound2t64"),
        ({"ID": "debian"}, "libasound2t64"),
        ({"ID": "ubuntu", "VERSION_ID": "22.04"}, "libasound2"),
        ({"ID": "ubuntu", "VERSION_ID": "24.04"}, "libasound2t64"),
    ],
)
def test_packages_have_the_names_of_the_distribution(release, package):
    assert system_libraries.packages(["libasound.so.2"], release) == (package,)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems bring Qt's libraries")
def test_a_library_that_is_not_here_is_reported_with_the_command(monkeypatch):
    monkeypatch.setitem(system_libraries.LIBRARIES, "libnowhere.so.1", "libnowhere1")
    assert "libnowhere.so.1" in system_libraries.missing()
    assert "apt-get install -y libnowhere1" in system_libraries.explain(["libnowhere.so.1"])


def test_no_window_where_there_is_no_display(monkeypatch):
    import main

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert main.reason_for_no_window() is not None
