"""The window, its page, its worker and a run where there is no network: the kernel counts what they try.

The hook of `conftest.py` sees what Python opens. A network namespace also sees Chromium and native libraries:
its counters start at nought, and a packet without a way out is counted as well.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.gui
_INSIDE = "GEOLOCATOR_TEST_NAMESPACE"
_COUNTED = ("OutRequests", "OutNoRoutes")


def tried() -> dict[str, int]:
    """What this network namespace sent, or tried to, over IPv4 and IPv6."""
    found = {}
    lines = Path("/proc/self/net/snmp").read_text("ascii").splitlines()
    names, values = (line.split()[1:] for line in lines if line.startswith("Ip:"))
    found |= {f"Ip{name}": int(value) for name, value in zip(names, values, strict=True) if name in _COUNTED}
    for line in Path("/proc/self/net/snmp6").read_text("ascii").splitlines():
        name, value = line.split()
        if name in {f"Ip6{counter}" for counter in _COUNTED}:
            found[name] = int(value)
    return found


@pytest.mark.skipif(_INSIDE not in os.environ, reason="is run by the test below, in a namespace of its own")
@pytest.mark.timeout(500)
def test_inside(open_town, index_centre, wait, ask, photos) -> None:
    before = tried()
    window = open_town()
    session = window.session
    assert wait(lambda: ask(window, "document.querySelectorAll('.leaflet-tile-loaded').length") > 3, 60)
    index_centre(window, 60)
    session.add_photos(photos[:1])
    assert wait(lambda: session.tray.at(0).answer is not None, 120), session.tray.at(0)
    assert wait(lambda: ask(window, "document.querySelectorAll('.pin').length") > 0, 20)
    assert tried() == before == dict.fromkeys(before, 0)


@pytest.mark.timeout(600)
def test_nothing_is_sent_from_a_namespace_without_a_network(root) -> None:
    enter = ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") is None:
        pytest.skip("there is no `unshare` here, so no network namespace")
    if subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system does not let `unshare` make a network namespace")
    inside = f"{Path(__file__).relative_to(root)}::test_inside"
    command = [*enter, sys.executable, "-m", "pytest", "-v", "-n", "0", "-p", "no:cacheprovider", inside]
    done = subprocess.run(
        command, cwd=root, env={**os.environ, _INSIDE: "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "1 passed" in done.stdout, done.stdout[-4000:]


@pytest.mark.skipif(shutil.which("unshare") is None, reason="there is no `unshare` here")
def test_a_packet_that_finds_no_way_out_is_counted() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_no_network import tried; import socket\n"
        "before = tried()\n"
        "try: socket.create_connection(('203.0.113.1', 80), 1)\n"
        "except OSError: pass\n"
        "print(sum(tried().values()) - sum(before.values()))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        ["unshare", "--map-root-user", "--net", sys.executable, "-c", code, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode and "unshare" in done.stderr:
        pytest.skip(f"no network namespace here: {done.stderr.strip()}")
    assert int(done.stdout) > 0, done.stderr
