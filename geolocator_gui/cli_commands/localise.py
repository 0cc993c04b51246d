"""`geolocator localise`: where were these photos taken?"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from geolocator_gui.cli_commands.console import drive, print_json
from geolocator_gui.cli_commands.index_words import numbers
from geolocator_gui.configs import LocaliseConfig
from geolocator_gui.errors import ConfigError, IndexFolderError, PhotoError, printable
from geolocator_gui.records import Localisation
from geolocator_gui.workspace import Workspace

if TYPE_CHECKING:
    from geolocator_gui.events import Steps
    from geolocator_gui.ml.localise import Localiser


def localise(
    photos: Annotated[list[str], typer.Argument(metavar="PHOTO…", help="Photos, or folders of photos.")],
    index: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The index to search, as `geolocator index` built it.")
    ] = None,
    workspace: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Search the newest index of this workspace.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME|DIR|FILE", help="Where the index's model is, if it is not found."),
    ] = None,
    top: Annotated[int, typer.Option(metavar="K", help="Number of matches per photo.")] = 5,
    mode: Annotated[
        Literal["panorama", "perspective", "drone"] | None,
        typer.Option(help="What the photos are; guessed from each file if not given."),
    ] = None,
    heading: Annotated[
        float | None,
        typer.Option(metavar="DEG", help="Where the photo's centre looks, degrees clockwise from north."),
    ] = None,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Find the heading out, whatever the photo's file says of it.")
    ] = False,
    fov: Annotated[
        float | None, typer.Option(metavar="DEG", help="Degrees that the photo's width covers.")
    ] = None,
    within: Annotated[
        str | None,
        typer.Option(metavar="FILE|LON,LAT,METRES", help="Search only in this area file or circle."),
    ] = None,
    min_distance: Annotated[
        float | None,
        typer.Option(
            metavar="METRES",
            help="Least distance between two matches; half a chip if not given, 0 for every chip.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    geojson: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the matches as GeoJSON.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the matches as CSV.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Find where photos were taken: ranked places of an index for each photo.

    The photo's own GPS is never used to find it; it is only compared with the answer.
    """
    from geolocator_gui.ml.localise import open_localiser
    from geolocator_gui.report.table import check_table, to_dict, write_table

    for table in (geojson, csv):
        if table is not None:
            check_table(table)
    if sweep and heading is not None:
        raise ConfigError(
            "--sweep and --heading are given together", hint="A sweep finds out the heading: leave one away."
        )
    circle, area = _prior(within)
    options = LocaliseConfig.from_mapping(
        {
            "mode": mode,
            "heading": heading,
            "sweep": sweep,
            "fov": fov,
            "top": top,
            "within": area,
            "within_circle": circle,
            "min_distance_m": min_distance,
        }
    )
    folder, models = _which_index(index, workspace)
    with open_localiser(folder, model=model, models=models, device=device) as localiser:
        answers = drive(_steps(localiser, photos, options), quiet=quiet)
        attribution = localiser.index.attribution
    if geojson is not None:
        write_table(geojson, answers, attribution=attribution)
    if csv is not None:
        write_table(csv, answers, attribution=attribution)
    if as_json:
        print_json([to_dict(answer) for answer in answers])
    else:
        _print(answers)
    bad = [answer for answer in answers if answer.error]
    for answer in bad:
        print(f"geolocator: {printable(answer.file)}: {answer.error}", file=sys.stderr)
    if bad:
        raise typer.Exit(2)


def _steps(localiser: Localiser, photos: Sequence[str], options: LocaliseConfig) -> Steps[list[Localisation]]:
    from geolocator_gui.ml.localise import localise_photos

    return localise_photos(localiser, photos_of(photos), options)


def photos_of(names: Sequence[str]) -> list[str]:
    """The files named, and the photos inside the folders named, in order; says what is passed over there."""
    from geolocator_gui.geo.photo import PHOTO_SUFFIXES

    found: list[str] = []
    for name in names:
        if os.path.isdir(name):  # False where pathlib would raise: an impossible name is a bad photo
            inside = [path for path in sorted(Path(name).iterdir()) if path.is_file()]
            inside = [path for path in inside if not path.name.startswith(".")]
            photos = [str(path) for path in inside if path.suffix.lower() in PHOTO_SUFFIXES]
            others = len(inside) - len(photos)
            if others:
                what = "1 file is no photo and" if others == 1 else f"{others:,} files are no photos and"
                print(f"{printable(name)}: {what} passed over", file=sys.stderr)
            found += photos
        else:
            found.append(name)
    if not found:
        raise PhotoError(
            "there is no photo in this folder", path=names[0], hint="Name photos, or another folder."
        )
    return found


def _prior(within: str | None) -> tuple[tuple[float, ...] | None, str | None]:
    if within is None:
        return None, None
    file = os.path.expanduser(within)
    if os.path.exists(file) or "," not in within:
        return None, file
    return numbers(within, 3, "--within", "LON,LAT,METRES"), None


def _which_index(index: Path | None, workspace: Path | None) -> tuple[Path, Path | None]:
    """The index folder, and where the workspace keeps its models."""
    from geolocator_gui.ml.index import Index

    if workspace is None:
        if index is None:
            raise ConfigError("no index is named", hint="Name one with --index DIR or --workspace DIR.")
        root = index.resolve().parent.parent
        return index, root / "models" if (root / "workspace.toml").exists() else None
    opened = Workspace.open(workspace)
    if index is not None:
        return index, opened.models
    whole = [folder for folder in sorted(opened.indexes.iterdir()) if Index.is_finished(folder)]
    if not whole:
        raise IndexFolderError(
            "this workspace has no finished index",
            path=workspace,
            hint="Build one with `geolocator index --imagery … --workspace` this folder.",
        )
    return max(whole, key=lambda folder: (folder / "index.json").stat().st_mtime), opened.models


def _print(answers: Sequence[Localisation]) -> None:
    for answer in answers:
        print(printable(answer.file))
        if answer.error:
            print(f"  {answer.error}")
            continue
        print(f"  {answer.sentence}")
        if answer.note:
            print(f"  {answer.note}")
        if answer.error_m is not None and answer.fused is not None:
            lon, lat = answer.fused.position
            print(
                f"  best position {lat:.6f}, {lon:.6f} (± {answer.fused.spread_m:.0f} m): "
                f"{answer.error_m:,.0f} m from the photo's own GPS position"
            )
        for match in answer.matches:
            looking = "" if match.heading is None else f"  heading {match.heading:.0f}°"
            print(
                f"  {match.rank:3d}. {match.position.lat:10.6f}, {match.position.lon:11.6f}"
                f"  score {match.score:.3f}  chip {match.chip}{looking}"
            )
