"""Views of a town: both renderers agree, directions are right, training views stay as they are."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from geolocator_gui.town.elements import Building, Rect
from geolocator_gui.town.geometry import generate_town
from geolocator_gui.town.kernels import compiled
from geolocator_gui.town.layers import KIND
from geolocator_gui.town.scene import Scene, march

RED = (250.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def scene():
    return Scene(generate_town(4, size_m=256.0))


@pytest.fixture(scope="module")
def slow_scene(scene):
    return Scene(scene.town, use_numba=False)


@pytest.fixture(scope="module")
def red_house_to_the_east():
    town = generate_town(0, size_m=256.0)
    house = Building(
        (Rect(25.0, 0.0, 4.0, 6.0, 0.0),), 8.0, 8.0, "flat", RED, RED, RED, RED, 1.0, 3.0, 3.0, 0.1
    )
    meadow = (60.0, 160.0, 60.0)
    empty = replace(
        town,
        buildings=(house,),
        trees=(),
        patches=(),
        streets=(),
        river=None,
        ground=meadow,
        ground_second=meadow,
    )
    return Scene(empty)


def _red(image):
    """Where the red house is: column and row as shares of the image, and its pixels."""
    rows, cols = np.nonzero(image[..., 0].astype(int) - image[..., 1] > 110)
    return (cols.mean() + 0.5) / image.shape[1], (rows.mean() + 0.5) / image.shape[0], len(rows)


def _views(scene, count=6, seed=1):
    rng = np.random.default_rng(seed)
    return scene.street_positions(count, rng), rng.uniform(0.0, 360.0, count)


@pytest.mark.skipif(compiled() is None, reason="numba is not installed: there is one renderer only")
@pytest.mark.parametrize("light", [None, 3])
def test_numba_and_numpy_give_equal_pixels(scene, slow_scene, light):
    xy, headings = _views(scene)

    def rng():
        return None if light is None else np.random.default_rng(light)

    for name in ("panoramas", "chips"):
        fast = getattr(scene, name)(xy, headings, variation=rng())
        slow = getattr(slow_scene, name)(xy, headings, variation=rng())
        assert np.array_equal(fast, slow), name


@pytest.mark.skipif(compiled() is None, reason="numba is not installed: there is one renderer only")
def test_numba_and_numpy_give_equal_photos(scene):
    window = (-70.0, -70.0, 70.0, 70.0)
    fast = Scene(scene.town, 0.12, window=window)
    slow = Scene(scene.town, 0.12, window=window, use_numba=False)
    sky = np.random.default_rng(0).uniform(-0.3, 1.0, (48, 96))
    for xy in fast.street_positions(3, np.random.default_rng(0), margin_m=25.0):
        views = [
            s.perspective(
                xy,
                20.0,
                fov_deg=80.0,
                height=48,
                width=96,
                detail=8.0,
                sky=sky,
                steps=march(0.1, 0.05, 0.015),
            )
            for s in (fast, slow)
        ]
        assert np.array_equal(*views)


def test_a_house_to_the_east_is_right_of_the_centre_when_looking_north(red_house_to_the_east):
    scene, here = red_house_to_the_east, np.zeros((1, 2))
    across, down, count = _red(scene.chips(here, np.zeros(1))[0])
    assert across == pytest.approx(0.5 + 25.0 / 80.0, abs=0.01)
    assert down == pytest.approx(0.5, abs=0.01)
    assert count == pytest.approx(8.0 * 12.0 * (96 / 80) ** 2, rel=0.1)
    across, down, _ = _red(scene.panoramas(here, np.zeros(1))[0])
    assert across == pytest.approx(0.75, abs=0.01)
    assert down < 0.5  # 8 m high seen from 1.7 m: more above the horizon than below


def test_a_heading_turns_both_views(red_house_to_the_east):
    scene, here = red_house_to_the_east, np.zeros((1, 2))
    across, down, _ = _red(scene.chips(here, np.array([90.0]))[0])
    assert across == pytest.approx(0.5, abs=0.01)
    assert down == pytest.approx(0.5 - 25.0 / 80.0, abs=0.01)
    assert _red(scene.panoramas(here, np.array([90.0]))[0])[0] == pytest.approx(0.5, abs=0.01)
    assert _red(scene.panoramas(here, np.array([180.0]))[0])[0] == pytest.approx(0.25, abs=0.01)


def test_a_perspective_photo_is_rectilinear(red_house_to_the_east):
    scene = red_house_to_the_east
    # The front wall spans y = -6 … 6 m at x = 21 m: ±0.2857 of the distance.
    image = scene.perspective(
        np.zeros(2), 90.0, fov_deg=60.0, height=300, width=400, steps=march(0.1, 0.02, 0.001)
    )
    rows, cols = np.nonzero(image[..., 0].astype(int) - image[..., 1] > 110)
    focal = 200.0 / np.tan(np.radians(30.0))
    assert cols.max() - cols.min() + 1 == pytest.approx(2.0 * 6.0 / 21.0 * focal, abs=4)
    assert rows.min() == pytest.approx(150.0 - (8.0 - 1.7) / 21.0 * focal, abs=4)
    assert rows.max() == pytest.approx(150.0 + 1.7 / 21.0 * focal, abs=4)


def test_rolling_a_panorama_is_turning_the_camera(scene):
    xy, _ = _views(scene, 3)
    north = scene.panoramas(xy, np.zeros(3))
    east = scene.panoramas(xy, np.full(3, 90.0))
    rolled = np.roll(north, -192 // 4, axis=2)  # what was a quarter right of the centre is the centre
    assert (rolled != east).any(axis=-1).mean() < 0.002  # rays that pass exactly between two pixels


def test_a_full_panorama_holds_the_band(scene):
    xy, headings = _views(scene, 2)
    band = scene.panoramas(xy, headings)
    full = scene.panoramas(xy, headings, height=96, width=192)
    assert np.array_equal(full[:, 24:72], band)


def test_street_positions_stand_free_and_keep_away(scene):
    xy, _ = _views(scene, 300)
    layers = scene.layers
    cols = ((xy[:, 0] - layers.west) / layers.metres_per_pixel).astype(int)
    rows = ((layers.north - xy[:, 1]) / layers.metres_per_pixel).astype(int)
    assert layers.walkable[rows, cols].all()
    assert (layers.objects[layers.ids[rows, cols], KIND] != 1.0).all()
    assert np.abs(xy).max() <= 128.0 - 60.0 + layers.metres_per_pixel
    far = scene.street_positions(200, np.random.default_rng(1), avoid_xy=xy[:5], avoid_m=8.0)
    assert np.linalg.norm(far[:, None] - xy[None, :5], axis=2).min() >= 8.0


def test_light_differs_per_view_and_follows_from_the_generator(scene):
    xy, headings = np.repeat(_views(scene, 1)[0], 2, axis=0), np.zeros(2)
    one = scene.panoramas(xy, headings, variation=np.random.default_rng(1))
    assert np.array_equal(one, scene.panoramas(xy, headings, variation=np.random.default_rng(1)))
    assert (one[0] != one[1]).mean() > 0.5


def test_a_finer_scene_shows_the_same_town(scene):
    xy, headings = _views(scene, 8)
    fine = Scene(scene.town, 0.2).chips(xy, headings, size=384)
    shrunk = fine.reshape(8, 96, 4, 96, 4, 3).mean(axis=(2, 4))
    coarse = scene.chips(xy, headings)
    assert np.abs(shrunk - coarse).mean() < 8.0
    assert np.corrcoef(shrunk.ravel(), coarse.ravel())[0, 1] > 0.95


# The shipped model is trained on these views. Whoever changes a pixel here has to train it again.
PINNED = {
    "panoramas": "b5b23f19539fff40",
    "chips": "322113db8aa72ac7",
    "varied panoramas": "93076bf36e8e39c8",
    "varied chips": "1dbc836695eda957",
}


def test_training_views_are_pinned(scene):
    xy, headings = _views(scene, 24, seed=2)
    made = {
        "panoramas": scene.panoramas(xy, headings),
        "chips": scene.chips(xy, headings),
        "varied panoramas": scene.panoramas(xy, headings, variation=np.random.default_rng(3)),
        "varied chips": scene.chips(xy, headings, variation=np.random.default_rng(3)),
    }
    assert {
        name: hashlib.sha256(images.tobytes()).hexdigest()[:16] for name, images in made.items()
    } == PINNED
