"""A rasterised town and the views of it: chips from above, panoramas and photos from the street."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from geolocator_gui.town import kernels, variation, vectorised
from geolocator_gui.town.elements import FloatArray
from geolocator_gui.town.geometry import Town
from geolocator_gui.town.raster import rasterise
from geolocator_gui.town.texture import BASE_METRES_PER_PIXEL

Images = npt.NDArray[np.uint8]
FARTHEST_M = 110.0


def march(nearest: float, smallest: float, growth: float, farthest: float = FARTHEST_M) -> FloatArray:
    """Distances (s, 2) of a ray's samples in metres, with half of each step.

    Steps are `smallest` metres near the eye and the share `growth` of the distance beyond.
    """
    out, distance = [], nearest
    while distance < farthest:
        step = max(smallest, growth * distance)
        out.append((distance, 0.5 * step))
        distance += step
    return np.array(out)


TRAINING_MARCH = march(0.4, 0.4, 0.05)


class Scene:
    """A town ready to be looked at.

    Headings are degrees clockwise from north. All views are sRGB, row 0 is up. With numba
    installed they are rendered by compiled code that releases the interpreter's lock, else by
    numpy, slower, with equal pixels.

    Attributes:
        town: the geometry.
        layers: its rasters.
    """

    def __init__(
        self,
        town: Town,
        metres_per_pixel: float = BASE_METRES_PER_PIXEL,
        *,
        window: tuple[float, float, float, float] | None = None,
        use_numba: bool | None = None,
    ) -> None:
        """Rasterise a town.

        Args:
            town: the geometry.
            metres_per_pixel: resolution of the rasters.
            window: west, south, east, north in town metres, to rasterise only a part.
            use_numba: False forces the numpy path, None takes what is there.

        Raises:
            ImportError: numba was asked for and is not installed.
        """
        self.town = town
        self.layers = rasterise(town, metres_per_pixel, window)
        self._tallest = float(self.layers.height.max()) + 0.01
        fast = kernels.compiled() if use_numba is None or use_numba else None
        if use_numba and fast is None:
            raise ImportError("numba is not installed: install the extra, or use the numpy path")
        self._columns: Callable[..., None]
        self._chips: Callable[..., None]
        self._columns, self._chips = fast or (vectorised.render_columns, vectorised.render_chips)

    def street_positions(
        self,
        count: int,
        rng: np.random.Generator,
        *,
        margin_m: float = 60.0,
        avoid_xy: FloatArray | None = None,
        avoid_m: float = 5.0,
    ) -> FloatArray:
        """Random places where a photographer may stand: streets, sidewalks, squares, paths.

        Args:
            count: how many.
            rng: the source of randomness.
            margin_m: distance kept from the town's edge, metres.
            avoid_xy: places (n, 2) to keep away from, such as those of the shipped photos.
            avoid_m: how far, metres.

        Returns:
            float64 (count, 2), metres.

        Raises:
            ValueError: the town has no such place.
        """
        layers = self.layers
        margin = int(np.ceil(margin_m / layers.metres_per_pixel))
        core = layers.walkable[margin : len(layers.walkable) - margin, margin : len(layers.walkable) - margin]
        rows, cols = np.nonzero(core)
        if not len(rows):
            raise ValueError(f"town {self.town.seed} has no street at least {margin_m} m from its edge")
        chosen: list[FloatArray] = []
        missing, rounds = count, 0
        while missing > 0:
            pick = rng.integers(0, len(rows), 2 * missing + 8)
            inner = rng.uniform(0.1, 0.9, (len(pick), 2))
            x = layers.west + (cols[pick] + margin + inner[:, 0]) * layers.metres_per_pixel
            y = layers.north - (rows[pick] + margin + inner[:, 1]) * layers.metres_per_pixel
            xy = np.stack([x, y], axis=1)[self._clear(rows[pick] + margin, cols[pick] + margin)]
            if avoid_xy is not None and len(avoid_xy):
                gap = np.sqrt(((xy[:, None] - np.asarray(avoid_xy)[None]) ** 2).sum(axis=2)).min(axis=1)
                xy = xy[gap >= avoid_m]
            chosen.append(xy[:missing])
            missing -= len(chosen[-1])
            rounds += 1
            if rounds > 1000:
                raise ValueError(f"town {self.town.seed} has no {count} free street positions")
        return np.concatenate(chosen) if chosen else np.zeros((0, 2))

    def _clear(self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Whether the pixels are at least 1.2 m from walls and from bushes at eye level."""
        layers = self.layers
        reach = int(np.ceil(1.2 / layers.metres_per_pixel))
        clear = np.ones(len(rows), dtype=bool)
        last = len(layers.ids) - 1
        for dr in (-reach, 0, reach):
            for dc in (-reach, 0, reach):
                things = layers.ids[np.clip(rows + dr, 0, last), np.clip(cols + dc, 0, last)]
                about = layers.objects[things]
                clear &= ~((about[:, 0] == 1.0) | ((about[:, 0] == 2.0) & (about[:, 7] < 2.2)))
        return clear

    def _params(
        self, count: int, rng: np.random.Generator | None
    ) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        if rng is None:
            return variation.neutral(count), np.zeros(count, dtype=np.int64)
        return variation.draw(count, rng), rng.integers(0, 2**20, count)

    def chips(
        self,
        centres_xy: FloatArray,
        headings_deg: FloatArray,
        *,
        side_m: float = 80.0,
        size: int = 96,
        variation: np.random.Generator | None = None,
    ) -> Images:
        """Squares of aerial imagery whose top looks to the heading.

        Args:
            centres_xy: (n, 2), metres.
            headings_deg: (n,), degrees.
            side_m: side on the ground, metres.
            size: side in pixels.
            variation: draws light and camera per chip; None for plain ones.

        Returns:
            uint8 (n, size, size, 3), antialiased with 2 × 2 samples; black outside the town.
        """
        centres = np.ascontiguousarray(centres_xy, dtype=np.float64)
        radians = np.radians(np.asarray(headings_deg, dtype=np.float64))
        params, seeds = self._params(len(centres), variation)
        samples = 2
        offsets = ((np.arange(size * samples) + 0.5) / (size * samples) - 0.5) * side_m
        out = np.empty((len(centres), size, size, 3), dtype=np.uint8)
        layers = self.layers
        self._chips(
            layers.west,
            layers.north,
            1.0 / layers.metres_per_pixel,
            layers.aerial,
            centres,
            np.sin(radians),
            np.cos(radians),
            offsets,
            samples,
            params,
            seeds,
            out,
        )
        return out

    def panoramas(
        self,
        positions_xy: FloatArray,
        headings_deg: FloatArray,
        *,
        height: int = 48,
        width: int = 192,
        eye_m: float | FloatArray = 1.7,
        variation: np.random.Generator | None = None,
        steps: FloatArray = TRAINING_MARCH,
        detail: float = 0.0,
        sky: FloatArray | None = None,
    ) -> Images:
        """Equirectangular views all around, in a band about the horizon.

        The centre of the image looks to the heading, columns run clockwise. A pixel is as high
        as wide in degrees, so that the band reaches 180° · height / width up and down: ±45° for
        192 × 48, a full sphere where the height is half the width.

        Args:
            positions_xy: (n, 2), metres.
            headings_deg: (n,), degrees.
            height: pixels.
            width: pixels.
            eye_m: metres above the ground, one or (n,).
            variation: draws light and camera per view; None for plain ones.
            steps: what `march` returns; the default is what the demo model is trained on.
            detail: 0 for training views; for photos, leaf cells per metre (see `kernels`).
            sky: (height, width), 0 horizon … 1 zenith colour, below 0 cloud; None for a gradient.

        Returns:
            uint8 (n, height, width, 3).
        """
        degrees = 360.0 / width
        azimuths = (np.arange(width) + 0.5) * degrees - 180.0
        radians = np.radians(np.asarray(headings_deg, dtype=np.float64)[:, None] + azimuths[None, :])
        elevations = (0.5 * height - np.arange(height) - 0.5) * degrees
        return self._render(
            positions_xy,
            np.sin(radians),
            np.cos(radians),
            np.ones(width),
            elevations,
            eye_m,
            variation,
            steps,
            detail,
            sky,
        )

    def _render(
        self,
        positions_xy: FloatArray,
        sines: FloatArray,
        cosines: FloatArray,
        stretch: FloatArray,
        elevations: FloatArray,
        eye_m: float | FloatArray,
        rng: np.random.Generator | None,
        steps: FloatArray,
        detail: float,
        sky: FloatArray | None,
    ) -> Images:
        """Render columns at given azimuths with rows at given elevations (degrees, falling)."""
        positions = np.ascontiguousarray(positions_xy, dtype=np.float64)
        eyes = np.broadcast_to(np.asarray(eye_m, dtype=np.float64), (len(positions),)).copy()
        params, seeds = self._params(len(positions), rng)
        out: Any = np.empty((len(positions), len(elevations), sines.shape[1], 3), dtype=np.uint8)
        layers = self.layers
        if sky is None:
            sky = np.repeat(np.clip(elevations / 60.0, 0.0, 1.0)[:, None], sines.shape[1], axis=1)
        self._columns(
            layers.west,
            layers.north,
            1.0 / layers.metres_per_pixel,
            layers.height,
            layers.ids,
            layers.aerial,
            layers.ground,
            layers.objects,
            self._tallest,
            positions,
            eyes,
            np.ascontiguousarray(sines),
            np.ascontiguousarray(cosines),
            stretch,
            np.tan(np.radians(elevations)),
            sky,
            steps,
            detail,
            params,
            seeds,
            out,
        )
        return np.asarray(out, dtype=np.uint8)

    def perspective(
        self,
        position_xy: FloatArray,
        heading_deg: float,
        *,
        fov_deg: float,
        height: int,
        width: int,
        pitch_deg: float = 0.0,
        eye_m: float = 1.7,
        variation: np.random.Generator | None = None,
        steps: FloatArray = TRAINING_MARCH,
        detail: float = 0.0,
        sky: FloatArray | None = None,
    ) -> Images:
        """A rectilinear photo.

        Args:
            position_xy: (2,), metres.
            heading_deg: where the centre looks, degrees.
            fov_deg: horizontal field of view, degrees below 180.
            height: pixels.
            width: pixels.
            pitch_deg: upwards positive, degrees; the verticals stay vertical (shifted lens).
            eye_m: metres above the ground.
            variation: draws light and camera; None for a plain view.
            steps: what `march` returns.
            detail: see `panoramas`.
            sky: see `panoramas`.

        Returns:
            uint8 (height, width, 3).
        """
        focal = 0.5 * width / np.tan(np.radians(0.5 * fov_deg))
        right = (np.arange(width) + 0.5 - 0.5 * width) / focal
        up = (0.5 * height - np.arange(height) - 0.5) / focal + np.tan(np.radians(pitch_deg))
        radians = np.radians(heading_deg) + np.arctan(right)
        stretch = 1.0 / np.sqrt(1.0 + right * right)
        views = self._render(
            np.asarray(position_xy, dtype=np.float64)[None],
            np.sin(radians)[None],
            np.cos(radians)[None],
            stretch,
            np.degrees(np.arctan(up)),
            eye_m,
            variation,
            steps,
            detail,
            sky,
        )
        return np.asarray(views[0], dtype=np.uint8)
