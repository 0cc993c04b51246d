"""No index is ever stuck: what cannot be finished can be given up, corrected or pointed elsewhere."""

import shutil

import pytest

from geolocator_gui.configs import IndexConfig
from geolocator_gui.errors import ConfigError, ImageryError, IndexFolderError
from geolocator_gui.events import finish
from geolocator_gui.geo.projection import tile_bounds_lonlat
from geolocator_gui.ml.index import Index, build_index, read_manifest
from geolocator_gui.ml.index.change import extend_index, refresh_index
from geolocator_gui.ml.index.undo import undo_change
from geolocator_gui.ml.index.verify import verify_index
from tests.core.geo.makers import cut_tiles, texture, write_mbtiles
from tests.core.geo.tile_server import TileServer
from tests.core.ml.index.conftest import COLUMN, ROW, ZOOM, lasting_bytes


def test_a_refresh_on_foreign_imagery_leaves_the_index_as_it_was(copy, world, tmp_path):
    elsewhere = tmp_path / "elsewhere.mbtiles"
    write_mbtiles(elsewhere, cut_tiles(texture(512, 512, seed=1), ZOOM, COLUMN + 500, ROW), name="Ground")
    before, model = lasting_bytes(copy), str(world / "model")
    with pytest.raises(ImageryError, match="nothing of this index is on its imagery"):
        finish(refresh_index(copy, imagery=[str(elsewhere)], model=model, threads=1))
    assert lasting_bytes(copy) == before
    assert finish(verify_index(copy)).sound
    assert finish(refresh_index(copy, model=model, threads=1)).reused


def test_a_refresh_sees_what_a_server_shows_now(config, world, tmp_path, monkeypatch):
    monkeypatch.setenv("GEOLOCATOR_TILES", str(tmp_path / "tiles"))
    with TileServer(cut_tiles(texture(768, 768, seed=5), ZOOM, COLUMN, ROW)) as server:
        source = f"{server.template}#min_zoom={ZOOM}&max_zoom={ZOOM}"
        west, _, _, north = tile_bounds_lonlat(COLUMN, ROW, ZOOM)
        _, south, east, _ = tile_bounds_lonlat(COLUMN + 2, ROW + 2, ZOOM)
        served = config.model_copy(update={"imagery": (source,), "bbox": (west, south, east, north)})
        finish(build_index(served, tmp_path / "index"))
        assert finish(refresh_index(tmp_path / "index", model=str(world / "model"), threads=1)).reused
        server.tiles.update(cut_tiles(texture(768, 768, seed=6), ZOOM, COLUMN, ROW))
        assert not finish(refresh_index(tmp_path / "index", model=str(world / "model"), threads=1)).reused
    assert finish(verify_index(tmp_path / "index")).sound


def test_a_refresh_that_cannot_begin_has_not_begun(copy, world):
    ground = copy.parent / "ground.mbtiles"
    ground.write_bytes(ground.read_bytes()[: ground.stat().st_size // 2])
    model = str(world / "model")
    with pytest.raises(ImageryError):
        finish(refresh_index(copy, model=model, threads=1))
    shutil.copy(world / "ground.mbtiles", ground)
    with pytest.raises(ConfigError):
        finish(refresh_index(copy, model=model, device="no such device"))
    assert finish(verify_index(copy)).sound


def test_an_extension_can_be_given_up_at_any_step(copy, world):
    before, known = lasting_bytes(copy), read_manifest(copy)
    more = IndexConfig(imagery=(), levels=(1, 2), threads=1)
    given_up = 0
    for number in range(1, 12):
        folder = copy.parent / f"at-{number}"
        shutil.copytree(copy, folder)
        steps = extend_index(folder, more, model=str(world / "model"))
        for _ in range(number):
            next(steps, None)
        steps.close()
        if read_manifest(folder).state == "finished":  # not begun yet, or through
            continue
        with pytest.raises(IndexFolderError, match="extend --undo"):
            finish(refresh_index(folder, model=str(world / "model"), threads=1))
        assert finish(undo_change(folder, "extending")).sound
        assert lasting_bytes(folder) == before
        assert read_manifest(folder).parts == known.parts
        assert Index.open(folder).count == known.count
        given_up += 1
    assert given_up >= 3


def test_a_refresh_can_be_given_up(copy, world):
    before = lasting_bytes(copy)
    steps = refresh_index(copy, model=str(world / "model"), threads=1)
    for _ in range(2):
        next(steps)
    steps.close()
    with pytest.raises(IndexFolderError, match="refresh --undo"):
        finish(verify_index(copy))
    with pytest.raises(IndexFolderError, match="being refreshed"):
        finish(undo_change(copy, "extending"))
    assert finish(undo_change(copy, "refreshing")).sound
    assert lasting_bytes(copy) == before
    with pytest.raises(IndexFolderError, match="nothing to give up"):
        finish(undo_change(copy, "refreshing"))


def test_a_refused_device_leaves_nothing_behind(config, tmp_path):
    with pytest.raises(ConfigError):
        finish(build_index(config.model_copy(update={"device": "no such device"}), tmp_path / "index"))
    assert list((tmp_path / "index").iterdir()) == []


def test_ground_that_shows_nothing_leaves_nothing_behind(config, tmp_path):
    blank = tmp_path / "blank.mbtiles"
    write_mbtiles(blank, cut_tiles(texture(512, 512, seed=1) * 0, ZOOM, COLUMN, ROW), name="Blank")
    with pytest.raises(ImageryError, match="no chip of the area"):
        finish(build_index(config.model_copy(update={"imagery": (str(blank),)}), tmp_path / "index"))
    assert list((tmp_path / "index").iterdir()) == []


def test_a_begun_index_goes_on_where_its_imagery_is_now(config, world, whole, tmp_path):
    ground = tmp_path / "ground.mbtiles"
    shutil.copy(world / "ground.mbtiles", ground)
    folder = tmp_path / "index"
    steps = build_index(config.model_copy(update={"imagery": (str(ground),)}), folder)
    for _ in range(4):
        next(steps)
    steps.close()
    moved = tmp_path / "disk" / "renamed.mbtiles"
    moved.parent.mkdir()
    elsewhere = config.model_copy(update={"imagery": (str(moved),)})
    shutil.copy(ground, moved)
    with pytest.raises(IndexFolderError, match="another area, imagery"):  # both are there: which is meant?
        finish(build_index(elsewhere, folder))
    ground.unlink()
    finish(build_index(elsewhere, folder))
    assert read_manifest(folder).imagery[0].source == "../disk/renamed.mbtiles"
    assert lasting_bytes(folder) == lasting_bytes(whole)
