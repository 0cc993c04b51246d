"""What is read: preferences among sources, blank chips, memory that runs out, imagery that goes away."""

import numpy as np
import pytest

from geolocator_gui.errors import GeolocatorError
from geolocator_gui.events import Progress, finish
from geolocator_gui.ml.encoder import Encoder
from geolocator_gui.ml.index import Index, build_index
from geolocator_gui.ml.index.build import Times, embed_shrinking
from geolocator_gui.ml.index.reading import ReadAhead, blank_fraction
from tests.core.geo.makers import cut_tiles, texture, write_mbtiles
from tests.core.ml.index.conftest import COLUMN, ROW, ZOOM, lasting_bytes


def test_blank_is_pure_black_or_white_in_blocks():
    image = texture(64, 64)
    assert blank_fraction(image) == 0.0
    image[:16] = 0
    assert blank_fraction(image) == pytest.approx(0.25)
    image[48:] = 255
    assert blank_fraction(image) == pytest.approx(0.5)
    speckled = texture(64, 64)
    speckled[::3, ::3] = 0  # dark dots are a picture, not a hole
    assert blank_fraction(speckled) == 0.0


def test_chips_over_a_painted_hole_are_left_out(tmp_path, config, whole):
    pixels = texture(768, 1280, seed=5)
    pixels[256:512, 768:1024] = 0
    write_mbtiles(tmp_path / "painted.mbtiles", cut_tiles(pixels, ZOOM, COLUMN, ROW))
    painted = config.model_copy(update={"imagery": (str(tmp_path / "painted.mbtiles"),)})
    summary = finish(build_index(painted, tmp_path / "index"))
    # The same place is missing in the whole index: black is as good as absent.
    assert summary.chips == Index.open(whole).count


def test_a_second_source_fills_the_holes_of_the_first(tmp_path, config, world, whole):
    full = write_mbtiles(
        tmp_path / "second.mbtiles", cut_tiles(texture(768, 1280, seed=6), ZOOM, COLUMN, ROW),
        attribution="Somebody else",
    )  # fmt: skip
    both = config.model_copy(update={"imagery": (str(world / "ground.mbtiles"), str(full))})
    summary = finish(build_index(both, tmp_path / "index"))
    index = Index.open(tmp_path / "index")
    assert summary.skipped == {}
    assert summary.chips == summary.candidates
    first = index.chips.source == 0
    assert first.sum() == Index.open(whole).count
    assert index.chips.source[~first].tolist() == [1] * int((~first).sum())
    assert index.attribution == "Nobody, public domain; Somebody else"
    expected = np.asarray(Index.open(whole).vectors)
    assert (np.asarray(index.vectors)[first] == expected).all()


def test_out_of_memory_shrinks_the_pass_and_says_so(tmp_path, config, whole, monkeypatch):
    original = Encoder.embed
    asked = []

    def embed(self, images, view):
        asked.append(self.batch_size)
        if self.batch_size > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return original(self, images, view)

    monkeypatch.setattr(Encoder, "embed", embed)
    finish(build_index(config, tmp_path / "index"))
    index = Index.open(tmp_path / "index")
    assert asked[0] > 2
    assert any("Memory ran out" in change for change in index.manifest.changes)
    one = np.asarray(index.vectors).astype(np.float32)
    other = np.asarray(Index.open(whole).vectors).astype(np.float32)
    cosine = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert cosine.min() >= 0.999999
    assert (index.folder / "chips.parquet").read_bytes() == (whole / "chips.parquet").read_bytes()


def test_other_errors_of_the_encoder_are_not_swallowed(monkeypatch):
    class Broken:
        batch_size = 8

        def embed(self, images, view):
            raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        embed_shrinking(Broken(), np.zeros((1, 4, 4, 3), dtype=np.uint8), Times())


def test_imagery_that_goes_away_stops_the_build_which_then_continues(tmp_path, config, world, whole):
    import shutil

    source = tmp_path / "ground.mbtiles"
    shutil.copy(world / "ground.mbtiles", source)
    folder = tmp_path / "deep" / "index"
    moved = config.model_copy(update={"imagery": (str(source),)})
    steps = build_index(moved, folder)
    for event in steps:
        if isinstance(event, Progress) and event.done > 8:
            break
    steps.close()
    source.rename(tmp_path / "away.mbtiles")
    with pytest.raises(GeolocatorError, match="does not exist"):
        finish(build_index(moved, folder))
    (tmp_path / "away.mbtiles").rename(source)
    finish(build_index(moved, folder))
    assert lasting_bytes(folder) == lasting_bytes(whole)


def test_reading_ahead_is_in_order_bounded_and_ends_cleanly():
    made, ended, started = [], [], []

    class Fake:
        def __init__(self):
            made.append(self)

        def close(self):
            ended.append(self)

    def work(reader, batch):
        started.append(batch)
        return batch * 10

    ahead = ReadAhead(Fake, threads=2, ahead=3)
    results = ahead.map(work, range(20))
    assert next(results) == (0, 0)
    assert max(started) <= 4  # three ahead of the one taken
    assert [value for _, value in results] == [batch * 10 for batch in range(1, 20)]
    ahead.close()
    assert len(made) == len(ended) == 2


def test_a_fault_while_reading_ahead_reaches_the_caller():
    class Fake:
        def close(self):
            pass

    def work(reader, batch):
        if batch == 2:
            raise ValueError("torn tile")
        return batch

    ahead = ReadAhead(Fake, threads=1, ahead=2)
    with pytest.raises(ValueError, match="torn tile"):
        list(ahead.map(work, range(5)))
    ahead.close()
