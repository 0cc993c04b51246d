"""`geolocator mine`: which chips does the model confuse with the right one?"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from geolocator_gui.cli_commands.console import print_json, run_verb
from geolocator_gui.errors import ConfigError
from geolocator_gui.marks import read_marks
from geolocator_gui.mined import MineConfig

if TYPE_CHECKING:
    from geolocator_gui.events import Steps
    from geolocator_gui.ml.mining.mine import MiningSummary


def mine(
    data: Annotated[
        str | None, typer.Option(metavar="KIND:PATH", help="Pairs to mine, for example town: or cvusa:DIR.")
    ] = None,
    index: Annotated[Path | None, typer.Option(metavar="DIR", help="Or: an index, with --photos.")] = None,
    photos: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Geotagged photos that lie in the index's area.")
    ] = None,
    model: Annotated[
        str, typer.Option(metavar="NAME|DIR", help="The model; by default the index's, or demo-town.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the mining; the same command continues it.")
    ] = None,
    neighbours: Annotated[int, typer.Option(metavar="K", help="Most similar chips per photo.")] = 128,
    geographic: Annotated[
        int | None, typer.Option(metavar="K", help="Nearest chips per photo; as many if not given.")
    ] = None,
    near_sides: Annotated[
        float, typer.Option(metavar="N", help="Chip sides up to which a similar chip counts as near.")
    ] = 3.0,
    side_m: Annotated[
        float | None, typer.Option(metavar="METRES", help="Chip side where the data do not say.")
    ] = None,
    split: Annotated[Literal["train", "val"], typer.Option(help="Part of the data.")] = "train",
    limit: Annotated[int | None, typer.Option(metavar="N", help="Only the first pairs or photos.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    compare: Annotated[
        Path | None, typer.Option(metavar="DIR", help="An earlier mining of the same photos to compare with.")
    ] = None,
    marks: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="marks.csv: says how many judged confusions are resolved."),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Continue the mining in this folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Mine hard negatives: similar and near chips of every photo, with what kind of confusion each is.

    Writes negatives.parquet (a row per photo and candidate), queries.parquet and chips.parquet.
    """
    folder = resume or out
    if folder is None:
        raise ConfigError("no folder is named", hint="Name one with --out DIR.")
    if marks is not None:
        if not marks.is_file():
            raise ConfigError(
                "there is no such marks file", path=marks, hint="Name a marks.csv, or leave it out."
            )
        read_marks(marks)  # a damaged one is refused before the work, not after it
    config = None
    if resume is None:
        config = MineConfig.from_mapping(
            {
                "data": _absolute(data),
                "index": None if index is None else str(index.resolve()),
                "photos": None if photos is None else str(photos.resolve()),
                "model": str(Path(model).resolve()) if model and Path(model).exists() else model,
                "neighbours": neighbours,
                "geographic": geographic,
                "near_sides": near_sides,
                "side_m": side_m,
                "split": split,
                "limit": limit,
                "device": device,
                "compare": None if compare is None else str(compare.resolve()),
                "marks": None if marks is None else str(marks.resolve()),
            }
        )
    work = partial(_work, must_compare=resume is None)
    summary = run_verb("mine", folder, config, MineConfig, work, quiet=quiet, summary=_facts)
    result: dict[str, Any] = _facts(summary) | {"folder": str(folder)}
    if resume is not None and compare is not None:
        from geolocator_gui.mined_moves import add_moves

        result["moves"] = add_moves(folder, compare, read_marks(marks) if marks is not None else ()).facts()
    if as_json:
        print_json(result)
        return
    print(
        f"{summary.queries:,} photos against {summary.chips:,} chips: {summary.recall_at_1:.1f} % rank their "
        f"own chip first.\n{summary.far_twin:,} far twins, {summary.near_twin:,} near twins, "
        f"{summary.same_place:,} candidates at the same place, {summary.suspect_pairs:,} suspect pairs.\n"
        f"{folder / 'negatives.parquet'}"
    )
    if (moves := result["moves"]) is not None:
        from geolocator_gui.mined_moves import in_words

        print(in_words(moves))


def _work(config: MineConfig, folder: Path, *, must_compare: bool) -> Steps[MiningSummary]:
    from geolocator_gui.ml.mining.sources import run_mining

    return run_mining(config, folder, workspace_models=models_beside(folder), must_compare=must_compare)


def models_beside(folder: Path) -> Path | None:
    """The models of the workspace that a mining or training folder lies in, if it does."""
    root = folder.resolve().parent.parent
    return root / "models" if (root / "workspace.toml").exists() else None


def _facts(summary: MiningSummary) -> dict[str, object]:
    return asdict(summary)


def _absolute(data: str | None) -> str | None:
    """KIND:PATH with the path made absolute if there is one: a run may be continued from elsewhere."""
    if data is None:
        return None
    kind, _, place = data.partition(":")
    return f"{kind}:{Path(place).resolve()}" if place and Path(place).exists() else data
