"""The renderers in plain numpy: the same arithmetic as `kernels`, so the same bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from geolocator_gui.town.kernels import CONTRAST, GAIN, HAZE, HORIZON, NOISE, OFFSET, WINDOW_FADE, ZENITH
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

MASK = np.int64(0xFFFFFFFF)


def hash_noise(seed: Any, index: Any) -> npt.NDArray[np.float64]:
    """See `kernels.hash_noise`; int64 arrays in, float64 out."""
    value = (
        np.asarray(index, dtype=np.int64) * 2654435761 + np.asarray(seed, dtype=np.int64) * 40503 + 974711
    ) & MASK
    value = ((value ^ (value >> 15)).astype(np.uint64) * np.uint64(2246822519)).astype(np.int64) & MASK
    value = ((value ^ (value >> 13)).astype(np.uint64) * np.uint64(3266489917)).astype(np.int64) & MASK
    value = value ^ (value >> 16)
    return value.astype(np.float64) * (2.0 / 4294967295.0) - 1.0


def finish(
    value: npt.NDArray[np.float64], noise: npt.NDArray[np.float64], params: Any
) -> npt.NDArray[np.uint8]:
    """See `kernels.finish`; arrays (…, 3) and one view's parameters."""
    value = (value - 128.0) * params[CONTRAST] + 128.0
    value = value * params[GAIN : GAIN + 3] + params[OFFSET : OFFSET + 3]
    value = value + noise * params[NOISE] + 0.5
    return np.clip(value, 0.0, 255.0).astype(np.uint8)


def _details(
    value: Any, about: Any, z: Any, along: Any, axis: Any, bay: Any, storey: Any, thing: Any
) -> npt.NDArray[np.float64]:
    """Window frames, doors and grain on walls (n, 3) of photos."""
    aside = np.abs(bay - 0.5) * about[:, SPACING]
    opening = 0.5 * about[:, SHARE] * about[:, SPACING]
    over, tall = np.abs(storey - 0.55) * about[:, FLOOR], 0.25 * about[:, FLOOR]
    below = z < about[:, EAVE]
    jamb = below & (np.abs(aside - opening) < 0.05) & (over < tall + 0.05)
    value = np.where(jamb[:, None], 0.25 * value + 170.0, value)
    sill = below & (aside < opening) & (np.abs(over - tall) < 0.05)
    value = np.where(sill[:, None], 0.25 * value + 170.0, value)
    door = (axis == 1.0) & (z < 2.3) & (aside < opening + 0.06)
    value = np.where(door[:, None], 0.42 * about[:, LOWER : LOWER + 3], value)
    cell = np.trunc(z * 6.0).astype(np.int64) * 4096 + np.trunc(along * 6.0).astype(np.int64)
    return np.asarray(value + 4.0 * hash_noise(thing, cell)[:, None])


def _one_view(
    west: float,
    north: float,
    inverse_mpp: float,
    height: Any,
    ids: Any,
    aerial: Any,
    ground: Any,
    objects: Any,
    position: Any,
    eye: float,
    sines: Any,
    cosines: Any,
    stretch: Any,
    tangents: Any,
    sky: Any,
    distances: Any,
    detail: float,
    params: Any,
    seed: int,
    out: Any,
) -> None:
    rows, cols = ids.shape
    columns, lines = len(sines), len(tangents)
    filled = np.zeros((lines, columns), dtype=bool)
    # `low` of the loops: rows from the bottom up that solid things have closed.
    closed = np.zeros((lines, columns), dtype=bool)
    colour = np.zeros((lines, columns, 3))
    horizon = params[HORIZON : HORIZON + 3]
    alive = np.ones(columns, dtype=bool)
    previous = np.zeros(columns, dtype=np.int64)
    for distance, half_step in distances:
        reach = distance * stretch
        x, y = position[0] + distance * sines, position[1] + distance * cosines
        col = np.floor((x - west) * inverse_mpp).astype(np.int64)
        row = np.floor((north - y) * inverse_mpp).astype(np.int64)
        alive &= (col >= 0) & (row >= 0) & (col < cols) & (row < rows)
        if not alive.any():
            break
        col, row = np.where(alive, col, 0), np.where(alive, row, 0)
        thing = np.where(alive, ids[row, col], 0).astype(np.int64)
        about = objects[thing]
        kind = about[:, KIND]
        haze = distance * params[HAZE]
        rise = reach * tangents[:, None]  # (lines, columns): height above the eye
        z = eye + rise
        own = height[row, col].astype(np.float64)
        top = np.where(kind == 1.0, own, 0.0)
        tree = alive & (kind == 2.0)
        if tree.any():
            base = about[:, EAVE]
            east, up = about[:, CENTRE_X] - x, about[:, CENTRE_Y] - y
            aside, ahead = east * cosines - up * sines, east * sines + up * cosines
            radius = about[:, LOWER_HEIGHT]
            trunk = (np.abs(aside) <= radius) & (np.abs(ahead) <= half_step + radius)
            under = base
            if detail > 0.0:
                spread = np.where(tree, about[:, HALF_LENGTH], 1.0)
                under = base + 0.5 * ((east * east + up * up) / (spread * spread)) * (own - base)
            hit = tree & ~filled & (rise < own - eye) & (rise >= under - eye)
            at = np.nonzero(hit)
            c = at[1]
            light = 0.7 + 0.3 * (z[at] - base[c]) / (own[c] - base[c])
            cell = np.trunc(z[at] * (detail if detail > 0.0 else 2.0)).astype(np.int64) * 64
            leaf = hash_noise(thing[c], cell + col[c] + row[c] * 7)
            if detail > 0.0:
                clump = np.trunc(z[at] * 1.6).astype(np.int64) * 64 + np.floor(x[c] * 1.6).astype(np.int64)
                clump = clump + np.floor(y[c] * 1.6).astype(np.int64) * 7
                leaf = 15.0 * leaf + 9.0 * hash_noise(thing[c], clump & 0xFFFFFF)
            else:
                leaf = 15.0 * leaf
            value = about[c, WALL : WALL + 3] * light[:, None] + leaf[:, None]
            colour[at] = value + (horizon - value) * haze
            filled |= hit
            top = np.where(tree & trunk, base, top)
        reached = alive & ~closed & (rise < top - eye)
        hit = reached & ~filled
        if hit.any():
            at = np.nonzero(hit)
            c, zs = at[1], z[at]
            building = kind[c] == 1.0
            own_row = about[c]
            east, up = x[c] - own_row[:, CENTRE_X], y[c] - own_row[:, CENTRE_Y]
            p = own_row[:, COS] * east + own_row[:, SIN] * up
            q = own_row[:, COS] * up - own_row[:, SIN] * east
            ends = own_row[:, HALF_LENGTH] - np.abs(p) < own_row[:, HALF_WIDTH] - np.abs(q)
            along = np.where(ends, q + own_row[:, HALF_WIDTH], p + own_row[:, HALF_LENGTH])
            face = np.where(ends, np.where(p > 0.0, 0, 1), np.where(q > 0.0, 2, 3))
            first = thing[c] != previous[c]
            gable = first & ends & (own_row[:, GABLE] > 0.0)
            wall_top = np.where(gable, top[c], own_row[:, EAVE])
            bay = along / np.where(building, own_row[:, SPACING], 1.0)
            axis = np.floor(bay)
            bay = bay - axis
            margin = 0.5 - 0.5 * own_row[:, SHARE]
            glass = WINDOW_FADE / distance if distance > WINDOW_FADE else 1.0
            storey = zs / np.where(building, own_row[:, FLOOR], 1.0)
            storey = storey - np.floor(storey)
            window = (
                (bay > margin)
                & (bay < 1.0 - margin)
                & (storey > 0.3)
                & (storey < 0.8)
                & (zs < own_row[:, EAVE])
            )
            lower = (zs < own_row[:, LOWER_HEIGHT])[:, None]
            value = np.where(lower, own_row[:, LOWER : LOWER + 3], own_row[:, WALL : WALL + 3])
            value = np.where(
                window[:, None], value + (own_row[:, WINDOW : WINDOW + 3] - value) * glass, value
            )
            if detail > 0.0:
                value = _details(value, own_row, zs, along, axis, bay, storey, thing[c])
            value = value * own_row[np.arange(len(c)), SHADE + face][:, None]
            value = np.where((zs < wall_top)[:, None], value, aerial[row[c], col[c]].astype(np.float64))
            bark = (kind[c] == 2.0) & (zs > 0.0)
            under = np.where(
                bark[:, None], own_row[:, LOWER : LOWER + 3], ground[row[c], col[c]].astype(np.float64)
            )
            value = np.where(building[:, None], value, under)
            colour[at] = value + (horizon - value) * haze
            filled |= hit
        closed |= reached
        previous = np.where(alive, thing, previous)
    zenith = params[ZENITH : ZENITH + 3]
    open_sky = horizon + (zenith - horizon) * sky[..., None]
    colour = np.where(filled[..., None], colour, open_sky)
    index = np.arange(lines * columns, dtype=np.int64).reshape(lines, columns, 1)
    out[:] = finish(colour, hash_noise(seed, index), params)


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
    """See `kernels.render_columns`; `tallest` only saves the loops' time and is not needed."""
    for view in range(len(positions)):
        _one_view(
            west,
            north,
            inverse_mpp,
            height,
            ids,
            aerial,
            ground,
            objects,
            positions[view],
            eyes[view],
            sines[view],
            cosines[view],
            stretch,
            tangents,
            sky,
            distances,
            detail,
            params[view],
            seeds[view],
            out[view],
        )


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
    """See `kernels.render_chips`."""
    rows, cols = aerial.shape[:2]
    size = out.shape[1]
    share = 1.0 / (samples * samples)
    up, right = offsets[:, None], offsets[None, :]
    for view in range(len(centres)):
        x0, y0 = centres[view, 0] - west, north - centres[view, 1]
        col = np.floor((x0 + (right * cosines[view] - up * sines[view])) * inverse_mpp).astype(np.int64)
        row = np.floor((y0 + (right * sines[view] + up * cosines[view])) * inverse_mpp).astype(np.int64)
        inside = (col >= 0) & (row >= 0) & (col < cols) & (row < rows)
        taken = (
            aerial[np.where(inside, row, 0), np.where(inside, col, 0)].astype(np.int64) * inside[..., None]
        )
        total = taken.reshape(size, samples, size, samples, 3).sum(axis=(1, 3))
        index = np.arange(size * size, dtype=np.int64).reshape(size, size, 1)
        out[view] = finish(total * share, hash_noise(seeds[view], index), params[view])
