"""What a workspace holds, as rows for lists: models, indexes, areas. Plain data without Qt or torch."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from geolocator_gui import paths
from geolocator_gui.configs import IndexConfig, ModelConfig
from geolocator_gui.errors import ConfigError
from geolocator_gui.gui.translation import translate
from geolocator_gui.records import BoundingBox
from geolocator_gui.runs import RunFolder, RunState
from geolocator_gui.workspace import Workspace

# What `ml.index.manifest` writes; said again here because importing that loads half of the program.
INDEX_SCHEMA = 1
INDEX_FIELDS = {
    *("checksum", "schema_version", "state", "fingerprint", "model", "imagery", "parts", "whole_parts"),
    *("removed", "encoder", "generation", "segments", "count", "skipped", "filled", "files"),
    *("journal_sha256", "settings_sha256", "merged_from", "changes", "timings", "created"),
}
IndexState = Literal["ready", "building", "waiting", "stopped", "failed", "damaged", "newer"]


@dataclass(frozen=True)
class ModelRow:
    """A bundle in the Model box."""

    name: str
    folder: Path
    config: ModelConfig
    has_weights: bool

    @property
    def title(self) -> str:
        """For people."""
        return self.config.title or self.name


@dataclass(frozen=True)
class IndexRow:
    """An index in the list.

    Attributes:
        name: Folder name.
        folder: Where it lies.
        state: Whether it can answer.
        area: Name of its area.
        model: Name of its bundle.
        chips: Rows that can be searched.
        filled: Chips in which a coarser level of detail stands in for missing tiles.
        size: Bytes on disk.
        created: Unix seconds, None when unknown.
        stale: The bundle of that name is another one now.
        imagery: Sources, files absolute.
        attribution: Of the imagery.
        bounds: Extent, None while unknown.
        side_m: Metres per chip side.
        geometries: GeoJSON geometries of its areas.
        weights_sha256: Of its bundle.
        edition: Tells it, as it was last finished, from any other of its name.
    """

    name: str
    folder: Path
    state: IndexState
    area: str = ""
    model: str = ""
    chips: int = 0
    filled: int = 0
    size: int = 0
    created: float | None = None
    stale: bool = False
    imagery: tuple[str, ...] = ()
    attribution: str = ""
    bounds: BoundingBox | None = None
    side_m: float | None = None
    geometries: tuple[Mapping[str, Any], ...] = ()
    weights_sha256: str = ""
    edition: str = ""


@dataclass(frozen=True)
class AreaRow:
    """A named area of the workspace."""

    name: str
    file: Path


def list_models(workspace: Workspace | None) -> list[ModelRow]:
    """Every bundle on the search path, the first of a name wins; broken ones are left out."""
    roots = [paths.user_data_dir() / "models", paths.models_dir()]
    if workspace is not None:
        roots.insert(0, workspace.models)
    rows: dict[str, ModelRow] = {}
    for root in roots:
        for file in sorted(root.glob("*/model.json")):
            try:
                config = ModelConfig.read_json(file)
            except ConfigError:
                continue  # a folder that is being written, or not a bundle
            weights = file.parent / config.weights_file
            has_weights = bool(config.weights_sha256) and weights.is_file()
            rows.setdefault(config.name, ModelRow(config.name, file.parent, config, has_weights))
    return sorted(rows.values(), key=lambda row: (not row.has_weights, row.name))


def list_indexes(workspace: Workspace, models: list[ModelRow]) -> list[IndexRow]:
    """Every index folder, the newest first."""
    folders = [folder for folder in workspace.indexes.iterdir() if folder.is_dir()]
    rows = [row for folder in folders if (row := read_index(folder, models)) is not None]
    return sorted(rows, key=lambda row: (row.created or 0, row.name), reverse=True)


def read_index(folder: Path, models: list[ModelRow]) -> IndexRow | None:
    """One index folder; None when it is none."""
    run = RunFolder(folder)
    run_state: RunState | None = None
    if (run.path / "config.toml").exists():
        try:
            run_state = run.status().state
        except ConfigError:
            run_state = "failed"
    document = _document(folder)
    if document is None:
        return None if run_state is None else _waiting_row(folder, run, _state(None, run_state))
    try:
        if _is_newer(document):
            return IndexRow(folder.name, folder, "newer")
        return _row(folder, document, run_state, models)
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return IndexRow(folder.name, folder, "damaged")  # one bad file must not keep the workspace shut


def _row(
    folder: Path, manifest: dict[str, Any], run_state: RunState | None, models: list[ModelRow]
) -> IndexRow:
    model = manifest["model"]
    current = next((row for row in models if row.name == model.get("name")), None)
    stale = current is not None and current.config.weights_sha256 != model.get("weights_sha256", "")
    parts = manifest.get("parts", [])
    geometries = tuple(part["geometry"] for part in parts)
    sources = manifest.get("imagery", [])
    return IndexRow(
        folder.name,
        folder,
        _state(manifest, run_state),
        area=", ".join(dict.fromkeys(str(part.get("area_name", "")) for part in parts)),
        model=str(model.get("name", "")),
        chips=int(manifest.get("count", 0)),
        filled=int(manifest.get("filled", 0)),
        size=_size(folder),
        created=_seconds(str(manifest.get("created", ""))),
        stale=stale,
        imagery=tuple(_absolute(folder, str(source.get("source", ""))) for source in sources),
        attribution="; ".join(dict.fromkeys(str(s["attribution"]) for s in sources if s.get("attribution"))),
        bounds=extent(geometries),
        side_m=float(parts[0]["side_m"]) if parts else None,
        geometries=geometries,
        weights_sha256=str(model.get("weights_sha256", "")),
        edition=f"{manifest.get('created', '')} {manifest.get('journal_sha256', '')}".strip(),
    )


def advice(index: IndexRow, models: list[ModelRow]) -> str:
    """What to do when an index cannot be opened, as far as that is seen from here; "" when it is not."""
    if index.stale:
        return translate(
            "Catalogue", "The model has changed since: build the index anew, or choose another one."
        )
    if index.model not in {row.name for row in models if row.has_weights}:
        return translate(
            "Catalogue", "Its model is not here: add the checkpoint on the Area page, or choose another one."
        )
    return ""


def list_areas(workspace: Workspace) -> list[AreaRow]:
    """The areas that were named, by name."""
    return [AreaRow(file.stem, file) for file in sorted(workspace.areas.glob("*.geojson"))]


def extent(geometries: tuple[Mapping[str, Any], ...]) -> BoundingBox | None:
    """Extent of GeoJSON (Multi)Polygons, None without a point."""
    points: list[tuple[float, float]] = []

    def collect(part: Any) -> None:
        if part and isinstance(part[0], int | float):
            points.append((float(part[0]), float(part[1])))
            return
        for inner in part:
            collect(inner)

    for geometry in geometries:
        collect(geometry.get("coordinates", []))
    if not points:
        return None
    lons, lats = zip(*points, strict=True)
    return BoundingBox(min(lons), min(lats), max(lons), max(lats))


def _document(folder: Path) -> dict[str, Any] | None:
    """What `index.json` holds, from its copy where it is damaged; None where there is none."""
    found: dict[str, Any] | None = None
    for name in ("index.json", "index.copy.json"):
        try:
            document = json.loads((folder / name).read_bytes())
        except OSError:
            continue
        except (ValueError, RecursionError):
            document = {}
        if isinstance(document, dict) and "model" in document:
            return document
        found = {}
    return found


def _is_newer(document: dict[str, Any]) -> bool:
    """Whether a later version of the program wrote this: it holds what this one never writes."""
    return int(document.get("schema_version", 0)) > INDEX_SCHEMA or not document.keys() <= INDEX_FIELDS


def _size(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        with contextlib.suppress(OSError):  # a run may have replaced it since
            total += file.stat().st_size
    return total


def _state(manifest: dict[str, Any] | None, run: RunState | None) -> IndexState:
    if run == "running":
        return "building"
    if manifest is not None and manifest.get("state") == "finished":
        return "ready"
    if run == "failed":
        return "failed"
    return "stopped" if run in ("stopped", "interrupted") else "waiting"


def _waiting_row(folder: Path, run: RunFolder, state: IndexState) -> IndexRow:
    try:
        config = run.read_config(IndexConfig)
    except ConfigError:
        return IndexRow(folder.name, folder, "failed")
    area = "" if config.area is None else Path(config.area).stem
    return IndexRow(folder.name, folder, state, area=area, model=config.model, imagery=config.imagery)


def _absolute(folder: Path, source: str) -> str:
    if "://" in source or source.startswith("{"):
        return source
    path = Path(source)
    return str(path if path.is_absolute() else (folder / path).resolve())


def _seconds(iso: str) -> float | None:
    try:
        return datetime.fromisoformat(iso).timestamp()
    except ValueError:
        return None
