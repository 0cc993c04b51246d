"""Rebuild the demo that ships: `python -m tools.rebuild_demo [--out resources/demo]`, a few minutes."""

from __future__ import annotations

import argparse
from pathlib import Path

from geolocator_gui.events import Progress
from geolocator_gui.town.demo import build_demo


def main() -> None:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).resolve().parent.parent / "resources" / "demo"
    parser.add_argument("--out", type=Path, default=default, help="folder to write (default resources/demo)")
    arguments = parser.parse_args()
    for event in build_demo(arguments.out):
        if isinstance(event, Progress):
            count = f" {event.done}/{event.total}" if event.total else ""
            print(f"{event.what}{count}", flush=True)
    size = sum(file.stat().st_size for file in arguments.out.rglob("*") if file.is_file())
    print(f"{arguments.out}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
