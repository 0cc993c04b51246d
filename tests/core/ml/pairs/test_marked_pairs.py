"""Verdicts reach training: from a mining's ids by way of `marks.csv` into every batch of a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from geolocator_gui.errors import DataError
from geolocator_gui.events import Note, finish
from geolocator_gui.marks import Mark, append_marks, chip_id, pair_id, read_marks
from geolocator_gui.mined import MineConfig, Mined
from geolocator_gui.ml.datasets import TrainingSamples
from geolocator_gui.ml.mining.sources import run_mining
from geolocator_gui.ml.pairs.files import FeedSettings, FileFeed
from geolocator_gui.ml.pairs.marked import MarkedPairs, apply_marks, frozen_marks
from geolocator_gui.ml.train.run import open_data, run_training
from geolocator_gui.training import AugmentConfig, SamplingConfig, ViewTrainingConfig
from geolocator_gui.workspace import Workspace
from tests.core.ml.train.test_train_run import cvusa, models, small_run  # noqa: F401 - fixtures
from tests.core.ml.train.training_stand_ins import MODEL, write_pairs


def mark(query: int, candidate: int, verdict: str) -> Mark:
    ids = pair_id("stand-in", str(query), "ground"), pair_id("stand-in", str(candidate), "satellite")
    return Mark(*ids, verdict)  # type: ignore[arg-type]


def feed_of(samples: TrainingSamples, marked: MarkedPairs, neighbours: str = "position") -> FileFeed:
    sampling = SamplingConfig(neighbours=neighbours, pool=6, nearest=2, others=2)
    return FileFeed(
        samples, FeedSettings(MODEL, sampling, AugmentConfig(), ViewTrainingConfig(), 4, 9, 0), marked
    )


def embed(load, count, view):
    """Vectors that say nothing, for the mining within a run."""
    vectors = np.random.default_rng(len(view)).normal(size=(count, 8)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    yield


def batches(feed: FileFeed, epochs: int = 6) -> list:
    """Every batch of some epochs."""
    found, step = [], 0
    for _ in range(epochs):
        end = finish(feed.begin(step, embed))
        found += [feed.batch(step) for step in range(step, end)]
        step = end
    feed.close()
    return found


def test_bad_pairs_are_in_no_batch(tmp_path):
    whole = TrainingSamples.of(write_pairs(tmp_path, 20))
    samples, marked = apply_marks(whole, [mark(3, 3, "bad_pair"), mark(7, 7, "bad_pair")])
    assert marked.left_out == 2
    assert set(whole.label) - set(samples.label) == {3, 7}
    drawn = {int(samples.label[row]) for batch in batches(feed_of(samples, marked)) for row in batch.rows}
    assert drawn
    assert not drawn & {3, 7}


def test_what_shows_the_same_place_is_never_a_negative_either_way_round(tmp_path):
    whole = TrainingSamples.of(write_pairs(tmp_path, 12))
    never = {frozenset(pair) for pair in ((0, 1), (5, 6), (5, 4))}
    samples, marked = apply_marks(whole, [mark(*sorted(pair), "same_place") for pair in never])
    feed = feed_of(samples, marked)
    assert feed.neighbours is not None
    for row, near in enumerate(feed.neighbours.tolist()):
        assert not {frozenset((row, other)) for other in near if other >= 0} & never
    met = 0
    for batch in batches(feed):
        ignored = batch.ignore if batch.ignore is not None else np.zeros((4, 4), bool)
        for a in range(4):
            for b in range(4):
                marked_pair = frozenset((int(batch.rows[a]), int(batch.rows[b]))) in never
                met += marked_pair
                assert bool(ignored[a, b]) == marked_pair
    assert met  # they did come together by chance, and were masked


@pytest.mark.parametrize("neighbours", ["position", "random"])
def test_kept_confusions_share_a_batch_far_more_often(tmp_path, neighbours):
    whole = TrainingSamples.of(write_pairs(tmp_path, 40))
    wanted = [(2, 30), (9, 37), (15, 35)]

    def together(marks: list[Mark]) -> float:
        samples, marked = apply_marks(whole, marks)
        found = [set(batch.rows.tolist()) for batch in batches(feed_of(samples, marked, neighbours))]
        return float(np.mean([sum(set(pair) <= rows for rows in found) / 6 for pair in wanted]))

    assert together([mark(*pair, "hard") for pair in wanted]) == 1.0
    assert together([]) < 0.4


def test_a_chip_seen_in_an_index_is_found_by_its_ground(tmp_path):
    names = [f"{number:020x}" for number in range(10)]
    data = replace(write_pairs(tmp_path, 10), placed=True, query_names=names, reference_names=names)
    samples = TrainingSamples.of(data)
    lon, lat = data.reference_lonlat[6]  # neighbours lie 100 m apart
    near = chip_id("town", 80.0, lon + 0.0001, lat)
    wide = chip_id("town", 150.0, lon, lat)
    photo = f"photo:{names[2]}"
    assert apply_marks(samples, [Mark(photo, near, "hard")])[1].hard.tolist() == [[2, 6]]
    assert apply_marks(samples, [Mark(f"{photo}~2", near, "same_place")])[1].not_negative.tolist() == [[2, 6]]
    assert apply_marks(samples, [Mark(photo, wide, "same_place")])[1].not_negative.tolist() == [
        [2, 5],
        [2, 6],
        [2, 7],
    ]
    assert apply_marks(samples, [Mark(photo, wide, "hard")])[1].hard.tolist() == [[2, 6]]
    both = [
        Mark(photo, wide, "same_place"),
        Mark(f"photo:{names[6]}", chip_id("town", 80.0, *data.reference_lonlat[2]), "hard"),
    ]
    assert not len(apply_marks(samples, both)[1].hard)  # the careful verdict counts
    far = chip_id("town", 80.0, 0.0, 0.0)
    said = apply_marks(samples, [Mark(photo, far, "hard"), Mark("photo:other", near, "bad_pair")])[1]
    assert (said.left_out, said.elsewhere) == (0, 2)


def test_nothing_left_is_an_error_that_says_what_to_do(tmp_path):
    samples = TrainingSamples.of(write_pairs(tmp_path, 4))
    with pytest.raises(DataError, match="leave no pair"):
        apply_marks(samples, [mark(row, row, "bad_pair") for row in range(4)])


def test_a_run_keeps_the_verdicts_it_began_with(tmp_path):
    workspace, run = tmp_path / "workspace", tmp_path / "run"
    workspace.mkdir()
    run.mkdir()
    append_marks(workspace / "marks.csv", [mark(1, 1, "bad_pair")])
    assert len(frozen_marks("workspace", run, workspace, begun=False)) == 1
    append_marks(workspace / "marks.csv", [mark(2, 2, "bad_pair")])
    assert len(frozen_marks("workspace", run, workspace, begun=True)) == 1
    assert frozen_marks("none", tmp_path / "none", workspace, begun=False) == []
    assert frozen_marks("workspace", tmp_path / "older", workspace, begun=True) == []
    with pytest.raises(DataError, match="no such file"):
        frozen_marks(str(tmp_path / "missing.csv"), tmp_path / "other", workspace, begun=False)


def test_from_a_mining_by_way_of_marks_into_the_batches_of_a_run(tmp_path, cvusa, models):  # noqa: F811
    """Mine, judge by the mining's own ids, train in the workspace, and see them heeded."""
    workspace = Workspace.create(tmp_path / "home")
    mining = workspace.mining / "first"
    finish(run_mining(MineConfig(data=f"cvusa:{cvusa}", model=str(models / "tiny"), neighbours=8), mining))
    mined = Mined.open(mining)
    queries = mined.queries
    twin, hard, bad = (
        mined.candidates(row)[lambda rows: rows["source"] != "geographic"].iloc[0] for row in (4, 9, 14)
    )
    own = str(mined.chips["chip"][int(queries["positive_row"][14])])
    append_marks(
        workspace.marks,
        [
            Mark(str(twin["query"]), str(twin["candidate"]), "same_place"),
            Mark(str(hard["query"]), str(hard["candidate"]), "hard"),
            Mark(str(bad["query"]), own, "bad_pair"),
        ],
    )
    run = small_run(cvusa, models)
    feed, _ = finish(open_data(run, MODEL, tmp_path, marks=read_marks(workspace.marks)))
    assert isinstance(feed, FileFeed)
    assert len(feed.samples) == 39
    assert len(feed.marked.not_negative) == len(feed.marked.hard) == 1
    a, b = feed.marked.hard[0].tolist()
    c, d = feed.marked.not_negative[0].tolist()
    for batch in batches(feed, 3):
        rows = batch.rows.tolist()
        assert (a in rows) == (b in rows)
        if c in rows and d in rows:
            assert batch.ignore is not None
            assert batch.ignore[rows.index(c), rows.index(d)]
    folder = workspace.training / "run"
    notes = []
    steps = run_training(run, folder, workspace_models=workspace.models)
    while True:
        try:
            event = next(steps)
        except StopIteration:
            break
        if isinstance(event, Note):
            notes.append(event.text)
    assert any("1 bad pairs left out" in text for text in notes), notes
    assert "39 pairs to train on." in notes
    assert len(read_marks(folder / "marks.csv")) == 3
