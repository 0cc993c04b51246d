"""Killed at any instant, the same command continues, and the index equals an undisturbed one bit for bit."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from geolocator_gui.errors import FaultError, InputError
from geolocator_gui.events import finish
from geolocator_gui.ml.index import Index, build_index
from geolocator_gui.ml.index.durable import explain
from tests.core.ml.index.conftest import lasting_bytes

BUILD = """
import sys
from pathlib import Path
from geolocator_gui.configs import IndexConfig
from geolocator_gui.ml.index import build_index
for event in build_index(IndexConfig.model_validate_json(sys.argv[2]), Path(sys.argv[1])):
    print(type(event).__name__, flush=True)
"""
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")


def test_killed_again_and_again_at_writes_syncs_and_renames(tmp_path, config, whole, builds):
    folder, trace = tmp_path / "index", tmp_path / "trace"
    deaths = []
    for instant in (2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15):
        trace.unlink(missing_ok=True)
        status, error = builds.run(folder, config, GEOLOCATOR_CRASH_AT=instant, GEOLOCATOR_CRASH_TRACE=trace)
        assert status == -signal.SIGKILL, error
        deaths.append(tuple(trace.read_text().splitlines()[-1].split()[1:]))
    assert {kind for kind, _ in deaths} >= {"write", "fsync", "rename"}, deaths
    assert len({name for _, name in deaths}) >= 4, deaths
    finish(build_index(config, folder))
    assert lasting_bytes(folder) == lasting_bytes(whole)


def test_killed_at_each_instant_of_the_end(tmp_path, config, whole, builds):
    """The table, the manifest and its copy are written last."""
    trace = tmp_path / "trace"
    assert builds.run(tmp_path / "count", config, GEOLOCATOR_CRASH_TRACE=trace) == (0, "")
    total = len(trace.read_text().splitlines())
    for before_the_end in range(8):
        folder = tmp_path / f"index-{before_the_end}"
        status, error = builds.run(folder, config, GEOLOCATOR_CRASH_AT=total - before_the_end)
        assert status == -signal.SIGKILL, error
        finish(build_index(config, folder))
        assert lasting_bytes(folder) == lasting_bytes(whole)
        assert not list(folder.glob(".*.partial"))
        assert Index.open(folder).count == Index.open(whole).count


@pytest.mark.slow
@pytest.mark.timeout(2000)
def test_fifty_kills_at_random_moments(tmp_path, config, whole):
    rng = random.Random(1)
    small = config.model_copy(update={"batch_size": 1})
    undisturbed = tmp_path / "undisturbed"
    finish(build_index(small, undisturbed))
    hits = kills = rounds = 0
    folder = tmp_path / "index-0"
    while kills < 50:
        process = subprocess.Popen(
            [sys.executable, "-c", BUILD, str(folder), small.model_dump_json()],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for line in process.stdout:
            if line.startswith("Progress"):
                break
        time.sleep(rng.random() * 0.2)
        hits += process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        kills += 1
        if Index.is_finished(folder):
            assert lasting_bytes(folder) == lasting_bytes(undisturbed)
            rounds += 1
            folder = tmp_path / f"index-{rounds}"
    assert hits >= 40, f"only {hits} of {kills} kills hit a running build"
    finish(build_index(small, folder))
    assert lasting_bytes(folder) == lasting_bytes(undisturbed)


def test_full_disk_is_said_and_the_build_continues(tmp_path, config, whole, builds):
    """A limit on file sizes stands in for the full disk: the same error path, no mount needed."""
    folder = tmp_path / "index"
    status, error = builds.run(folder, config, largest_file=3000)
    assert status == 1
    assert "the disk is full" in error
    assert "run the same command to continue" in error
    finish(build_index(config, folder))
    assert lasting_bytes(folder) == lasting_bytes(whole)


def test_full_file_system(tmp_path, config, whole):
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", str(mount)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    try:
        with pytest.raises(FaultError, match="the disk is full") as caught:
            finish(build_index(config, mount / "index"))
        assert caught.value.exit_code == 1
        subprocess.run(["mount", "-o", "remount,size=4m", str(mount)], check=True)
        finish(build_index(config, mount / "index"))
        assert lasting_bytes(mount / "index") == lasting_bytes(whole)
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=False)


def test_read_only_folder_is_the_users_input(tmp_path, config):
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    if os.access(folder, os.W_OK) and os.geteuid() != 0:
        pytest.skip("this system does not keep the owner from writing")
    if os.geteuid() == 0:
        # Root may write anywhere: another user's process is what is refused.
        script = "import sys; from pathlib import Path; from geolocator_gui.ml.index import durable\n"
        script += "try: durable.write_whole(Path(sys.argv[1]) / 'index.json', b'x')\n"
        script += "except Exception as error: print(type(error).__name__, error); sys.exit(7)"
        for parent in (tmp_path, *tmp_path.parents):
            if parent.name.startswith("pytest"):
                parent.chmod(0o755)
        found = subprocess.run(
            [sys.executable, "-c", script, str(folder)],
            user=65534,
            capture_output=True,
            text=True,
            check=False,
        )
        if "PermissionError" in found.stderr and "pyvenv" in found.stderr:
            pytest.skip("another user cannot run this Python")
        if found.returncode != 7:
            pytest.skip(f"another user cannot run this Python: {found.stderr[-200:]}")
        assert found.stdout.startswith("InputError")
        assert "cannot be written" in found.stdout
        return
    with pytest.raises(InputError, match="cannot be written"):
        finish(build_index(config, folder))


def test_errors_of_the_system_in_words(tmp_path):
    import errno

    assert isinstance(explain(OSError(errno.ENOSPC, "x"), tmp_path), FaultError)
    assert isinstance(explain(OSError(errno.EROFS, "x"), tmp_path), InputError)
    assert "kept" in explain(OSError(errno.EIO, "x"), tmp_path).hint
