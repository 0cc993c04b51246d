"""Search: exact while the index is small, the same answers through the structures when it is large."""

import numpy as np
import pytest

from benchmarks.index import Recipe, make_index, recall
from geolocator_gui.errors import IndexFolderError
from geolocator_gui.events import finish
from geolocator_gui.ml.index import Index
from geolocator_gui.ml.index import quick as quick_search
from geolocator_gui.ml.index.manifest import SegmentRecord
from geolocator_gui.ml.index.repair import repair_index
from geolocator_gui.ml.index.search import exact_scores, exact_search, top_of
from geolocator_gui.ml.index.segments import BatchWriter, Vectors
from geolocator_gui.ml.index.verify import verify_index

COUNT, DIMENSION = 6000, 96


@pytest.fixture(params=["flat", "inverted file"])
def large(request, tmp_path, monkeypatch):
    """An index that is searched through a structure, and queries."""
    monkeypatch.setattr(quick_search, "EXACT_UP_TO", 1000)
    monkeypatch.setattr(quick_search, "_GATHER", 500)
    monkeypatch.setattr(quick_search.sys, "platform", "linux")
    if request.param != "flat":
        monkeypatch.setattr(quick_search, "FLAT_UP_TO", 2000)
    make_index(tmp_path, COUNT, DIMENSION)
    index = Index.open(tmp_path)
    assert (tmp_path / "search.faiss").exists()
    vectors = index.vectors.take(np.arange(0, index.count, 60)).astype(np.float32)
    return index, Recipe(DIMENSION).queries(vectors)


def test_structure_finds_the_nearest_with_exact_scores(large):
    index, queries = large
    true_scores, truth = exact_search(index.vectors, queries, 10)
    scores, rows = index.search(queries, 10)
    assert recall(truth, rows) >= 0.99
    same = rows == truth
    assert np.allclose(scores[same], true_scores[same], atol=1e-5)
    assert (np.diff(scores, axis=1) <= 0).all()
    one_scores, one = index.search(queries[:1], 10)
    assert (one == rows[:1]).all()
    assert np.allclose(one_scores, scores[:1], atol=1e-6)


@pytest.mark.parametrize("share", [0.02, 0.3])
def test_a_filter_costs_no_recall(large, share):
    index, queries = large
    mask = np.zeros(index.count, dtype=bool)
    mask[: int(share * index.count)] = True
    _, truth = exact_search(index.vectors, queries, 10, mask)
    _, rows = index.search(queries, 10, mask)
    assert mask[rows].all()
    assert recall(truth, rows) >= 0.99


def test_a_damaged_structure_is_found_and_made_anew(large):
    index, queries = large
    before = (index.folder / "search.faiss").read_bytes()
    data = bytearray(before)
    data[len(data) // 2] ^= 4
    (index.folder / "search.faiss").write_bytes(bytes(data))
    assert [damage.file for damage in finish(verify_index(index.folder)).damages] == ["search.faiss"]
    assert finish(repair_index(index.folder)).repaired
    assert (index.folder / "search.faiss").read_bytes() == before
    (index.folder / "search.faiss").write_bytes(b"nonsense")
    with pytest.raises(IndexFolderError, match="cannot be read"):
        Index.open(index.folder).search(queries[:1], 1)


def test_without_faiss_the_search_is_exact(large, monkeypatch):
    index, queries = large
    monkeypatch.setattr(quick_search.sys, "platform", "darwin")
    again = Index.open(index.folder)
    assert (again.search(queries, 10)[1] == exact_search(index.vectors, queries, 10)[1]).all()


def test_exact_search_agrees_with_sorting_all_scores(whole):
    index = Index.open(whole)
    queries = np.asarray(index.vectors[::7], dtype=np.float32)
    scores = index.all_scores(queries)
    expected = queries @ np.asarray(index.vectors).astype(np.float32).T
    assert np.allclose(scores, expected, atol=1e-5)
    found, rows = index.search(queries, 5)
    assert (rows[:, 0] == np.arange(0, index.count, 7)).all()
    assert np.allclose(found, np.sort(expected, axis=1)[:, ::-1][:, :5], atol=1e-5)
    assert index.all_scores(queries[0]).shape == (index.count,)
    mask = np.zeros(index.count, dtype=bool)
    mask[3:6] = True
    assert set(index.search(queries, 50, mask)[1].ravel().tolist()) == {3, 4, 5}


def test_exact_scores_with_and_without_torch(whole, monkeypatch):
    from geolocator_gui.ml.index import search

    index = Index.open(whole)
    queries = np.asarray(index.vectors[:3], dtype=np.float32)
    by_torch = exact_scores(index.vectors, queries)
    monkeypatch.setattr(search.sys, "modules", {})
    assert np.allclose(exact_scores(index.vectors, queries), by_torch, atol=1e-6)


def test_equal_scores_are_ranked_by_row():
    scores = np.array([[0.5, 0.7, 0.7, 0.7, 0.1]], dtype=np.float32)
    rows = np.array([[4, 9, 2, 5, 1]])
    assert top_of(scores, rows, 2)[1].tolist() == [[2, 5]]


def test_queries_of_another_length_are_refused(whole):
    with pytest.raises(IndexFolderError, match="does not fit"):
        Index.open(whole).search(np.zeros((1, 3), dtype=np.float32), 1)


def test_segments_read_as_one_array(tmp_path):
    random = np.random.default_rng(0)
    vectors = random.standard_normal((50, 8)).astype(np.float16)
    from geolocator_gui.ml.index.segments import CELL

    writer = BatchWriter(tmp_path, 0, 8, segment_bytes=8 * 2 * 12)
    for start in range(0, 50, 10):
        writer.commit(vectors[start : start + 10], np.zeros(10, dtype=CELL), {})
    ends = {commit.segment: commit.offset + commit.rows for commit in writer.commits}
    writer.close()
    assert len(ends) == 5
    held = Vectors(tmp_path, [SegmentRecord(name=f"000-{n:04d}", rows=rows) for n, rows in ends.items()], 8)
    assert (np.asarray(held) == vectors).all()
    assert (held[7:33] == vectors[7:33]).all()
    assert (held.take([49, 0, 25]) == vectors[[49, 0, 25]]).all()
    assert (held[-1] == vectors[-1]).all()
    assert (held[vectors[:, 0] > 0] == vectors[vectors[:, 0] > 0]).all()
    assert [start for start, _ in held.blocks(6)] == [0, 6, 10, 16, 20, 26, 30, 36, 40, 46]
    with pytest.raises(IndexError):
        held[50]
