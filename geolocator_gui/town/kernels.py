"""The renderers as scalar loops, compiled by numba where it is installed.

`vectorised` holds the same arithmetic in numpy, in the same order and in float64, so that both
give the same bytes. Only additions, multiplications, divisions, comparisons and floor are used:
their results are fixed by IEEE 754, while sines and arctangents differ between libraries and
are computed beforehand by the caller.

The ground view marches one ray per image column over the height field, from near to far, and
fills the rows that each step covers and nothing nearer has: walls and trunks from the ground
up, roofs above the eaves, ground below the horizon, crowns between their base and their top.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import floor
from types import FunctionType
from typing import Any

import numpy as np

from geolocator_gui.town import variation
from geolocator_gui.town.layers import (
    CENTRE_X,
    CENTRE_Y,
    COS,
    EAVE,
    FLOOR,
    GABLE,
    HALF_LENGTH,
    HALF_WIDTH,
    KIND,
    LOWER,
    LOWER_HEIGHT,
    SHADE,
    SHARE,
    SIN,
    SPACING,
    WALL,
    WINDOW,
)

GAIN, OFFSET, CONTRAST, HAZE, NOISE = (
    variation.GAIN,
    variation.OFFSET,
    variation.CONTRAST,
    variation.HAZE,
    variation.NOISE,
)
HORIZON, ZENITH = variation.HORIZON, variation.ZENITH
WINDOW_FADE = 16.0  # metres beyond which windows blend into the wall


def hash_noise(seed: int, index: int) -> float:
    """A number in -1 … 1 from a view's seed and a sample's index (32-bit integer mixing)."""
    value = (index * 2654435761 + seed * 40503 + 974711) & 0xFFFFFFFF
    value = ((value ^ (value >> 15)) * 2246822519) & 0xFFFFFFFF
    value = ((value ^ (value >> 13)) * 3266489917) & 0xFFFFFFFF
    value = value ^ (value >> 16)
    return float(value) * (2.0 / 4294967295.0) - 1.0


def finish(value: float, noise: float, params: Any, view: int, channel: int) -> int:
    """Apply a view's light and camera to one sample and round it to a byte."""
    value = (value - 128.0) * params[view, CONTRAST] + 128.0
    value = value * params[view, GAIN + channel] + params[view, OFFSET + channel]
    value = value + noise * params[view, NOISE] + 0.5
    if value < 0.0:
        return 0
    if value > 255.0:
        return 255
    return int(value)


def render_columns(
    west: float,
    north: float,
    inverse_mpp: float,
    height: Any,
    ids: Any,
    aerial: Any,
    ground: Any,
    objects: Any,
    tallest: float,
    positions: Any,
    eyes: Any,
    sines: Any,
    cosines: Any,
    stretch: Any,
    tangents: Any,
    sky: Any,
    distances: Any,
    detail: float,
    params: Any,
    seeds: Any,
    out: Any,
) -> None:
    """Render ground views.

    Args:
        west: town metres of the west edge of pixel (0, 0).
        north: town metres of its north edge.
        inverse_mpp: pixels per metre.
        height: float32 (rows, cols), see `layers.Layers`.
        ids: int32 (rows, cols).
        aerial: uint8 (rows, cols, 3).
        ground: uint8 (rows, cols, 3).
        objects: float64 (k, layers.COLUMNS).
        tallest: no object is higher, metres.
        positions: float64 (n, 2), metres.
        eyes: float64 (n,), metres above the ground.
        sines: float64 (n, w), of each column's azimuth, clockwise from north.
        cosines: float64 (n, w), likewise.
        stretch: float64 (w,), factor on a row's tangent in each column (1 for panoramas).
        tangents: float64 (h,) of the rows' elevation, falling.
        sky: float64 (h, w), 0 at the horizon … 1 at the zenith.
        distances: float64 (s, 2), rising, metres, with half of each step.
        detail: 0, or leaf cells per metre of height; then walls get grain, window frames, doors.
        params: float64 (n, variation.COLUMNS).
        seeds: int64 (n,), of the noise.
        out: uint8 (n, h, w, 3), written.
    """
    rows, cols = ids.shape
    views, columns = sines.shape
    lines = tangents.shape[0]
    filled = np.zeros(lines, dtype=np.bool_)
    for view in range(views):
        px, py, eye = positions[view, 0], positions[view, 1], eyes[view]
        seed = seeds[view]
        haze_rate = params[view, HAZE]
        for column in range(columns):
            for line in range(lines):
                filled[line] = False
            low = lines - 1
            sine, cosine, scale = sines[view, column], cosines[view, column], stretch[column]
            previous = 0
            for step in range(distances.shape[0]):
                distance = distances[step, 0]
                reach = distance * scale
                if reach * tangents[low] >= tallest - eye:
                    break
                x, y = px + distance * sine, py + distance * cosine
                col, row = floor((x - west) * inverse_mpp), floor((north - y) * inverse_mpp)
                if col < 0 or row < 0 or col >= cols or row >= rows:
                    break
                thing = ids[row, col]
                kind = objects[thing, KIND]
                haze = distance * haze_rate
                top = 0.0
                if kind == 1.0:
                    top = float(height[row, col])
                if kind == 2.0:
                    # The crown, and below it the trunk where the ray passes it.
                    base, crown = objects[thing, EAVE], float(height[row, col])
                    east, up = objects[thing, CENTRE_X] - x, objects[thing, CENTRE_Y] - y
                    aside = east * cosine - up * sine
                    ahead = east * sine + up * cosine
                    radius = objects[thing, LOWER_HEIGHT]
                    trunk = abs(aside) <= radius and abs(ahead) <= distances[step, 1] + radius
                    under = base
                    if detail > 0.0:
                        spread = objects[thing, HALF_LENGTH]
                        under = base + 0.5 * ((east * east + up * up) / (spread * spread)) * (crown - base)
                    line = low
                    while line >= 0 and reach * tangents[line] < crown - eye:
                        if not filled[line] and reach * tangents[line] >= under - eye:
                            filled[line] = True
                            z = eye + reach * tangents[line]
                            light = 0.7 + 0.3 * (z - base) / (crown - base)
                            if detail > 0.0:
                                leaf = 15.0 * hash_noise(thing, int(z * detail) * 64 + col + row * 7)
                                clump = int(z * 1.6) * 64 + floor(x * 1.6) + floor(y * 1.6) * 7
                                leaf = leaf + 9.0 * hash_noise(thing, clump & 0xFFFFFF)
                            else:
                                leaf = 15.0 * hash_noise(thing, int(z * 2.0) * 64 + col + row * 7)
                            noise = hash_noise(seed, line * columns + column)
                            for channel in range(3):
                                value = objects[thing, WALL + channel] * light + leaf
                                value = value + (params[view, HORIZON + channel] - value) * haze
                                out[view, line, column, channel] = finish(value, noise, params, view, channel)
                        line -= 1
                    if trunk:
                        top = base
                if reach * tangents[low] < top - eye:
                    # Everything solid, from the lowest open row up to its top.
                    face, along = 0, 0.0
                    wall_top = top
                    first = thing != previous
                    if kind == 1.0:
                        east, up = x - objects[thing, CENTRE_X], y - objects[thing, CENTRE_Y]
                        p = objects[thing, COS] * east + objects[thing, SIN] * up
                        q = objects[thing, COS] * up - objects[thing, SIN] * east
                        if objects[thing, HALF_LENGTH] - abs(p) < objects[thing, HALF_WIDTH] - abs(q):
                            along = q + objects[thing, HALF_WIDTH]
                            face = 0 if p > 0.0 else 1
                        else:
                            along = p + objects[thing, HALF_LENGTH]
                            face = 2 if q > 0.0 else 3
                        if not (first and face < 2 and objects[thing, GABLE] > 0.0):
                            wall_top = objects[thing, EAVE]
                        bay = along / objects[thing, SPACING]
                        axis = floor(bay)
                        bay = bay - axis
                        margin = 0.5 - 0.5 * objects[thing, SHARE]
                        in_bay = bay > margin and bay < 1.0 - margin
                        glass = 1.0
                        if distance > WINDOW_FADE:
                            glass = WINDOW_FADE / distance
                    while low >= 0 and reach * tangents[low] < top - eye:
                        if not filled[low]:
                            filled[low] = True
                            z = eye + reach * tangents[low]
                            noise = hash_noise(seed, low * columns + column)
                            plaster = 0.0
                            if detail > 0.0 and kind == 1.0:
                                plaster = 4.0 * hash_noise(thing, int(z * 6.0) * 4096 + int(along * 6.0))
                            for channel in range(3):
                                if kind == 1.0:
                                    if z < wall_top:
                                        value = objects[thing, WALL + channel]
                                        if z < objects[thing, LOWER_HEIGHT]:
                                            value = objects[thing, LOWER + channel]
                                        storey = z / objects[thing, FLOOR]
                                        storey = storey - floor(storey)
                                        if (
                                            in_bay
                                            and storey > 0.3
                                            and storey < 0.8
                                            and z < objects[thing, EAVE]
                                        ):
                                            value = value + (objects[thing, WINDOW + channel] - value) * glass
                                        if detail > 0.0:
                                            aside = abs(bay - 0.5) * objects[thing, SPACING]
                                            opening = 0.5 * objects[thing, SHARE] * objects[thing, SPACING]
                                            over = abs(storey - 0.55) * objects[thing, FLOOR]
                                            if (
                                                z < objects[thing, EAVE]
                                                and abs(aside - opening) < 0.05
                                                and over < 0.25 * objects[thing, FLOOR] + 0.05
                                            ):
                                                value = 0.25 * value + 170.0
                                            if (
                                                z < objects[thing, EAVE]
                                                and aside < opening
                                                and abs(over - 0.25 * objects[thing, FLOOR]) < 0.05
                                            ):
                                                value = 0.25 * value + 170.0
                                            if axis == 1.0 and z < 2.3 and aside < opening + 0.06:
                                                value = 0.42 * objects[thing, LOWER + channel]
                                            value = value + plaster
                                        value = value * objects[thing, SHADE + face]
                                    else:
                                        value = float(aerial[row, col, channel])
                                elif kind == 2.0 and z > 0.0:
                                    value = objects[thing, LOWER + channel]
                                else:
                                    value = float(ground[row, col, channel])
                                value = value + (params[view, HORIZON + channel] - value) * haze
                                out[view, low, column, channel] = finish(value, noise, params, view, channel)
                        low -= 1
                    if low < 0:
                        break
                previous = thing
            for line in range(lines):
                if not filled[line]:
                    noise = hash_noise(seed, line * columns + column)
                    for channel in range(3):
                        value = params[view, HORIZON + channel]
                        value = value + (params[view, ZENITH + channel] - value) * sky[line, column]
                        out[view, line, column, channel] = finish(value, noise, params, view, channel)


def render_chips(
    west: float,
    north: float,
    inverse_mpp: float,
    aerial: Any,
    centres: Any,
    sines: Any,
    cosines: Any,
    offsets: Any,
    samples: int,
    params: Any,
    seeds: Any,
    out: Any,
) -> None:
    """Cut rotated squares from the aerial raster.

    Args:
        west: see `render_columns`.
        north: see `render_columns`.
        inverse_mpp: see `render_columns`.
        aerial: see `render_columns`.
        centres: float64 (n, 2), metres.
        sines: float64 (n,) of the headings.
        cosines: float64 (n,) of the headings.
        offsets: float64 (size * samples,), metres of the sub-samples from the centre.
        samples: sub-samples per pixel and axis, averaged.
        params: see `render_columns`.
        seeds: see `render_columns`.
        out: uint8 (n, size, size, 3), written; black outside the raster.
    """
    rows, cols = aerial.shape[0], aerial.shape[1]
    views, size = out.shape[0], out.shape[1]
    share = 1.0 / (samples * samples)
    for view in range(views):
        sine, cosine, seed = sines[view], cosines[view], seeds[view]
        x0, y0 = centres[view, 0] - west, north - centres[view, 1]
        for line in range(size):
            for column in range(size):
                red, green, blue = 0, 0, 0
                for i in range(samples):
                    up = offsets[line * samples + i]  # towards the heading when negative
                    for j in range(samples):
                        right = offsets[column * samples + j]
                        col = floor((x0 + (right * cosine - up * sine)) * inverse_mpp)
                        row = floor((y0 + (right * sine + up * cosine)) * inverse_mpp)
                        if col >= 0 and row >= 0 and col < cols and row < rows:
                            red += int(aerial[row, col, 0])
                            green += int(aerial[row, col, 1])
                            blue += int(aerial[row, col, 2])
                noise = hash_noise(seed, line * size + column)
                out[view, line, column, 0] = finish(red * share, noise, params, view, 0)
                out[view, line, column, 1] = finish(green * share, noise, params, view, 1)
                out[view, line, column, 2] = finish(blue * share, noise, params, view, 2)


@lru_cache(maxsize=1)
def compiled() -> tuple[Callable[..., None], Callable[..., None]] | None:
    """`render_columns` and `render_chips` compiled, or None where numba is not installed.

    Neither holds the interpreter's lock, so threads share the cores.
    """
    try:
        import numba
    except ImportError:  # an optional extra: the numpy path gives the same pixels
        return None
    scope = dict(globals())
    inline = numba.njit(nogil=True, inline="never")
    scope["hash_noise"] = inline(hash_noise)
    scope["finish"] = inline(finish)
    outer = numba.njit(nogil=True)
    made = []
    function: Any
    for function in (render_columns, render_chips):
        bound = FunctionType(function.__code__, scope, function.__name__)
        made.append(outer(bound))
    return made[0], made[1]
