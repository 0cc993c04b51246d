"""Placement: how a photo is put before the encoder.

The models compare a north-up chip with a panorama whose centre column looks north (Sample4Geo's data sets).
So a panorama is rolled to north by its heading, and an ordinary photo is put where it belongs on a panorama
that is otherwise blank; where the heading is unknown every step of a sweep is tried.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geolocator_gui.configs import MIN_FOV, LocaliseConfig, ModelConfig
from geolocator_gui.errors import PhotoError
from geolocator_gui.ml.transforms import Pixels, prepare, resize
from geolocator_gui.records import PhotoFacts, PhotoMode, View

# The main camera of a phone, when a file says nothing of its lens.
ASSUMED_FOV = 66.0
# Blank panoramas are drawn this many times larger than the input, so that the last resize averages.
_SUPER = 2
# What is put on a blank panorama is averaged down first where that would be more times larger than the input.
_LARGEST = 12


@dataclass(frozen=True)
class Placed:
    """A photo as the encoder takes it, once per hypothesis.

    Attributes:
        images: uint8 (K, h, w, 3) at the input size of `view`.
        headings: The photo's heading that each image assumes, degrees; None where headings play no part.
        swept: The headings are guesses, not knowledge.
        mode: How it was placed.
        view: Which input of the encoder the images are for.
        note: In words what was assumed, "" if nothing.
    """

    images: Pixels
    headings: tuple[float, ...] | None
    swept: bool
    mode: PhotoMode
    view: View = "ground"
    note: str = ""


def guess_mode(facts: PhotoFacts, model: ModelConfig) -> PhotoMode:
    """What a photo most likely is for this model."""
    if model.ground_view == "drone":
        return "drone"
    return "panorama" if facts.is_panorama else "perspective"


def loading_side(facts: PhotoFacts, model: ModelConfig, mode: PhotoMode) -> int | None:
    """Longest side in pixels that a photo needs to be loaded at; None for all of it."""
    height, width = model.ground_size
    if mode == "panorama":
        # Up to three times the input a panorama is resized as the training data were; beyond, it would
        # alias, so it is averaged down first.
        return None if facts.width <= 3 * width else 2 * width
    return max(2 * max(height, width, model.satellite_size), 512)


def place(image: Pixels, facts: PhotoFacts, model: ModelConfig, options: LocaliseConfig) -> Placed:
    """Put a photo before the encoder.

    Args:
        image: uint8 (h, w, 3) RGB, upright; may be smaller than the file says.
        facts: What the photo says of itself.
        model: The model that will embed it.
        options: What the user says; it goes before the file's word.

    Raises:
        PhotoError: By its file's word the photo shows next to nothing.
    """
    mode = options.mode or guess_mode(facts, model)
    if model.ground_view == "drone":
        return _drone(image, facts, model, options, mode)
    if mode == "drone":
        return _overhead(image, facts, model, options)
    if model.ground_view == "perspective":
        return _plain(image, facts, model, mode)
    if mode == "panorama":
        return _panorama(image, facts, model, options)
    return _perspective(image, facts, model, options)


def roll_to_north(panorama: Pixels, heading: float) -> Pixels:
    """A panorama (h, w, 3) whose centre looks to `heading` degrees, rolled so that its centre looks north."""
    return np.roll(panorama, round(heading / 360.0 * panorama.shape[1]), axis=1)


def mean_colour(model: ModelConfig) -> Pixels:
    """The colour that is zero after normalisation, uint8 (3,)."""
    return np.rint(np.asarray(model.mean) * 255.0).astype(np.uint8)


def _panorama(image: Pixels, facts: PhotoFacts, model: ModelConfig, options: LocaliseConfig) -> Placed:
    """A panorama: the model's band of it, rolled."""
    height, width = image.shape[:2]
    across = options.fov or _stated(facts.horizontal_fov if facts.is_panorama else None, "wide") or 360.0
    upright = _stated(facts.vertical_fov if facts.is_panorama else None, "high")
    upright = upright or min(180.0, across * height / width)
    note = ""
    image = _averaged(image, across, upright, model)
    if across < 359.0:
        image = _widened(image, across, model)
        note = f"The panorama covers {across:.0f}°; the rest is left blank."
    image = _band(image, upright, model)
    headings, swept = _headings(facts, options)
    if swept:
        prepared = prepare(image, "ground", model)
        images = np.stack([roll_to_north(prepared, heading) for heading in headings])
    else:
        images = prepare(roll_to_north(image, headings[0]), "ground", model)[None]
    return Placed(images, headings, swept, "panorama", note=_join(note, _heading_note(facts, options)))


def _perspective(image: Pixels, facts: PhotoFacts, model: ModelConfig, options: LocaliseConfig) -> Placed:
    """An ordinary photo on a blank panorama, where its heading and field of view put it."""
    fov = options.fov or _stated(facts.horizontal_fov, "wide")
    note = ""
    if fov is None:
        fov = ASSUMED_FOV
        note = f"The photo does not say its field of view: {fov:.0f}° is assumed; set it if you know it."
    canvas = project_photo(image, min(fov, 170.0), model)
    headings, swept = _headings(facts, options)
    images = np.stack([resize(roll_to_north(canvas, heading), *model.ground_size) for heading in headings])
    return Placed(images, headings, swept, "perspective", note=_join(note, _heading_note(facts, options)))


def project_photo(image: Pixels, fov: float, model: ModelConfig) -> Pixels:
    """A level photo of a pinhole camera drawn into the middle of a blank panorama.

    Args:
        image: uint8 (h, w, 3).
        fov: Degrees covered by its width, below 180.
        model: Says how large a panorama is and which band of height it covers.

    Returns:
        uint8 (H, W, 3), equirectangular, at twice the model's input size; the photo looks at its centre.
    """
    import cv2

    height, width = _SUPER * model.ground_size[0], _SUPER * model.ground_size[1]
    half = np.tan(np.radians(fov / 2))
    # Pixels per degree on the canvas and at the photo's centre; averaging first keeps detail from aliasing.
    finest = max(width / 360.0, height / model.ground_band_deg)
    dense = image.shape[1] / (2 * np.degrees(half))
    if dense > 1.5 * finest:
        scale = 1.2 * finest / dense
        size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    rows, columns = image.shape[:2]
    azimuth = np.radians(((np.arange(width) + 0.5) / width - 0.5) * 360.0)[None, :]
    elevation = np.radians((0.5 - (np.arange(height) + 0.5) / height) * model.ground_band_deg)[:, None]
    ahead = np.cos(azimuth)
    safe = np.maximum(ahead, 1e-6)
    x = np.broadcast_to(np.tan(azimuth) / half, (height, width))
    y = -np.tan(np.clip(elevation, -1.55, 1.55)) / safe / (half * rows / columns)
    inside = (ahead > 0.02) & (np.abs(x) <= 1) & (np.abs(y) <= 1)
    map_x = ((x + 1) / 2 * columns - 0.5).astype(np.float32)
    map_y = ((y + 1) / 2 * rows - 0.5).astype(np.float32)
    drawn = cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.where(inside[..., None], drawn, mean_colour(model)).astype(np.uint8)


def _drone(
    image: Pixels, facts: PhotoFacts, model: ModelConfig, options: LocaliseConfig, mode: PhotoMode
) -> Placed:
    """A photo from above for a model of such photos: as it is, turned to north or in four rotations."""
    images, headings, swept = _turned(image, facts, options)
    prepared = np.stack([prepare(turned, "ground", model) for turned in images])
    note = (
        "" if mode == "drone" else "This model was trained on photos from above; the photo is taken as one."
    )
    return Placed(prepared, headings, swept, mode, note=note)


def _overhead(image: Pixels, facts: PhotoFacts, model: ModelConfig, options: LocaliseConfig) -> Placed:
    """A photo from above for a model of street views: both views share weights, so it is taken as a chip."""
    images, headings, swept = _turned(image, facts, options)
    prepared = np.stack([prepare(_square(turned), "satellite", model) for turned in images])
    note = "This model was trained on photos from the street; the photo from above is compared as a chip."
    return Placed(prepared, headings, swept, "drone", "satellite", note)


def _plain(image: Pixels, facts: PhotoFacts, model: ModelConfig, mode: PhotoMode) -> Placed:
    """An ordinary photo for a model of such photos; of a panorama its middle quarter."""
    note = ""
    if mode == "panorama":
        quarter = image.shape[1] // 4
        top = max(0, (image.shape[0] - quarter) // 2)
        middle = (image.shape[1] - quarter) // 2
        image = image[top : top + quarter, middle : middle + quarter]
        note = "This model takes ordinary photos: only the middle 90° of the panorama are used."
    return Placed(prepare(image, "ground", model)[None], None, False, mode, note=note)


def _turned(
    image: Pixels, facts: PhotoFacts, options: LocaliseConfig
) -> tuple[list[Pixels], tuple[float, ...], bool]:
    """A photo from above with north up: turned by its heading, or in four rotations."""
    heading = _known_heading(facts, options)
    if heading is None:
        # One turn counter-clockwise brings north up where the photo's top looks west, and so on.
        return [np.ascontiguousarray(np.rot90(image, k)) for k in range(4)], (0.0, 270.0, 180.0, 90.0), True
    return [_rotated(_square(image), heading)], (heading % 360.0,), False


def _rotated(image: Pixels, heading: float) -> Pixels:
    """A square photo turned clockwise by its heading, without the corners that a turn leaves empty."""
    import cv2

    side = image.shape[0]
    radians = np.radians(heading % 90.0)
    inner = side / (np.cos(radians) + np.sin(radians))
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), -heading, side / inner)
    return np.asarray(cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR), dtype=np.uint8)


def _square(image: Pixels) -> Pixels:
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return np.ascontiguousarray(image[top : top + side, left : left + side])


def _stated(degrees: float | None, which: str) -> float | None:
    """What the photo's file says that it covers; raises `PhotoError` where that cannot be."""
    if degrees is not None and degrees < MIN_FOV:
        raise PhotoError(
            f"by its file the photo is {degrees:.2g}° {which}; less than {MIN_FOV:g}° cannot be located",
            hint="Its EXIF or XMP data are wrong: save it without them.",
        )
    return degrees


def _known_heading(facts: PhotoFacts, options: LocaliseConfig) -> float | None:
    if options.heading is not None:
        return options.heading
    return None if options.sweep else facts.heading


def _headings(facts: PhotoFacts, options: LocaliseConfig) -> tuple[tuple[float, ...], bool]:
    """The known heading, or the steps of a sweep."""
    heading = _known_heading(facts, options)
    if heading is not None:
        return (heading % 360.0,), False
    return tuple(360.0 * step / options.rolls for step in range(options.rolls)), True


def _heading_note(facts: PhotoFacts, options: LocaliseConfig) -> str:
    if facts.heading_is_magnetic and options.heading is None and _known_heading(facts, options) is not None:
        return "The photo's heading is from a magnetic compass and so approximate."
    return ""


def _averaged(image: Pixels, across: float, upright: float, model: ModelConfig) -> Pixels:
    """A panorama so small that the blank one it is put on stays within `_LARGEST` times the input."""
    height, width = image.shape[:2]
    wide = _LARGEST * model.ground_size[1] * across / 360.0
    high = _LARGEST * model.ground_size[0] * upright / model.ground_band_deg
    if width <= wide and height <= high:
        return image
    import cv2

    size = max(1, min(width, round(wide))), max(1, min(height, round(high)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _band(image: Pixels, upright: float, model: ModelConfig) -> Pixels:
    """The band of height around the horizon that the model takes; blank where the photo has none."""
    rows = max(1, round(image.shape[0] * model.ground_band_deg / upright))
    if rows <= image.shape[0]:
        top = (image.shape[0] - rows) // 2
        return image[top : top + rows]
    result = np.empty((rows, *image.shape[1:]), dtype=np.uint8)
    result[:] = mean_colour(model)
    top = (rows - image.shape[0]) // 2
    result[top : top + image.shape[0]] = image
    return result


def _widened(image: Pixels, across: float, model: ModelConfig) -> Pixels:
    """A partial panorama in the middle of a full one that is otherwise blank."""
    width = max(image.shape[1], round(image.shape[1] * 360.0 / across))
    result = np.empty((image.shape[0], width, 3), dtype=np.uint8)
    result[:] = mean_colour(model)
    left = (width - image.shape[1]) // 2
    result[:, left : left + image.shape[1]] = image
    return result


def _join(*notes: str) -> str:
    return " ".join(note for note in notes if note)
