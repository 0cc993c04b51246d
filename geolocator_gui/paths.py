"""Where the program's own data lie, from a checkout, an editable install or a wheel."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _bundled(name: str) -> Path:
    inside = _PACKAGE / "_bundled" / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def resources_dir() -> Path:
    """The shipped `resources/` folder."""
    return _bundled("resources")


def models_dir() -> Path:
    """The shipped `models/` folder, last on the search path of bundles."""
    return _bundled("models")


def demo_dir() -> Path:
    """The shipped demo town: `town.mbtiles`, `photos/`, `demo.json`."""
    return resources_dir() / "demo"


def user_data_dir() -> Path:
    """The user's own data folder (`GEOLOCATOR_HOME` overrides it): bundles, recent workspaces."""
    override = os.environ.get("GEOLOCATOR_HOME")
    if override:
        return Path(override).expanduser()
    from platformdirs import user_data_path

    return user_data_path("geolocator", appauthor=False)


def user_cache_dir() -> Path:
    """What can be deleted at any time: compiled models, thumbnails."""
    override = os.environ.get("GEOLOCATOR_HOME")
    if override:
        return Path(override).expanduser() / "cache"
    from platformdirs import user_cache_path

    return user_cache_path("geolocator", appauthor=False)
