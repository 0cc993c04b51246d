"""Write `constraints.txt`: one pin per package for Python 3.11 to 3.13 on Linux, macOS and Windows.

    pip install uv
    python -m tools.make_constraints

uv resolves all supported Pythons and platforms at once and marks the pins that differ. Download addresses
and hashes are left out: the pins hold wherever the packages come from.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# timm needs torchvision, and a torchvision fits one torch only.
HELD = ("torch==2.13.0", "torchvision==0.28.0")
HEADER = """\
# Pins for Python 3.11 to 3.13, written by `python -m tools.make_constraints`; see CONTRIBUTING.md.
# Use: pip install -c constraints.txt .
"""


def resolve() -> str:
    """What uv resolves from pyproject.toml with all extras, as requirement lines."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False) as held:
        held.write("\n".join(HELD))
    try:
        options = ["--universal", "--python-version", "3.11", "--all-extras", "--quiet"]
        plain = ["--no-header", "--no-annotate", "--no-config", "--constraint", held.name]
        done = subprocess.run(
            ["uv", "pip", "compile", *options, *plain, "pyproject.toml"],
            cwd=ROOT,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    finally:
        Path(held.name).unlink()
    return done.stdout


def simplify(resolved: str) -> str:
    """Drop what cannot apply here: browsers (emscripten), PyPy, and Pythons newer than 3.13."""
    lines = []
    for line in resolved.splitlines():
        pin, _, marker = (part.strip() for part in line.partition(" ; "))
        if "sys_platform == 'emscripten'" in marker:
            continue
        kept = [
            clause
            for clause in marker.split(" and ")
            if clause
            and not re.fullmatch(
                r"sys_platform != 'emscripten'|platform_python_implementation != 'PyPy'"
                r"|python_full_version < '3\.(1[4-9]|[2-9]\d)'",
                clause,
            )
        ]
        lines.append(f"{pin} ; {' and '.join(kept)}" if kept else pin)
    return "\n".join(lines) + "\n"


def main() -> int:
    """Resolve and write the file."""
    try:
        text = HEADER + simplify(resolve())
    except FileNotFoundError:
        print("uv is not installed; `pip install uv`, then again.", file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as failed:
        print("uv found no set of versions that fits (its message is above).", file=sys.stderr)
        return failed.returncode
    (ROOT / "constraints.txt").write_text(text, "utf-8")
    print(f"constraints.txt: {len(text.splitlines()) - 2} pins")
    return 0


if __name__ == "__main__":
    sys.exit(main())
