"""A second mining says what moved and which judged confusions are gone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from geolocator_gui.errors import DataError
from geolocator_gui.events import finish
from geolocator_gui.marks import Mark
from geolocator_gui.mined_moves import compare_minings
from geolocator_gui.ml.mining.mine import mine
from geolocator_gui.ml.mining.parts import MiningData


def data(photos: np.ndarray, chips: np.ndarray) -> MiningData:
    count = len(photos)
    return MiningData(
        query_vectors=photos.astype(np.float32),
        chip_vectors=chips.astype(np.float32),
        query_ids=np.array([f"p{i}" for i in range(count)]),
        chip_ids=np.array([f"c{i}" for i in range(len(chips))]),
        positive=np.arange(count),
    )


@pytest.fixture
def minings(tmp_path: Path) -> tuple[Path, Path]:
    """Six photos, six chips on axes; before, p0 is nearer to c1, p1 nearer to c2 and p2 right."""
    chips = np.eye(6)
    before, after = np.eye(6) * 0.9, np.eye(6) * 0.9
    before[0, :4] = [0.5, 0.8, 0.1, 0.0]
    before[1, :4] = [0.0, 0.5, 0.7, 0.2]
    after[0, :4] = [0.8, 0.0, 0.2, 0.1]
    after[1, :4] = [0.1, 0.5, 0.6, 0.0]
    after[3, 4] = 0.95
    for name, photos in (("old", before), ("new", after)):
        finish(mine(data(photos, chips), tmp_path / name, neighbours=2))
    return tmp_path / "old", tmp_path / "new"


def test_moves_and_resolved_confusions(minings: tuple[Path, Path]) -> None:
    marks = [
        Mark("p0", "c1", "hard"),  # resolved, and no longer in the list of two
        Mark("p1", "c2", "hard"),  # still
        Mark("p3", "c4", "hard"),  # not a confusion before, one now
        Mark("p2", "c3", "hard"),
        Mark("p0", "c9", "hard"),  # of another mining
        Mark("p1", "c3", "unsure"),
    ]
    moves = compare_minings(*minings, marks)
    pairs = moves.pairs.set_index("query")
    assert (pairs.loc["p0", "rank_old"], pairs.loc["p0", "rank_new"]) == (2, 1)
    assert pairs.loc["p0", "rank_move"] == -1
    assert pairs.loc["p0", "margin_move"] == pytest.approx(0.6 + 0.3)
    assert (moves.better, moves.worse, moves.first_old, moves.first_new) == (1, 1, 4, 4)
    judged = moves.judged.set_index(["query", "candidate"])["state"]
    assert judged["p0", "c1"] == "resolved"
    assert judged["p1", "c2"] == "still confused"
    assert judged["p3", "c4"] == "new"
    assert judged["p2", "c3"] == "never confused"
    assert judged["p0", "c9"] == "unknown"
    assert len(judged) == 5
    assert "1 of 2 judged confusions are resolved" in moves.sentence()
    moves.write(minings[1])
    assert len(pd.read_parquet(minings[1] / "moves.parquet")) == 6


def test_minings_of_other_photos_are_refused(minings: tuple[Path, Path], tmp_path: Path) -> None:
    other = data(np.eye(6), np.eye(6))
    finish(
        mine(
            replace(other, query_ids=np.array([f"q{i}" for i in range(6)])), tmp_path / "other", neighbours=2
        )
    )
    with pytest.raises(DataError, match="no photo in common"):
        compare_minings(minings[0], tmp_path / "other")


def test_a_verdict_that_was_taken_back_is_not_followed(minings: tuple[Path, Path]) -> None:
    given = [Mark("p0", "c1", "hard"), Mark("p1", "c0", "hard"), Mark("p0", "c1", "")]
    judged = compare_minings(*minings, given).judged
    assert list(zip(judged["query"], judged["candidate"], strict=True)) == [("p1", "c0")]
