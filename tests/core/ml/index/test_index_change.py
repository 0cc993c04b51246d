"""Adding, refreshing, removing, merging, carrying away."""

import shutil
import sqlite3
import zipfile

import numpy as np
import pytest

from geolocator_gui.configs import IndexConfig
from geolocator_gui.errors import AreaError, IndexFolderError
from geolocator_gui.events import Note, finish
from geolocator_gui.geo.area import area_from_bbox
from geolocator_gui.ml.index import Index, build_index, read_manifest
from geolocator_gui.ml.index.change import extend_index, refresh_index, remove_area
from geolocator_gui.ml.index.merge import merge_indexes
from geolocator_gui.ml.index.pack import export_index, import_index
from geolocator_gui.ml.index.verify import verify_index
from tests.core.geo.makers import cut_tiles, png, texture, write_mbtiles
from tests.core.ml.index.conftest import COLUMN, ROW, ZOOM, lasting_bytes, tiny_model


def halves(index):
    """West and east half of an index's extent as boxes, overlapping in the middle."""
    west, south, east, north = index.bounds
    step = (east - west) / 10
    return (
        (west, south, west + 6 * step, north),
        (west + 4 * step, south, east, north),
    )


def by_cell(folder):
    """Vector of each chip by its cell."""
    index = Index.open(folder)
    grid = index.chips.grid
    keys = zip(grid.level.tolist(), grid.row.tolist(), grid.col.tolist(), strict=True)
    return dict(zip(keys, np.asarray(index.vectors).tolist(), strict=True))


@pytest.fixture
def half(tmp_path, config, whole, world):
    """An index of the western half, whose model lies on the search path of a workspace."""
    models = tmp_path / "models"
    tiny_model(models / "model")
    west, _ = halves(Index.open(whole))
    folder = tmp_path / "half"
    finish(build_index(config.model_copy(update={"bbox": west}), folder))
    return folder


def test_extended_index_holds_both_areas_once(half, config, whole, tmp_path):
    _, east = halves(Index.open(whole))
    before = by_cell(half)
    added = IndexConfig(imagery=(), bbox=east, threads=1)
    summary = finish(extend_index(half, added, workspace_models=tmp_path / "models"))
    after = by_cell(half)
    assert summary.chips > len(before)
    assert read_manifest(half).skipped["already indexed"] > 0
    assert len(after) == summary.chips  # no cell twice
    assert all(after[key] == vector for key, vector in before.items())
    other = tmp_path / "east"
    finish(build_index(config.model_copy(update={"bbox": east}), other))
    alone = by_cell(other)
    assert set(after) == set(before) | set(alone)
    assert finish(verify_index(half)).sound
    assert read_manifest(half).changes


def test_an_extension_that_stops_leaves_the_index_open_and_continues(half, whole, tmp_path):
    _, east = halves(Index.open(whole))
    count = Index.open(half).count
    added = IndexConfig(imagery=(), bbox=east, threads=1)
    steps = extend_index(half, added, workspace_models=tmp_path / "models")
    for _ in range(3):
        next(steps)
    steps.close()
    index = Index.open(half)
    assert index.count == count
    assert index.search(np.ones((1, 64), dtype=np.float32), 3)[1].max() < count
    with pytest.raises(IndexFolderError, match="being extended"):
        finish(refresh_index(half, workspace_models=tmp_path / "models", threads=1))
    lower = (east[0], east[1], east[2], (east[1] + east[3]) / 2)
    other = added.model_copy(update={"bbox": lower})
    with pytest.raises(IndexFolderError, match="another area is being added"):
        finish(extend_index(half, other, workspace_models=tmp_path / "models"))
    summary = finish(extend_index(half, added, workspace_models=tmp_path / "models"))
    assert summary.chips > count
    assert finish(verify_index(half)).sound


def test_a_level_of_detail_can_be_added_once(half, tmp_path):
    more = IndexConfig(imagery=(), levels=(1, 2), threads=1)
    summary = finish(extend_index(half, more, workspace_models=tmp_path / "models"))
    index = Index.open(half)
    assert set(index.chips.grid.level.tolist()) == {1, 2}
    assert summary.chips == index.count
    with pytest.raises(AreaError, match="nothing to add"):
        finish(extend_index(half, more, workspace_models=tmp_path / "models"))


def test_removed_area_is_gone_and_the_rest_is_untouched(copy, whole):
    _, east = halves(Index.open(whole))
    before = by_cell(copy)
    finish(remove_area(copy, area_from_bbox(east, "east")))
    after = by_cell(copy)
    index = Index.open(copy)
    assert 0 < len(after) < len(before)
    assert index.chips.lon.max() < east[0]
    assert all(before[key] == vector for key, vector in after.items())
    assert index.manifest.skipped["removed"] == len(before) - len(after)
    assert finish(verify_index(copy)).sound
    assert len(list((copy / "vectors").iterdir())) == 3  # the old generation is deleted
    with pytest.raises(AreaError, match="no chip"):
        finish(remove_area(copy, area_from_bbox(east, "east")))
    with pytest.raises(AreaError, match="every chip"):
        finish(remove_area(copy, area_from_bbox(index.bounds, "all")))
    assert finish(verify_index(copy)).sound


@pytest.mark.parametrize("name", ["next.chips.parquet"])
def test_killed_between_the_manifests_and_the_renames(copy, whole, name):
    """At every instant of the switch one of the two generations can be opened."""
    from geolocator_gui.ml.index import finish as finishing

    _, east = halves(Index.open(whole))
    original = finishing.finish_switch
    finishing.finish_switch = lambda folder, manifest: manifest
    try:
        finish(remove_area(copy, area_from_bbox(east, "east")))
    finally:
        finishing.finish_switch = original
    assert (copy / name).exists()
    index = Index.open(copy)
    assert len(index.chips) == index.count == index.vectors.shape[0]
    assert index.chips.lon.max() < east[0]
    with pytest.raises(AreaError, match="no chip"):  # the next change finishes the switch first
        finish(remove_area(copy, area_from_bbox(east, "east")))
    assert not (copy / name).exists()
    assert finish(verify_index(copy)).sound


def change_tile(path, column, row):
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(
            "UPDATE tiles SET tile_data = ? WHERE tile_column = ? AND tile_row = ?",
            (png(texture(256, 256, seed=99)), column, (1 << ZOOM) - 1 - row),
        )
    connection.close()


def test_refresh_embeds_only_what_changed_and_equals_a_new_build(copy, world, config, tmp_path):
    ground = copy.parent / "ground.mbtiles"
    model = str(world / "model")
    assert finish(refresh_index(copy, model=model, threads=1)).reused
    before = by_cell(copy)
    change_tile(ground, COLUMN + 1, ROW)
    summary = finish(refresh_index(copy, model=model, threads=1))
    after = by_cell(copy)
    assert not summary.reused
    assert set(after) == set(before)
    changed = [key for key in before if after[key] != before[key]]
    assert 0 < len(changed) < len(before)
    anew = tmp_path / "anew"
    finish(build_index(config.model_copy(update={"imagery": (str(ground),)}), anew))
    assert by_cell(anew) == after
    assert finish(verify_index(copy)).sound


def test_merged_indexes_hold_the_union(config, whole, tmp_path):
    west, east = halves(Index.open(whole))
    folders = []
    for name, box in (("west", west), ("east", east)):
        folders.append(tmp_path / name)
        finish(build_index(config.model_copy(update={"bbox": box}), folders[-1]))
    summary = finish(merge_indexes(folders, tmp_path / "both"))
    both = by_cell(tmp_path / "both")
    assert set(both) == set(by_cell(folders[0])) | set(by_cell(folders[1]))
    assert summary.chips == len(both)
    assert finish(verify_index(tmp_path / "both")).sound
    assert finish(merge_indexes(folders, tmp_path / "both")).reused
    interrupted = merge_indexes(folders, tmp_path / "again")
    for _ in range(4):
        next(interrupted)
    interrupted.close()
    finish(merge_indexes(folders, tmp_path / "again"))
    assert lasting_bytes(tmp_path / "again") == lasting_bytes(tmp_path / "both")


def test_indexes_of_different_models_do_not_merge(config, whole, tmp_path):
    tiny_model(tmp_path / "stranger", seed=8)
    other = tmp_path / "other"
    finish(build_index(config.model_copy(update={"model": str(tmp_path / "stranger")}), other))
    with pytest.raises(IndexFolderError, match=r"different models: 'model' .* and 'stranger'"):
        finish(merge_indexes([whole, other], tmp_path / "both"))


def test_exported_index_comes_back_byte_for_byte(whole, tmp_path):
    file = finish(export_index(whole, tmp_path / "index.zip"))
    with zipfile.ZipFile(file) as archive:
        assert "Nobody, public domain" in archive.read("ATTRIBUTION.txt").decode()
        assert str(whole.parent) not in archive.read("index.json").decode()
    finish(import_index(file, tmp_path / "back"))
    assert lasting_bytes(tmp_path / "back") == lasting_bytes(whole)
    assert Index.open(tmp_path / "back").attribution == "Nobody, public domain"


def test_export_with_imagery_can_be_refreshed_elsewhere(whole, world, tmp_path):
    file = finish(export_index(whole, tmp_path / "index.zip", with_imagery=True))
    finish(import_index(file, tmp_path / "back"))
    assert finish(refresh_index(tmp_path / "back", model=str(world / "model"), threads=1)).reused


def damaged_export(whole, tmp_path, change):
    file = finish(export_index(whole, tmp_path / "index.zip"))
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(other, "w") as new:
        for member in old.infolist():
            change(new, member.filename, old.read(member))
    return other


@pytest.mark.parametrize("name", ["../escape.txt", "/etc/escape", "vectors/../../escape", "evil.py"])
def test_import_refuses_files_that_no_export_holds(whole, tmp_path, name):
    def add(archive, member, data):
        archive.writestr(member, data)
        if member == "index.json":
            archive.writestr(name, b"x")

    file = damaged_export(whole, tmp_path, add)
    with pytest.raises(IndexFolderError, match="which no exported index does"):
        finish(import_index(file, tmp_path / "back"))
    assert not (tmp_path / "back").exists()
    assert not list(tmp_path.glob(".*.partial"))


def test_import_refuses_bombs_damage_and_nonsense(whole, tmp_path):
    def squeeze(archive, member, data):
        archive.writestr(member, data, zipfile.ZIP_DEFLATED)

    with pytest.raises(IndexFolderError, match="unpacks to more"):
        finish(import_index(damaged_export(whole, tmp_path, squeeze), tmp_path / "back"))

    def flip(archive, member, data):
        archive.writestr(member, data[:-1] + bytes([data[-1] ^ 1]) if member.endswith(".f16") else data)

    with pytest.raises(IndexFolderError, match=r"damaged .*\.f16"):
        finish(import_index(damaged_export(whole, tmp_path, flip), tmp_path / "back"))
    nonsense = tmp_path / "nonsense.zip"
    nonsense.write_bytes(b"PK not really")
    with pytest.raises(IndexFolderError, match="not an exported index"):
        finish(import_index(nonsense, tmp_path / "back"))
    with pytest.raises(IndexFolderError, match="does not exist"):
        finish(import_index(tmp_path / "absent.zip", tmp_path / "back"))
    with pytest.raises(IndexFolderError, match="not empty"):
        finish(import_index(nonsense, whole))
    assert not (tmp_path / "back").exists()


def test_a_moved_folder_works(copy, tmp_path, world):
    shutil.move(copy.parent, tmp_path / "elsewhere")
    folder = tmp_path / "elsewhere" / "whole"
    assert Index.open(folder).count > 30
    assert finish(refresh_index(folder, model=str(world / "model"), threads=1)).reused


def test_one_file_is_one_imagery_however_often_it_is_named(half, config, whole, tmp_path):
    _, east = halves(Index.open(whole))
    again = IndexConfig(imagery=config.imagery, bbox=east, threads=1)
    finish(extend_index(half, again, workspace_models=tmp_path / "models"))
    assert len(read_manifest(half).imagery) == 1
    finish(build_index(config.model_copy(update={"bbox": east}), tmp_path / "east"))
    merged = tmp_path / "merged"
    finish(merge_indexes([half, tmp_path / "east"], merged))
    assert len(read_manifest(merged).imagery) == 1
    assert set(Index.open(merged).chips.source.tolist()) == {0}
    finish(export_index(merged, tmp_path / "merged.zip", with_imagery=True))
    with zipfile.ZipFile(tmp_path / "merged.zip") as archive:
        assert sum(name.startswith("imagery/") for name in archive.namelist()) == 1


def test_an_area_without_room_for_a_level_does_not_keep_others_from_it(half, whole, tmp_path):
    west, south, east, north = Index.open(whole).bounds
    corner = (west, south, west + (east - west) * 0.4, south + (north - south) * 0.7)
    finish(extend_index(half, IndexConfig(imagery=(), bbox=corner), workspace_models=tmp_path / "models"))
    steps = extend_index(half, IndexConfig(imagery=(), levels=(1, 2)), workspace_models=tmp_path / "models")
    notes = [event.text for event in steps if isinstance(event, Note)]
    assert any("Left out" in text and "smaller than one chip" in text for text in notes)
    assert [part.level for part in read_manifest(half).parts] == [1, 1, 2]


def test_a_removed_area_can_be_added_again(copy, whole, world):
    _, east = halves(Index.open(whole))
    model, box = str(world / "model"), IndexConfig(imagery=(), bbox=east, threads=1)
    finish(extend_index(copy, box, model=model))
    before = by_cell(copy)
    finish(remove_area(copy, area_from_bbox(east, "east")))
    assert len(by_cell(copy)) < len(before)
    with pytest.raises(AreaError, match="nothing to add"):  # nobody named it
        finish(extend_index(copy, IndexConfig(imagery=(), threads=1), model=model))
    finish(extend_index(copy, box, model=model))
    assert by_cell(copy) == before
    assert finish(verify_index(copy)).sound


def test_a_refresh_remembers_where_the_imagery_is_and_whose(copy, world, tmp_path):
    new = tmp_path / "new.mbtiles"
    tiles = cut_tiles(texture(768, 1280, seed=5), ZOOM, COLUMN, ROW)
    write_mbtiles(new, tiles, attribution="Somebody else", name="Ground 2")
    (copy.parent / "ground.mbtiles").unlink()
    model = str(world / "model")
    finish(refresh_index(copy, imagery=[str(new)], model=model, threads=1))
    assert read_manifest(copy).attribution == "Somebody else"
    assert finish(refresh_index(copy, model=model, threads=1)).reused
