"""A flipped byte anywhere is found, named and mended."""

import random

import pytest

from geolocator_gui.errors import ImageryError, IndexFolderError
from geolocator_gui.events import finish
from geolocator_gui.ml.index import Index, read_manifest
from geolocator_gui.ml.index.companions import settings_sha256
from geolocator_gui.ml.index.manifest import write_manifest
from geolocator_gui.ml.index.pack import export_index, import_index
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


def test_damage_to_the_files_of_the_run_is_found(copy, world):
    run = copy / "run"
    run.mkdir()
    (run / "config.toml").write_text('verb = "index"\nversion = "0.1.0"\n\n[index]\noverlap = 0.75\n')
    (run / "events.jsonl").write_text('{"kind": "note"}\n{"kind": "outcome"}\n')
    write_manifest(copy, read_manifest(copy).updated(settings_sha256=settings_sha256(copy)))
    assert finish(verify_index(copy)).sound
    # The version only says who wrote it last.
    (run / "config.toml").write_text((run / "config.toml").read_text().replace("0.1.0", "0.2.0"))
    assert finish(verify_index(copy)).sound
    (run / "config.toml").write_text((run / "config.toml").read_text().replace("0.75", "0.35"))
    (run / "events.jsonl").write_text('{"kind": "note"}\n{"kind\x00: "outcome"}\n')
    damages = finish(verify_index(copy)).damages
    assert [damage.file for damage in damages] == ["run/config.toml", "run/events.jsonl"]
    assert repaired(copy, world).repaired
    assert (run / "config.toml.damaged").exists()
    assert (run / "events.jsonl").read_text() == '{"kind": "note"}\n'
    assert finish(verify_index(copy)).sound


def test_damage_to_imagery_that_came_along_is_found(copy, world, tmp_path):
    file = finish(export_index(copy, tmp_path / "a.zip", with_imagery=True))
    there = finish(import_index(file, tmp_path / "there"))
    packed = next((there / "imagery").iterdir())
    flip(packed, packed.stat().st_size // 2)
    damages = finish(verify_index(there)).damages
    assert [damage.file for damage in damages] == [f"imagery/{packed.name}"]
    with pytest.raises(IndexFolderError, match="imagery that came with this index is damaged") as caught:
        repaired(there, world)
    assert "--imagery" in caught.value.hint
    # Exported without it, the checksum does not travel either.
    again = finish(export_index(there, tmp_path / "b.zip"))
    assert finish(verify_index(finish(import_index(again, tmp_path / "bare")))).sound
