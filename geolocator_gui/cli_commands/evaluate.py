"""`geolocator evaluate`: the published figures of one or several models on pairs."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from geolocator_gui.cli_commands.console import drive, print_json, run_verb
from geolocator_gui.cli_commands.mine import models_beside
from geolocator_gui.mined import EvaluateConfig

if TYPE_CHECKING:
    from geolocator_gui.events import Steps
    from geolocator_gui.ml.evaluate import Evaluation


def evaluate(
    data: Annotated[
        str, typer.Option(metavar="KIND:PATH", help="Pairs to evaluate on, for example town: or cvusa:DIR.")
    ] = "town:",
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|DIR", help="The model; given several times, the models are compared."),
    ] = None,
    split: Annotated[Literal["train", "val"], typer.Option(help="Part of the data.")] = "val",
    limit: Annotated[int | None, typer.Option(metavar="N", help="Only the first pairs.")] = None,
    views: Annotated[
        bool, typer.Option("--views", help="Also by field of view, with known and unknown heading.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep vectors and result here; the same command continues."),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Continue the evaluation in this folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Evaluate a model on pairs: recalls, hit rates, AP, recall within metres, each beside chance."""
    folder = resume or out
    config = None
    if resume is None:
        kind, _, place = data.partition(":")
        config = EvaluateConfig.from_mapping(
            {
                "data": f"{kind}:{Path(place).resolve()}" if place and Path(place).exists() else data,
                "models": [
                    str(Path(one).resolve()) if Path(one).exists() else one for one in model or ["demo-town"]
                ],
                "split": split,
                "limit": limit,
                "views": views,
                "device": device,
            }
        )
    if folder is not None:
        evaluations = run_verb(
            "evaluate",
            folder,
            config,
            EvaluateConfig,
            _work,
            quiet=quiet,
            summary=lambda found: result(found, 1000),
        )
    else:
        assert config is not None  # without --resume there is always one
        with tempfile.TemporaryDirectory(prefix="geolocator-") as scratch:
            evaluations = drive(_work(config, Path(scratch)), quiet=quiet)
    draws = config.draws if config is not None else EvaluateConfig.model_fields["draws"].default
    if as_json:
        print_json(result(evaluations, draws))
    else:
        _print(evaluations, result(evaluations, draws))


def _work(config: EvaluateConfig, folder: Path) -> Steps[list[Evaluation]]:
    from geolocator_gui.ml.evaluate import run_evaluation

    return run_evaluation(config, folder, workspace_models=models_beside(folder))


def result(evaluations: Sequence[Evaluation], draws: int) -> dict[str, Any]:
    """What `--json` prints: every model's figures, and each later model's difference to the first."""
    from geolocator_gui.ml.evaluate import compare

    first = evaluations[0]
    return {
        "models": [one.to_dict() for one in evaluations],
        "differences": [
            {
                "from": first.model,
                "to": other.model,
                **{
                    name: {"mean": found.mean, "low": found.low, "high": found.high}
                    for name, found in compare(first, other, draws=draws).items()
                },
            }
            for other in evaluations[1:]
        ],
    }


def _print(evaluations: Sequence[Evaluation], found: dict[str, Any]) -> None:
    first = evaluations[0]
    print(f"{first.data}: {first.queries:,} queries, {first.references:,} references\n")
    names = [name for name in first.figures if not name.endswith(" chance")]
    print(f"{'':<24}" + "".join(f"{one.model[:18]:>20}" for one in evaluations) + f"{'chance':>14}")
    for name in names:
        values = "".join(f"{one.figures.get(name, float('nan')):>20.2f}" for one in evaluations)
        print(f"{name:<24}{values}{first.figures[f'{name} chance']:>14.2f}")
    if first.views:
        print(f"\n{'R@1 by view':<24}")
        for view in first.views:
            print(f"{view:<24}" + "".join(f"{one.views[view]['R@1']:>20.2f}" for one in evaluations))
    for difference in found["differences"]:
        print(f"\n{difference['to']} minus {difference['from']} (95 % interval, paired bootstrap):")
        for name in ("R@1", "R@5", "R@10"):
            value = difference[name]
            print(f"{name:<24}{value['mean']:+.2f} ({value['low']:+.2f} to {value['high']:+.2f}) points")
