"""Placement: what the encoder sees of a photo, by heading, field of view and model."""

import tracemalloc

import numpy as np
import pytest

from geolocator_gui.configs import LocaliseConfig, ModelConfig
from geolocator_gui.errors import ConfigError, PhotoError
from geolocator_gui.ml.placement import guess_mode, loading_side, mean_colour, place, roll_to_north
from geolocator_gui.ml.transforms import prepare
from geolocator_gui.records import PhotoFacts

RED, GREEN = np.array([200, 20, 20]), np.array([20, 200, 20])


def model(view="panorama", ground=(96, 192), band=180.0):
    return ModelConfig(
        name="m",
        architecture="test_convnext",
        embedding_size=64,
        satellite_size=96,
        ground_size=ground,
        ground_view=view,
        ground_band_deg=band,
        satellite_source_px=96,
        side_m=80.0,
    )


def stripe(azimuth, width=720, height=360, colour=RED):
    """A grey panorama whose centre looks north, with a stripe 10° wide at an azimuth."""
    image = np.full((height, width, 3), 90, dtype=np.uint8)
    centre = round((azimuth / 360 + 0.5) * width) % width
    columns = (centre + np.arange(-width // 72, width // 72)) % width
    image[:, columns] = colour
    return image


def azimuth_of(image, colour=RED):
    """Mean azimuth of the pixels nearest to a colour, degrees."""
    near = np.abs(image.astype(int) - colour).sum(axis=2) < 100
    columns = np.flatnonzero(near.any(axis=0))
    angles = np.radians(((columns + 0.5) / image.shape[1] - 0.5) * 360)
    return np.degrees(np.angle(np.exp(1j * angles).mean())) % 360


def apart(one, other):
    """Degrees between two directions."""
    return np.abs((np.asarray(one) - np.asarray(other) + 180) % 360 - 180)


def panorama_facts(heading=None, width=720, height=360):
    return PhotoFacts(
        width, height, heading=heading, horizontal_fov=360.0, vertical_fov=180.0, is_panorama=True
    )


@pytest.mark.parametrize("heading", [0.0, 37.5, 90.0, 180.0, 271.0, 359.0])
def test_panorama_is_rolled_so_that_its_centre_looks_north(heading):
    true = 120.0  # where the stripe stands in the world
    seen = stripe((true - heading) % 360)  # the camera's centre looks to `heading`
    placed = place(seen, panorama_facts(heading), model(), LocaliseConfig())
    assert placed.images.shape == (1, 96, 192, 3)
    assert azimuth_of(placed.images[0]) == pytest.approx(true, abs=1.5)
    assert not placed.swept


def test_the_users_heading_goes_before_the_files():
    seen = stripe((120.0 - 40.0) % 360)
    placed = place(seen, panorama_facts(200.0), model(), LocaliseConfig(heading=40.0))
    assert azimuth_of(placed.images[0]) == pytest.approx(120.0, abs=1.5)


def test_a_heading_of_the_file_that_is_not_trusted_is_swept():
    facts = PhotoFacts(600, 400, heading=10.0, heading_is_magnetic=True, horizontal_fov=60.0)
    placed = place(photo(), facts, model(), LocaliseConfig(sweep=True))
    assert placed.swept
    assert "magnetic" not in placed.note
    assert place(stripe(0), panorama_facts(200.0), model(), LocaliseConfig(sweep=True)).swept
    assert not place(stripe(0), panorama_facts(200.0), model(), LocaliseConfig(sweep=True, heading=3)).swept


def test_unknown_heading_is_swept_and_one_hypothesis_is_right():
    true, heading = 120.0, 75.0
    seen = stripe((true - heading) % 360)
    placed = place(seen, panorama_facts(None), model(), LocaliseConfig(rolls=24))
    assert placed.images.shape == (24, 96, 192, 3)
    assert placed.swept
    found = [azimuth_of(image) for image in placed.images]
    best = int(np.argmin(apart(found, true)))
    assert placed.headings[best] == pytest.approx(heading)


def test_a_panorama_near_the_input_size_is_only_rolled_and_prepared():
    image = np.random.default_rng(0).integers(0, 255, (180, 360, 3), dtype=np.uint8)
    config = model()
    placed = place(image, panorama_facts(90.0, 360, 180), config, LocaliseConfig())
    assert (placed.images[0] == prepare(roll_to_north(image, 90.0), "ground", config)).all()


def test_a_strip_model_gets_the_band_around_the_horizon():
    image = np.zeros((360, 720, 3), dtype=np.uint8)
    image[135:225] = RED  # 45° around the horizon
    placed = place(image, panorama_facts(0.0), model("panorama_strip", (32, 256), 45.0), LocaliseConfig())
    assert (np.abs(placed.images[0].astype(int) - RED).sum(axis=2) < 20).all()


def test_a_flat_panorama_is_padded_to_the_models_height():
    image = np.full((90, 720, 3), RED, dtype=np.uint8)  # 45° high
    facts = PhotoFacts(720, 90, heading=0.0, horizontal_fov=360.0, vertical_fov=45.0, is_panorama=True)
    placed = place(image, facts, model(), LocaliseConfig()).images[0]
    assert (placed[0] == mean_colour(model())).all()
    assert np.abs(placed[48].astype(int) - RED).max() <= 1
    assert np.isclose((np.abs(placed.astype(int) - RED).sum(axis=2) < 20).mean(), 0.25, atol=0.03)


@pytest.mark.parametrize(("across", "upright"), [(1.0, None), (1.0, 1.0), (360.0, 1.0), (90.0, 180.0)])
def test_a_sliver_of_a_panorama_needs_no_more_memory_than_a_whole_one(across, upright):
    facts = PhotoFacts(576, 288, heading=0.0, horizontal_fov=across, vertical_fov=upright, is_panorama=True)
    tracemalloc.start()
    placed = place(np.full((288, 576, 3), RED, np.uint8), facts, model(), LocaliseConfig()).images[0]
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()
    assert placed.shape == (96, 192, 3)
    assert (placed[0, 0] == mean_colour(model())).all() == (across < 360 or upright == 1.0)
    if across == 90.0:
        assert np.abs(placed[:, 80:112].astype(int) - RED).max() <= 2


def test_a_field_of_view_that_cannot_be_is_refused_in_words():
    image = np.full((288, 576, 3), RED, np.uint8)
    for sizes in ({"horizontal_fov": 0.00036, "vertical_fov": 90.0}, {"vertical_fov": 1e-9}):
        facts = PhotoFacts(576, 288, heading=0.0, is_panorama=True, **sizes)
        with pytest.raises(PhotoError, match="less than 1°"):
            place(image, facts, model(), LocaliseConfig())
    with pytest.raises(PhotoError, match="less than 1°"):
        place(photo(), PhotoFacts(600, 400, horizontal_fov=0.4), model(), LocaliseConfig())
    assert place(photo(), PhotoFacts(600, 400, horizontal_fov=0.4), model(), LocaliseConfig(fov=60.0))
    with pytest.raises(ConfigError, match="'fov' should be greater than or equal to 1"):
        LocaliseConfig.from_mapping({"fov": 0.001})


def photo(width=600, height=400):
    """A photo with a green left edge, a red middle and a grey rest."""
    image = np.full((height, width, 3), 90, dtype=np.uint8)
    image[:, : width // 20] = GREEN
    image[:, width // 2 - 10 : width // 2 + 10] = RED
    return image


@pytest.mark.parametrize(("heading", "fov"), [(0.0, 60.0), (135.0, 90.0), (300.0, 70.0)])
def test_photo_is_put_where_its_heading_and_field_of_view_say(heading, fov):
    facts = PhotoFacts(600, 400, heading=heading, horizontal_fov=fov)
    placed = place(photo(), facts, model(ground=(192, 768)), LocaliseConfig())
    image = placed.images[0]
    assert placed.mode == "perspective"
    assert apart(azimuth_of(image, RED), heading) < 1.5
    # The left twentieth of the picture plane: half the field of view to the left of the centre.
    half = np.tan(np.radians(fov / 2))
    edge = heading - np.degrees(np.arctan(0.95 * half))
    assert azimuth_of(image, GREEN) == pytest.approx(edge % 360, abs=3)
    blank = (image == mean_colour(model())).all(axis=2)
    covered = (~blank).any(axis=0).mean() * 360
    assert covered == pytest.approx(fov, abs=3)
    rows = np.flatnonzero((~blank).any(axis=1))
    upright = np.degrees(2 * np.arctan(half * 400 / 600))
    assert (rows[-1] - rows[0] + 1) / 192 * 180 == pytest.approx(upright, abs=4)
    assert rows.mean() == pytest.approx(95.5, abs=1.5)  # level: the horizon is the middle row


def test_photo_without_lens_facts_says_what_was_assumed():
    placed = place(photo(), PhotoFacts(600, 400, heading=10.0), model(), LocaliseConfig())
    assert "66° is assumed" in placed.note
    asked = place(photo(), PhotoFacts(600, 400, heading=10.0), model(), LocaliseConfig(fov=80.0))
    assert asked.note == ""


def test_photo_of_unknown_heading_is_swept():
    facts = PhotoFacts(600, 400, horizontal_fov=66.0)
    placed = place(photo(), facts, model(), LocaliseConfig(rolls=12))
    assert placed.swept
    assert apart([azimuth_of(image) for image in placed.images], placed.headings).max() < 2.5


def test_magnetic_heading_is_said():
    facts = PhotoFacts(600, 400, heading=10.0, heading_is_magnetic=True, horizontal_fov=60.0)
    assert "magnetic" in place(photo(), facts, model(), LocaliseConfig()).note


def quadrant():
    """A photo from above whose top edge is red and whose right edge is green."""
    image = np.full((200, 200, 3), 90, dtype=np.uint8)
    image[:30] = RED
    image[:, 170:] = GREEN
    return image


def test_drone_photo_is_turned_north_by_its_heading():
    facts = PhotoFacts(200, 200, heading=90.0)  # the top looks east, so the right edge looks south
    placed = place(quadrant(), facts, model("drone", (96, 96)), LocaliseConfig())
    image = placed.images[0].astype(int)
    assert np.abs(image[48, -5] - RED).sum() < 60
    assert np.abs(image[-5, 48] - GREEN).sum() < 60


def test_drone_photo_of_unknown_heading_comes_in_rotations_with_the_right_heading():
    placed = place(quadrant(), PhotoFacts(200, 200), model("drone", (96, 96)), LocaliseConfig())
    assert len(placed.images) == 4
    assert placed.view == "ground"
    for image, heading in zip(placed.images, placed.headings, strict=True):
        by_heading = place(
            quadrant(), PhotoFacts(200, 200, heading=heading), model("drone", (96, 96)), LocaliseConfig()
        )
        assert np.abs(by_heading.images[0].astype(int) - image).mean() < 4


def test_drone_photo_for_a_street_model_is_compared_as_a_chip():
    placed = place(quadrant(), PhotoFacts(200, 200), model(), LocaliseConfig(mode="drone"))
    assert placed.view == "satellite"
    assert placed.images.shape == (4, 96, 96, 3)
    assert "street" in placed.note


def test_models_of_ordinary_photos_take_them_as_they_are():
    config = model("perspective", (96, 128))
    placed = place(photo(), PhotoFacts(600, 400, heading=3.0), config, LocaliseConfig())
    assert (placed.images[0] == prepare(photo(), "ground", config)).all()
    assert placed.headings is None


def test_mode_is_guessed_from_file_and_model():
    assert guess_mode(panorama_facts(), model()) == "panorama"
    assert guess_mode(PhotoFacts(600, 400), model()) == "perspective"
    assert guess_mode(panorama_facts(), model("drone", (96, 96))) == "drone"


def test_large_panoramas_are_averaged_down_and_small_ones_left():
    assert loading_side(panorama_facts(width=5760, height=2880), model(), "panorama") == 384
    assert loading_side(panorama_facts(width=500, height=250), model(), "panorama") is None
