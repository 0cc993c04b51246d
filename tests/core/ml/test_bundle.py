"""Bundles: written whole, found by name, told apart by fingerprint."""

import os

import numpy as np
import pytest

from geolocator_gui import paths
from geolocator_gui.configs import ModelConfig
from geolocator_gui.errors import BundleError
from geolocator_gui.ml import bundle as bundles
from geolocator_gui.ml.backbone import create_backbone
from geolocator_gui.ml.encoder import Encoder
from geolocator_gui.ml.model_store import export_model


def tiny_config(name="tiny", **changes):
    fields = {
        "name": name,
        "architecture": "test_convnext",
        "embedding_size": 64,
        "satellite_size": 64,
        "ground_size": (32, 96),
        "ground_view": "panorama",
        "satellite_source_px": 96,
        "side_m": 80.0,
        **changes,
    }
    return ModelConfig(**fields)


@pytest.fixture(scope="module")
def state():
    import torch

    torch.manual_seed(3)
    return create_backbone("test_convnext").state_dict()


def test_written_bundle_is_found_and_embeds(tmp_path, state):
    written = bundles.write_bundle(tmp_path / "models" / "tiny", tiny_config(), state, "# Tiny\n")
    found = bundles.find_bundle("tiny", tmp_path / "models")
    assert found == written
    assert found.has_weights
    assert (found.folder / "MODEL_CARD.md").read_text() == "# Tiny\n"
    assert [entry.name for entry in (tmp_path / "models").iterdir()] == ["tiny"]
    assert bundles.bundle_by_fingerprint(found.fingerprint, tmp_path / "models") == found
    assert bundles.bundle_by_fingerprint("0" * 64, tmp_path / "models") is None
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 96, 3), dtype=np.uint8)
    with Encoder(found) as encoder:
        vectors = encoder.embed(images, "ground")
        np.testing.assert_array_equal(
            encoder.embed(images[2:3], "ground")[0, :8].round(3), vectors[2, :8].round(3)
        )
    assert vectors.shape == (5, 64)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_fingerprint_follows_weights_and_preprocessing_only(tmp_path, state):
    first = bundles.write_bundle(tmp_path / "a", tiny_config("a"), state, "")
    renamed = bundles.write_bundle(tmp_path / "b", tiny_config("b", side_m=50.0, title="B"), state, "")
    other_cut = bundles.write_bundle(tmp_path / "c", tiny_config("c", ground_cutting=4), state, "")
    moved = {key: value + 1e-3 for key, value in state.items()}
    other_weights = bundles.write_bundle(tmp_path / "d", tiny_config("d"), moved, "")
    assert renamed.fingerprint == first.fingerprint
    assert len({first.fingerprint, other_cut.fingerprint, other_weights.fingerprint}) == 3


def test_the_workspace_comes_before_the_user_and_weights_before_a_bare_entry(tmp_path, state):
    user = paths.user_data_dir() / "models"
    (tmp_path / "tiny").mkdir()
    tiny_config(title="without weights").write_json(tmp_path / "tiny" / "model.json")
    assert not bundles.find_bundle("tiny", tmp_path).has_weights
    bundles.write_bundle(user / "tiny", tiny_config(title="user's"), state, "")
    assert bundles.find_bundle("tiny", tmp_path).config.title == "user's"
    bundles.write_bundle(tmp_path / "tiny", tiny_config(title="workspace's"), state, "")
    assert bundles.find_bundle("tiny", tmp_path).config.title == "workspace's"
    listed = {bundle.name: bundle for bundle in bundles.list_bundles(tmp_path)}
    assert listed["tiny"].config.title == "workspace's"


def test_unknown_name_lists_what_there_is(tmp_path, state):
    bundles.write_bundle(tmp_path / "tiny", tiny_config(), state, "")
    with pytest.raises(BundleError, match=r"no model named 'huge'[\s\S]*tiny"):
        bundles.find_bundle("huge", tmp_path)


def test_exchanged_weights_are_refused(tmp_path, state):
    bundle = bundles.write_bundle(tmp_path / "tiny", tiny_config(), state, "")
    other = bundles.write_bundle(
        tmp_path / "other", tiny_config("other"), {key: value * 2 for key, value in state.items()}, ""
    )
    bundle.weights_path.write_bytes(other.weights_path.read_bytes())
    with pytest.raises(BundleError, match="not the weights"):
        Encoder(bundle)


def test_a_bundle_without_weights_says_how_to_add_them(tmp_path):
    tiny_config().write_json(tmp_path / "model.json")
    bundle = bundles.open_bundle(tmp_path)
    with pytest.raises(BundleError, match=r"no weights[\s\S]*geolocator model add FILE --as tiny"):
        Encoder(bundle)
    with pytest.raises(BundleError, match="no weights"):
        _ = bundle.fingerprint


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_files_are_as_readable_as_the_user_wants(tmp_path, state, mask):
    before = os.umask(mask)
    try:
        bundle = bundles.write_bundle(tmp_path / "tiny", tiny_config(), state, "# Tiny\n")
        export_model(bundle, tmp_path / "out.safetensors", "safetensors")
    finally:
        os.umask(before)
    for file in (*bundle.folder.iterdir(), tmp_path / "out.safetensors"):
        assert file.stat().st_mode & 0o777 == 0o666 & ~mask, file.name
    assert bundle.folder.stat().st_mode & 0o777 == 0o777 & ~mask
    assert len(list(bundle.folder.iterdir())) == 3


def test_a_path_that_is_not_there_is_not_taken_for_a_name(tmp_path):
    for name in (tmp_path / "none.pth", "downloaded.safetensors", tmp_path / "none"):
        with pytest.raises(BundleError, match="no such file or folder"):
            bundles.find_bundle(name)
    with pytest.raises(BundleError, match=r"no model\.json in this folder"):
        bundles.find_bundle(tmp_path)


def test_an_older_bundle_is_replaced_and_nothing_is_left_over(tmp_path, state):
    first = bundles.write_bundle(tmp_path / "m" / "tiny", tiny_config(), state, "old")
    second = bundles.write_bundle(
        tmp_path / "m" / "tiny", tiny_config(), {key: value * 2 for key, value in state.items()}, "new"
    )
    assert first.fingerprint != second.fingerprint
    assert (tmp_path / "m" / "tiny" / "MODEL_CARD.md").read_text() == "new"
    assert [entry.name for entry in (tmp_path / "m").iterdir()] == ["tiny"]
