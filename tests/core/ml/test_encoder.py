"""Every way of running the network gives the vectors of plain float32, whatever lies beside an image."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from geolocator_gui.configs import ModelConfig
from geolocator_gui.errors import ConfigError, InputError
from geolocator_gui.ml import bundle as bundles
from geolocator_gui.ml.backbone import create_backbone
from geolocator_gui.ml.backends.choice import choose, has_openvino
from geolocator_gui.ml.backends.torch_backend import TorchBackend, worth_compiling
from geolocator_gui.ml.encoder import Encoder
from geolocator_gui.ml.model_loading import load_backbone
from geolocator_gui.ml.threads import usable_cores
from geolocator_gui.ml.transforms import normalise

needs_openvino = pytest.mark.skipif(not has_openvino(), reason="OpenVINO is not made for this platform")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    torch.manual_seed(11)
    config = ModelConfig(
        name="tiny",
        architecture="test_convnext",
        embedding_size=64,
        satellite_size=96,
        ground_size=(48, 192),
        ground_view="panorama",
        satellite_source_px=96,
        mean=(0.4, 0.45, 0.5),
        std=(0.2, 0.25, 0.3),
    )
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return bundles.write_bundle(folder, config, create_backbone("test_convnext").state_dict(), "")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One cache of converted models for the module."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _one_cache(home, monkeypatch):
    monkeypatch.setenv("GEOLOCATOR_HOME", str(home))


def pictures(count, height, width, seed=0):
    """Smooth random pictures: noise alone would make all vectors alike."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (count, height // 12, width // 12, 3), dtype=np.uint8)
    return np.kron(small, np.ones((1, 12, 12, 1), dtype=np.uint8))


def plain(bundle, images):
    """The published way: numpy normalisation, eager float32, L2 norm."""
    with torch.inference_mode():
        features = load_backbone(bundle)(
            torch.from_numpy(normalise(images, bundle.config.mean, bundle.config.std))
        )
        return torch.nn.functional.normalize(features, dim=-1).numpy()


WAYS = [
    ("torch", "fp32", 1e-5),
    ("torch", "bf16", None),
    pytest.param("openvino", "fp32", 1e-5, marks=needs_openvino),
    pytest.param("openvino", "bf16", None, marks=needs_openvino),
    ("auto", "auto", None),
]


@pytest.mark.parametrize(("backend", "precision", "tolerance"), WAYS)
@pytest.mark.parametrize("view", ["satellite", "ground"])
def test_every_way_agrees_with_plain_float32(bundle, view, backend, precision, tolerance):
    images = pictures(7, *((96, 96) if view == "satellite" else (48, 192)))
    expected = plain(bundle, images)
    with Encoder(bundle, device="cpu", backend=backend, precision=precision) as encoder:
        vectors = encoder.embed(images, view)
        facts = encoder.description
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (vectors * expected).sum(axis=1).min() >= 0.9999
    if tolerance is not None:
        assert np.abs(vectors - expected).max() <= tolerance
    assert facts["device"] == "cpu"
    assert facts["backend"] in ("torch", "openvino")
    if precision != "auto":
        assert (facts["backend"], facts["precision"]) == (backend, precision)


@pytest.mark.parametrize("backend", ["torch", pytest.param("openvino", marks=needs_openvino)])
def test_a_vector_does_not_depend_on_its_neighbours(bundle, backend):
    images = pictures(9, 96, 96)
    with Encoder(bundle, device="cpu", backend=backend, batch_size=4) as encoder:
        vectors = encoder.embed(images, "satellite")
        others = 255 - images
        others[5] = images[5]
        np.testing.assert_array_equal(encoder.embed(others, "satellite")[5], vectors[5])
        np.testing.assert_array_equal(encoder.embed(images[4:6], "satellite")[0], vectors[4])
        np.testing.assert_array_equal(encoder.embed(images, "satellite"), vectors)
        assert encoder.embed(images[:0], "satellite").shape == (0, 64)


@pytest.mark.parametrize("backend", ["torch", pytest.param("openvino", marks=needs_openvino)])
def test_a_transformer_takes_square_chips_and_wide_panoramas(tmp_path, backend):
    torch.manual_seed(4)
    name = "test_vit"
    config = ModelConfig(
        name="vit",
        architecture=name,
        embedding_size=64,
        satellite_size=96,
        ground_size=(48, 192),
        ground_view="panorama",
        satellite_source_px=96,
    )
    state = create_backbone(name, image_size=96).state_dict()
    bundle = bundles.write_bundle(tmp_path / "vit", config, state, "")
    with Encoder(bundle, device="cpu", backend=backend, precision="fp32") as encoder:
        for view, shape in (("satellite", (96, 96)), ("ground", (48, 192))):
            images = pictures(3, *shape)
            vectors, expected = encoder.embed(images, view), plain(bundle, images)
            assert (vectors * expected).sum(axis=1).min() >= 0.999999
            # OpenVINO interpolates position embeddings a little differently.
            assert np.abs(vectors - expected).max() <= (1e-5 if backend == "torch" else 2e-4)


def test_wrong_images_are_refused(bundle):
    with Encoder(bundle, device="cpu", backend="torch") as encoder:
        for images in (np.zeros((1, 96, 96, 3)), np.zeros((96, 96, 3), np.uint8), pictures(1, 48, 192)):
            with pytest.raises(InputError, match="96x96x3"):
                encoder.embed(images, "satellite")


def test_out_of_memory_halves_the_pass_instead_of_failing(bundle, caplog):
    images = pictures(8, 96, 96)
    backend = TorchBackend(bundle, choose("cpu", "torch", "fp32", 1), 8)
    whole = backend.embed(images, "satellite")
    network = backend._network

    def small_device(pixels):
        if len(pixels) > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return network(pixels)

    backend._network = small_device
    np.testing.assert_allclose(backend.embed(images, "satellite"), whole, atol=1e-5)
    assert backend.batch_size == 2
    assert "out of memory" in caplog.text

    def broken_device(pixels):
        raise RuntimeError("device lost")

    backend._network = broken_device
    with pytest.raises(RuntimeError, match="device lost"):
        backend.embed(images, "satellite")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"device": "gpu"}, "no device 'gpu'"),
        ({"backend": "onnx"}, "no back-end 'onnx'"),
        ({"precision": "fp8"}, "no precision 'fp8'"),
        ({"device": "cuda", "backend": "openvino"}, "OpenVINO and int8 run on the CPU"),
        ({"device": "cpu", "precision": "fp16"}, "slower than fp32"),
        ({"threads": 0}, "at least one thread"),
    ],
)
def test_impossible_wishes_are_told(wanted, message):
    with pytest.raises(ConfigError, match=message):
        choose(**wanted)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_missing_gpu_is_told():
    with pytest.raises(ConfigError, match="finds no NVIDIA"):
        choose("cuda")


def test_compiling_is_for_jobs_that_win_it_back():
    assert worth_compiling("cuda", 100_000)
    assert not worth_compiling("cuda", 1_000)
    assert not worth_compiling("cuda", None)
    assert not worth_compiling("cpu", 10_000_000)


def test_threads_are_never_more_than_the_cores():
    assert usable_cores() >= 1
    assert choose("cpu", "torch", "fp32", 10_000).threads == usable_cores()


@needs_openvino
@pytest.mark.parametrize("view", ["satellite", "ground"])
def test_int8_is_near_and_always_the_same(bundle, view):
    images = pictures(5, *((96, 96) if view == "satellite" else (48, 192)))
    expected = plain(bundle, images)
    with Encoder(bundle, precision="int8") as encoder:
        assert encoder.description["precision"] == "int8"
        vectors = encoder.embed(images, view)
        np.testing.assert_array_equal(encoder.embed(images, view), vectors)
    cosines = (vectors * expected).sum(axis=1)
    assert cosines.min() >= 0.98
    assert cosines.max() < 0.99999, "nothing was quantised"


@needs_openvino
def test_a_damaged_cache_is_made_anew(bundle):
    images = pictures(2, 96, 96)
    with Encoder(bundle, device="cpu", backend="openvino") as encoder:
        vectors = encoder.embed(images, "satellite")
    from geolocator_gui.ml.backends.openvino_model import converted_model

    path = converted_model(bundle, "satellite")
    path.write_text("<net")
    with Encoder(bundle, device="cpu", backend="openvino") as encoder:
        np.testing.assert_array_equal(encoder.embed(images, "satellite"), vectors)


def bare_environment(home, user):
    return {"GEOLOCATOR_HOME": str(home), "HOME": str(user), "PATH": "", "PYTHONPATH": ":".join(sys.path)}


SECOND_START = """
import sys
from pathlib import Path
import numpy as np
from geolocator_gui.ml.bundle import open_bundle
from geolocator_gui.ml.encoder import Encoder
called = []
sys.addaudithook(lambda name, _: called.append(name) if name.startswith(("socket.", "subprocess.", "os.fork",
    "os.posix_spawn", "urllib.")) else None)
with Encoder(open_bundle(Path(sys.argv[1])), device="cpu", backend="openvino") as encoder:
    encoder.embed(np.zeros((1, 96, 96, 3), np.uint8), "satellite")
print("torch" in sys.modules, "timm" in sys.modules, sorted(set(called)))
print(getattr(sys.modules.get("openvino_telemetry"), "__file__", None))
"""


@needs_openvino
def test_the_second_start_needs_no_torch_and_nothing_is_reported(bundle, home, tmp_path):
    with Encoder(bundle, device="cpu", backend="openvino"):
        pass  # the first start converts
    run = subprocess.run(
        [sys.executable, "-c", SECOND_START, str(bundle.folder)],
        capture_output=True, text=True, check=True, timeout=120,
        env=bare_environment(home, tmp_path),
    )  # fmt: skip
    assert run.stdout.split("\n")[:2] == ["False False []", "None"]
    assert not list(tmp_path.iterdir()), "telemetry keeps an id in the home folder"


@needs_openvino
def test_the_first_start_reports_nothing_either(bundle, tmp_path):
    home = tmp_path / "own"
    run = subprocess.run(
        [sys.executable, "-c", SECOND_START, str(bundle.folder)],
        capture_output=True, text=True, check=True, timeout=240,
        env=bare_environment(home, tmp_path),
    )  # fmt: skip
    loaded, telemetry = run.stdout.split("\n")[:2]
    assert loaded.startswith("True True")
    assert "socket.connect" not in loaded
    assert telemetry == "None"
    assert not (tmp_path / "intel").exists()
