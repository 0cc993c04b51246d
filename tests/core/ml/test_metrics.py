"""Figures of retrieval equal the published ones and the definitions they follow."""

import json
from pathlib import Path

import numpy as np
import pytest

from geolocator_gui.ml.distances import ground_metres
from geolocator_gui.ml.metrics import (
    average_precision,
    chance_within,
    recall_at,
    retrieve,
    summarise,
    summarise_positions,
)
from geolocator_gui.ml.ranks import RowLists, stream_ranks

SMALL_BLOCK = 4096


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def expected(shared_dir: Path) -> dict:
    return json.loads((shared_dir / "golden" / "expected.json").read_text())


@pytest.mark.parametrize("block_bytes", [SMALL_BLOCK, 128 << 20])
@pytest.mark.parametrize("name", ["retrieval_one_to_one", "retrieval_vigor", "retrieval_university"])
def test_figures_are_the_published_ones(
    shared_dir: Path, expected: dict, name: str, block_bytes: int
) -> None:
    data = np.load(shared_dir / "golden" / f"{name}.npz")
    side = "gallery" if "gallery" in data else "reference"
    figures = summarise(
        retrieve(
            data["query"], data[side], data["query_label"], data[f"{side}_label"], block_bytes=block_bytes
        )
    )
    names = {"Recall@1": "R@1", "Recall@5": "R@5", "Recall@10": "R@10", "Recall@top1": "R@1%", "AP": "AP"}
    names["Hit_Rate"] = "hit rate (Sample4Geo)"
    for published, own in names.items():
        if published in expected[name]:
            assert figures[own] == pytest.approx(expected[name][published], abs=1e-4), own
    if name == "retrieval_vigor":
        assert figures["hit rate (VIGOR)"] == pytest.approx(92.2)
    assert all(f"{own} chance" in figures for own in figures if not own.endswith("chance"))


def test_ranks_in_blocks_equal_the_whole_matrix_with_ties() -> None:
    rng = np.random.default_rng(1)
    # Few distinct values: many exact ties, which count in favour of the positive.
    query = rng.integers(-2, 3, (60, 8)).astype(np.float32)
    reference = rng.integers(-2, 3, (300, 8)).astype(np.float32)
    positive = rng.integers(-1, 300, 60)
    probes = rng.integers(-1, 300, (60, 5))
    matrix = query @ reference.T
    blocks = list(
        stream_ranks(query, reference, k=7, positive=positive, probes=probes, block_bytes=SMALL_BLOCK)
    )
    assert len(blocks) > 1
    rank = np.concatenate([block.rank for block in blocks])
    probe_rank = np.concatenate([block.probe_rank for block in blocks])
    top_score = np.concatenate([block.top_score for block in blocks])
    for i, row in enumerate(matrix):
        assert rank[i] == (-1 if positive[i] < 0 else (row > row[positive[i]]).sum())
        for j, probe in enumerate(probes[i]):
            assert probe_rank[i, j] == (-1 if probe < 0 else (row > row[probe]).sum())
        others = row if positive[i] < 0 else np.delete(row, positive[i])
        assert np.array_equal(top_score[i], np.sort(others)[::-1][:7])


def test_half_precision_memmaps_and_a_start_in_the_middle(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    query, reference = unit(rng.normal(size=(50, 16))), unit(rng.normal(size=(400, 16))).astype(np.float16)
    np.save(tmp_path / "r.npy", reference)
    stored = np.load(tmp_path / "r.npy", mmap_mode="r")
    positive = np.arange(50)
    whole = next(stream_ranks(query, reference.astype(np.float32), k=4, positive=positive))
    rest = list(stream_ranks(query, stored, k=4, positive=positive, start=20, block_bytes=SMALL_BLOCK))
    assert rest[0].start == 20
    assert np.array_equal(np.concatenate([block.rank for block in rest]), whole.rank[20:])
    assert np.array_equal(np.concatenate([block.top for block in rest]), whole.top[20:])


def test_left_out_references_are_not_listed_but_counted() -> None:
    reference = np.eye(5, dtype=np.float32)
    query = np.array([[0.5, 0.4, 0.3, 0.2, 0.1]], np.float32)
    block = next(stream_ranks(query, reference, k=5, positive=np.array([2]), leave_out=RowLists.of([[0, 4]])))
    assert block.rank[0] == 2
    assert block.top[0].tolist() == [1, 3, -1, -1, -1]


def test_average_precision_by_hand() -> None:
    # Positives at rows 0 and 2: ((1 + 1) / 2 + (1/2 + 2/3) / 2) / 2.
    assert average_precision(np.array([[0, 2]]))[0] == pytest.approx((1 + (1 / 2 + 2 / 3) / 2) / 2)
    # Two positives of one similarity behind one other: rows 1 and 2.
    tied = average_precision(np.array([[1, 1, -1]]))[0]
    assert tied == pytest.approx(((0 + 1 / 2) / 2 + (1 / 2 + 2 / 3) / 2) / 2)
    assert average_precision(np.array([[-1, -1]]))[0] == 0


def test_chance_levels_are_what_random_vectors_reach() -> None:
    rng = np.random.default_rng(3)
    labels = np.arange(500)
    draws = [
        summarise(
            retrieve(unit(rng.normal(size=(500, 12))), unit(rng.normal(size=(500, 12))), labels, labels)
        )
        for _ in range(8)
    ]
    for name in ("R@1", "R@5", "R@10", "R@1%"):
        assert np.mean([one[name] for one in draws]) == pytest.approx(draws[0][f"{name} chance"], abs=0.6)
    labels = np.arange(300) % 30
    several = [
        summarise(
            retrieve(unit(rng.normal(size=(200, 12))), unit(rng.normal(size=(300, 12))), labels[:200], labels)
        )
        for _ in range(4)
    ]
    assert np.mean([one["AP"] for one in several]) == pytest.approx(several[0]["AP chance"], rel=0.15)
    assert chance_within(np.array([0, 1, 10]), 10, 3) == pytest.approx([0, 0.3, 1])


def test_positions_give_recall_within_metres() -> None:
    reference = np.array([[10.0, 50.0], [10.0, 50.001], [10.0, 50.1]])
    truth = np.array([[10.0, 50.0001], [10.0, 50.0], [np.nan, np.nan]])
    figures = summarise_positions(
        np.array([[0, 1], [2, 1], [0, 1]]), reference, truth, radii_m=(25.0, 120.0), recalls=(1, 2)
    )
    # 0.001 degree of latitude is 111 m.
    assert figures["R@1<25 m"] == 50
    assert figures["R@2<120 m"] == 100
    assert figures["R@2<25 m"] == 50
    assert figures["R@1<25 m chance"] == pytest.approx(100 / 3)
    assert figures["median error m"] == pytest.approx((11.12 + 11_124) / 2, rel=2e-3)


def test_metres_agree_with_geodesics() -> None:
    from pyproj import Geod

    rng = np.random.default_rng(4)
    a = np.stack([rng.uniform(-180, 180, 500), rng.uniform(-85, 85, 500)], axis=1)
    b = a + rng.normal(scale=0.3, size=a.shape)
    geodesic = Geod(ellps="WGS84").inv(*a.T, *b.T)[2]
    assert ground_metres(a, b) == pytest.approx(geodesic, rel=2e-6, abs=1e-6)
    far = Geod(ellps="WGS84").inv(*a.T, *a[::-1].T)[2]
    assert ground_metres(a, a[::-1]) == pytest.approx(far, rel=1.5e-2, abs=1e-6)


def test_recall_counts_a_query_without_a_positive_as_missed() -> None:
    assert recall_at(np.array([0, -1, 3, 1]), 1) == 25
    assert recall_at(np.array([0, -1, 3, 1]), 4) == 75
