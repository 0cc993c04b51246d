"""Mined confusions as plain records, and as CSV and GeoJSON. No Qt, no torch."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geolocator_gui.errors import FaultError, InputError
from geolocator_gui.records import BoundingBox, LonLat
from geolocator_gui.report.table import safe_cell
from geolocator_gui.workspace import write_atomically


@dataclass(frozen=True)
class SeenChip:
    """A chip as it stands in a mining, about one photo.

    Attributes:
        id: Stable id.
        cosine: Similarity to the photo.
        rank: From 1 among all chips, 0 where unknown.
        margin: Cosine of the own chip minus this one; None where there is none.
        distance_m: From where the photo was taken, None where unknown.
        flag: "", "same_place", "near_twin", "far_twin".
        position: Centre, None where unknown.
        bounds: Outline, None where unknown.
        file: Its image, "" when it is cut from imagery.
        verdict: What a person said, "" for nothing.
        note: What was noted.
    """

    id: str
    cosine: float
    rank: int = 0
    margin: float | None = None
    distance_m: float | None = None
    flag: str = ""
    position: LonLat | None = None
    bounds: BoundingBox | None = None
    file: str = ""
    verdict: str = ""
    note: str = ""


@dataclass(frozen=True)
class Confusion:
    """A photo, its own chip and its impostors.

    Attributes:
        id: Stable id of the photo.
        name: File name for people.
        file: The photo, "" for none.
        area: City or area.
        position: Where it was taken, None where unknown.
        suspect: Whether the pair looks wrong.
        own: Its own chip, None without one.
        impostors: By rank.
    """

    id: str
    name: str
    file: str = ""
    area: str = ""
    position: LonLat | None = None
    suspect: bool = False
    own: SeenChip | None = None
    impostors: tuple[SeenChip, ...] = ()


_COLUMNS = (
    "query", "file", "area", "lon", "lat", "own_chip", "own_rank", "own_cosine", "suspect_pair", "candidate",
    "rank", "cosine", "margin", "distance_m", "flag", "candidate_lon", "candidate_lat", "verdict", "note",
    "attribution",
)  # fmt: skip


def csv_text(confusions: Iterable[Confusion], *, attribution: str = "") -> str:
    """A row per photo and impostor; a photo without impostors has one row."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(_COLUMNS)
    for item in confusions:
        own = item.own
        head = [
            safe_cell(item.id),
            safe_cell(item.file or item.name),
            safe_cell(item.area),
            *_degrees(item.position),
            safe_cell(own.id) if own is not None else "",
            own.rank if own is not None else "",
            f"{own.cosine:.6f}" if own is not None else "",
            "yes" if item.suspect else "no",
        ]
        for chip in item.impostors or (None,):
            if chip is None:
                rows.writerow([*head, *[""] * 8, *_said(own), safe_cell(attribution)])
                continue
            rows.writerow(
                [
                    *head,
                    safe_cell(chip.id),
                    chip.rank,
                    f"{chip.cosine:.6f}",
                    "" if chip.margin is None else f"{chip.margin:.6f}",
                    "" if chip.distance_m is None else f"{chip.distance_m:.1f}",
                    chip.flag,
                    *_degrees(chip.position),
                    *_said(chip),
                    safe_cell(attribution),
                ]
            )
    return out.getvalue()


def geojson(confusions: Iterable[Confusion], *, attribution: str = "") -> dict[str, Any]:
    """A FeatureCollection: photos as points, chips as outlines, lines from each photo to its impostors."""
    features: list[dict[str, Any]] = []

    def add(geometry: dict[str, Any], **properties: Any) -> None:
        features.append({"type": "Feature", "geometry": geometry, "properties": properties})

    for item in confusions:
        if item.position is not None:
            point = {"type": "Point", "coordinates": list(item.position)}
            add(point, kind="photo", query=item.id, file=item.file, area=item.area, suspect_pair=item.suspect)
        for kind, chip in [("own", item.own), *(("impostor", chip) for chip in item.impostors)]:
            if chip is None:
                continue
            facts = {
                "query": item.id,
                "chip": chip.id,
                "rank": chip.rank,
                "cosine": chip.cosine,
                "margin": chip.margin,
                "distance_m": chip.distance_m,
                "flag": chip.flag,
                "verdict": chip.verdict,
                "note": chip.note,
            }
            if chip.bounds is not None:
                add({"type": "Polygon", "coordinates": [_ring(chip.bounds)]}, kind=kind, **facts)
            if kind == "impostor" and item.position is not None and chip.position is not None:
                line = [list(item.position), list(chip.position)]
                add({"type": "LineString", "coordinates": line}, kind="confusion", **facts)
    return {"type": "FeatureCollection", "attribution": attribution, "features": features}


def write_confusions(path: Path, confusions: Sequence[Confusion], *, attribution: str = "") -> None:
    """Write in the format that the suffix names: .csv or .geojson.

    Raises:
        InputError: Another suffix.
        FaultError: The file cannot be written.
    """
    match path.suffix.lower():
        case ".csv":
            text = csv_text(confusions, attribution=attribution)
        case ".geojson":
            text = json.dumps(geojson(confusions, attribution=attribution), ensure_ascii=False)
        case _:
            raise InputError(
                "the ending of this file names no known format", path=path, hint="Use .csv or .geojson."
            )
    try:
        write_atomically(path, text)
    except OSError as error:
        raise FaultError(f"the file cannot be written ({error.strerror or error})", path=path) from error


def _degrees(position: LonLat | None) -> tuple[str, str]:
    return ("", "") if position is None else (f"{position.lon:.7f}", f"{position.lat:.7f}")


def _said(chip: SeenChip | None) -> tuple[str, str]:
    return ("", "") if chip is None else (chip.verdict, safe_cell(chip.note))


def _ring(bounds: BoundingBox) -> list[list[float]]:
    west, south, east, north = bounds
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]
