"""Evaluation transforms against the numbers that the published implementation printed."""

import json

import cv2
import numpy as np
import pytest

from geolocator_gui.configs import ModelConfig
from geolocator_gui.errors import InputError
from geolocator_gui.ml.transforms import cut, normalise, prepare, resize


def config_for(case, golden):
    return ModelConfig(
        name="golden",
        architecture="test_convnext",
        embedding_size=64,
        satellite_size=case["satellite_size"][0],
        ground_size=tuple(case["ground_size"]),
        ground_view="panorama",
        ground_cutting=case["ground_cutting"],
        satellite_source_px=640,
        mean=tuple(golden["mean"]),
        std=tuple(golden["std"]),
    )


@pytest.mark.parametrize("name", ["vigor", "cvusa", "vigor_cut"])
@pytest.mark.parametrize("view", ["satellite", "ground"])
def test_parity_with_published(shared_dir, name, view):
    golden = json.loads((shared_dir / "golden/expected.json").read_text())["transforms"]
    case = next(case for case in golden["cases"] if case["name"] == name)
    config = config_for(case, golden)
    image = cv2.cvtColor(cv2.imread(str(shared_dir / f"golden/{name}_{view}.png")), cv2.COLOR_BGR2RGB)
    expected = np.load(shared_dir / "golden/transforms.npz")[f"{name}_{view}"]
    got = normalise(prepare(image, view, config), config.mean, config.std)
    assert got.shape == expected.shape
    assert got.dtype == np.float32
    assert np.abs(got - expected).max() <= 1e-5


def test_normalise_of_a_batch_equals_that_of_its_images():
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 7, 3), dtype=np.uint8)
    batch = normalise(images, (0.4, 0.5, 0.6), (0.2, 0.3, 0.1))
    assert batch.shape == (3, 3, 5, 7)
    np.testing.assert_array_equal(batch[1], normalise(images[1], (0.4, 0.5, 0.6), (0.2, 0.3, 0.1)))
    exact = (images[2, 4, 6].astype(np.float64) / 255 - (0.4, 0.5, 0.6)) / (0.2, 0.3, 0.1)
    np.testing.assert_allclose(batch[2, :, 4, 6], exact, atol=1e-5)


def test_resize_leaves_an_image_of_the_right_size_alone():
    image = np.random.default_rng(1).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize(image, 8, 9), image)


def test_cutting_more_than_there_is_says_so():
    with pytest.raises(InputError, match="100 rows cannot lose 60 rows"):
        cut(np.zeros((100, 10, 3), np.uint8), 60)
