"""Evaluation end to end on a small real network, and the statistics of comparisons."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from geolocator_gui.configs import ModelConfig
from geolocator_gui.errors import DataError
from geolocator_gui.events import finish
from geolocator_gui.mined import MineConfig, Mined
from geolocator_gui.ml.backbone import create_backbone
from geolocator_gui.ml.bundle import Bundle, open_bundle, write_bundle
from geolocator_gui.ml.encoder import Encoder
from geolocator_gui.ml.evaluate import Evaluation, compare, evaluate, paired_bootstrap, score
from geolocator_gui.ml.mining.sources import pairs_to_mine, run_mining
from geolocator_gui.ml.pairs.pair_set import embed_images, embed_pairs, open_pair_set
from geolocator_gui.ml.pairs.pair_set_town import TownPairSet
from geolocator_gui.ml.views import PartialView, standard_views


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    import torch

    torch.manual_seed(0)
    backbone = create_backbone("test_convnext")
    config = ModelConfig(
        name="random",
        architecture="test_convnext",
        embedding_size=int(backbone.num_features),
        satellite_size=64,
        ground_size=(32, 128),
        ground_view="panorama",
        satellite_source_px=64,
        side_m=80.0,
    )
    return write_bundle(tmp_path_factory.mktemp("models") / "random", config, backbone.state_dict(), "random")


@pytest.fixture(scope="module")
def town() -> TownPairSet:
    return open_pair_set("town:5", limit=40)


@pytest.fixture
def encoder(bundle: Bundle):
    with Encoder(open_bundle(bundle.weights_path.parent), device="cpu") as opened:
        yield opened


@dataclass(frozen=True)
class SamePictures:
    """Queries that are their references: any network finds all of them."""

    town: TownPairSet

    def __getattr__(self, name: str):
        return getattr(self.town, name)

    query_view = "satellite"

    def query_image(self, row: int):
        return self.town.reference_image(row)


def test_a_model_finds_what_looks_the_same(town: TownPairSet, encoder: Encoder, tmp_path: Path) -> None:
    found = finish(evaluate(SamePictures(town), encoder, tmp_path))
    assert found.figures["R@1"] == 100
    assert found.figures["R@1 chance"] == pytest.approx(100 / 40)
    assert found.figures["R@1<50 m"] == 100
    assert found.figures["median error m"] < 20
    assert (tmp_path / "evaluation.json").exists()


def test_views_are_figures_of_their_own(town: TownPairSet, encoder: Encoder, tmp_path: Path) -> None:
    views = [view for view in standard_views(encoder.config.mean) if view.fov in (360, 90)]
    found = finish(evaluate(town, encoder, tmp_path, views=views))
    assert list(found.views) == [
        "360° known heading", "360° unknown heading", "90° known heading", "90° unknown heading",
    ]  # fmt: skip
    assert found.views["360° known heading"] == found.figures
    vectors = {path.name for path in tmp_path.glob("*.f32")}
    assert len(vectors) == 5
    with pytest.raises(DataError, match="panoramas only"):
        finish(evaluate(SamePictures(town), encoder, tmp_path, views=views))


def test_a_stopped_embedding_goes_on_with_the_same_vectors(
    town: TownPairSet, encoder: Encoder, tmp_path: Path
) -> None:
    whole = finish(embed_pairs(town, encoder, tmp_path / "whole"))
    path, asked = tmp_path / "part" / "q.f32", []

    def load(row: int):
        asked.append(row)
        return town.query_image(row)

    def steps():
        return embed_images(path, 40, load, "ground", encoder, what="x", key=("a", town.query_names))

    finish(steps())
    asked.clear()
    row = 4 * encoder.config.embedding_size
    path.write_bytes(path.read_bytes()[: 30 * row + 7])
    again = finish(steps())
    assert sorted(asked) == list(range(30, 40))
    assert np.abs(np.asarray(again) - np.asarray(whole.query)).max() <= 1e-5
    finish(embed_images(path, 40, load, "ground", encoder, what="x", key=("other", town.query_names)))
    assert len(asked) == 50


def test_partial_views_show_what_they_say() -> None:
    panorama = np.arange(360, dtype=np.uint8)[None, :, None].repeat(8, 0).repeat(3, 2) // 2 + 1
    known = PartialView(90, True, (0, 0, 0))(panorama, 3)
    unknown = PartialView(90, False, (0, 0, 0))(panorama, 3)
    assert (known[0, :, 0] > 0).sum() == 90
    assert (known[known > 0] == panorama[known > 0]).all()
    assert np.flatnonzero(unknown[0, :, 0])[[0, -1]].tolist() == [135, 224]
    assert sorted(known[0, :, 0]) == sorted(unknown[0, :, 0])
    whole = PartialView(360, False, (0, 0, 0))(panorama, 3)
    assert sorted(whole[0, :, 0]) == sorted(panorama[0, :, 0])
    assert not np.array_equal(whole, panorama)
    assert PartialView(360, True, (0, 0, 0)).is_whole


def test_a_paired_interval_is_narrower_than_chance_and_covers_the_truth() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(60):
        first = rng.random(400) < 0.5
        second = first ^ (rng.random(400) < np.where(first, 0.05, 0.15))
        found = paired_bootstrap(100.0 * first, 100.0 * second, draws=1000)
        covered += found.low <= 100 * (0.5 * 0.15 - 0.5 * 0.05) <= found.high
        assert found.high - found.low < 8
    assert covered >= 52
    values = rng.normal(size=300)
    continuous = paired_bootstrap(values, values + rng.normal(0.5, 1, 300), draws=500)
    assert continuous.low < 0.5 < continuous.high
    same = paired_bootstrap(values, values)
    assert (same.mean, same.low, same.high) == (0, 0, 0)


def test_models_are_compared_on_the_same_queries_only() -> None:
    first = Evaluation("a", "cvusa", 4, 9, {}, rank=np.array([0, 3, -1, 8], np.int32))
    second = replace(first, model="b", rank=np.array([0, 0, 0, 8], np.int32))
    assert compare(first, second)["R@1"].mean == 50
    assert compare(first, second)["R@5"].mean == 25
    with pytest.raises(DataError, match="cvact"):
        compare(first, replace(second, data="cvact"))


def test_a_pair_set_can_be_mined(town: TownPairSet, bundle: Bundle, encoder: Encoder, tmp_path: Path) -> None:
    config = MineConfig(
        data="town:5", model=str(bundle.weights_path.parent), neighbours=8, limit=40, split="val"
    )
    summary = finish(run_mining(config, tmp_path))
    mined = Mined.open(tmp_path)
    vectors = finish(embed_pairs(town, encoder, tmp_path / "vectors"))
    result, _ = score(vectors.query, vectors.reference, town)
    assert np.array_equal(mined.queries["rank"], result.rank + 1)
    assert summary.queries == 40
    assert mined.queries["query"][0] == f"ground:town-5/{town.query_names[0]}".replace(",", ",")
    assert mined.summary["about"]["fingerprint"] == bundle.fingerprint


def test_several_right_references_are_never_candidates(town: TownPairSet) -> None:
    several = replace(town, reference_label=np.arange(40) // 2, query_label=np.arange(40) // 4)
    vectors = np.eye(40, dtype=np.float32)
    from geolocator_gui.ml.pairs.pair_set import Embedded

    data = pairs_to_mine(several, Embedded(vectors, vectors), side_m=80.0)
    assert data.positive.tolist() == [2 * (i // 4) for i in range(40)]
    assert data.also_right.padded()[5].tolist() == [2, 3]


def test_an_unknown_kind_of_data_is_named() -> None:
    with pytest.raises(DataError, match='"cvus" is not a kind'):
        open_pair_set("cvus:/x")
    with pytest.raises(DataError, match="not the number of a town"):
        open_pair_set("town:x")
