"""What the verbs around an index share: paths, numbers, sizes, the summary in words."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from geolocator_gui.cli_commands.console import people_time, print_json
from geolocator_gui.errors import ConfigError

if TYPE_CHECKING:
    from geolocator_gui.geo.area import Area
    from geolocator_gui.ml.index import IndexSummary
    from geolocator_gui.ml.index.manifest import Manifest


def people_bytes(number: float) -> str:
    """A size for people: "12 kB", "3.4 MB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"


def absolute(item: str) -> str:
    """A local path made absolute, so that the run can be continued from anywhere; the rest as it is."""
    path = Path(item).expanduser()
    return str(path.resolve()) if "://" not in item and path.exists() else item


def source_name(item: str) -> str:
    """An imagery source as a run's settings keep it: a file's path absolute, an address without its keys.

    The keys go into the user's own file, where the source finds them again.
    """
    from geolocator_gui.geo.imagery.keys import keep_key
    from geolocator_gui.ml.index.plan import local_part

    path, settings = local_part(item)
    return keep_key(item) if path is None else str(path.resolve()) + settings


def numbers(text: str, count: int | None, option: str, form: str) -> tuple[float, ...]:
    """Numbers between commas; raises `ConfigError` that shows the form."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not all(map(math.isfinite, found)):
        found = ()
    if not found or (count is not None and len(found) != count):
        raise ConfigError(f"{option} {text!r} is not {form}", hint=f"Write it as {option} {form}.")
    return found


def levels_of(text: str) -> tuple[int, ...]:
    """The numbers of --levels; raises `ConfigError`."""
    found = numbers(text, None, "--levels", "1,2,4")
    if any(value not in (1, 2, 4) for value in found):
        raise ConfigError(f"--levels {text!r}: levels of detail are 1, 2 and 4", hint="Write --levels 1,2,4.")
    return tuple(int(value) for value in found)


def models_beside(folder: Path) -> Path | None:
    """The models of the workspace that an index folder lies in, if it does."""
    root = folder.resolve().parent.parent
    return root / "models" if (root / "workspace.toml").exists() else None


def keep_tiles_in(folder: Path) -> None:
    """Let this process keep downloaded tiles in a workspace, unless the user says where."""
    os.environ.setdefault("GEOLOCATOR_TILES", str(folder))


def ground_of(manifest: Manifest) -> Area:
    """All areas of an index as one, as they were drawn."""
    import shapely
    from shapely.geometry import shape

    from geolocator_gui.geo.area import Area

    parts = {str(part.geometry): shape(part.geometry) for part in manifest.parts}
    return Area("", shapely.union_all(list(parts.values())))


def report(summary: IndexSummary, *, as_json: bool) -> None:
    """The result of a build or a change."""
    if as_json:
        print_json(summary.to_dict())
        return
    left_out = "".join(f", {number:,} {reason}" for reason, number in summary.skipped.items())
    print(f"{summary.folder}: {summary.chips:,} chips{left_out}, {people_time(summary.seconds)}")
