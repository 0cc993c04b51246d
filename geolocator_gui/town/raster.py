"""Draws a town's geometry into rasters once, so that views are only look-ups."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from geolocator_gui.town.elements import Building, Colour, FloatArray, Patch, Rect, Tree
from geolocator_gui.town.geometry import Town
from geolocator_gui.town.layers import (
    BUILDING,
    CENTRE_X,
    CENTRE_Y,
    COLUMNS,
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
    TREE,
    WALL,
    WINDOW,
    Layers,
)
from geolocator_gui.town.palette import SURFACES
from geolocator_gui.town.texture import CLOSE_UP, noise_fields, paving

SUN = (-0.42, -0.91)  # unit vector towards the sun, from the south-south-west
SUN_SLOPE = 0.85  # its height per metre of ground distance
SHADOW = 0.66
RIM = 0.65  # metres of façade colour seen along a roof's edge from above

Window = tuple[slice, slice]
BoolArray = npt.NDArray[np.bool_]


@dataclass
class Canvas:
    """The rasters while they are drawn; colours are float32 until the end."""

    west: float
    north: float
    mpp: float
    colour: npt.NDArray[np.float32]
    height: npt.NDArray[np.float32]
    ids: npt.NDArray[np.int32]
    walkable: BoolArray
    noise: npt.NDArray[np.float32]
    smooth: npt.NDArray[np.float32]

    def window(self, x: float, y: float, reach: float) -> Window | None:
        """Slices of the pixels within `reach` metres (a square) of a point; None if outside."""
        rows, cols = self.height.shape
        r0, r1 = int((self.north - y - reach) / self.mpp), int((self.north - y + reach) / self.mpp) + 2
        c0, c1 = int((x - reach - self.west) / self.mpp), int((x + reach - self.west) / self.mpp) + 2
        r0, r1, c0, c1 = max(r0, 0), min(r1, rows), max(c0, 0), min(c1, cols)
        return (slice(r0, r1), slice(c0, c1)) if r0 < r1 and c0 < c1 else None

    def offsets(self, at: Window, x: float, y: float) -> tuple[FloatArray, FloatArray]:
        """East offsets (1, w) and north offsets (h, 1) of a window's pixel centres from a point."""
        east = self.west + (np.arange(at[1].start, at[1].stop) + 0.5) * self.mpp - x
        north = self.north - (np.arange(at[0].start, at[0].stop) + 0.5) * self.mpp - y
        return east[None, :], north[:, None]

    def local(self, rect: Rect) -> tuple[Window, FloatArray, FloatArray] | None:
        """A rectangle's window and its pixels' coordinates along and across its axis."""
        at = self.window(rect.x, rect.y, float(np.hypot(rect.half_length, rect.half_width)))
        if at is None:
            return None
        east, north = self.offsets(at, rect.x, rect.y)
        cos, sin = np.cos(rect.angle), np.sin(rect.angle)
        return at, cos * east + sin * north, cos * north - sin * east


def _draw_patch(canvas: Canvas, patch: Patch) -> None:
    found = canvas.local(patch.rect)
    if found is None:
        return
    at, along, across = found
    length, width = patch.rect.half_length, patch.rect.half_width
    if patch.ellipse:
        mask = (along / length) ** 2 + (across / width) ** 2 <= 1.0
    else:
        mask = (np.abs(along) <= length) & (np.abs(across) <= width)
    grain = canvas.noise[at][mask].astype(np.float64)
    smooth = canvas.smooth[at][mask].astype(np.float64)
    along, across = along[mask], across[mask]
    if patch.pattern == "rows":
        second = np.floor(across / (0.5 * patch.period)) % 2 == 0
        offset = 6.0 * grain + 5.0 * smooth
    elif patch.pattern == "tiles":
        second = along - np.floor(along / patch.period) * patch.period < max(0.35, 0.06 * patch.period)
        second |= across - np.floor(across / patch.period) * patch.period < max(0.35, 0.06 * patch.period)
        offset = 5.0 * grain + 3.0 * smooth
    elif patch.pattern == "speckle":
        second = smooth > 0.5
        offset = 8.0 * grain + 5.0 * smooth
    else:
        second = np.zeros(len(grain), dtype=bool)
        offset = 3.0 * smooth
    colour = np.where(second[:, None], np.array(patch.second), np.array(patch.colour))
    canvas.colour[at][mask] = colour + offset[:, None]
    canvas.walkable[at][mask] = patch.paved and not patch.water


def _draw_line(
    canvas: Canvas, points: FloatArray, half: float, colour: Colour, kind: str, marking: int, walkable: bool
) -> None:
    travelled = 0.0
    for start, end in pairwise(points):
        gap = end - start
        length = float(np.hypot(gap[0], gap[1]))
        middle = 0.5 * (start + end)
        at = canvas.window(float(middle[0]), float(middle[1]), 0.5 * length + half)
        if at is not None and length > 0.0:
            east, north = canvas.offsets(at, float(start[0]), float(start[1]))
            along = (gap[0] * east + gap[1] * north) / length
            across = (gap[0] * north - gap[1] * east) / length
            beyond = along - np.clip(along, 0.0, length)
            mask = across**2 + beyond**2 <= half * half
            grain = canvas.noise[at][mask].astype(np.float64)
            offset = paving(kind, grain, along[mask] + travelled, across[mask])
            canvas.colour[at][mask] = np.array(colour) + offset[:, None]
            canvas.walkable[at][mask] = walkable
            if marking:
                dash = (along + travelled) - np.floor((along + travelled) / 8.0) * 8.0 < 3.5
                line = (np.abs(across) < 0.22) & dash & (beyond == 0.0)
                if marking == 2:
                    line |= (np.abs(np.abs(across) - (half - 0.7)) < 0.22) & (beyond == 0.0)
                canvas.colour[at][line & mask] = 224.0
        travelled += length


def _shade(rect: Rect) -> tuple[float, float, float, float]:
    """Light on the faces +axis, -axis, +across, -across of a rectangle."""
    cos, sin = float(np.cos(rect.angle)), float(np.sin(rect.angle))
    along, across = cos * SUN[0] + sin * SUN[1], cos * SUN[1] - sin * SUN[0]
    light = [
        0.72 + 0.28 * side if side > 0 else 0.72 + 0.14 * side for side in (along, -along, across, -across)
    ]
    return (light[0], light[1], light[2], light[3])


def _draw_building(canvas: Canvas, building: Building, objects: list[FloatArray]) -> None:
    for rect in building.parts:
        found = canvas.local(rect)
        if found is None:
            continue
        at, along, across = found
        shade = _shade(rect)
        row = np.zeros(COLUMNS)
        row[[KIND, CENTRE_X, CENTRE_Y]] = BUILDING, rect.x, rect.y
        row[[COS, SIN, HALF_LENGTH, HALF_WIDTH]] = (
            np.cos(rect.angle),
            np.sin(rect.angle),
            rect.half_length,
            rect.half_width,
        )
        row[[EAVE, GABLE]] = building.eave, float(building.roof == "gable")
        row[WALL : WALL + 3], row[WINDOW : WINDOW + 3], row[LOWER : LOWER + 3] = (
            building.wall,
            building.window,
            building.base,
        )
        row[LOWER_HEIGHT] = building.base_height
        row[[FLOOR, SPACING, SHARE]] = building.floor, building.window_spacing, building.window_share
        row[SHADE : SHADE + 4] = shade
        to_end = rect.half_length - np.abs(along)
        to_side = rect.half_width - np.abs(across)
        mask = (to_end >= 0.0) & (to_side >= 0.0) & (canvas.height[at] < building.top)
        rise = building.top - building.eave
        if building.roof == "gable":
            slope = to_side / rect.half_width
        elif building.roof == "hip":
            slope = np.minimum(np.minimum(to_side, to_end) / rect.half_width, 1.0)
        else:
            slope = np.zeros(mask.shape)
        light = np.where(across > 0.0, shade[2], shade[3]) + 0.22
        if building.roof == "hip":
            light = np.where(to_end < to_side, np.where(along > 0.0, shade[0], shade[1]) + 0.22, light)
        if building.roof == "flat":
            light = np.full(mask.shape, 1.0)
        colour = np.array(building.roof_colour) * light[..., None]
        if building.roof == "gable":
            colour[np.abs(across) < 0.3] *= 1.18
        noise = canvas.noise[at].astype(np.float64)
        stripes = np.where(np.floor(along / 0.9) % 2 == 0, 4.0, -4.0) if building.roof != "flat" else 0.0
        colour = colour + (5.0 * noise + 4.0 * canvas.smooth[at] + stripes)[..., None]
        edge = np.minimum(to_end, to_side) < RIM
        if min(rect.half_length, rect.half_width) > 2.0:
            colour[edge] = np.array(building.wall)
        canvas.colour[at][mask] = colour[mask].astype(np.float32)
        canvas.height[at][mask] = (building.eave + rise * slope)[mask].astype(np.float32)
        canvas.ids[at][mask] = len(objects)
        canvas.walkable[at][mask] = False
        objects.append(row)


def _draw_tree(canvas: Canvas, tree: Tree, objects: list[FloatArray], is_building: BoolArray) -> None:
    at = canvas.window(tree.x, tree.y, tree.radius)
    if at is None:
        return
    row = np.zeros(COLUMNS)
    row[[KIND, CENTRE_X, CENTRE_Y, HALF_LENGTH, EAVE]] = TREE, tree.x, tree.y, tree.radius, tree.base
    row[WALL : WALL + 3], row[LOWER : LOWER + 3] = tree.colour, (92.0, 76.0, 62.0)
    row[LOWER_HEIGHT] = min(0.35, 0.1 * tree.radius)
    east, north = canvas.offsets(at, tree.x, tree.y)
    share = (east * east + north * north) / (tree.radius * tree.radius)
    dome = tree.base + (tree.top - tree.base) * (0.45 + 0.55 * np.sqrt(np.maximum(0.0, 1.0 - share)))
    noise = canvas.noise[at].astype(np.float64)
    if canvas.mpp < CLOSE_UP:
        dome = dome + 0.22 * noise
    mask = (share + 0.16 * noise <= 1.0) & (share <= 1.0) & (canvas.height[at] < dome) & ~is_building[at]
    lit = 0.86 + 0.22 * (east * SUN[0] + north * SUN[1]) / tree.radius + 0.12 * (1.0 - share)
    colour = np.array(tree.colour) * lit[..., None] + (13.0 * noise)[..., None]
    canvas.colour[at][mask] = colour[mask].astype(np.float32)
    canvas.height[at][mask] = dome[mask].astype(np.float32)
    canvas.ids[at][mask] = len(objects)
    objects.append(row)


def _shadows(height: npt.NDArray[np.float32], mpp: float) -> BoolArray:
    """Where something towards the sun stands in its light."""
    shadow = np.zeros(height.shape, dtype=bool)
    rows, cols = height.shape
    reach = float(height.max()) / SUN_SLOPE
    for distance in np.arange(1.2, reach, 1.6):
        down, right = round(-distance * SUN[1] / mpp), round(distance * SUN[0] / mpp)
        here = (slice(max(0, -down), rows - max(0, down)), slice(max(0, -right), cols - max(0, right)))
        there = (slice(max(0, down), rows - max(0, -down)), slice(max(0, right), cols - max(0, -right)))
        shadow[here] |= height[there] > height[here] + np.float32(distance * SUN_SLOPE)
    return shadow


def _bytes(colour: Any) -> npt.NDArray[np.uint8]:
    return np.asarray(np.clip(colour + np.float32(0.5), 0.0, 255.0).astype(np.uint8))


def rasterise(
    town: Town, metres_per_pixel: float, window: tuple[float, float, float, float] | None = None
) -> Layers:
    """Draw a town, or a window of it, at a resolution; a square kilometre at 0.42 m takes seconds.

    Args:
        town: what to draw.
        metres_per_pixel: the resolution.
        window: west, south, east, north in town metres; None for all of it.
    """
    half = 0.5 * town.size_m
    window = window or (-half, -half, half, half)
    noise, smooth, wide = noise_fields(town.seed, town.size_m, metres_per_pixel, window)
    shape = noise.shape
    blend = np.clip(0.5 + 0.5 * wide, 0.0, 1.0)[..., None]
    colour = (
        np.array(town.ground, dtype=np.float32) * (1 - blend)
        + np.array(town.ground_second, np.float32) * blend
    )
    colour += (7.0 * noise + 6.0 * smooth)[..., None]
    canvas = Canvas(
        west=window[0],
        north=window[3],
        mpp=metres_per_pixel,
        colour=colour,
        height=np.zeros(shape, dtype=np.float32),
        ids=np.zeros(shape, dtype=np.int32),
        walkable=np.zeros(shape, dtype=bool),
        noise=noise,
        smooth=smooth,
    )
    for patch in town.patches:
        _draw_patch(canvas, patch)
    if town.river is not None:
        river = town.river
        _draw_line(canvas, river.points, 0.5 * river.width + 2.5, river.bank, "gravel", 0, False)
        _draw_line(canvas, river.points, 0.5 * river.width, river.colour, "fine", 0, False)
    for street in town.streets:
        if street.sidewalk > 0.0:
            half_width = 0.5 * street.width + street.sidewalk
            _draw_line(canvas, street.points, half_width, street.sidewalk_colour, "slab", 0, True)
    for street in town.streets:
        kind = SURFACES[street.surface][1]
        _draw_line(canvas, street.points, 0.5 * street.width, street.colour, kind, street.marking, True)
    objects: list[FloatArray] = [np.zeros(COLUMNS)]
    for building in town.buildings:
        _draw_building(canvas, building, objects)
    ground = canvas.colour.copy()
    is_building = canvas.ids > 0
    for tree in town.trees:
        _draw_tree(canvas, tree, objects, is_building)
    shade = np.where(_shadows(canvas.height, metres_per_pixel), np.float32(SHADOW), np.float32(1.0))[
        ..., None
    ]
    return Layers(
        west=window[0],
        north=window[3],
        metres_per_pixel=metres_per_pixel,
        height=canvas.height,
        ids=canvas.ids,
        aerial=_bytes(canvas.colour * shade),
        ground=_bytes(ground * (1.0 - 0.5 * (1.0 - shade))),
        walkable=canvas.walkable,
        objects=np.array(objects),
    )
