"""`geolocator index verify | info | extend | refresh | remove | merge | export | import`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from geolocator_gui.cli_commands.console import drive, names_in, print_json
from geolocator_gui.cli_commands.index_words import (
    absolute,
    ground_of,
    levels_of,
    models_beside,
    numbers,
    people_bytes,
    report,
    source_name,
)
from geolocator_gui.configs import IndexConfig
from geolocator_gui.errors import ConfigError, IndexFolderError, InputError
from geolocator_gui.runs import RunFolder

if TYPE_CHECKING:
    from geolocator_gui.events import Steps
    from geolocator_gui.geo.area import Area
    from geolocator_gui.ml.index.manifest import State
    from geolocator_gui.ml.index.verify import Health

T = TypeVar("T")
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="An index.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
Imagery = Annotated[
    list[str] | None,
    typer.Option(metavar="SRC", help="Where the index's imagery is now, if it is not where it was."),
]
Model = Annotated[
    str | None, typer.Option(metavar="NAME|DIR|FILE", help="Where the index's model is, if it is not found.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
AreaFile = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Area file (GeoJSON, KML, KMZ, GPX, Shapefile, GeoPackage)."),
]
Undo = Annotated[
    bool,
    typer.Option("--undo", help="Give up what was begun and not finished: the index is again as it was."),
]
Box = Annotated[str | None, typer.Option(metavar="W,S,E,N", help="Area as a box in degrees.")]
Circle = Annotated[str | None, typer.Option(metavar="LON,LAT,METRES", help="Area as centre and radius.")]


def _alone(folder: Path, steps: Steps[T], *, quiet: bool) -> T:
    """Drive a change while nobody else works in the folder."""
    if not (folder / "index.json").exists() and not (folder / "index.copy.json").exists():
        raise IndexFolderError(
            "there is no index in this folder",
            path=folder,
            hint="Build one with `geolocator index --imagery … --out` this folder.",
        )
    with _run_in(folder).lock():
        return drive(steps, quiet=quiet)


def _run_in(folder: Path) -> RunFolder:
    run = RunFolder(folder)
    try:
        run.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"this folder cannot be written ({error.strerror or error})",
            path=folder,
            hint="Choose a folder that you may write to.",
        ) from error
    return run


def info(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An index.")], as_json: Json = False
) -> None:
    """Say what an index is: model, area, imagery, chips, size."""
    from geolocator_gui.ml.index import read_manifest

    manifest = read_manifest(folder)
    size = sum(
        path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] != "run"
    )
    ground = ground_of(manifest)
    facts: dict[str, Any] = {
        "index": str(folder),
        "state": manifest.state,
        "chips": manifest.count,
        "skipped": manifest.skipped,
        "filled": manifest.filled,
        "model": manifest.model_name,
        "fingerprint": manifest.fingerprint,
        "areas": [
            {"name": part.area_name, "side_m": part.side_m * part.level, "overlap": part.overlap}
            for part in manifest.parts
        ],
        "bounds": list(ground.bounds),
        "km2": ground.km2,
        "imagery": [record.model_dump() for record in manifest.imagery],
        "attribution": manifest.attribution,
        "encoder": manifest.encoder,
        "created": manifest.created,
        "changes": list(manifest.changes),
        "timings": manifest.timings,
        "bytes": size,
    }
    if as_json:
        print_json(facts)
        return
    print(f"{folder}: {manifest.state}, {manifest.count:,} chips, {people_bytes(size)}")
    print(f"model        {manifest.model_name} (fingerprint {manifest.fingerprint[:12]})")
    for part in manifest.parts:
        side = part.side_m * part.level
        print(f"area         {part.area_name}: chips of {side:g} m, overlap {part.overlap:g}")
    for record in manifest.imagery:
        attribution = f": {record.attribution}" if record.attribution else ""
        print(f"imagery      {record.name} ({record.kind}){attribution}")
    left_out = ", ".join(f"{number:,} {reason}" for reason, number in manifest.skipped.items()) or "none"
    print(f"left out     {left_out}")
    if manifest.filled:
        print(f"filled       {manifest.filled:,} chips, from a coarser level where tiles are missing")
    for change in manifest.changes:
        print(f"change       {change}")
    print(f"begun        {manifest.created}")


def verify(
    folder: Folder,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what is damaged, embedding only that anew.")
    ] = False,
    imagery: Imagery = None,
    model: Model = None,
    device: Device = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check every byte of an index; with --repair mend what is damaged."""
    if repair:
        from geolocator_gui.ml.index.repair import repair_index

        health = _alone(
            folder,
            repair_index(
                folder,
                imagery=None if not imagery else [source_name(item) for item in imagery],
                model=model,
                workspace_models=models_beside(folder),
                device=device,
            ),
            quiet=quiet,
        )
    else:
        from geolocator_gui.ml.index.verify import verify_index

        health = drive(verify_index(folder), quiet=quiet)
    _tell(folder, health, as_json=as_json, repair=repair)


def _tell(folder: Path, health: Health, *, as_json: bool, repair: bool) -> None:
    """What a check found; raises `IndexFolderError` where the index is not sound now."""
    if as_json:
        print_json(
            {
                "index": str(folder),
                "sound": health.sound,
                "repaired": health.repaired,
                "damages": [
                    {"file": damage.file, "what": damage.what, "batches": list(damage.batches)}
                    for damage in health.damages
                ],
            }
        )
    else:
        for damage in health.damages:
            print(f"{damage.file}: {damage.what}")
        words = "mended" if health.repaired else "sound" if health.sound else "damaged"
        print(f"{folder}: {words}")
    if not health.sound:
        raise IndexFolderError(
            "the index is damaged",
            path=folder,
            hint="Mend it with `geolocator index verify --repair`."
            if not repair
            else "Not everything could be mended; `geolocator index verify` says what is left.",
        )


def extend(
    folder: Folder,
    area: AreaFile = None,
    bbox: Box = None,
    circle: Circle = None,
    imagery: Annotated[
        list[str] | None, typer.Option(metavar="SRC", help="Imagery of the new area, if it is another.")
    ] = None,
    old_imagery: Annotated[
        list[str] | None,
        typer.Option(metavar="SRC", help="Where the index's own imagery is now, if not where it was."),
    ] = None,
    model: Model = None,
    levels: Annotated[
        str, typer.Option(metavar="1[,2[,4]]", help="Levels of detail: chips of 1, 2 and 4 times the side.")
    ] = "1",
    device: Device = "auto",
    undo: Undo = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Add an area, or levels of detail, to an index. Killed, the same command continues it."""
    from geolocator_gui.ml.index.change import extend_index

    if undo:
        _undo(folder, "extending", as_json=as_json, quiet=quiet)
        return

    config = IndexConfig.from_mapping(
        {
            "imagery": tuple(source_name(item) for item in imagery or ()),
            "area": None if area is None else absolute(area),
            "bbox": None if bbox is None else numbers(bbox, 4, "--bbox", "W,S,E,N"),
            "circle": None if circle is None else numbers(circle, 3, "--circle", "LON,LAT,METRES"),
            "levels": levels_of(levels),
            "device": device,
        }
    )
    steps = extend_index(
        folder,
        config,
        own_imagery=None if not old_imagery else [source_name(item) for item in old_imagery],
        model=model,
        workspace_models=models_beside(folder),
    )
    report(_alone(folder, steps, quiet=quiet), as_json=as_json)


def refresh(
    folder: Folder,
    imagery: Imagery = None,
    model: Model = None,
    device: Device = "auto",
    undo: Undo = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Embed those chips anew whose imagery has changed since. Killed, the same command continues it."""
    from geolocator_gui.ml.index.change import refresh_index

    if undo:
        _undo(folder, "refreshing", as_json=as_json, quiet=quiet)
        return

    steps = refresh_index(
        folder,
        imagery=None if not imagery else [source_name(item) for item in imagery],
        model=model,
        workspace_models=models_beside(folder),
        device=device,
    )
    report(_alone(folder, steps, quiet=quiet), as_json=as_json)


def remove(
    folder: Folder,
    area: AreaFile = None,
    bbox: Box = None,
    circle: Circle = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Take the chips of an area out of an index."""
    from geolocator_gui.ml.index.change import remove_area

    steps = remove_area(folder, _one_area(area, bbox, circle))
    report(_alone(folder, steps, quiet=quiet), as_json=as_json)


def _undo(folder: Path, doing: State, *, as_json: bool, quiet: bool) -> None:
    from geolocator_gui.ml.index.undo import undo_change

    _tell(folder, _alone(folder, undo_change(folder, doing), quiet=quiet), as_json=as_json, repair=True)


def _one_area(area: str | None, bbox: str | None, circle: str | None) -> Area:
    from geolocator_gui.geo.area import area_from_bbox, area_from_circle, read_area

    if sum(item is not None for item in (area, bbox, circle)) != 1:
        raise ConfigError("one area is needed", hint="Give one of --area, --bbox and --circle.")
    if area is not None:
        return read_area(Path(area))
    if bbox is not None:
        west, south, east, north = numbers(bbox, 4, "--bbox", "W,S,E,N")
        return area_from_bbox((west, south, east, north))
    lon, lat, radius = numbers(circle or "", 3, "--circle", "LON,LAT,METRES")
    return area_from_circle(lon, lat, radius)


def merge(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR…", help="Two or more indexes of one model.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the new index.")],
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Join indexes of the same model into a new one; chips that they share are taken once."""
    from geolocator_gui.ml.index.merge import merge_indexes

    new, before = not out.exists(), names_in(out)
    run = _run_in(out)
    try:
        with run.lock():
            summary = drive(merge_indexes(folders, out), quiet=quiet)
    except InputError:
        if "run" not in before and names_in(out) == before | {"run"}:  # refused before anything was made
            shutil.rmtree(out if new else run.path)
        raise
    report(summary, as_json=as_json)


def export(
    folder: Folder,
    file: Annotated[Path, typer.Argument(metavar="FILE.zip", help="File to write.")],
    with_imagery: Annotated[
        bool,
        typer.Option("--with-imagery", help="Put the imagery's files in too."),
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write an index as one file: chips, vectors, fingerprint and attribution."""
    from geolocator_gui.ml.index.pack import export_index

    made = drive(export_index(folder, file, with_imagery=with_imagery), quiet=quiet)
    size = made.stat().st_size
    if as_json:
        print_json({"index": str(folder), "file": str(made), "bytes": size})
    else:
        print(f"{made}: {people_bytes(size)}")


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE.zip", help="File that `index export` wrote.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the index; by default the file's name."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Unpack an exported index and check every byte of it."""
    from geolocator_gui.ml.index import read_manifest
    from geolocator_gui.ml.index.pack import import_index

    folder = drive(import_index(file, out or Path.cwd() / file.stem), quiet=quiet)
    count = read_manifest(folder).count
    if as_json:
        print_json({"index": str(folder), "file": str(file), "chips": count})
    else:
        print(f"{folder}: {count:,} chips")


VERBS: dict[str, Callable[..., Any]] = {
    "info": info,
    "verify": verify,
    "extend": extend,
    "refresh": refresh,
    "remove": remove,
    "merge": merge,
    "export": export,
    "import": import_,
}
