"""The system libraries that Qt WebEngine needs on Linux: which are missing, and how to get them.

Standard library only, and no older than Python 3.11: this runs before anything is installed. The table was
read from the `NEEDED` entries of PySide6 6.11.3 and 6.12.0 (Qt Gui, Qt WebEngine, its helper process, the
`offscreen` and `xcb` platform plugins), less what glibc, libstdc++ and PySide6 itself bring.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence

# Library as the loader asks for it → Debian package. A slash separates the name before and after the
# 64-bit-time transition (Debian 13, Ubuntu 24.04).
LIBRARIES: dict[str, str] = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libX11.so.6": "libx11-6",
    "libXcomposite.so.1": "libxcomposite1",
    "libXdamage.so.1": "libxdamage1",
    "libXext.so.6": "libxext6",
    "libXfixes.so.3": "libxfixes3",
    "libXrandr.so.2": "libxrandr2",
    "libXtst.so.6": "libxtst6",
    "libasound.so.2": "libasound2/libasound2t64",
    "libbrotlidec.so.1": "libbrotli1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libdrm.so.2": "libdrm2",
    "libexpat.so.1": "libexpat1",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libgbm.so.1": "libgbm1",
    "libglib-2.0.so.0": "libglib2.0-0/libglib2.0-0t64",
    "libgssapi_krb5.so.2": "libgssapi-krb5-2",
    "libnspr4.so": "libnspr4",
    "libnss3.so": "libnss3",
    "libudev.so.1": "libudev1",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-dri3.so.0": "libxcb-dri3-0",
    "libxcb-glx.so.0": "libxcb-glx0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-render.so.0": "libxcb-render0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-util.so.1": "libxcb-util1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxcb.so.1": "libxcb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libxkbfile.so.1": "libxkbfile1",
    "libz.so.1": "zlib1g",
    "libzstd.so.1": "libzstd1",
}


def missing() -> tuple[str, ...]:
    """The libraries that the loader does not find here; always empty on Windows and macOS."""
    if sys.platform != "linux":
        return ()
    return tuple(name for name in LIBRARIES if not _loads(name))


def packages(libraries: Sequence[str], release: dict[str, str] | None = None) -> tuple[str, ...]:
    """The packages that bring these libraries, by the names of this distribution.

    Args:
        libraries: Keys of `LIBRARIES`.
        release: Fields of `/etc/os-release`; None reads this machine's.
    """
    newer = _after_64_bit_time(_os_release() if release is None else release)
    return tuple(sorted({LIBRARIES[name].split("/")[-1 if newer else 0] for name in libraries}))


def command(libraries: Sequence[str]) -> str:
    """What a person types to get these libraries."""
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"{sudo}apt-get update && {sudo}apt-get install -y {shlex.join(packages(libraries))}"


def explain(libraries: Sequence[str]) -> str:
    """Two lines for a person: what is missing, and what to type."""
    shown = ", ".join(libraries[:4]) + (f" and {len(libraries) - 4} more" if len(libraries) > 4 else "")
    if shutil.which("apt-get"):
        remedy = command(libraries)
    else:
        remedy = "install what brings them; on Debian that would be: " + command(libraries)
    return f"The window needs system libraries that are not here ({shown}). To get them:\n    {remedy}"


def may_install() -> bool:
    """Whether there is an apt-get and it needs no password here."""
    return shutil.which("apt-get") is not None and _privilege() is not None


def install(libraries: Sequence[str]) -> bool:
    """Install with apt-get; False where it may not or does not work (its own message is printed then)."""
    prefix = _privilege()
    if prefix is None or shutil.which("apt-get") is None:
        return False
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    wanted = ["install", "-y", "--no-install-recommends", *packages(libraries)]
    print(f"Installing {len(wanted) - 3} system packages for the window …", flush=True)
    for arguments in (["update", "-qq"], [*wanted, "-qq"]):
        done = subprocess.run(
            [*prefix, "apt-get", *arguments], env=environment, stdin=subprocess.DEVNULL, check=False
        )
        # A failing update (one stale source) need not make the installation fail.
        if done.returncode and arguments[0] == "install":
            return False
    return True


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _privilege() -> list[str] | None:
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        return None
    asked = subprocess.run(["sudo", "-n", "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return ["sudo", "-n"] if asked.returncode == 0 else None


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _after_64_bit_time(release: dict[str, str]) -> bool:
    first = {"debian": (13,), "ubuntu": (24, 4)}.get(release.get("ID", ""))
    version = release.get("VERSION_ID", "")
    if first is None or not version:  # Debian testing and unstable carry no version; derivatives vary
        return "bookworm" not in release.get("VERSION_CODENAME", "")
    return tuple(int(part) for part in version.split(".") if part.isdigit()) >= first


def main() -> int:
    """Print what is missing; with `--install`, get it where that is possible. Exit 1: still missing."""
    parser = argparse.ArgumentParser(prog="python -m tools.system_libraries", description=main.__doc__)
    parser.add_argument(
        "--install", action="store_true", help="install with apt-get if no password is needed"
    )
    wanted = missing()
    arguments = parser.parse_args()
    if wanted and arguments.install:
        install(wanted)
        wanted = missing()
    print(explain(wanted) if wanted else "All system libraries that the window needs are here.")
    return 1 if wanted else 0


if __name__ == "__main__":
    sys.exit(main())
