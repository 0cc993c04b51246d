"""A change of an index never copies a damaged byte under a fresh checksum."""

import shutil

import numpy as np
import pytest

from geolocator_gui.errors import IndexFolderError
from geolocator_gui.events import finish
from geolocator_gui.geo.area import area_from_bbox
from geolocator_gui.ml.index import Index, read_manifest
from geolocator_gui.ml.index.change import extend_index, refresh_index, remove_area
from geolocator_gui.ml.index.merge import merge_indexes
from geolocator_gui.ml.index.pack import export_index
from geolocator_gui.ml.index.verify import verify_index
from tests.core.ml.index.conftest import lasting_bytes


def flip(path, offset=101):
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x40
    path.write_bytes(data)


DAMAGE = pytest.mark.parametrize("name", ["000-0000.f16", "000-0000.cells", "000.journal"])


@DAMAGE
def test_merge_refuses_a_damaged_index(copy, whole, tmp_path, name):
    flip(copy / "vectors" / name)
    with pytest.raises(IndexFolderError, match="damaged") as caught:
        finish(merge_indexes([whole, copy], tmp_path / "both"))
    assert "verify --repair" in str(caught.value)


@DAMAGE
def test_remove_refuses_a_damaged_index_and_leaves_it(copy, name):
    west, south, east, north = Index.open(copy).bounds
    flip(copy / "vectors" / name)
    before = lasting_bytes(copy)
    with pytest.raises(IndexFolderError, match="damaged"):
        finish(remove_area(copy, area_from_bbox((west, south, (west + east) / 2, north), "west")))
    assert lasting_bytes(copy) == before
    assert not finish(verify_index(copy)).sound


@pytest.mark.parametrize("verb", ["merge", "export"])
def test_an_index_that_changes_while_it_is_copied_is_said_to_have_changed(copy, whole, tmp_path, verb):
    out = tmp_path / "out.zip"
    steps = export_index(copy, out) if verb == "export" else merge_indexes([whole, copy], tmp_path / "both")
    next(steps)
    west, south, east, north = Index.open(copy).bounds
    finish(remove_area(copy, area_from_bbox((west, south, (west + east) / 2, north), "west")))
    with pytest.raises(IndexFolderError, match="was changed while it was copied"):
        finish(steps)
    assert not list(tmp_path.glob("*.zip*"))


def test_extend_refuses_a_damaged_index(copy, config, world):
    flip(copy / "vectors" / "000-0000.f16")
    before = lasting_bytes(copy)
    more = config.model_copy(update={"imagery": (), "levels": (2,)})
    with pytest.raises(IndexFolderError, match="damaged"):
        finish(extend_index(copy, more, model=str(world / "model")))
    assert lasting_bytes(copy) == before
    assert read_manifest(copy).state == "finished"


@DAMAGE
def test_refresh_embeds_damaged_batches_anew(copy, whole, world, name):
    flip(copy / "vectors" / name)
    finish(refresh_index(copy, model=str(world / "model"), threads=1))
    assert finish(verify_index(copy)).sound
    assert np.array_equal(np.asarray(Index.open(copy).vectors), np.asarray(Index.open(whole).vectors))
    text = read_manifest(copy).changes[-1]
    assert "0 batch(es) had changed imagery" in text
    assert "damaged" in text


def test_a_refresh_that_is_continued_does_not_keep_the_damage_it_mended(copy, whole, world):
    flip(copy / "vectors" / "000-0000.f16")
    steps = refresh_index(copy, model=str(world / "model"), threads=1)
    for _ in range(3):
        next(steps)
    steps.close()
    finish(refresh_index(copy, model=str(world / "model"), threads=1))
    assert finish(verify_index(copy)).sound
    assert np.array_equal(np.asarray(Index.open(copy).vectors), np.asarray(Index.open(whole).vectors))


def test_a_finished_merge_is_not_taken_for_that_of_changed_indexes(copy, whole, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(copy, other)
    finish(merge_indexes([copy, other], tmp_path / "both"))
    assert finish(merge_indexes([copy, other], tmp_path / "both")).reused
    west, south, east, north = Index.open(copy).bounds
    half = area_from_bbox((west, south, (west + east) / 2, north), "west")
    finish(remove_area(copy, half))
    finish(remove_area(other, half))
    with pytest.raises(IndexFolderError, match="changed since"):
        finish(merge_indexes([copy, other], tmp_path / "both"))
