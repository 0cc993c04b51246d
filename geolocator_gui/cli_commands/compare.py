"""`geolocator compare`: the same photos under two indexes, side by side."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from geolocator_gui.cli_commands.console import drive, print_json
from geolocator_gui.cli_commands.localise import photos_of
from geolocator_gui.errors import InputError
from geolocator_gui.records import Localisation


def compare(
    photos: Annotated[list[str], typer.Argument(metavar="PHOTO…", help="Photos, or folders of photos.")],
    index: Annotated[
        list[Path],
        typer.Option(metavar="DIR", help="An index; give it twice, usually of the old and the new model."),
    ],
    models: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of further models, such as a workspace's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Locate the same photos in two indexes and say which does better.

    Photos that know their own position tell how far off each answer is; the others show how the score and
    the margin to the second place changed. The difference comes with a 95 % interval (paired bootstrap).
    """
    if len(index) != 2:
        raise InputError(f"two indexes are compared, {len(index)} given", hint="Write --index A --index B.")
    names = photos_of(photos)
    answers = [_localise(folder, names, models, quiet) for folder in index]
    result = compare_answers(answers[0], answers[1], [str(folder) for folder in index])
    if as_json:
        print_json(result)
    else:
        _print(result)


def _localise(folder: Path, names: Sequence[str], models: Path | None, quiet: bool) -> list[Localisation]:
    from geolocator_gui.ml.localise import localise_photos, open_localiser

    beside = folder.resolve().parent.parent / "models"
    with open_localiser(folder, models=models or (beside if beside.is_dir() else None)) as localiser:
        return drive(localise_photos(localiser, names), quiet=quiet)


def compare_answers(
    first: Sequence[Localisation], second: Sequence[Localisation], indexes: Sequence[str]
) -> dict[str, Any]:
    """Rows per photo, a summary per index, and the paired difference of the errors in metres."""
    import numpy as np

    from geolocator_gui.ml.evaluate import paired_bootstrap

    rows = [{"file": a.file, "a": _facts(a), "b": _facts(b)} for a, b in zip(first, second, strict=True)]
    known = [
        (a.error_m, b.error_m)
        for a, b in zip(first, second, strict=True)
        if a.error_m is not None and b.error_m is not None and not (a.outside or b.outside)
    ]
    result: dict[str, Any] = {"indexes": list(indexes), "photos": rows, "with_position": len(known)}
    for key, errors in zip("ab", zip(*known, strict=True) if known else ((), ()), strict=True):
        result[f"median_error_m_{key}"] = statistics.median(errors) if errors else None
        result[f"within_50_m_{key}"] = sum(e <= 50 for e in errors) / len(errors) if errors else None
    if known:
        hits = np.array(known) <= 50
        difference = paired_bootstrap(hits[:, 0].astype(float), hits[:, 1].astype(float))
        result["within_50_m_difference"] = {
            "b_minus_a": difference.mean,
            "low": difference.low,
            "high": difference.high,
        }
    return result


def _facts(answer: Localisation) -> dict[str, Any]:
    best = answer.matches[0] if answer.matches else None
    return {
        "score": None if best is None else best.score,
        "margin": answer.margin,
        "stands_out": answer.stands_out,
        "error_m": None if answer.outside else answer.error_m,
        "error": answer.error,
    }


def _print(result: dict[str, Any]) -> None:
    for letter, folder in zip("AB", result["indexes"], strict=True):
        print(f"{letter}  {folder}")
    print(f"\n{'photo':<28}{'A error':>10}{'B error':>10}{'A score':>9}{'B score':>9}")
    for row in result["photos"]:
        a, b = row["a"], row["b"]
        print(
            f"{Path(row['file']).name[:27]:<28}{_metres(a['error_m']):>10}{_metres(b['error_m']):>10}"
            f"{_score(a['score']):>9}{_score(b['score']):>9}"
        )
    if result["with_position"]:
        gain = result["within_50_m_difference"]
        print(
            f"\n{result['with_position']} photos know their position. Median error "
            f"{_metres(result['median_error_m_a'])} with A, {_metres(result['median_error_m_b'])} with B. "
            f"Within 50 m: {result['within_50_m_a']:.0%} with A, {result['within_50_m_b']:.0%} with B "
            f"(difference {gain['b_minus_a']:+.0%}, 95 % interval {gain['low']:+.0%} to {gain['high']:+.0%})."
        )
    else:
        print("\nNo photo knows its own position inside both indexes, so only scores can be compared.")


def _metres(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f} m"


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
