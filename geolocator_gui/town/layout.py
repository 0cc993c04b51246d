"""The skeleton of a town: districts with their own rotated, bent grids, streets and a river."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geolocator_gui.town.elements import Colour, FloatArray, River, Street
from geolocator_gui.town.palette import ROOFS, SPECIES, SURFACES, facade, hsv, jitter

KINDS = ("old town", "houses", "terraces", "slabs", "works", "fields")
KIND_SHARES = (0.22, 0.30, 0.16, 0.12, 0.08, 0.12)
# Block sides in metres, across and along, per kind.
BLOCKS: dict[str, tuple[float, float]] = {
    "old town": (48.0, 84.0),
    "houses": (58.0, 110.0),
    "terraces": (52.0, 96.0),
    "slabs": (86.0, 120.0),
    "works": (92.0, 130.0),
    "fields": (110.0, 170.0),
}


@dataclass(frozen=True, eq=False)
class District:
    """A part of the town around a centre with its own street grid and materials.

    Attributes:
        bend: amplitude and wavelength (metres) and phase of the grid's curvature, per axis.
        lines_u, lines_v: grid lines in metres along the district's own axes.
    """

    x: float
    y: float
    angle: float
    kind: str
    bend: tuple[float, float, float, float, float, float]
    lines_u: FloatArray
    lines_v: FloatArray
    surfaces: tuple[str, ...]
    facades: tuple[Colour, ...]
    roofs: tuple[Colour, ...]
    species: tuple[int, ...]
    lawn: Colour

    def to_world(self, uv: FloatArray) -> FloatArray:
        """Map district coordinates (n, 2) to town metres (n, 2)."""
        a_u, l_u, p_u, a_v, l_v, p_v = self.bend
        u = uv[:, 0] + a_u * np.sin(uv[:, 1] / l_u + p_u)
        v = uv[:, 1] + a_v * np.sin(uv[:, 0] / l_v + p_v)
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.stack([self.x + cos * u - sin * v, self.y + sin * u + cos * v], axis=1)

    def place(self, u: float, v: float) -> tuple[float, float, float]:
        """World x, y of a district point and the world angle of the district's u axis there."""
        xy = self.to_world(np.array([[u, v], [u + 1.0, v]]))
        step = xy[1] - xy[0]
        return float(xy[0, 0]), float(xy[0, 1]), float(np.arctan2(step[1], step[0]))


def nearest_district(districts: tuple[District, ...], xy: FloatArray) -> npt.NDArray[np.int64]:
    """Index of the district each point (n, 2) lies in."""
    centres = np.array([(d.x, d.y) for d in districts])
    return np.asarray(np.argmin(((xy[:, None, :] - centres[None]) ** 2).sum(axis=2), axis=1), dtype=np.int64)


def _lines(rng: np.random.Generator, mean: float, reach: float) -> FloatArray:
    gaps = rng.uniform(0.72, 1.35, int(2.6 * reach / mean)) * mean
    lines = np.cumsum(gaps) - reach
    return lines[lines < reach]


def make_districts(rng: np.random.Generator, size: float) -> tuple[District, ...]:
    """Five to nine districts per square kilometre spread over a square of `size` metres."""
    count = max(2, round(rng.integers(6, 10) * (size / 1024.0) ** 2))
    centres: list[FloatArray] = []
    while len(centres) < count:
        tries = rng.uniform(-0.5 * size, 0.5 * size, (24, 2))
        if centres:  # the farthest of some tries keeps districts apart
            gaps = np.min(np.linalg.norm(tries[:, None] - np.array(centres)[None], axis=2), axis=1)
            centres.append(tries[int(np.argmax(gaps[:5]))])
        else:
            centres.append(tries[0])
    districts = []
    for index, centre in enumerate(centres):
        kind = str(rng.choice(KINDS, p=KIND_SHARES)) if index else "old town"
        across, along = BLOCKS[kind]
        scale = float(rng.uniform(0.85, 1.2))
        bend = 0.0 if rng.uniform() < 0.2 else float(rng.uniform(4.0, 20.0))
        green = float(rng.uniform(0.17, 0.33))
        districts.append(
            District(
                x=float(centre[0]),
                y=float(centre[1]),
                angle=float(rng.uniform(0.0, np.pi)),
                kind=kind,
                bend=(
                    bend,
                    float(rng.uniform(55.0, 120.0)),
                    float(rng.uniform(0.0, 6.28)),
                    0.7 * bend,
                    float(rng.uniform(55.0, 120.0)),
                    float(rng.uniform(0.0, 6.28)),
                ),
                lines_u=_lines(rng, across * scale, 0.75 * size),
                lines_v=_lines(rng, along * scale, 0.75 * size),
                surfaces=tuple(str(s) for s in rng.choice(list(SURFACES), 3, replace=False)),
                facades=tuple(facade(rng) for _ in range(int(rng.integers(5, 10)))),
                roofs=tuple(ROOFS[int(i)] for i in rng.choice(len(ROOFS), 4, replace=False)),
                species=tuple(int(i) for i in rng.choice(len(SPECIES), 5, replace=False)),
                lawn=hsv(green, float(rng.uniform(0.25, 0.6)), float(rng.uniform(0.4, 0.68))),
            )
        )
    return tuple(districts)


def _runs(keep: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], keep, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= 3]


def _street(rng: np.random.Generator, points: FloatArray, district: District, main: bool) -> Street:
    if main:
        surface = str(rng.choice(["asphalt", "worn asphalt", "new asphalt", "cobble", "red asphalt"]))
        width = float(rng.uniform(9.0, 13.0))
        sidewalk = float(rng.uniform(2.5, 4.0))
    else:
        surface = str(rng.choice(district.surfaces))
        width = float(rng.uniform(4.5, 9.0))
        sidewalk = 0.0 if district.kind == "fields" else float(rng.choice([0.0, 1.6, 2.4, 3.2]))
    pavement = SURFACES[
        str(rng.choice(["concrete slabs", "clinker", "brick paving", "gravel", "worn asphalt"]))
    ][0]
    fine = SURFACES[surface][1] == "fine"
    return Street(
        points=points,
        width=width,
        sidewalk=sidewalk,
        surface=surface,
        colour=jitter(rng, SURFACES[surface][0], 9.0),
        sidewalk_colour=jitter(rng, pavement, 9.0),
        marking=int(rng.choice([1, 2])) if main and fine else int(fine and rng.uniform() < 0.3),
        species=int(rng.choice(district.species)) if rng.uniform() < (0.75 if main else 0.5) else -1,
        tree_spacing=float(rng.uniform(8.0, 18.0)),
    )


def make_streets(
    rng: np.random.Generator, districts: tuple[District, ...], size: float
) -> tuple[Street, ...]:
    """Streets along every district's grid and a main street along every district border."""
    half = 0.5 * size + 10.0
    streets: list[Street] = []
    ticks = np.arange(-0.75 * size, 0.75 * size, 10.0)
    for index, district in enumerate(districts):
        for axis, lines in ((0, district.lines_u), (1, district.lines_v)):
            for line in lines:
                uv = np.full((len(ticks), 2), line)
                uv[:, 1 - axis] = ticks
                xy = district.to_world(uv)
                keep = (nearest_district(districts, xy) == index) & (np.abs(xy) < half).all(axis=1)
                streets += [_street(rng, xy[a:b], district, False) for a, b in _runs(keep)]
    centres = np.array([(d.x, d.y) for d in districts])
    for i in range(len(districts)):
        for j in range(i + 1, len(districts)):
            middle, gap = 0.5 * (centres[i] + centres[j]), centres[j] - centres[i]
            across = np.array([-gap[1], gap[0]]) / np.linalg.norm(gap)
            xy = middle + ticks[:, None] * across
            squared = ((xy[:, None, :] - centres[None]) ** 2).sum(axis=2)
            keep = (squared.min(axis=1) > squared[:, i] - 1e-6) & (np.abs(xy) < half).all(axis=1)
            streets += [_street(rng, xy[a:b], districts[i], True) for a, b in _runs(keep)]
    return tuple(streets)


def make_river(rng: np.random.Generator, size: float) -> River | None:
    """A river or straight canal across the town, in two towns of three."""
    if rng.uniform() > 0.67:
        return None
    angle = float(rng.uniform(0.0, np.pi))
    along = np.arange(-0.8 * size, 0.8 * size, 10.0)
    bend = 0.0 if rng.uniform() < 0.35 else float(rng.uniform(15.0, 50.0))
    offset = float(rng.uniform(-0.3, 0.3)) * size + bend * np.sin(along / rng.uniform(70.0, 140.0))
    cos, sin = np.cos(angle), np.sin(angle)
    points = np.stack([cos * along - sin * offset, sin * along + cos * offset], axis=1)
    water = hsv(float(rng.uniform(0.45, 0.62)), float(rng.uniform(0.3, 0.6)), float(rng.uniform(0.3, 0.55)))
    bank = hsv(float(rng.uniform(0.1, 0.3)), 0.35, float(rng.uniform(0.4, 0.65)))
    return River(points=points, width=float(rng.uniform(9.0, 22.0)), colour=water, bank=bank)
