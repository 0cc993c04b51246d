"""Start Geolocator from a checkout: `python main.py`.

The window opens where there is a display and Qt's system libraries are installed; elsewhere the demo town is
located on the command line, which is the same job without a window.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

from tools import system_libraries


def reason_for_no_window() -> str | None:
    """Why no window can open here, in words; None where it can."""
    if importlib.util.find_spec("geolocator_gui.gui.app") is None:
        return "this version has none yet."
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)."
    lacking = system_libraries.missing()
    return system_libraries.explain(lacking) if lacking else None


def main() -> int:
    """Open the window, or run the demo where none can open; returns the exit code."""
    reason = reason_for_no_window()
    if reason is None:
        module, arguments = "geolocator_gui.gui.app", sys.argv[1:]
    else:
        print(f"No window: {reason}\nRunning `geolocator demo` instead.", file=sys.stderr)
        module, arguments = "geolocator_gui.cli", ["demo", *sys.argv[1:]]
    sys.argv[1:] = arguments
    return importlib.import_module(module).main() or 0


if __name__ == "__main__":
    sys.exit(main())
