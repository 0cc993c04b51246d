"""The catalogue of a workspace: damaged, newer and orphaned indexes are said to be so."""

import json
from pathlib import Path

from geolocator_gui.gui import catalogue, opening
from geolocator_gui.workspace import Workspace


def index_folder(parent: Path, name: str = "old", **fields: object) -> Path:
    folder = parent / name
    folder.mkdir(parents=True)
    document = {"schema_version": 1, "state": "finished", "model": {"name": "m"}, "count": 7, "filled": 2}
    (folder / "index.json").write_text(json.dumps({**document, **fields}), "utf-8")
    return folder


def test_one_damaged_index_keeps_no_workspace_shut(tmp_path) -> None:
    workspace = Workspace.create(tmp_path / "w")
    index_folder(workspace.indexes, "good")
    index_folder(workspace.indexes, "parts", parts=[{}])
    index_folder(workspace.indexes, "count", count="many")
    index_folder(workspace.indexes, "geometry", parts=[{"geometry": {"coordinates": "abc"}, "side_m": 1}])
    (index_folder(workspace.indexes, "cut") / "index.json").write_text('{"model": {')
    (index_folder(workspace.indexes, "list") / "index.json").write_text("[1]")
    (workspace.root / "imagery.toml").write_text("[[source]]\n=")
    (workspace.photos / "tray.json").write_text('{"schema": 1, "photos": [{"path": 3, "colour": 3}]}')
    opened = opening.read_workspace(workspace.root)
    states = {row.name: row.state for row in opened.lists.indexes}
    assert states.pop("good") == "ready"
    assert set(states.values()) == {"damaged"}
    assert [error.path.name for error in opened.troubles] == ["imagery.toml", "tray.json"]
    assert "colour" in (workspace.photos / "tray-unread-1.json").read_text()
    assert opening.read_workspace(workspace.root).photos == []


def test_an_index_of_a_newer_version_is_called_so(tmp_path) -> None:
    from geolocator_gui.ml.index import manifest

    assert catalogue.INDEX_SCHEMA == manifest.SCHEMA
    assert {"checksum", *manifest.Manifest.model_fields} == catalogue.INDEX_FIELDS
    for fields in ({"schema_version": 2}, {"later": True}):
        folder = index_folder(tmp_path, f"new-{len(fields)}-{next(iter(fields))}", **fields)
        assert catalogue.read_index(folder, []).state == "newer"
    assert catalogue.read_index(index_folder(tmp_path), []).filled == 2


def test_an_index_without_its_model_says_what_to_do(tmp_path) -> None:
    models = catalogue.list_models(None)
    gone = catalogue.read_index(index_folder(tmp_path, "gone", model={"name": "gone"}), models)
    assert "add the checkpoint" in catalogue.advice(gone, models)
    other = {"name": "demo-town", "weights_sha256": "0" * 64}
    stale = catalogue.read_index(index_folder(tmp_path, "stale", model=other), models)
    assert "anew" in catalogue.advice(stale, models)
    same = {
        "name": "demo-town",
        "weights_sha256": next(m for m in models if m.name == "demo-town").config.weights_sha256,
    }
    assert (
        catalogue.advice(catalogue.read_index(index_folder(tmp_path, "same", model=same), models), models)
        == ""
    )
