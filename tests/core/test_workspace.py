"""The workspace folder."""

import json
import os
import time

import pytest

from geolocator_gui.demo import create_demo_workspace
from geolocator_gui.errors import WorkspaceError
from geolocator_gui.paths import models_dir
from geolocator_gui.workspace import ImageryEntry, Workspace, slug, write_atomically


def test_a_workspace_is_found_again(tmp_path):
    made = Workspace.create(tmp_path / "my town", "My town")
    assert Workspace.open(tmp_path / "my town") == made
    assert Workspace.create(tmp_path / "my town") == made
    assert made.indexes.is_dir()


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(WorkspaceError, match="not empty"):
        Workspace.create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("text", ["schema = 99", "schema = 'one'", "schema = [", ""])
def test_a_workspace_of_another_kind_is_refused_in_words(tmp_path, text):
    (tmp_path / "workspace.toml").write_text(text)
    with pytest.raises(WorkspaceError):
        Workspace.open(tmp_path)


def test_imagery_is_kept_in_order_and_replaced_by_name(tmp_path):
    workspace = Workspace.create(tmp_path / "w")
    workspace.add_imagery(ImageryEntry("a", "a.mbtiles"))
    workspace.add_imagery(ImageryEntry("b", "b.tif", attribution='"quoted" © me'))
    workspace.add_imagery(ImageryEntry("a", "a2.mbtiles", bulk=False))
    assert workspace.imagery() == [
        ImageryEntry("b", "b.tif", attribution='"quoted" © me'),
        ImageryEntry("a", "a2.mbtiles", bulk=False),
    ]


def test_a_source_keeps_its_name_from_another(tmp_path):
    workspace = Workspace.create(tmp_path / "w")
    workspace.add_imagery(ImageryEntry("ortho", "/a/ortho.tif"))
    assert workspace.imagery_name(ImageryEntry("ortho", "/a/ortho.tif")) == "ortho"
    second = ImageryEntry("ortho", "/b/ortho.tif")
    assert workspace.imagery_name(second) == "ortho (2)"


def test_new_folders_never_collide(tmp_path):
    workspace = Workspace.create(tmp_path / "w")
    first = workspace.new_folder(workspace.indexes, "../../Harbour & co")
    first.mkdir()
    second = workspace.new_folder(workspace.indexes, "../../Harbour & co")
    assert first.parent == second.parent == workspace.indexes
    assert first != second


def test_slug_is_a_safe_file_name():
    assert slug("../../etc/passwd") == "etc-passwd"
    assert slug("…") == "untitled"
    assert slug("東京 (中心)") == "東京-中心"
    assert slug("Äußere  Neustadt/2") == "Äußere-Neustadt-2"
    assert slug("a\u202egpj") == "a-gpj", "what turns the writing round is no part of a name"
    assert len(slug("x" * 300).encode()) <= 200


def test_an_area_never_takes_the_file_of_another(tmp_path):
    workspace = Workspace.create(tmp_path / "w")
    first = workspace.keep_area("area", "one")
    assert workspace.keep_area("area", "one") == first
    second = workspace.keep_area("area", "two")
    assert (first.read_text(), second.read_text()) == ("one", "two")
    assert {first.name, second.name} == {"area.geojson", "area-2.geojson"}


def test_write_atomically_leaves_the_old_file_when_it_fails(tmp_path):
    path = tmp_path / "a"
    write_atomically(path, "old")
    with pytest.raises(TypeError):
        write_atomically(path, None)
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["a"]


def test_a_demo_index_of_an_earlier_model_is_set_aside(tmp_path):
    workspace = create_demo_workspace(tmp_path / "demo")
    folder = workspace.indexes / "demo-town"
    folder.mkdir()
    ships = json.loads((models_dir() / "demo-town" / "model.json").read_text("utf-8"))["weights_sha256"]
    (folder / "index.json").write_text(json.dumps({"model": {"weights_sha256": ships}}), "utf-8")
    create_demo_workspace(tmp_path / "demo")
    assert folder.exists()
    (folder / "index.json").write_text(json.dumps({"model": {"weights_sha256": "0" * 64}}), "utf-8")
    create_demo_workspace(tmp_path / "demo")
    assert not folder.exists()
    assert (workspace.indexes / "demo-town-before-1" / "index.json").exists()


def test_what_is_removed_comes_back_also_where_its_name_was_taken(tmp_path):
    workspace = Workspace.create(tmp_path / "w")
    thing = workspace.indexes / "a"
    places = []
    for content in ("one", "two"):
        thing.mkdir()
        (thing / "file").write_text(content)
        places.append(workspace.throw_away(thing))
        assert not thing.exists()
    assert workspace.bring_back(places[1], thing) == thing
    other = workspace.bring_back(places[0], thing)
    assert other.name == "a-2"
    assert [(place / "file").read_text() for place in (thing, other)] == ["two", "one"]
    with pytest.raises(WorkspaceError, match="cannot come back"):
        workspace.bring_back(places[0], thing)
    with pytest.raises(WorkspaceError, match="cannot be removed"):
        workspace.throw_away(workspace.indexes / "b")


def test_only_what_a_run_made_is_removed(tmp_path):
    workspace = Workspace.create(tmp_path / "w")
    for thing in (workspace.root, workspace.photos, tmp_path):
        with pytest.raises(WorkspaceError, match="no folder that a run made"):
            workspace.throw_away(thing)


def test_opening_deletes_only_what_was_removed_a_day_ago_and_follows_no_link(tmp_path, monkeypatch):
    workspace = Workspace.create(tmp_path / "w")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "kept").mkdir(parents=True)
    (workspace.mining / "link").symlink_to(elsewhere, target_is_directory=True)
    (workspace.indexes / "a").mkdir()
    (workspace.training / ".removed").symlink_to(elsewhere, target_is_directory=True)
    removed = [workspace.throw_away(workspace.mining / "link"), workspace.throw_away(workspace.indexes / "a")]
    workspace.forget_removed()
    assert all(os.path.lexists(place) for place in removed)
    tomorrow = time.time() + 100_000
    monkeypatch.setattr("time.time", lambda: tomorrow)
    workspace.forget_removed()
    assert not any(os.path.lexists(place) for place in removed)
    assert (elsewhere / "kept").is_dir(), "neither a link that was removed nor one in our way is followed"
    (workspace.training / "run").mkdir()
    with pytest.raises(WorkspaceError, match="cannot be removed"):
        workspace.throw_away(workspace.training / "run")
