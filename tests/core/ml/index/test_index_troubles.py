"""Imagery damaged, moved, filled from coarser levels or served as web pages; odd places to write to."""

import json
import os

import numpy as np
import pytest

from geolocator_gui.errors import IndexFolderError, InputError
from geolocator_gui.events import finish
from geolocator_gui.geo.imagery import web as web_module
from geolocator_gui.geo.imagery.fetch import Manners
from geolocator_gui.ml.index import Index, build_index, read_manifest
from geolocator_gui.ml.index.merge import merge_indexes
from geolocator_gui.ml.index.pack import export_index, import_index
from geolocator_gui.ml.index.verify import verify_index
from tests.core.geo.makers import cut_tiles, texture, write_geotiff, write_mbtiles
from tests.core.geo.tile_server import TileServer
from tests.core.ml.index.conftest import COLUMN, ROW, ZOOM, lasting_bytes, tiny_model
from tests.core.ml.index.test_index_cli import run  # noqa: F401  (a fixture)
from tests.core.ml.index.test_index_laundering import flip


@pytest.fixture(autouse=True)
def _model_on_the_search_path(tmp_path, monkeypatch):
    monkeypatch.setenv("GEOLOCATOR_HOME", str(tmp_path / "home"))
    tiny_model(tmp_path / "home" / "models" / "model")


def events_of(steps):
    return [event.text for event in steps if hasattr(event, "text")]


def test_an_imported_index_can_be_extended_and_remembers_its_imagery(whole, world, tmp_path, run):  # noqa: F811
    file = finish(export_index(whole, tmp_path / "index.zip"))
    back = tmp_path / "far" / "away" / "back"
    finish(import_index(file, back))
    more = ("index", "extend", back, "--levels", "1,2", "--model", world / "model")
    code, _, err = run(*more)
    assert code == 2
    assert "--old-imagery" in err
    code, _, err = run(*more, "--old-imagery", world / "ground.mbtiles", "--old-imagery", file)
    assert code == 2
    assert "1 source" in err
    assert run(*more, "--old-imagery", world / "ground.mbtiles")[0] == 0
    assert set(Index.open(back).chips.grid.level.tolist()) == {1, 2}
    assert (back / read_manifest(back).imagery[0].source).resolve() == world / "ground.mbtiles"
    assert finish(verify_index(back)).sound
    assert run("index", "refresh", back, "--model", world / "model")[0] == 0  # found without saying where


@pytest.mark.parametrize(
    "name", ["vectors/000-0000.f16", "vectors/000-0000.cells", "vectors/000.journal", "chips.parquet"]
)
def test_a_damaged_index_is_not_exported(copy, tmp_path, name):
    flip(copy / name)
    with pytest.raises(IndexFolderError, match="damaged") as caught:
        finish(export_index(copy, tmp_path / "out" / "index.zip"))
    assert "verify --repair" in str(caught.value)
    assert not list((tmp_path / "out").glob("*")) + list((tmp_path / "out").glob(".*"))


@pytest.mark.parametrize("name", ["vectors/000-0000.f16", "vectors/000-0000.cells"])
def test_files_too_long_or_too_short_are_not_exported(copy, tmp_path, name):
    data = (copy / name).read_bytes()
    for other in (data[:-3], data + b"more"):
        (copy / name).write_bytes(other)
        with pytest.raises(IndexFolderError, match="end"):
            finish(export_index(copy, tmp_path / "index.zip"))


def test_odd_places_to_write_to_are_told(whole, copy, tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("x")
    file = finish(export_index(whole, tmp_path / "index.zip"))
    for target in (tmp_path, plain / "below.zip"):
        with pytest.raises(InputError):
            finish(export_index(whole, target))
    for target, words in (
        (plain, "a file, not a folder"),
        (tmp_path, "not empty"),
        (plain / "in", "nothing can be written"),
    ):
        with pytest.raises(InputError, match=words):
            finish(import_index(file, target))
        with pytest.raises(InputError, match=words):
            finish(merge_indexes([whole, copy], target))
    with pytest.raises(IndexFolderError, match="a folder, not an exported index"):
        finish(import_index(whole, tmp_path / "new"))
    assert plain.read_text() == "x"


def test_import_into_the_folder_one_stands_in(whole, tmp_path, monkeypatch):
    from pathlib import Path

    file = finish(export_index(whole, tmp_path / "index.zip"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    finish(import_index(file, Path()))
    assert lasting_bytes(tmp_path / "here") == lasting_bytes(whole)


@pytest.mark.parametrize("levels", ["nan", "1e400", "1.5", "3", "-1", "x", ""])
def test_levels_that_do_not_exist_are_refused(run, world, tmp_path, levels):  # noqa: F811
    words = ("--imagery", world / "ground.mbtiles", "--model", world / "model", "--levels", levels)
    code, _, err = run("index", *words, "--out", tmp_path / "index")
    assert code == 2
    assert "--levels" in err
    assert not (tmp_path / "index").exists()


def test_a_raster_that_is_cut_off_is_said_to_be_damaged(tmp_path, config, world, run):  # noqa: F811
    path = write_geotiff(tmp_path / "whole.tif", texture(768, 1280, seed=5), ZOOM, COLUMN, ROW)
    cut = tmp_path / "cut.tif"
    data = path.read_bytes()
    cut.write_bytes(data[: len(data) // 100])
    words = ("--imagery", cut, "--model", world / "model", "--backend", "torch", "--precision", "fp32")
    code, _, err = run("index", *words, "--threads", "1", "--out", tmp_path / "index")
    assert code == 2
    assert "the file is damaged" in err
    assert "lies on the imagery" not in err
    code, _, err = run("imagery", "probe", cut)
    assert code == 2
    assert "the file is damaged" in err


def test_single_damaged_tiles_are_said(tmp_path, config):
    tiles = cut_tiles(texture(768, 1280, seed=5), ZOOM, COLUMN, ROW)
    tiles[ZOOM, COLUMN + 3, ROW + 1] = b"\x89PNG\r\n\x1a\nnothing of the kind"
    write_mbtiles(tmp_path / "ground.mbtiles", tiles, name="Ground")
    settings = config.model_copy(update={"imagery": (str(tmp_path / "ground.mbtiles"),)})
    texts = events_of(build_index(settings, tmp_path / "index"))
    assert any("1 of its tiles is damaged" in text for text in texts)


def test_chips_filled_from_a_coarser_level_are_counted(tmp_path, config, whole, run):  # noqa: F811
    ground = texture(768, 1280, seed=5)
    tiles = cut_tiles(ground, ZOOM, COLUMN, ROW)
    del tiles[ZOOM, COLUMN + 3, ROW + 1]
    tiles |= cut_tiles(
        np.ascontiguousarray(ground[:512:2, :1280:2][:256, :512]), ZOOM - 1, COLUMN // 2, ROW // 2
    )
    write_mbtiles(tmp_path / "ground.mbtiles", tiles, name="Ground")
    folder = tmp_path / "index"
    fine = tiny_model(tmp_path / "fine", satellite_source_px=256).folder  # cut from the finest level
    settings = config.model_copy(
        update={"imagery": (str(tmp_path / "ground.mbtiles"),), "model": str(fine), "overlap": 0.0}
    )
    texts = events_of(build_index(settings, folder))
    filled = read_manifest(folder).filled
    assert 0 < filled < Index.open(folder).count
    assert any(f"In {filled} chips a coarser level" in text for text in texts)
    assert finish(verify_index(folder)).sound
    assert json.loads(run("index", "info", folder, "--json")[1])["filled"] == filled
    assert "from a coarser level" in run("index", "info", folder)[1]
    assert read_manifest(whole).filled == 0


def test_a_server_that_answers_with_pages_is_named(tmp_path, world, run, monkeypatch):  # noqa: F811
    monkeypatch.setattr(
        web_module, "Manners", lambda **fields: Manners(**fields, attempts=2, first_wait_s=0.01)
    )
    monkeypatch.setenv("GEOLOCATOR_TILES", str(tmp_path / "tiles"))
    tiles = cut_tiles(texture(768, 1280, seed=5), ZOOM, COLUMN, ROW)
    with TileServer(tiles) as server:
        for column in range(COLUMN - 2, COLUMN + 12):
            for row in range(ROW - 2, ROW + 12):
                for zoom in range(ZOOM - 3, ZOOM + 1):
                    shift = ZOOM - zoom
                    server.faults[zoom, column >> shift, row >> shift] = ["html"] * 999
        west, south, east, north = Index.open(world / "whole").bounds
        source = (
            f"{server.template}#max_zoom={ZOOM}&min_zoom={ZOOM}&bulk=yes&bounds={west},{south},{east},{north}"
        )
        words = ("--imagery", source, "--model", world / "model", "--backend", "torch", "--precision", "fp32")
        code, _, err = run("index", *words, "--threads", "1", "--out", tmp_path / "index")
        assert code == 2
        assert "what came was text/html, not a picture" in err
        code, _, err = run("imagery", "probe", source)
        assert code == 2
        assert "what came was text/html, not a picture" in err
    assert os.environ["GEOLOCATOR_TILES"] == str(tmp_path / "tiles")
