"""Localisations as JSON, GeoJSON, CSV, KML and GeoPackage.

File names and texts are data: they are escaped for each format and never become markup or formulas.
"""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from geolocator_gui.errors import FaultError, InputError
from geolocator_gui.geo.projection import distance_m
from geolocator_gui.records import Localisation, Match
from geolocator_gui.workspace import write_atomically

_COLUMNS = (
    "file",
    "rank",
    "chip",
    "score",
    "lon",
    "lat",
    "west",
    "south",
    "east",
    "north",
    "heading",
    "exif_lon",
    "exif_lat",
    "error_m",
    "error",
    "attribution",
    "answer_lon",
    "answer_lat",
    "match_error_m",
)


def to_dict(localisation: Localisation) -> dict[str, Any]:
    """The JSON form that `geolocator localise --json` promises; degrees and metres."""
    facts = localisation.facts
    exif = None
    if facts is not None and facts.position is not None:
        exif = {"lon": facts.position.lon, "lat": facts.position.lat, "heading": facts.heading}
    fused = localisation.fused
    return {
        "file": localisation.file,
        "mode": localisation.mode,
        "matches": [_match_dict(match) for match in localisation.matches],
        "fused": None
        if fused is None
        else {"lon": fused.position.lon, "lat": fused.position.lat, "spread_m": fused.spread_m},
        "margin": localisation.margin,
        "stands_out": localisation.stands_out,
        "chance": localisation.chance,
        "note": localisation.note,
        "sentence": localisation.sentence,
        "exif": exif,
        "error_m": localisation.error_m,
        "outside": localisation.outside,
        "seconds": localisation.seconds,
        "error": localisation.error,
    }


def _match_dict(match: Match) -> dict[str, Any]:
    return {
        "rank": match.rank,
        "chip": match.chip,
        "score": match.score,
        "lon": match.position.lon,
        "lat": match.position.lat,
        "bounds": list(match.bounds),
        "heading": match.heading,
    }


def geojson(localisations: Iterable[Localisation], *, attribution: str = "") -> dict[str, Any]:
    """A FeatureCollection: one polygon per match, one point per photo's own and fused position."""
    features: list[dict[str, Any]] = []

    def add(geometry: dict[str, Any], **properties: Any) -> None:
        features.append({"type": "Feature", "geometry": geometry, "properties": properties})

    for item in localisations:
        for match in item.matches:
            add(
                {"type": "Polygon", "coordinates": [_ring(match)]},
                kind="match",
                file=item.file,
                **{key: value for key, value in _match_dict(match).items() if key != "bounds"},
                match_error_m=_match_error(item, match),
            )
        if item.fused is not None:
            add(
                {"type": "Point", "coordinates": list(item.fused.position)},
                kind="fused",
                file=item.file,
                spread_m=item.fused.spread_m,
                sentence=item.sentence,
            )
        if item.facts is not None and item.facts.position is not None:
            add(
                {"type": "Point", "coordinates": list(item.facts.position)},
                kind="exif",
                file=item.file,
                error_m=item.error_m,
            )
    return {"type": "FeatureCollection", "attribution": attribution, "features": features}


def _match_error(item: Localisation, match: Match) -> float | None:
    """Geodesic metres from a match's centre to the photo's own position, None without one."""
    if item.facts is None or item.facts.position is None:
        return None
    return float(distance_m(match.position, item.facts.position))


def _ring(match: Match) -> list[list[float]]:
    west, south, east, north = match.bounds
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def csv_text(localisations: Iterable[Localisation], *, attribution: str = "") -> str:
    """One row per match; a photo without matches has one row with its error.

    `error_m` belongs to the answer (`answer_lon`, `answer_lat`), `match_error_m` to the row's own match.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_COLUMNS)
    for item in localisations:
        exif = item.facts.position if item.facts is not None else None
        own = [exif.lon, exif.lat] if exif is not None else ["", ""]
        tail = ["" if item.error_m is None else f"{item.error_m:.1f}", safe_cell(item.error or "")]
        answer = ["", ""] if item.fused is None else [f"{value:.7f}" for value in item.fused.position]
        for match in item.matches:
            away = _match_error(item, match)
            rows.writerow(
                [
                    safe_cell(item.file),
                    match.rank,
                    match.chip,
                    f"{match.score:.6f}",
                    *(f"{value:.7f}" for value in (*match.position, *match.bounds)),
                    "" if match.heading is None else f"{match.heading:.1f}",
                    *own,
                    *tail,
                    safe_cell(attribution),
                    *answer,
                    "" if away is None else f"{away:.1f}",
                ]
            )
        if not item.matches:
            rows.writerow([safe_cell(item.file), *[""] * 10, *own, *tail, safe_cell(attribution), "", "", ""])
    return text.getvalue()


def safe_cell(text: str) -> str:
    """A spreadsheet must not take a file name for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def kml(localisations: Iterable[Localisation], *, attribution: str = "") -> str:
    """Placemarks for every match, the fused and the photo's own position."""
    marks: list[str] = []

    def point(name: str, lon: float, lat: float, text: str) -> None:
        marks.append(
            f"<Placemark><name>{_xml(name)}</name><description>{_xml(text)}</description>"
            f"<Point><coordinates>{lon:.7f},{lat:.7f}</coordinates></Point></Placemark>"
        )

    for item in localisations:
        name = Path(item.file).name
        for match in item.matches:
            point(f"{name} #{match.rank}", *match.position, f"score {match.score:.3f}, chip {match.chip}")
        if item.fused is not None:
            spread = f"spread {item.fused.spread_m:.0f} m. {item.sentence}"
            point(f"{name} fused position", *item.fused.position, spread)
        if item.facts is not None and item.facts.position is not None:
            point(f"{name} own position", *item.facts.position, "from the photo's EXIF")
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<kml xmlns="http://www.opengis.net/kml/2.2"><Document>'
        f"<name>Geolocator</name><description>{_xml(attribution)}</description>"
        + "".join(marks)
        + "</Document></kml>\n"
    )


def _xml(text: str) -> str:
    return escape("".join(c if c.isprintable() else " " for c in text))


def gpx(localisations: Iterable[Localisation]) -> str:
    """Waypoints: the fused position of every photo, else its first match."""
    points: list[str] = []
    for item in localisations:
        position = item.fused.position if item.fused else (item.matches[0].position if item.matches else None)
        if position is not None:
            points.append(
                f'<wpt lat="{position.lat:.7f}" lon="{position.lon:.7f}">'
                f"<name>{_xml(Path(item.file).name)}</name><desc>{_xml(item.sentence)}</desc></wpt>"
            )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<gpx version="1.1" creator="Geolocator" xmlns="http://www.topografix.com/GPX/1/1">'
        + "".join(points)
        + "</gpx>\n"
    )


FORMATS = (".geojson", ".json", ".csv", ".kml", ".gpx", ".gpkg")


def check_table(path: Path) -> None:
    """Refuse, before any work is done, a file that `write_table` could not write; raises `InputError`."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(
            "the ending of this file names no known format",
            path=path,
            hint=f"Use {', '.join(FORMATS[:-1])} or {FORMATS[-1]}.",
        )
    if not path.parent.is_dir():
        raise InputError(
            "the folder of this file does not exist", path=path, hint="Make the folder, or name another."
        )
    hint = "Name a file in a folder that you may write to."
    if path.is_dir():
        raise InputError("this is a folder", path=path, hint=hint)
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise InputError(
            f"files cannot be written into this folder ({error.strerror or error})",
            path=path.parent,
            hint=hint,
        ) from error


def write_table(path: Path, localisations: Sequence[Localisation], *, attribution: str = "") -> None:
    """Write in the format that the file's suffix names: .geojson, .json, .csv, .kml, .gpx, .gpkg.

    Raises:
        InputError: Another suffix, or a folder that does not exist.
        FaultError: The file cannot be written.
    """
    check_table(path)
    suffix = path.suffix.lower()
    try:
        if suffix == ".geojson":
            text = json.dumps(geojson(localisations, attribution=attribution), ensure_ascii=False)
        elif suffix == ".json":
            text = json.dumps([to_dict(item) for item in localisations], indent=2, ensure_ascii=False)
        elif suffix == ".csv":
            text = csv_text(localisations, attribution=attribution)
        elif suffix == ".kml":
            text = kml(localisations, attribution=attribution)
        elif suffix == ".gpx":
            text = gpx(localisations)
        else:
            _write_geopackage(path, localisations, attribution)
            return
        write_atomically(path, text)
    except OSError as error:
        raise _unwritten(path, f" ({error.strerror or error})") from error


def _unwritten(path: Path, why: str = "") -> FaultError:
    hint = "Check free space and permissions, or choose another folder."
    return FaultError(f"the file cannot be written{why}", path=path, hint=hint)


def _write_geopackage(path: Path, localisations: Sequence[Localisation], attribution: str) -> None:
    import geopandas

    features = geojson(localisations, attribution=attribution)["features"]
    if not features:
        raise InputError("there is nothing to write: no photo has a match", path=path)
    for feature in features:
        fields = feature["properties"]
        # A file name may hold bytes that are no text; they are written escaped.
        fields["file"] = fields["file"].encode(errors="backslashreplace").decode()
        fields["attribution"] = attribution
    table = geopandas.GeoDataFrame.from_features(features, crs="EPSG:4326")
    with tempfile.TemporaryDirectory(prefix=".geolocator-", dir=path.parent) as scratch:
        made = Path(scratch) / "matches.gpkg"
        try:
            for kind, rows in table.groupby("kind"):
                rows.drop(columns="kind").to_file(made, layer=str(kind), driver="GPKG")
        except RuntimeError as error:  # pyogrio's: a full disk is told as SQL
            raise _unwritten(path) from error
        made.replace(path)  # the file that was there before stays until the new one is whole
