import threading
import time

import numpy as np
import pytest

from geolocator_gui.errors import InputError
from geolocator_gui.geo.imagery.cache import DecodedTiles
from geolocator_gui.geo.imagery.decode import Tile
from geolocator_gui.geo.imagery.tile_cache import Kept, TileCache


def tile(value):
    return Tile(np.full((64, 64, 3), value, np.uint8), None)


def test_memory_is_bounded_and_the_oldest_goes_first():
    held = DecodedTiles(max_bytes=10 * 64 * 64 * 3)
    for number in range(25):
        held.get(number, lambda number=number: tile(number))
        held.get(0, lambda: tile(0))
    assert held._bytes <= 10 * 64 * 64 * 3
    assert held.decoded == 25
    assert held.holds(0)
    assert held.holds(24)
    assert not held.holds(5)


def test_what_is_missing_is_remembered_but_not_counted():
    held, asked = DecodedTiles(), []
    for _ in range(3):
        assert held.get("gap", lambda: asked.append(1)) is None
    assert len(asked) == 1
    assert held.decoded == 0


def test_two_threads_decode_a_tile_once():
    held, calls = DecodedTiles(), []

    def load():
        calls.append(1)
        time.sleep(0.05)
        return tile(1)

    threads = [threading.Thread(target=held.get, args=("a", load)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_an_error_is_not_remembered():
    held = DecodedTiles()
    with pytest.raises(OSError, match="gone"):
        held.get("a", lambda: (_ for _ in ()).throw(OSError("gone")))
    assert held.get("a", lambda: tile(3)) is not None


def kept(body=b"x", expires=1e12):
    return Kept(200, body, "image/png", '"tag"', "", expires)


def test_answers_are_kept_across_openings_and_processes(tmp_path):
    first, second = TileCache(tmp_path / "t.sqlite"), TileCache(tmp_path / "t.sqlite")
    first.put("1/2/3", kept(b"abc", 5.0))
    assert second.get("1/2/3") == kept(b"abc", 5.0)
    assert not second.get("1/2/3").is_fresh
    second.renew("1/2/3", 1e12)
    assert first.get("1/2/3").is_fresh
    assert first.get("none") is None
    first.close()
    second.close()
    again = TileCache(tmp_path / "t.sqlite")
    assert again.get("1/2/3").body == b"abc"
    again.close()


def test_a_spoilt_cache_is_begun_anew(tmp_path):
    path = tmp_path / "t.sqlite"
    path.write_bytes(b"this was never a database" * 100)
    cache = TileCache(path)
    cache.put("a", kept())
    assert cache.get("a") is not None
    cache.close()


@pytest.mark.parametrize("how", ["no folder can be made", "the folder is read-only"])
def test_a_folder_that_may_not_be_written_is_said_with_the_way_out(tmp_path, how, monkeypatch):
    (tmp_path / "file").write_text("")
    path = tmp_path / "t.sqlite"
    if how == "no folder can be made":
        path = tmp_path / "file" / "tiles" / "t.sqlite"
    else:
        monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(InputError, match="GEOLOCATOR_TILES"):
        TileCache(path)


def test_many_threads_write_at_once(tmp_path):
    cache = TileCache(tmp_path / "t.sqlite")

    def work(number):
        for place in range(20):
            cache.put(f"{number}/{place}", kept(bytes([number])))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(cache.get(f"{number}/{place}") for number in range(6) for place in range(20))
    cache.close()
