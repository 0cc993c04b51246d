"""Make `.venv` ready: the pinned packages, this project in place, and Qt's system libraries where possible.

    python tools/setup_environment.py            what the program needs
    python tools/setup_environment.py --dev      and what its tests need

Standard library only. A stamp in `.venv` names what was installed, so that later calls return at once.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # started as a file, not with -m
    sys.path[0] = str(ROOT)

from tools import system_libraries  # noqa: E402

VENV = ROOT / ".venv"
VENV_PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
SUPPORTED = ((3, 11), (3, 13))


def main() -> int:
    """Set up what is not set up yet; returns the exit code."""
    parser = argparse.ArgumentParser(description="Make .venv ready for this project.")
    parser.add_argument("--dev", action="store_true", help="also install what the tests and linters need")
    extra = "dev" if parser.parse_args().dev else "run"
    if not SUPPORTED[0] <= sys.version_info[:2] <= SUPPORTED[1]:
        print(f"Python 3.11, 3.12 or 3.13 is needed; this is {sys.version.split()[0]}.", file=sys.stderr)
        return 2
    if not _is_ready(extra):
        try:
            _make_venv()
            _install(extra)
        except subprocess.CalledProcessError as failed:
            print(
                f"Set-up stopped: `{' '.join(map(str, failed.cmd))}` ended with {failed.returncode}; its own "
                "message is above.\nCheck the network connection and the space on the disk, then run the "
                "same command again: it goes on from here.",
                file=sys.stderr,
            )
            return 1
        _mark_ready(extra)
    _system_libraries()
    return 0


def _make_venv() -> None:
    """Create `.venv`, or make it anew if its Python is gone or of another version."""
    if VENV.exists():
        asked = "import sys, pip; print(*sys.version_info[:2])"
        try:
            answer = subprocess.run([VENV_PYTHON, "-c", asked], capture_output=True, text=True, check=True)
            if answer.stdout.split() == [str(part) for part in sys.version_info[:2]]:
                return
        except (OSError, subprocess.CalledProcessError):
            pass  # no Python that starts: made anew below
        shutil.rmtree(VENV)
    print(f"Creating {VENV.name} with Python {sys.version.split()[0]} …", flush=True)
    subprocess.run([sys.executable, "-m", "venv", VENV], check=True)


def _install(extra: str) -> None:
    print("Installing the pinned packages; the first time takes some minutes …", flush=True)
    pip = [str(VENV_PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    pinned = ["--constraint", str(ROOT / "constraints.txt")]
    # The build back-end comes pinned as well, instead of whatever is newest in an isolated build.
    subprocess.run([*pip, "--quiet", *pinned, "hatchling"], check=True, cwd=ROOT)
    project = ".[dev]" if extra == "dev" else "."
    subprocess.run([*pip, *pinned, "--no-build-isolation", "--editable", project], check=True, cwd=ROOT)


def _fingerprint() -> str:
    """Of all that the installed packages follow from; the folder too, since scripts in `.venv` name it."""
    digest = hashlib.sha256(f"{ROOT}\n{sys.version_info[:2]}\n".encode())
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def _stamp(extra: str) -> Path:
    return VENV / f"ready-{extra}"


def _is_ready(extra: str) -> bool:
    stamp = _stamp(extra)
    return stamp.is_file() and VENV_PYTHON.exists() and stamp.read_text("utf-8") == _fingerprint()


def _mark_ready(extra: str) -> None:
    for name in ("run", "dev") if extra == "dev" else ("run",):
        _stamp(name).write_text(_fingerprint(), "utf-8")


def _system_libraries() -> None:
    """Install what Qt WebEngine lacks, once; where that fails, say what to type, every time."""
    wanted = system_libraries.missing()
    if not wanted:
        return
    tried = VENV / "system-libraries-tried"
    before = tried.read_text("utf-8").split() if tried.is_file() else []
    if before != list(wanted) and system_libraries.may_install():
        system_libraries.install(wanted)
        wanted = system_libraries.missing()
        tried.write_text("\n".join(wanted), "utf-8")
    if wanted:
        print(system_libraries.explain(wanted), file=sys.stderr)
        print("Everything that opens no window works without them.", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
