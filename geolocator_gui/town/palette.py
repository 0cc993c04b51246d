"""Colours and materials from which districts, streets and houses draw."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from geolocator_gui.town.elements import Colour

PATTERNS = ("plain", "rows", "tiles", "speckle")

# Surface: base colour and texture ("fine", "cobble", "brick", "slab", "gravel").
SURFACES: dict[str, tuple[Colour, str]] = {
    "asphalt": ((86.0, 87.0, 90.0), "fine"),
    "worn asphalt": ((122.0, 120.0, 116.0), "fine"),
    "new asphalt": ((58.0, 58.0, 62.0), "fine"),
    "cobble": ((134.0, 126.0, 118.0), "cobble"),
    "brick paving": ((158.0, 92.0, 72.0), "brick"),
    "clinker": ((172.0, 142.0, 96.0), "brick"),
    "concrete slabs": ((172.0, 170.0, 162.0), "slab"),
    "gravel": ((186.0, 170.0, 138.0), "gravel"),
    "dirt": ((138.0, 108.0, 78.0), "gravel"),
    "red asphalt": ((142.0, 78.0, 74.0), "fine"),
}


@dataclass(frozen=True)
class Species:
    """A kind of tree: colour, crown radius and height ranges in metres, share of bare trunk."""

    name: str
    colour: Colour
    radius: tuple[float, float]
    height: tuple[float, float]
    bare: float


SPECIES: tuple[Species, ...] = (
    Species("linden", (74.0, 122.0, 52.0), (2.6, 4.2), (8.0, 13.0), 0.26),
    Species("birch", (142.0, 168.0, 78.0), (1.8, 3.0), (8.0, 14.0), 0.24),
    Species("pine", (44.0, 84.0, 60.0), (1.8, 3.0), (9.0, 16.0), 0.40),
    Species("blue spruce", (92.0, 126.0, 128.0), (1.6, 2.6), (7.0, 14.0), 0.06),
    Species("copper beech", (94.0, 46.0, 52.0), (2.6, 4.4), (8.0, 14.0), 0.22),
    Species("rowan", (178.0, 92.0, 48.0), (1.6, 2.6), (5.0, 8.0), 0.28),
    Species("maple", (196.0, 152.0, 46.0), (2.4, 4.0), (7.0, 12.0), 0.26),
    Species("cherry", (222.0, 160.0, 178.0), (1.8, 3.0), (4.5, 7.5), 0.30),
    Species("willow", (166.0, 178.0, 104.0), (2.6, 4.6), (7.0, 11.0), 0.16),
    Species("oak", (62.0, 92.0, 38.0), (3.0, 5.0), (9.0, 15.0), 0.24),
    Species("olive", (134.0, 142.0, 116.0), (1.6, 2.8), (4.0, 7.0), 0.28),
    Species("red oak", (160.0, 62.0, 44.0), (2.6, 4.2), (8.0, 13.0), 0.24),
)

CROPS: tuple[tuple[Colour, Colour], ...] = (
    ((206.0, 178.0, 96.0), (176.0, 148.0, 74.0)),  # ripe grain
    ((222.0, 206.0, 52.0), (168.0, 168.0, 50.0)),  # rape in flower
    ((102.0, 142.0, 62.0), (126.0, 98.0, 66.0)),  # beet in brown soil
    ((134.0, 104.0, 78.0), (104.0, 78.0, 58.0)),  # ploughed
    ((72.0, 120.0, 56.0), (92.0, 142.0, 68.0)),  # maize
    ((150.0, 170.0, 92.0), (132.0, 154.0, 78.0)),  # meadow
    ((142.0, 118.0, 168.0), (104.0, 116.0, 84.0)),  # lavender
    ((196.0, 84.0, 92.0), (96.0, 126.0, 64.0)),  # tulips
)

ROOFS: tuple[Colour, ...] = (
    (166.0, 78.0, 58.0),
    (126.0, 62.0, 52.0),
    (92.0, 90.0, 94.0),
    (62.0, 64.0, 70.0),
    (152.0, 148.0, 142.0),
    (118.0, 146.0, 132.0),
    (88.0, 112.0, 146.0),
    (142.0, 106.0, 78.0),
    (198.0, 192.0, 182.0),
    (108.0, 122.0, 82.0),
    (190.0, 122.0, 74.0),
    (120.0, 84.0, 100.0),
)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """A colour from hue, saturation and value, each 0-1."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return (255.0 * red, 255.0 * green, 255.0 * blue)


def jitter(rng: np.random.Generator, colour: Colour, amount: float) -> Colour:
    """The colour with a common and a per-channel deviation of about `amount` (0-255)."""
    common = rng.normal(0.0, amount)
    each = rng.normal(0.0, 0.5 * amount, 3)
    red, green, blue = (
        min(max(float(c + common + d), 4.0), 251.0) for c, d in zip(colour, each, strict=True)
    )
    return (red, green, blue)


def facade(rng: np.random.Generator) -> Colour:
    """A façade colour: any hue, from pale plaster to strong paint."""
    saturation = float(rng.choice([rng.uniform(0.02, 0.15), rng.uniform(0.2, 0.45), rng.uniform(0.45, 0.75)]))
    return hsv(float(rng.uniform()), saturation, float(rng.uniform(0.42, 0.95)))
