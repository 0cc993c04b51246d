"""Whether the system asks for less motion. Chromium asks Windows and macOS itself; on Linux nobody does."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

_GNOME = ("gsettings", "get", "org.gnome.desktop.interface", "enable-animations")


def less_motion() -> bool:
    """What the desktop's settings say (reads files, asks a program: not on the GUI thread)."""
    if not sys.platform.startswith("linux"):
        return False
    if "KDE" in os.environ.get("XDG_CURRENT_DESKTOP", "").upper():
        home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
        return kde_stands_still(Path(home) / "kdeglobals")
    if shutil.which(_GNOME[0]) is None:
        return False
    try:
        asked = subprocess.run(_GNOME, capture_output=True, text=True, timeout=3, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False  # a desktop that does not answer has not asked for anything
    return asked.stdout.strip() == "false"


def kde_stands_still(file: Path) -> bool:
    """Whether KDE's animation speed is set to instant."""
    settings = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        settings.read_string(file.read_text("utf-8"))
        return settings.getfloat("KDE", "AnimationDurationFactor", fallback=1.0) == 0
    except (OSError, ValueError, configparser.Error):
        return False  # no such file, or not one we can read: nothing was asked for
