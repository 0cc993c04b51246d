"""`geolocator demo`: the whole job on the town that ships with the program."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geolocator_gui.cli_commands.console import drive, print_json, run_verb
from geolocator_gui.configs import IndexConfig, LocaliseConfig
from geolocator_gui.demo import INDEX, DemoPhoto, create_demo_workspace, demo_index_config, demo_photos
from geolocator_gui.events import Pace, Steps
from geolocator_gui.records import Localisation

if TYPE_CHECKING:
    from geolocator_gui.ml.localise import Localiser


@dataclass(frozen=True)
class DemoRow:
    """What came out for one shipped photo.

    Attributes:
        kind: "panorama", "perspective" or "outside".
        answer: The localisation.
        rank: Of the best chip that contains the true position, None where the truth lies outside.
        chance: Fraction of all chips that contain the true position.
    """

    kind: str
    answer: Localisation
    rank: int | None
    chance: float


def demo(
    workspace: Annotated[
        Path | None,
        typer.Option(help="Folder of the demo workspace; by default in your user data folder."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Locate the shipped photos in the shipped demo town.

    Creates a workspace with the town's imagery, builds its index (or continues a partial one, or takes the
    finished one), localises the 24 shipped photos, and writes a result map you can open in a browser.
    """
    from geolocator_gui.ml.index import build_index
    from geolocator_gui.ml.localise import open_localiser
    from geolocator_gui.report.result_map import write_result_map

    place = create_demo_workspace(workspace)
    folder = place.indexes / INDEX
    began = time.perf_counter()
    run_verb(
        "index",
        folder,
        demo_index_config(place),
        IndexConfig,
        lambda config, thing: build_index(config, thing, workspace_models=place.models),
        summary=lambda built: built.to_dict(),
    )
    index_seconds = time.perf_counter() - began
    localiser = open_localiser(folder, models=place.models)
    try:
        rows = drive(_localise(localiser, demo_photos()))
        bounds, attribution = localiser.index.bounds, localiser.index.attribution
        chips = localiser.index.count
    finally:
        localiser.close()
    page, picture = place.root / "demo-map.html", place.root / "demo-map.png"
    write_result_map(
        page,
        picture,
        [row.answer for row in rows],
        imagery=str(place.root / "imagery" / "town.mbtiles"),
        bounds=bounds,
        attribution=attribution,
        title="Geolocator: the demo town",
    )
    result = _result(rows, chips, index_seconds, page)
    if as_json:
        print_json(result)
    else:
        _print_table(rows, result, picture)


def _localise(localiser: Localiser, photos: Sequence[DemoPhoto]) -> Steps[list[DemoRow]]:
    rows: list[DemoRow] = []
    pace = Pace("Localising photos", len(photos), "photos")
    for photo in photos:
        answer, scores = localiser.localise_with_scores(photo.path, LocaliseConfig())
        own = answer.facts.position if answer.facts is not None else None
        rank, chance = None, 0.0
        if photo.kind != "outside" and own is not None and scores is not None:
            inside = localiser.index.containing(own)
            chance = len(inside) / localiser.index.count
            if len(inside):
                rank = int((scores > scores[inside].max()).sum()) + 1
        rows.append(DemoRow(photo.kind, answer, rank, chance))
        yield from pace.at(len(rows))
    return rows


def _result(rows: Sequence[DemoRow], chips: int, index_seconds: float, page: Path) -> dict[str, Any]:
    panoramas = [row for row in rows if row.kind == "panorama"]
    perspective = [row for row in rows if row.kind == "perspective"]
    return {
        "chips": chips,
        "index_seconds": round(index_seconds, 2),
        "photos": [
            {
                "file": Path(row.answer.file).name,
                "kind": row.kind,
                "rank": row.rank,
                "error_m": row.answer.error_m,
                "score": row.answer.matches[0].score if row.answer.matches else None,
                "margin": row.answer.margin,
                "stands_out": row.answer.stands_out,
                "seconds": round(row.answer.seconds, 3),
            }
            for row in rows
        ],
        "recall_at_1": _recall(panoramas, 1),
        "recall_at_5": _recall(panoramas, 5),
        "chance_recall_at_1": sum(row.chance for row in panoramas) / max(len(panoramas), 1),
        "recall_at_1_perspective": _recall(perspective, 1),
        "map": str(page),
    }


def _recall(rows: Sequence[DemoRow], k: int) -> float:
    return sum(row.rank is not None and row.rank <= k for row in rows) / max(len(rows), 1)


def _print_table(rows: Sequence[DemoRow], result: dict[str, Any], picture: Path) -> None:
    print(f"{'photo':<24}{'kind':<13}{'rank':>5}{'error':>9}{'score':>8}{'seconds':>9}")
    for row, item in zip(rows, result["photos"], strict=True):
        outside = row.kind == "outside"
        rank = "-" if outside else str(item["rank"] or "-")
        error = "-" if outside or item["error_m"] is None else f"{item['error_m']:,.0f} m"
        score = "-" if item["score"] is None else f"{item['score']:.3f}"
        kind = "elsewhere" if outside else row.kind
        print(f"{item['file']:<24}{kind:<13}{rank:>5}{error:>9}{score:>8}{item['seconds']:>9.2f}")
    chance = result["chance_recall_at_1"]
    print(
        f"\n{result['chips']:,} chips, index ready in {result['index_seconds']:.1f} s. "
        f"Panoramas: right chip first {result['recall_at_1']:.0%}, among five {result['recall_at_5']:.0%} "
        f"(chance {chance:.1%}).\nPerspective photos: right chip first "
        f"{result['recall_at_1_perspective']:.0%}.\n\nMap:     {result['map']}\nPicture: {picture}"
    )
