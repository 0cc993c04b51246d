"""`geolocator index`: build an index of an area, and look after it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geolocator_gui.cli_commands import index_care
from geolocator_gui.cli_commands.console import people_time, print_json, run_verb
from geolocator_gui.cli_commands.index_words import (
    absolute,
    keep_tiles_in,
    levels_of,
    models_beside,
    numbers,
    people_bytes,
    report,
    source_name,
)
from geolocator_gui.configs import IndexConfig
from geolocator_gui.errors import ConfigError
from geolocator_gui.runs import RunFolder
from geolocator_gui.workspace import Workspace, slug

if TYPE_CHECKING:
    from geolocator_gui.events import Steps
    from geolocator_gui.ml.index import Estimate, IndexSummary

app = typer.Typer(
    help="Build an index: embed the imagery of an area, so that photos can be found in it.",
    invoke_without_command=True,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]


@app.callback()
def index(
    context: typer.Context,
    imagery: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SRC",
            help="Satellite or aerial imagery: a file (MBTiles, PMTiles, GeoTIFF), a folder of tiles, a tile "
            "address, a WMS or WMTS, provider://NAME. Several are tried in this order.",
        ),
    ] = None,
    area: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Area file (GeoJSON, KML, KMZ, GPX, Shapefile, GeoPackage)."),
    ] = None,
    bbox: Annotated[
        str | None, typer.Option(metavar="W,S,E,N", help="Area as a box in degrees, instead of --area.")
    ] = None,
    circle: Annotated[
        str | None,
        typer.Option(metavar="LON,LAT,METRES", help="Area as centre and radius, instead of --area."),
    ] = None,
    model: Annotated[
        str, typer.Option(metavar="NAME|DIR|FILE", help="Model: a name from `geolocator model list`.")
    ] = "demo-town",
    overlap: Annotated[
        float | None, typer.Option(metavar="F", help="Overlap of neighbouring chips, 0 to 0.75.")
    ] = None,
    side_m: Annotated[
        float | None, typer.Option(metavar="METRES", help="Chip side, for models that do not name it.")
    ] = None,
    levels: Annotated[
        str, typer.Option(metavar="1[,2[,4]]", help="Levels of detail: chips of 1, 2 and 4 times the side.")
    ] = "1",
    batch_size: Annotated[int, typer.Option(metavar="N", help="Chips per committed batch.")] = 64,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    backend: Annotated[str, typer.Option(help="auto, torch or openvino.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16, fp16 or int8.")] = "auto",
    threads: Annotated[int | None, typer.Option(metavar="N", help="CPU threads for the model.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the index; made if it does not exist.")
    ] = None,
    workspace: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Put the index into this workspace, instead of --out.")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Continue the index of this folder as it was begun; with --imagery, if that was moved.",
        ),
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Print chips, tiles, bytes and seconds, and build nothing.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Build an index: embed the imagery of an area, so that photos can be found in it.

    Killed or stopped, the same command continues it. Without an area the whole imagery is taken.
    """
    if context.invoked_subcommand is not None:
        _none_before_a_verb(context)
        return
    if resume is not None:
        _only_with_resume(context)
        models = models_beside(resume)
        if models is not None:
            keep_tiles_in(models.parent / "tiles")
        moved: dict[str, Any] = {"imagery": tuple(source_name(item) for item in imagery)} if imagery else {}
        if _given(context, "device"):
            moved["device"] = device
        if _given(context, "threads"):
            moved["threads"] = threads
        builder = _builder(models, moved)
        summary = run_verb("index", resume, None, IndexConfig, builder, quiet=quiet, summary=_facts)
        report(summary, as_json=as_json)
        return
    config = IndexConfig.from_mapping(
        {
            "imagery": tuple(source_name(item) for item in imagery or ()),
            "area": None if area is None else absolute(area),
            "bbox": None if bbox is None else numbers(bbox, 4, "--bbox", "W,S,E,N"),
            "circle": None if circle is None else numbers(circle, 3, "--circle", "LON,LAT,METRES"),
            "model": absolute(model),
            "overlap": overlap,
            "side_m": side_m,
            "levels": levels_of(levels),
            "batch_size": batch_size,
            "device": device,
            "backend": backend,
            "precision": precision,
            "threads": threads,
        }
    )
    if not config.imagery:
        raise ConfigError("no imagery is named", hint="Name one with --imagery FILE.")
    if out is not None and workspace is not None:
        raise ConfigError(
            "--out and --workspace are given together",
            hint="An index goes into a folder of its own (--out) or into a workspace (--workspace).",
        )
    opened = None if workspace is None else _workspace(workspace, new=not estimate)
    models = None if opened is None else opened.models
    if opened is not None:
        keep_tiles_in(opened.tiles)
    if estimate:
        from geolocator_gui.ml.index import estimate_index

        _tell_estimate(estimate_index(config, workspace_models=models), as_json=as_json)
        return
    folder = out or _folder(config, opened)
    summary = run_verb("index", folder, config, IndexConfig, _builder(models), quiet=quiet, summary=_facts)
    report(summary, as_json=as_json)


def _given(context: typer.Context, name: str) -> bool:
    """Whether an option stands on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _none_before_a_verb(context: typer.Context) -> None:
    """Refuse options of a build that stand before a verb on an index, rather than ignore them."""
    for name in context.params:
        if _given(context, name):
            raise ConfigError(
                f"--{name.replace('as_', '').replace('_', '-')} stands before '{context.invoked_subcommand}'",
                hint=f"Write the options of `index {context.invoked_subcommand}` after its name.",
            )


def _workspace(folder: Path, *, new: bool) -> Workspace | None:
    """The workspace that an index goes into; where none may be made, None if there is none yet."""
    if new:
        return Workspace.create(folder)
    root = folder.expanduser()
    return Workspace.open(root) if root.is_dir() and any(root.iterdir()) else None


def _only_with_resume(context: typer.Context) -> None:
    """Refuse what an index that was begun cannot change any more, rather than ignore it."""
    free = {"resume", "imagery", "device", "threads", "as_json", "quiet"}
    for name in sorted(set(context.params) - free):
        if _given(context, name):
            raise ConfigError(
                f"--{name.replace('_', '-')} cannot be changed with --resume",
                hint="An index is continued as it was begun; only --imagery (where it is now), --device and "
                "--threads may be named.",
            )


def _builder(
    models: Path | None, moved: Mapping[str, Any] | None = None
) -> Callable[[IndexConfig, Path], Steps[IndexSummary]]:
    """What builds an index; `moved` are settings of where and on what, which may change on the way."""

    def work(config: IndexConfig, folder: Path) -> Steps[IndexSummary]:
        from geolocator_gui.ml.index import build_index

        known = _found_again(config, folder) if not (moved or {}).get("imagery") else config
        return build_index(known.model_copy(update=moved), folder, workspace_models=models)

    return work


def _found_again(config: IndexConfig, folder: Path) -> IndexConfig:
    """The settings with the imagery where it is now, if it was moved together with the index."""
    from geolocator_gui.ml.index import read_manifest
    from geolocator_gui.ml.index.plan import find_sources, local_part

    paths = [local_part(item)[0] for item in config.imagery]
    if all(path is None or path.exists() for path in paths) or not (folder / "index.json").exists():
        return config
    found = find_sources(
        read_manifest(folder), folder, option="`geolocator index --resume` this folder --imagery"
    )
    return config.model_copy(update={"imagery": found})


def _facts(summary: IndexSummary) -> dict[str, object]:
    return summary.to_dict()


def _tell_estimate(found: Estimate, *, as_json: bool) -> None:
    if as_json:
        print_json(dataclasses.asdict(found))
        return
    for note in found.notes:
        print(note)
    print(f"area      {found.km2:,.3f} km²")
    print(f"chips     {found.chips:,} of {found.side_m:g} m")
    print(f"tiles     {found.tiles:,}")
    print(f"on disk   {people_bytes(found.bytes)}")
    print(f"time      {people_time(found.seconds)} with {found.model} on {found.device}, measured just now")


def _folder(config: IndexConfig, workspace: Workspace | None) -> Path:
    """Where the index goes without --out: the folder begun with these settings, else a new one."""
    stem = slug(Path(config.area or config.imagery[0]).stem)
    parent = Path.cwd() if workspace is None else workspace.indexes
    ending = ".index" if workspace is None else ""
    number = 1
    while True:
        folder = parent / (stem + ("" if number == 1 else f"-{number}") + ending)
        if not folder.exists():
            return folder
        run = RunFolder(folder)
        if (run.path / "config.toml").exists() and run.read_config(IndexConfig) == config:
            return folder
        number += 1


for _name, _verb in index_care.VERBS.items():
    app.command(_name)(_verb)
