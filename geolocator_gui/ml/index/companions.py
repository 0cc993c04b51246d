"""What lies in an index folder beside the index itself: the run that built it, imagery that came with it.

Nothing of an answer depends on these, but an index is to be trusted as a whole: `verify` looks at them too.
The settings of the run and packed imagery have checksums in the manifest. Events and log only ever grow, also
after the index is whole: of the events every line must be readable, the log is text for people.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from geolocator_gui.ml.bundle import file_sha256
from geolocator_gui.ml.index import durable
from geolocator_gui.ml.index.manifest import Manifest

PACKED = "imagery/"
SETTINGS = "run/config.toml"
EVENTS = "run/events.jsonl"


def settings_sha256(folder: Path) -> str:
    """Checksum of the settings of the run, without the version that last wrote them; "" without a run."""
    try:
        lines = (folder / SETTINGS).read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return ""
    return hashlib.sha256(b"".join(line for line in lines if not line.startswith(b"version"))).hexdigest()


def packed_files(folder: Path, manifest: Manifest) -> dict[str, str]:
    """Checksums of the imagery inside the folder that an import brought, as it is now."""
    names = [name for name in manifest.files if name.startswith(PACKED)]
    return {name: file_sha256(folder / name) for name in names if (folder / name).exists()}


def damages_of_run(folder: Path, manifest: Manifest) -> list[tuple[str, str]]:
    """Files of the run that are not as they were, and what is wrong with them."""
    found: list[tuple[str, str]] = []
    now = settings_sha256(folder)
    if now and manifest.settings_sha256 and now != manifest.settings_sha256:
        found.append((SETTINGS, "the settings are not those that the index was built with"))
    bad = sum(not _readable(line) for line in _events(folder))
    if bad:
        found.append((EVENTS, f"{bad} damaged line(s)"))
    return found


def mend_run(folder: Path, manifest: Manifest) -> list[str]:
    """Put damaged settings aside, which a whole index no longer needs, and drop damaged lines of the events.

    Returns:
        What was done, in words.
    """
    done: list[str] = []
    for name, _ in damages_of_run(folder, manifest):
        path = folder / name
        if name == SETTINGS:
            aside = path.with_name(path.name + ".damaged")
            path.replace(aside)
            done.append(f"{name} was put aside as {aside.name}; the index itself does not need it.")
        else:
            durable.write_whole(path, b"".join(line for line in _events(folder) if _readable(line)))
            done.append(f"The damaged lines of {name} were dropped.")
    return done


def _events(folder: Path) -> list[bytes]:
    path = folder / EVENTS
    return path.read_bytes().splitlines(keepends=True) if path.exists() else []


def _readable(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
