"""Run all linters, one after the other, even if one complains: `python -m tools.lint`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINTERS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("lint-imports",),
    ("mypy",),
)


def main() -> int:
    """Returns 1 if any linter found something."""
    scripts = Path(sys.executable).parent  # not resolved: the scripts of the virtual environment
    environment = os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}"}
    complaints = []
    for linter in LINTERS:
        print(f"== {' '.join(linter)}", flush=True)
        # Named in full: on Windows the new PATH would not be searched.
        done = subprocess.run([scripts / linter[0], *linter[1:]], cwd=ROOT, env=environment, check=False)
        if done.returncode:
            complaints.append(linter[0])
    print("linters: " + (f"{', '.join(complaints)} complained" if complaints else "clean"), flush=True)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
