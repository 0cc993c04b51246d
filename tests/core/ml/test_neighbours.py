"""Neighbour lists equal the published ones and a brute-force search."""

from pathlib import Path

import numpy as np
import pytest

from geolocator_gui.ml.neighbours import neighbours_by_position, neighbours_by_similarity
from geolocator_gui.ml.ranks import RowLists


def haversine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = np.radians(a)[:, None], np.radians(b)[None]
    half = np.sin((b[..., 1] - a[..., 1]) / 2) ** 2
    half = half + np.cos(a[..., 1]) * np.cos(b[..., 1]) * np.sin((b[..., 0] - a[..., 0]) / 2) ** 2
    return 2 * np.arcsin(np.sqrt(half))


@pytest.mark.parametrize("block_bytes", [4096, 128 << 20])
def test_similar_one_to_one_lists_are_the_published_ones(shared_dir: Path, block_bytes: int) -> None:
    data = np.load(shared_dir / "golden" / "retrieval_one_to_one.npz")
    rows = neighbours_by_similarity(
        data["query"],
        data["reference"],
        k=16,
        query_label=data["query_label"],
        reference_label=data["reference_label"],
        block_bytes=block_bytes,
    )
    assert rows.dtype == np.int32
    assert np.array_equal(data["reference_label"][rows], data["nearest"])


def test_similar_vigor_lists_are_the_published_ones_by_the_last_query(shared_dir: Path) -> None:
    data = np.load(shared_dir / "golden" / "retrieval_vigor.npz")
    label = data["query_label"][:, 0]
    rows = neighbours_by_similarity(
        data["query"], data["reference"], k=16, query_label=label, reference_label=data["reference_label"]
    )
    last = {int(one): i for i, one in enumerate(label)}
    lists = data["reference_label"][rows[[last[int(key)] for key in data["nearest_key"]]]]
    assert np.array_equal(lists, data["nearest"])


def test_similar_lists_never_hold_a_label_twice_nor_what_is_left_out() -> None:
    rng = np.random.default_rng(0)
    query, reference = (
        rng.normal(size=(40, 8)).astype(np.float32),
        rng.normal(size=(200, 8)).astype(np.float32),
    )
    label, own = np.arange(200) % 50, np.arange(40)
    out = RowLists.of([[i, (i + 7) % 200] for i in range(40)])
    rows = neighbours_by_similarity(
        query, reference, k=20, query_label=own, reference_label=label, leave_out=out
    )
    for i, row in enumerate(rows):
        order = [
            r for r in np.argsort(-(reference @ query[i])) if label[r] != i and r not in (i, (i + 7) % 200)
        ]
        firsts = list(dict.fromkeys(label[order]))[:20]
        assert label[row].tolist() == firsts
    every = neighbours_by_similarity(query, reference, k=60, query_label=own, reference_label=label)
    assert ((every >= 0).sum(1) == 49).all()


@pytest.mark.parametrize("centre", [(12.0, 48.0), (179.95, 10.0), (0.0, 89.5)])
def test_position_lists_equal_the_haversine_matrix(centre: tuple[float, float]) -> None:
    rng = np.random.default_rng(1)
    lonlat = np.array(centre) + rng.uniform(-0.3, 0.3, (400, 2))
    lonlat[:, 0] = (lonlat[:, 0] + 180) % 360 - 180
    rows = neighbours_by_position(lonlat, k=25)
    distance = haversine(lonlat, lonlat)
    np.fill_diagonal(distance, np.inf)
    assert rows.dtype == np.int32
    assert np.array_equal(rows, np.argsort(distance, axis=1)[:, :25])


def test_position_lists_hold_each_label_once_and_not_the_own() -> None:
    rng = np.random.default_rng(2)
    satellites = rng.uniform(0, 0.1, (60, 2))
    label = rng.integers(0, 60, 300)
    rows = neighbours_by_position(satellites[label], k=10, query_label=label)
    for i, row in enumerate(rows):
        assert len(set(label[row])) == 10
        assert label[i] not in label[row]
    few = neighbours_by_position(satellites[:4], k=6)
    assert ((few >= 0).sum(1) == 3).all()
    assert (few[:, 3:] == -1).all()


def test_planar_positions_use_metres() -> None:
    metres = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0], [10.0, 10.0]])
    assert neighbours_by_position(metres, k=3, planar=True)[0].tolist() == [1, 2, 3]
    other = neighbours_by_position(
        metres[:1],
        metres[1:],
        k=2,
        planar=True,
        query_label=np.array([7]),
        reference_label=np.array([7, 8, 9]),
    )
    assert other.tolist() == [[1, 2]]
