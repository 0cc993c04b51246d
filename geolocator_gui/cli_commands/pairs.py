"""`geolocator pairs`: own geotagged photos and imagery become pairs to train on; published pairs checked."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from geolocator_gui.cli_commands.console import print_json, run_verb
from geolocator_gui.cli_commands.index_words import source_name
from geolocator_gui.cli_commands.mine import models_beside
from geolocator_gui.errors import ConfigError
from geolocator_gui.pairs_folder import SET_ASIDE, PairsConfig
from geolocator_gui.runs import RunFolder
from geolocator_gui.workspace import Workspace

if TYPE_CHECKING:
    from geolocator_gui.events import Steps
    from geolocator_gui.ml.datasets.own_make import PairsSummary


def pairs(
    photos: Annotated[
        Path | None, typer.Argument(metavar="PHOTOS", help="Folder of geotagged photos, to any depth.")
    ] = None,
    imagery: Annotated[
        list[str] | None,
        typer.Option(metavar="SRC", help="Imagery; given several times, in order of preference."),
    ] = None,
    model: Annotated[
        str, typer.Option(metavar="NAME|DIR", help="The model that will be trained: its chip size is taken.")
    ] = "demo-town",
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="The folder of pairs to make.")] = None,
    workspace: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Its models and tiles; the pairs go there without --out."),
    ] = None,
    side_m: Annotated[
        float | None, typer.Option(metavar="METRES", help="Chip side where the model does not say.")
    ] = None,
    mode: Annotated[
        Literal["auto", "panorama", "perspective", "drone"],
        typer.Option(help="What the photos are; auto finds out one by one."),
    ] = "auto",
    validation: Annotated[float, typer.Option(metavar="SHARE", help="Kept for validation.")] = 0.2,
    margin: Annotated[
        float, typer.Option(metavar="SHARE", help="Room for random offsets beyond each side of a chip.")
    ] = 0.25,
    max_missing: Annotated[
        float, typer.Option(metavar="SHARE", help="Largest part of a chip that the imagery may lack.")
    ] = 0.1,
    unknown_heading: Annotated[
        bool, typer.Option(help="Keep photos that do not say where they look.")
    ] = True,
    one_spot: Annotated[
        bool,
        typer.Option("--keep-one-spot", help="Keep photos even where one exact position holds most of them."),
    ] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the split.")] = 0,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Continue the making in this folder.")
    ] = None,
    check: Annotated[
        str | None,
        typer.Option(metavar="KIND:PATH", help="Only say what is there and what is missing of these pairs."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Make training pairs of geotagged photos and imagery; training and validation share no ground.

    Killed or stopped, the same command continues it; photos added to the folder are added to the pairs.
    """
    if check is not None:
        _check(check, as_json=as_json)
        return
    home = None if workspace is None else Workspace.create(workspace)
    config = None
    if resume is None:
        if photos is None or not imagery:
            raise ConfigError(
                "photos and imagery are needed", hint="Write geolocator pairs PHOTOS --imagery SRC --out DIR."
            )
        config = PairsConfig.from_mapping(
            {
                "photos": str(photos.expanduser().resolve()),
                "imagery": tuple(source_name(item) for item in imagery),
                "model": _absolute(model),
                "side_m": side_m,
                "mode": mode,
                "validation": validation,
                "margin": margin,
                "max_missing": max_missing,
                "unknown_heading": unknown_heading,
                "one_spot": one_spot,
                "seed": seed,
            }
        )
    if resume is not None and RunFolder(resume).path.is_dir() and RunFolder(resume).verb() != "pairs":
        raise ConfigError(
            f"this is a run of `geolocator {RunFolder(resume).verb()}`, not of pairs",
            path=resume,
            hint="Name the folder that `geolocator pairs … --out DIR` made.",
        )
    folder = resume or out
    if folder is None and home is not None and photos is not None:
        folder = home.root / "pairs" / (photos.resolve().name or "photos")
    if folder is None:
        raise ConfigError("no folder is named", hint="Name one with --out DIR or --workspace DIR.")

    def work(config: PairsConfig, folder: Path) -> Steps[PairsSummary]:
        from geolocator_gui.ml.datasets.own_make import make_pairs

        models = models_beside(folder) if home is None else home.models
        tiles = None if home is None else home.tiles
        return make_pairs(config, folder, workspace_models=models, tiles_dir=tiles)

    summary = run_verb("pairs", folder, config, PairsConfig, work, quiet=quiet, summary=asdict)
    if as_json:
        print_json(asdict(summary) | {"folder": str(folder)})
        return
    print("\n".join(summary.sentences()))
    if summary.set_aside:
        print(f"Every photo set aside, with the reason: {folder / SET_ASIDE}")
    print(f"Train on them with --data pairs:{folder}")


def _check(data: str, *, as_json: bool) -> None:
    """The reports of both splits of some pairs."""
    from geolocator_gui.ml.datasets import KINDS, read_pairs

    kind, _, place = data.partition(":")
    if kind == "town":
        words = "The town's pairs are rendered while a run trains: nothing of them can be missing on disk."
        if as_json:
            print_json({"data": data, "splits": {}, "note": words})
        else:
            print(words)
        return
    splits = ("train", "val") if kind not in KINDS or KINDS[kind].trains else ("val",)
    found: dict[str, Any] = {}
    for split in splits:
        report = read_pairs(kind, place, split).report
        found[split] = report.to_dict()
        if not as_json:
            print(f"{split}: {report.found:,} queries, {report.references:,} references")
            for sentence in report.sentences():
                print(f"  {sentence}")
    if as_json:
        print_json({"data": data, "splits": found})


def _absolute(item: str) -> str:
    """A local path made absolute, so that the run can be continued from anywhere; the rest as it is."""
    path = Path(item).expanduser()
    return str(path.resolve()) if "://" not in item and path.exists() else item
