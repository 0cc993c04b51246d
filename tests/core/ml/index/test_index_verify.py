"""A flipped byte anywhere is found, named and mended."""

import random

import pytest

from geolocator_gui.errors import ImageryError, IndexFolderError
from geolocator_gui.events import finish
from geolocator_gui.ml.index import Index, read_manifest
from geolocator_gui.ml.index.repair import repair_index
from geolocator_gui.ml.index.verify import verify_index
from tests.core.ml.index.conftest import lasting_bytes


def files_of(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def flip(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << (position % 8)
    path.write_bytes(bytes(data))


def repaired(folder, world):
    return finish(repair_index(folder, model=str(world / "model"), threads=1))


def test_a_sound_index_is_sound(whole):
    health = finish(verify_index(whole))
    assert health.sound
    assert health.batches > 5


def test_a_flipped_byte_in_any_file_is_found_and_mended(copy, world, whole):
    rng = random.Random(3)
    manifest = (copy / "index.json").read_bytes()
    for path in files_of(copy):
        name = path.relative_to(copy).as_posix()
        flip(path, rng.randrange(path.stat().st_size))
        health = finish(verify_index(copy))
        assert {damage.file for damage in health.damages} == {name}
        assert repaired(copy, world).repaired
        assert lasting_bytes(copy) == lasting_bytes(whole), name
        assert (copy / "index.json").read_bytes() == manifest
        assert (copy / "index.copy.json").read_bytes() == manifest


@pytest.mark.parametrize("name", ["vectors/000.journal", "index.json"])
def test_every_byte_of_the_small_files_counts(copy, name):
    path = copy / name
    data = path.read_bytes()
    for position in range(0, len(data), max(1, len(data) // 60)):
        flip(path, position)
        assert not finish(verify_index(copy)).sound, position
        path.write_bytes(data)


def test_only_the_damaged_batch_is_embedded_anew(copy, world, monkeypatch):
    from geolocator_gui.ml.encoder import Encoder

    embedded = []
    original = Encoder.embed

    def embed(self, images, view):
        embedded.append(len(images))
        return original(self, images, view)

    monkeypatch.setattr(Encoder, "embed", embed)
    flip(copy / "vectors" / "000-0000.f16", 64 * 2 * 9)
    health = repaired(copy, world)
    assert health.lost == (1,)
    assert len(embedded) == 1
    assert embedded[0] <= 8


def test_lost_files_and_torn_ends_are_mended(copy, world, whole):
    (copy / "chips.parquet").unlink()
    (copy / "index.json").unlink()
    with (copy / "vectors" / "000-0000.f16").open("ab") as file:
        file.write(b"more")
    with (copy / "vectors" / "000-0000.cells").open("rb+") as file:
        file.truncate(100)
    health = repaired(copy, world)
    assert len(health.damages) >= 4
    assert health.repaired
    assert lasting_bytes(copy) == lasting_bytes(whole)
    assert Index.open(copy).count == read_manifest(whole).count


def test_both_manifests_damaged_is_said(copy):
    flip(copy / "index.json", 700)
    flip(copy / "index.copy.json", 700)
    with pytest.raises(IndexFolderError, match="damaged"):
        finish(verify_index(copy))


def test_repair_without_its_imagery_says_what_to_do(copy, world):
    flip(copy / "vectors" / "000-0000.f16", 10)
    (copy.parent / "ground.mbtiles").unlink()
    with pytest.raises(ImageryError, match="not where it was") as caught:
        repaired(copy, world)
    assert "--imagery" in caught.value.hint
    found = finish(
        repair_index(copy, imagery=[str(world / "ground.mbtiles")], model=str(world / "model"), threads=1)
    )
    assert found.repaired
