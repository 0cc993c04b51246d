"""What is known of released checkpoints, which nothing but their path and file name tells apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geolocator_gui.errors import BundleError

if TYPE_CHECKING:
    from pathlib import Path

    from geolocator_gui.ml.bundle import Bundle


def bundle_of_file(path: Path) -> Bundle:
    """A bundle around a bare checkpoint whose path says which release it is; raises `BundleError`."""
    raise BundleError(
        "the path does not say which model this is",
        path=path,
        hint="Add it with `geolocator model add FILE --as PRESET`.",
    )
