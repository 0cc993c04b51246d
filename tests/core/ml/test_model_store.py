"""Released checkpoints are told apart, added, shown and written out again; the commands around them."""

import json
import math
import os

import cv2
import numpy as np
import pytest
import torch
import typer
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from geolocator_gui import paths
from geolocator_gui.cli_commands import model as commands
from geolocator_gui.errors import BundleError, ConfigError, GeolocatorError, InputError, WeightsError
from geolocator_gui.ml import bundle as bundles
from geolocator_gui.ml.backbone import create_backbone
from geolocator_gui.ml.bundle import open_bundle
from geolocator_gui.ml.model_store import add_model, describe_file, export_model
from geolocator_gui.ml.weights.presets import RELEASES, preset_config, preset_of


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(2)
    return create_backbone("convnext_atto").state_dict()


@pytest.fixture
def weights(tmp_path, state):
    path = tmp_path / "mine.pth"
    torch.save({"logit_scale": torch.tensor(3.25), **{f"model.{k}": v for k, v in state.items()}}, path)
    return path


@pytest.fixture
def preset(tmp_path):
    """A small preset in a workspace, of the shape of the shipped ones."""
    folder = tmp_path / "workspace" / "small"
    folder.mkdir(parents=True)
    config = preset_config("sample4geo-vigor-cross").model_copy(
        update={
            "name": "small",
            "architecture": "convnext_atto.d2_in1k",
            "embedding_size": 320,
            "satellite_size": 64,
            "ground_size": (48, 128),
        }
    )
    config.write_json(folder / "model.json")
    (folder / "MODEL_CARD.md").write_text("# Small\n\nA card.\n")
    return folder.parent


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.preset)
def test_released_files_are_told_by_path_and_by_name(tmp_path, release):
    file = f"{release.stem}.pth"
    inside = tmp_path / release.folder / "convnext_base.fb_in22k_ft_in1k_384"
    assert preset_of(inside / file) == release.preset
    assert preset_of(inside / "weights_end.pth") == release.preset
    assert preset_of(tmp_path / "Downloads" / file) == release.preset
    assert preset_of(tmp_path / "Downloads" / f"{release.stem} (1).pth") == release.preset
    assert preset_of(tmp_path / "Downloads" / "weights.pth") is None


def test_a_path_that_contradicts_its_name_is_not_guessed(tmp_path):
    assert preset_of(tmp_path / "cvact" / "weights_e40_98.6830.pth") is None


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.preset)
def test_each_release_ships_its_facts_without_weights(release):
    bundle = bundles.open_bundle(paths.models_dir() / release.preset)
    config = bundle.config
    assert config.name == release.preset
    assert not bundle.has_weights
    assert (config.architecture, config.embedding_size) == ("convnext_base.fb_in22k_ft_in1k_384", 1024)
    assert config.satellite_size == 384
    assert config.scores
    assert f"{release.stem}.pth" in config.source
    card = (bundle.folder / "MODEL_CARD.md").read_text("utf-8")
    assert f"--as {release.preset}" in card
    for score in config.scores.values():
        assert f"{score:.2f}" in card


def test_the_released_facts_are_those_of_the_release():
    shapes = {r.preset: preset_config(r.preset).ground_size for r in RELEASES}
    assert shapes == {
        "sample4geo-cvusa": (140, 768),
        "sample4geo-cvact": (140, 768),
        "sample4geo-vigor-same": (384, 768),
        "sample4geo-vigor-cross": (384, 768),
        "sample4geo-university1652": (384, 384),
    }
    chips = {r.preset: preset_config(r.preset) for r in RELEASES}
    assert [chips[r.preset].satellite_source_px for r in RELEASES] == [750, 1200, 640, 640, 512]
    cvusa = chips["sample4geo-cvusa"]
    assert cvusa.ground_band_deg == pytest.approx(224 / 1232 * 360, abs=0.01)
    assert cvusa.side_m == pytest.approx(750 * 0.2986 * math.cos(math.radians(38)), abs=0.6)
    vigor = chips["sample4geo-vigor-same"]
    assert vigor.side_m == pytest.approx(640 * 0.1493 * math.cos(math.radians(41.88)), abs=0.6)
    assert chips["sample4geo-cvact"].side_m == pytest.approx(1200 * 0.06)
    assert chips["sample4geo-university1652"].side_m is None


def test_another_network_under_the_name_of_a_release_does_not_claim_its_scores(shared_dir, tmp_path):
    path = shared_dir / "golden" / "weights_e40_0.7786.pth"
    facts = describe_file(path)
    assert (facts["preset"], facts["architecture"]) == ("sample4geo-vigor-same", "test_convnext")
    assert facts["name"] == "sample4geo-vigor-same-test_convnext"
    assert (facts["scores"], facts["source"]) == ({}, "")
    assert facts["ground_size"] == [384, 768]
    assert facts["logit_scale"] == pytest.approx(3.1234, abs=1e-5)
    assert facts["mean"] == [0.5, 0.5, 0.5]
    added = add_model(path, None, tmp_path / "own")
    assert bundles.find_bundle(added.name, tmp_path / "own").fingerprint == facts["fingerprint"]


def test_a_file_that_says_nothing_asks_for_a_preset(weights):
    with pytest.raises(
        BundleError, match=r"what the model was trained for[\s\S]*sample4geo-cvact \(panorama"
    ):
        bundles.find_bundle(weights)


def test_added_weights_are_a_bundle_with_the_preset_s_facts(tmp_path, weights, preset, state):
    added = add_model(weights, "small", tmp_path / "own", name="mine", workspace_models=preset)
    found = bundles.find_bundle("mine", tmp_path / "own")
    assert found == added
    found.verify()
    assert found.weights_path.read_bytes() == weights.read_bytes()
    assert found.config.logit_scale == 3.25
    assert found.config.ground_size == (48, 128)
    assert found.config.architecture == "convnext_atto.d2_in1k"
    card = (found.folder / "MODEL_CARD.md").read_text()
    assert card.startswith("# Small")
    assert f"`mine.pth`, sha256 `{found.config.weights_sha256}`" in card
    assert [entry.name for entry in (tmp_path / "own").iterdir()] == ["mine"]


def test_linked_weights_take_no_space_and_a_folder_is_copied(tmp_path, weights, preset):
    linked = add_model(weights, "small", tmp_path / "own", link=True, side_m=50, workspace_models=preset)
    assert linked.weights_path.samefile(weights)
    assert (linked.config.side_m, linked.config.side_m_origin) == (50, "user")
    copied = add_model(linked.folder, None, tmp_path / "other", name="copy")
    assert copied.fingerprint == linked.fingerprint
    assert not copied.weights_path.samefile(weights)


def test_a_taken_name_is_not_overwritten_unasked(tmp_path, weights, preset, state):
    add_model(weights, "small", tmp_path / "own", workspace_models=preset)
    add_model(weights, "small", tmp_path / "own", workspace_models=preset)  # the same weights: nothing to ask
    other = tmp_path / "other.safetensors"
    save_file({key: value * 1.01 for key, value in state.items()}, other)
    with pytest.raises(BundleError, match="already a model named 'small'"):
        add_model(other, "small", tmp_path / "own", workspace_models=preset)
    replaced = add_model(other, "small", tmp_path / "own", replace=True, workspace_models=preset)
    assert replaced.config.weights_file == "weights.safetensors"
    assert sorted(entry.name for entry in replaced.folder.iterdir()) == [
        "MODEL_CARD.md",
        "model.json",
        "weights.safetensors",
    ]


def test_weights_that_do_not_fit_are_refused_before_anything_is_written(tmp_path, weights, preset, state):
    own = tmp_path / "own"
    with pytest.raises(WeightsError, match="not the weights of a convnext_tiny"):
        add_model(weights, "sample4geo-cvusa", own, architecture="convnext_tiny")
    with pytest.raises(BundleError, match="no preset named 'cvusa'"):
        add_model(weights, "cvusa", own)
    with pytest.raises(BundleError, match="--as NAME"):
        add_model(weights, None, own)
    dead = tmp_path / "dead.pth"
    torch.save({key: torch.zeros_like(value) for key, value in state.items()}, dead)
    with pytest.raises(WeightsError, match="no usable vector"):
        add_model(dead, "small", own, workspace_models=preset)
    assert not own.exists()


@pytest.mark.parametrize(
    ("name", "numbers", "sizes"),
    [
        ("vit_tiny_patch16_224", 192, (384, (384, 768))),
        ("vit_small_patch14_dinov2", 384, (378, (378, 770))),  # multiples of 14
        ("mobilenetv3_small_050", 1024, (384, (384, 768))),  # wider before the classifier than its features
        ("convit_tiny", 192, (224, (224, 224))),  # nothing but its own square
    ],
)
def test_any_other_backbone_works_when_it_is_named(tmp_path, run, name, numbers, sizes):
    torch.manual_seed(0)
    file = tmp_path / "weights.pth"
    state = create_backbone(name).state_dict()
    # As after training: a fresh DINOv2 passes on next to nothing of its blocks.
    torch.save({key: value + 1.0 if key.endswith(".gamma") else value for key, value in state.items()}, file)
    words = ("--as", "sample4geo-vigor-cross", "--architecture", name, "--name", "other", "--json")
    added = json.loads(run("model", "add", file, *words))
    assert added["embedding_size"] == numbers
    assert (added["satellite_size"], tuple(added["ground_size"])) == sizes
    assert added["scores"] == {}


def test_export_loads_where_the_weights_came_from(tmp_path, weights, preset, state):
    bundle = add_model(weights, "small", tmp_path / "own", workspace_models=preset)
    export_model(bundle, tmp_path / "out" / "up.pth", "pth")
    export_model(bundle, tmp_path / "out" / "bare.safetensors", "safetensors")
    original = torch.load(weights, weights_only=True)
    exported = torch.load(tmp_path / "out" / "up.pth", weights_only=True)
    assert exported.keys() == original.keys()
    assert all(torch.equal(exported[key], original[key]) for key in original)
    bare = load_file(tmp_path / "out" / "bare.safetensors")
    assert bare.keys() == {*state, "logit_scale"}
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == ["bare.safetensors", "up.pth"]


@pytest.fixture
def run():
    app = typer.Typer()
    app.add_typer(commands.app, name="model")
    app.command("embed")(commands.embed)
    app.command("devices")(commands.devices)

    def call(*words):
        result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=True)
        if isinstance(result.exception, GeolocatorError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout

    return call


def test_the_commands_add_list_show_and_export(tmp_path, run, state):
    path = tmp_path / "vigor_cross" / "weights_e40_0.6109.pth"
    path.parent.mkdir()
    torch.save(state, path)
    assert "not the released ones" in run("model", "add", path)  # the name of a release on other weights
    words = ("--as", "sample4geo-vigor-cross", "--architecture", "convnext_atto", "--name", "atto")
    added = json.loads(run("model", "add", path, *words, "--json"))
    assert added["name"] == "atto"
    assert added["embedding_size"] == 320
    listed = {one["name"]: one for one in json.loads(run("model", "list", "--json"))}
    assert listed["atto"]["has_weights"]
    assert not listed["sample4geo-cvusa"]["has_weights"]
    assert "needs its weights" in run("model", "list")
    shown = json.loads(run("model", "show", "atto", "--json"))
    assert shown["fingerprint"] == added["fingerprint"]
    assert "convnext_atto" in run("model", "show", path)
    assert "Wrote" in run("model", "export", "atto", "--pth", tmp_path / "again.pth")
    assert torch.load(tmp_path / "again.pth", weights_only=True).keys() == {
        "logit_scale",
        *(f"model.{key}" for key in state),
    }
    with pytest.raises(ConfigError, match="nothing to write"):
        run("model", "export", "atto")


def test_embed_writes_the_published_vectors(tmp_path, run, shared_dir):
    golden = shared_dir / "golden"
    images = [golden / "vigor_satellite.png", golden / "cvusa_satellite.png"]
    out = tmp_path / "new" / "vectors.npy"
    words = ("--model", golden / "weights_e40_0.7786.pth", "--view", "satellite", "--out", out, "--json")
    facts = json.loads(run("embed", *images, *words))
    assert facts["precision"] == "fp32"
    vectors = np.load(out)
    assert vectors.shape == (2, 64)
    assert vectors.dtype == np.float32
    module = create_backbone("test_convnext").eval()
    raw = torch.load(golden / "weights_e40_0.7786.pth", weights_only=True)
    module.load_state_dict({k.removeprefix("model."): v for k, v in raw.items() if k != "logit_scale"})
    for path, vector in zip(images, vectors, strict=True):
        image = cv2.resize(
            cv2.imread(str(path))[..., ::-1].copy(), (384, 384), interpolation=cv2.INTER_LINEAR_EXACT
        )
        tensor = torch.from_numpy((image.astype(np.float32) / 255 - 0.5) / 0.5).permute(2, 0, 1)[None]
        with torch.inference_mode():
            expected = torch.nn.functional.normalize(module(tensor), dim=-1)[0].numpy()
        assert np.abs(vector - expected).max() <= 1e-5


def test_devices_are_listed_with_the_choice(run):
    found = json.loads(run("devices", "--device", "cpu", "--backend", "torch", "--json"))
    assert found["chosen"]["backend"] == "torch"
    assert found["devices"][0]["device"] == "cpu"
    assert found["devices"][0]["cores"] >= found["chosen"]["threads"]
    assert "Chosen: cpu" in run("devices", "--device", "cpu")


def test_a_flipped_byte_in_a_weight_is_found_by_its_checksum(tmp_path, state):
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="damaged"):
        add_model(path, "sample4geo-cvusa", tmp_path / "models", architecture="convnext_atto")


def test_a_pth_by_another_name_is_read_by_its_content(tmp_path, state):
    path = tmp_path / "weights.safetensors"
    torch.save(state, path)
    added = add_model(path, "sample4geo-cvusa", tmp_path / "models", architecture="convnext_atto")
    assert added.config.weights_file == "weights.pth"
    assert open_bundle(added.folder).has_weights


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "some.pth")
    with pytest.raises(WeightsError, match="a pipe or a device"):
        add_model(tmp_path / "some.pth", None, tmp_path / "models")


def test_embed_refuses_before_a_model_is_loaded(tmp_path, run, state):
    image, weights = tmp_path / "a.png", tmp_path / "unknown.pth"
    cv2.imwrite(str(image), np.zeros((40, 40, 3), np.uint8))
    torch.save(state, weights)
    words = ("--view", "satellite", "--out")
    with pytest.raises(BundleError, match="what the model was trained for") as caught:
        run("embed", image, "--model", weights, *words, tmp_path / "out.npy")
    assert "--as" in str(caught.value)
    nowhere = tmp_path / "no-model-is-here"
    with pytest.raises(InputError, match="does not exist"):
        run("embed", tmp_path / "absent.png", "--model", nowhere, *words, tmp_path / "out.npy")
    for out in (tmp_path, image / "below.npy"):
        with pytest.raises(InputError, match=r"written|to write"):
            run("embed", image, "--model", nowhere, *words, out)
