"""The demo world: a town as geometry, the same for the same seed, and where it lies on Earth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geolocator_gui.town.blocks import fill_blocks
from geolocator_gui.town.elements import Building, Colour, FloatArray, Patch, River, Street, Tree
from geolocator_gui.town.layout import make_districts, make_river, make_streets
from geolocator_gui.town.occupancy import Occupancy
from geolocator_gui.town.palette import hsv

DEFAULT_ORIGIN = (20.75, 60.17)  # open water between Sweden and Finland: no real place is claimed
EARTH_RADIUS = 6378137.0  # of the Web-Mercator sphere, EPSG:3857


def mercator_from_lonlat(lonlat: FloatArray) -> FloatArray:
    """EPSG:3857 metres (n, 2) of degrees (n, 2)."""
    radians = np.radians(lonlat)
    plane = np.stack([radians[:, 0], np.arcsinh(np.tan(radians[:, 1]))], axis=1)
    return np.asarray(EARTH_RADIUS * plane, dtype=np.float64)


def lonlat_from_mercator(metres: FloatArray) -> FloatArray:
    """Degrees (n, 2) of EPSG:3857 metres (n, 2)."""
    scaled = metres / EARTH_RADIUS
    radians = np.stack([scaled[:, 0], np.arctan(np.sinh(scaled[:, 1]))], axis=1)
    return np.asarray(np.degrees(radians), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Town:
    """A generated town; coordinates are metres (x east, y north) about its origin.

    The plane is the Web-Mercator plane about the origin, scaled by the cosine of the origin's
    latitude: affine with XYZ tiles, and true to length at the origin.

    Attributes:
        origin: longitude and latitude of x = y = 0, degrees.
        size_m: side of the square that is filled, -size/2 … size/2 in both axes.
        ground: colour of bare ground between the patches.
    """

    seed: int
    origin: tuple[float, float]
    size_m: float
    streets: tuple[Street, ...]
    buildings: tuple[Building, ...]
    trees: tuple[Tree, ...]
    patches: tuple[Patch, ...]
    river: River | None
    ground: Colour
    ground_second: Colour

    @property
    def scale(self) -> float:
        """True metres per metre of EPSG:3857 at the origin."""
        return float(np.cos(np.radians(self.origin[1])))

    def to_lonlat(self, xy: FloatArray) -> FloatArray:
        """Degrees (n, 2) of town metres (n, 2)."""
        centre = mercator_from_lonlat(np.array([self.origin]))
        return lonlat_from_mercator(np.asarray(xy, dtype=np.float64) / self.scale + centre)

    def from_lonlat(self, lonlat: FloatArray) -> FloatArray:
        """Town metres (n, 2) of degrees (n, 2)."""
        centre = mercator_from_lonlat(np.array([self.origin]))
        return (mercator_from_lonlat(np.asarray(lonlat, dtype=np.float64)) - centre) * self.scale


def generate_town(seed: int, *, size_m: float = 1024.0, origin: tuple[float, float] = DEFAULT_ORIGIN) -> Town:
    """Make the town of a seed: the same seed and size give the same town on every machine."""
    rng = np.random.default_rng([seed, 1])
    districts = make_districts(rng, size_m)
    streets = make_streets(rng, districts, size_m)
    river = make_river(rng, size_m)
    occupancy = Occupancy(size_m)
    occupancy.add_streets(streets, river)
    fill = fill_blocks(np.random.default_rng([seed, 2]), districts, streets, occupancy)
    return Town(
        seed=seed,
        origin=origin,
        size_m=size_m,
        streets=streets,
        buildings=tuple(fill.buildings),
        trees=tuple(fill.trees),
        patches=tuple(fill.patches),
        river=river,
        ground=hsv(
            float(rng.uniform(0.09, 0.28)), float(rng.uniform(0.2, 0.4)), float(rng.uniform(0.4, 0.62))
        ),
        ground_second=hsv(float(rng.uniform(0.09, 0.28)), 0.3, float(rng.uniform(0.4, 0.62))),
    )
