"""What a town consists of: frozen records in local metres (x east, y north), no pixels.

Colours are sRGB triples 0-255 as floats; angles are radians counter-clockwise from east.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Colour = tuple[float, float, float]
FloatArray = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Rect:
    """An oriented rectangle: centre, half sides along and across its axis, axis angle."""

    x: float
    y: float
    half_length: float
    half_width: float
    angle: float


@dataclass(frozen=True, eq=False)
class Street:
    """A street along a polyline.

    Attributes:
        points: float64 (n, 2), metres.
        width: carriageway in metres.
        sidewalk: width of each sidewalk in metres, 0 for none.
        surface: a key of `palette.SURFACES`.
        marking: 0 none, 1 dashed centre line, 2 dashed centre line and edge lines.
        species: index into `palette.SPECIES` of its trees, -1 without trees.
    """

    points: FloatArray
    width: float
    sidewalk: float
    surface: str
    colour: Colour
    sidewalk_colour: Colour
    marking: int
    species: int
    tree_spacing: float


@dataclass(frozen=True)
class Patch:
    """A piece of ground cover: lawn, yard, field, square, path or pond.

    Attributes:
        pattern: a key of `palette.PATTERNS` ("plain", "rows", "tiles", "speckle").
        period: metres between crop rows or tile joints.
        water: True where nobody can stand.
        paved: True where a camera may stand.
    """

    rect: Rect
    colour: Colour
    second: Colour
    pattern: str
    period: float
    ellipse: bool = False
    water: bool = False
    paved: bool = False


@dataclass(frozen=True)
class Building:
    """A building of one or two wings (an L) with common heights and colours.

    Attributes:
        eave: height of the walls in metres.
        top: height of the ridge in metres (the eave's for a flat roof).
        roof: "flat", "gable" or "hip".
        floor: storey height in metres; window_spacing: metres between window axes;
            window_share: the share of the spacing that is glass.
        base: colour of the ground floor (shop front, plinth) up to `base_height` metres.
    """

    parts: tuple[Rect, ...]
    eave: float
    top: float
    roof: str
    wall: Colour
    roof_colour: Colour
    window: Colour
    base: Colour
    base_height: float
    floor: float
    window_spacing: float
    window_share: float


@dataclass(frozen=True)
class Tree:
    """A tree or bush: trunk foot, crown radius, crown base and top in metres, colour."""

    x: float
    y: float
    radius: float
    base: float
    top: float
    colour: Colour


@dataclass(frozen=True, eq=False)
class River:
    """A watercourse along a polyline of float64 (n, 2) metres."""

    points: FloatArray
    width: float
    colour: Colour
    bank: Colour
