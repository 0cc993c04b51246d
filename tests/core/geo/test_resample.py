import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from geolocator_gui.geo.imagery.resample import resample
from tests.core.geo.makers import texture


def test_whole_pixels_are_copied():
    image = texture(64, 80)
    patch = resample(image, None, (3, 5, 35, 45), 32, 40)
    assert np.array_equal(patch.pixels, image[5:45, 3:35])
    assert patch.valid.all()


def test_shrinking_averages_areas():
    image = texture(120, 90)
    patch = resample(image, None, (0, 0, 90, 120), 30, 40)
    want = image.reshape(40, 3, 30, 3, 3).mean(axis=(1, 3))
    assert np.abs(patch.pixels - want).max() <= 0.51


@pytest.mark.parametrize("scale", [1.3, 1.77, 2.6])
def test_fractional_shrinking_agrees_with_a_fine_sum(scale):
    image = texture(100, 100, 3)
    size, left, top = 30, 7.3, 11.6
    box = (left, top, left + size * scale, top + size * scale)
    patch = resample(image, None, box, size, size)
    fine = 100
    edges_x = np.round((left + np.arange(size + 1) * scale) * fine).astype(int)
    edges_y = np.round((top + np.arange(size + 1) * scale) * fine).astype(int)
    for row, column in ((0, 0), (12, 29), (29, 17)):
        ys = np.arange(edges_y[row], edges_y[row + 1]) // fine
        xs = np.arange(edges_x[column], edges_x[column + 1]) // fine
        want = image[np.ix_(ys, xs)].mean(axis=(0, 1))
        assert patch.pixels[row, column] == pytest.approx(want, abs=1.5)


def test_enlarging_is_bilinear():
    image = texture(20, 20, 5)
    patch = resample(image, None, (2, 2, 18, 18), 64, 64)
    want = cv2.resize(image, (80, 80), interpolation=cv2.INTER_LINEAR)[8:72, 8:72]
    assert np.abs(patch.pixels.astype(int) - want).max() <= 1


def test_invalid_pixels_do_not_bleed():
    image = np.full((40, 40, 3), 200, np.uint8)
    valid = np.ones((40, 40), bool)
    image[:, 20:] = 0
    valid[:, 20:] = False
    patch = resample(image, valid, (0, 0, 40, 40), 27, 27)
    assert (patch.pixels[patch.valid] == 200).all()
    assert patch.valid.mean() == pytest.approx(0.5, abs=0.03)


def test_pixels_do_not_depend_on_the_threads_of_the_matrix_products():
    """An index that is refreshed from another shell must not find changes that nobody made."""
    program = """
import hashlib
import numpy as np
from geolocator_gui.geo.imagery.resample import resample
from tests.core.geo.makers import texture
image = texture(900, 900, 3)
found = hashlib.sha256()
for part, side in ((900.0, 384), (411.7, 384), (180.3, 384), (700.9, 256)):
    for valid in (None, image[..., 0] > 60):
        found.update(resample(image, valid, (0.3, 0.6, part, part - 0.2), side, side).pixels.tobytes())
print(found.hexdigest())
"""
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2", "8")
    }
    assert len(answers) == 1
