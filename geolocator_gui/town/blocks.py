"""What fills the blocks between the streets: houses and yards, halls, parks, squares, fields."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from geolocator_gui.town.elements import Building, Colour, Patch, Rect, Street, Tree
from geolocator_gui.town.layout import District, nearest_district
from geolocator_gui.town.occupancy import Occupancy
from geolocator_gui.town.palette import CROPS, SPECIES, SURFACES, facade, hsv, jitter


@dataclass
class Filling:
    """Collects what is put into the blocks; the generator's only mutable state."""

    rng: np.random.Generator
    occupancy: Occupancy
    patches: list[Patch] = field(default_factory=list)
    buildings: list[Building] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)

    def between(self, low: float, high: float) -> float:
        """A uniform random number; the middle where the range is empty."""
        return float(self.rng.uniform(low, high)) if high > low else 0.5 * (low + high)

    def chance(self, share: float) -> bool:
        """True with the given probability."""
        return bool(self.rng.uniform() < share)

    def add_tree(self, x: float, y: float, species: int, scale: float = 1.0, *, on_way: bool = False) -> None:
        """Plant a tree of a species unless a building or (if not asked for) a way is there."""
        kind = SPECIES[species]
        if not on_way and not self.occupancy.free_point(x, y):
            return
        radius = scale * self.between(*kind.radius)
        top = scale * self.between(*kind.height)
        self.trees.append(Tree(x, y, radius, kind.bare * top, top, jitter(self.rng, kind.colour, 9.0)))

    def add_bush(self, x: float, y: float, radius: float, top: float, colour: Colour) -> None:
        """Plant a bush that reaches the ground."""
        if self.occupancy.free_point(x, y):
            self.trees.append(Tree(x, y, radius, 0.0, top, jitter(self.rng, colour, 7.0)))

    def add_building(self, district: District, parts: tuple[Rect, ...], eave: float, roof: str) -> bool:
        """Build unless a part stands on a way or another building; say whether it was built."""
        inset = 0.9  # neighbours may touch: the map's cells are 1 m wide
        for part in parts:
            core = Rect(part.x, part.y, part.half_length - inset, part.half_width - inset, part.angle)
            if not self.occupancy.free(core):
                return False
        rng = self.rng
        for part in parts:
            self.occupancy.build(part)
        narrow = min(part.half_width for part in parts)
        wall = jitter(rng, district.facades[int(rng.integers(len(district.facades)))], 10.0)
        if self.chance(0.2):
            wall = facade(rng)
        base = wall if self.chance(0.5) else facade(rng)
        self.buildings.append(
            Building(
                parts=parts,
                eave=eave,
                top=eave if roof == "flat" else eave + narrow * self.between(0.45, 0.95),
                roof=roof,
                wall=wall,
                roof_colour=jitter(rng, district.roofs[int(rng.integers(len(district.roofs)))], 10.0),
                window=hsv(self.between(0.5, 0.65), self.between(0.1, 0.45), self.between(0.16, 0.5)),
                base=base,
                base_height=self.between(0.5, 1.0) if self.chance(0.5) else self.between(2.6, 3.6),
                floor=self.between(2.7, 3.6),
                window_spacing=self.between(2.0, 4.2),
                window_share=self.between(0.3, 0.65),
            )
        )
        return True


def _lawn(fill: Filling, rect: Rect, district: District) -> None:
    kind = fill.rng.uniform()
    if kind < 0.62:
        colour = jitter(fill.rng, district.lawn, 12.0)
        patch = Patch(rect, colour, jitter(fill.rng, colour, 8.0), "speckle", 2.0)
    elif kind < 0.85:
        name = str(fill.rng.choice(["gravel", "brick paving", "concrete slabs", "clinker", "worn asphalt"]))
        colour = jitter(fill.rng, SURFACES[name][0], 14.0)
        patch = Patch(rect, colour, jitter(fill.rng, colour, 14.0), "tiles", fill.between(1.2, 3.0))
    else:
        first, second = CROPS[int(fill.rng.integers(len(CROPS)))]
        patch = Patch(rect, jitter(fill.rng, first, 10.0), second, "rows", fill.between(1.2, 2.4))
    fill.patches.append(patch)


def _wings(fill: Filling, main: Rect) -> tuple[Rect, ...]:
    """The main wing and, in one of three cases, a second one at right angles."""
    if not fill.chance(0.35) or main.half_length < 5.0:
        return (main,)
    side = 1.0 if fill.chance(0.5) else -1.0
    back = 1.0 if fill.chance(0.5) else -1.0
    half, reach = 0.38 * main.half_length, fill.between(2.0, 4.0)
    du, dv = side * (main.half_length - half), back * (main.half_width + reach)
    cos, sin = np.cos(main.angle), np.sin(main.angle)
    x, y = main.x + cos * du - sin * dv, main.y + sin * du + cos * dv
    return (main, Rect(float(x), float(y), reach, half, main.angle + 0.5 * np.pi))


def _houses(fill: Filling, district: District, box: tuple[float, float, float, float]) -> None:
    """Lots with a house and a garden each along the two long sides of the block."""
    u0, u1, v0, v1 = box
    row = district.kind == "terraces"
    depth = 0.5 * (u1 - u0)
    eave = fill.between(4.5, 8.0) if row else 0.0
    for side in (0, 1):
        v = v0
        while v < v1 - 7.0:
            lot = fill.between(6.0, 9.0) if row else fill.between(14.0, 23.0)
            lot = min(lot, v1 - v)
            setback = fill.between(2.0, 3.5) if row else fill.between(2.5, 8.0)
            half_u = min(fill.between(4.2, 6.0), 0.42 * depth)
            half_v = 0.5 * lot if row else 0.5 * min(lot - 3.0, fill.between(8.0, 13.0))
            u = u0 + setback + half_u if side == 0 else u1 - setback - half_u
            middle = v + 0.5 * lot
            gx, gy, angle = district.place(u0 + 0.5 * depth if side == 0 else u1 - 0.5 * depth, middle)
            _lawn(fill, Rect(gx, gy, 0.5 * depth, 0.5 * lot, angle), district)
            x, y, angle = district.place(u, middle)
            if half_v > 2.4:
                along = Rect(x, y, half_v, half_u, angle + 0.5 * np.pi)
                if half_u > half_v:
                    along = Rect(x, y, half_u, half_v, angle)
                parts = (along,) if row else _wings(fill, along)
                roof = str(fill.rng.choice(["gable", "hip", "flat"], p=[0.6, 0.2, 0.2]))
                height = eave + fill.between(-0.5, 0.5) if row else fill.between(3.0, 7.5)
                fill.add_building(district, parts, height, roof)
            for _ in range(int(fill.rng.integers(0, 4))):
                tu = fill.between(u0, u0 + depth) if side == 0 else fill.between(u1 - depth, u1)
                tx, ty, _angle = district.place(tu, fill.between(v, v + lot))
                fill.add_tree(tx, ty, int(fill.rng.integers(len(SPECIES))), 0.75)
            if fill.chance(0.45):
                colour = SPECIES[int(fill.rng.integers(len(SPECIES)))].colour
                edge = u0 + 0.6 if side == 0 else u1 - 0.6
                for step in np.arange(v, v + lot - 3.0, 1.1):
                    hx, hy, _angle = district.place(edge, float(step))
                    fill.add_bush(hx, hy, 0.8, 1.3, colour)
            v += lot + (fill.between(1.0, 4.0) if row and fill.chance(0.15) else 0.0)


def _perimeter(fill: Filling, district: District, box: tuple[float, float, float, float]) -> None:
    """Town houses wall to wall around a courtyard."""
    u0, u1, v0, v1 = box
    x, y, angle = district.place(0.5 * (u0 + u1), 0.5 * (v0 + v1))
    _lawn(fill, Rect(x, y, 0.5 * (u1 - u0), 0.5 * (v1 - v0), angle), district)
    deep = min(fill.between(4.5, 6.0), 0.24 * (u1 - u0))
    general = fill.between(8.0, 16.0)
    for vertical, edge in ((True, u0 + deep), (True, u1 - deep), (False, v0 + deep), (False, v1 - deep)):
        start, end = (v0, v1) if vertical else (u0 + 2.0 * deep, u1 - 2.0 * deep)
        at = start
        while at < end - 5.0:
            length = min(fill.between(8.0, 19.0), end - at)
            middle = at + 0.5 * length
            hx, hy, turn = district.place(edge, middle) if vertical else district.place(middle, edge)
            if not fill.chance(0.07):
                along = Rect(hx, hy, 0.5 * length - 0.1, deep, turn + (0.5 * np.pi if vertical else 0.0))
                roof = str(fill.rng.choice(["gable", "flat"], p=[0.7, 0.3]))
                fill.add_building(district, (along,), max(5.0, general + fill.between(-3.0, 3.0)), roof)
            at += length
    for _ in range(int(fill.rng.integers(1, 6))):
        tu, tv = (
            fill.between(u0 + 2.2 * deep, u1 - 2.2 * deep),
            fill.between(v0 + 2.2 * deep, v1 - 2.2 * deep),
        )
        tx, ty, _angle = district.place(tu, tv)
        fill.add_tree(tx, ty, int(fill.rng.choice(district.species)), 0.8)


def _large(fill: Filling, district: District, box: tuple[float, float, float, float]) -> None:
    """Slabs in greenery or halls in yards."""
    u0, u1, v0, v1 = box
    works = district.kind == "works"
    x, y, angle = district.place(0.5 * (u0 + u1), 0.5 * (v0 + v1))
    whole = Rect(x, y, 0.5 * (u1 - u0), 0.5 * (v1 - v0), angle)
    if works:
        name = str(fill.rng.choice(["asphalt", "worn asphalt", "concrete slabs", "gravel"]))
        colour = jitter(fill.rng, SURFACES[name][0], 12.0)
        fill.patches.append(Patch(whole, colour, jitter(fill.rng, colour, 10.0), "tiles", 5.0, paved=True))
    else:
        _lawn(fill, whole, district)
        px, py, pangle = district.place(
            fill.between(u0 + 12.0, u1 - 12.0), fill.between(v0 + 12.0, v1 - 12.0)
        )
        colour = jitter(fill.rng, SURFACES["asphalt"][0], 14.0)
        lot = Rect(px, py, 10.0, fill.between(8.0, 16.0), pangle)
        fill.patches.append(Patch(lot, colour, (226.0, 226.0, 222.0), "tiles", 2.6, paved=True))
    for _ in range(14):
        half_u = fill.between(10.0, 20.0) if works else fill.between(5.5, 7.5)
        half_v = fill.between(9.0, 24.0) if works else fill.between(14.0, 28.0)
        if not works and fill.chance(0.5):
            half_u, half_v = half_v, half_u
        if u1 - u0 < 2.0 * half_u + 6.0 or v1 - v0 < 2.0 * half_v + 6.0:
            continue
        cu, cv = (
            fill.between(u0 + half_u + 3.0, u1 - half_u - 3.0),
            fill.between(v0 + half_v + 3.0, v1 - half_v - 3.0),
        )
        bx, by, turn = district.place(cu, cv)
        if fill.occupancy.free(Rect(bx, by, half_u + 4.0, half_v + 4.0, turn)):
            long, wide, extra = (half_u, half_v, 0.0) if half_u >= half_v else (half_v, half_u, 0.5 * np.pi)
            height = fill.between(5.0, 10.0) if works else fill.between(10.0, 27.0)
            roof = "gable" if works and fill.chance(0.3) else "flat"
            fill.add_building(district, (Rect(bx, by, long, wide, turn + extra),), height, roof)
    for _ in range(int(fill.rng.integers(4, 14))):
        tx, ty, turn = district.place(fill.between(u0, u1), fill.between(v0, v1))
        if works and fill.chance(0.7):
            box_rect = Rect(tx, ty, fill.between(3.0, 6.0), 1.3, turn + fill.between(0.0, 0.3))
            fill.add_building(district, (box_rect,), 2.6, "flat")
        else:
            fill.add_tree(tx, ty, int(fill.rng.choice(district.species)))


def _park(fill: Filling, district: District, box: tuple[float, float, float, float]) -> None:
    u0, u1, v0, v1 = box
    x, y, angle = district.place(0.5 * (u0 + u1), 0.5 * (v0 + v1))
    half_u, half_v = 0.5 * (u1 - u0), 0.5 * (v1 - v0)
    lawn = jitter(fill.rng, district.lawn, 14.0)
    fill.patches.append(
        Patch(Rect(x, y, half_u, half_v, angle), lawn, jitter(fill.rng, lawn, 8.0), "speckle", 3.0)
    )
    if fill.chance(0.6):
        water = hsv(fill.between(0.45, 0.62), 0.45, fill.between(0.3, 0.55))
        px, py, _turn = district.place(fill.between(u0 + 14.0, u1 - 14.0), fill.between(v0 + 14.0, v1 - 14.0))
        pond = Rect(px, py, fill.between(7.0, 15.0), fill.between(5.0, 11.0), fill.between(0.0, 3.1))
        if fill.occupancy.free(pond):
            fill.patches.append(Patch(pond, water, water, "plain", 1.0, ellipse=True, water=True))
            fill.occupancy.build(pond)
    gravel = jitter(
        fill.rng, SURFACES[str(fill.rng.choice(["gravel", "dirt", "red asphalt", "clinker"]))][0], 10.0
    )
    for turn in (0.0, 0.5 * np.pi) if fill.chance(0.6) else (0.6, -0.7):
        reach = half_u if turn == 0.0 else half_v
        path = Rect(x, y, min(reach, 60.0), fill.between(1.2, 2.2), angle + turn)
        fill.patches.append(Patch(path, gravel, gravel, "speckle", 1.0, paved=True))
    for _ in range(int(half_u * half_v / fill.between(30.0, 90.0))):
        tx, ty, _turn = district.place(fill.between(u0, u1), fill.between(v0, v1))
        fill.add_tree(tx, ty, int(fill.rng.choice(district.species)))
    for _ in range(int(fill.rng.integers(2, 9))):  # flower beds
        tx, ty, _turn = district.place(fill.between(u0, u1), fill.between(v0, v1))
        bed = Rect(tx, ty, fill.between(1.5, 4.0), fill.between(1.0, 2.5), angle)
        if fill.occupancy.free(bed):
            flower = hsv(fill.between(0.75, 1.2), 0.65, 0.85)
            fill.patches.append(Patch(bed, flower, lawn, "speckle", 0.8, ellipse=True))


def _square(fill: Filling, district: District, box: tuple[float, float, float, float]) -> None:
    u0, u1, v0, v1 = box
    x, y, angle = district.place(0.5 * (u0 + u1), 0.5 * (v0 + v1))
    half_u, half_v = 0.5 * (u1 - u0), 0.5 * (v1 - v0)
    names = list(SURFACES)
    first = jitter(fill.rng, SURFACES[names[int(fill.rng.integers(len(names)))]][0], 14.0)
    second = jitter(fill.rng, SURFACES[names[int(fill.rng.integers(len(names)))]][0], 14.0)
    whole = Rect(x, y, half_u, half_v, angle)
    fill.patches.append(Patch(whole, first, second, "tiles", fill.between(4.0, 12.0), paved=True))
    for _ in range(int(fill.rng.integers(2, 7))):
        bx, by, _turn = district.place(fill.between(u0 + 4.0, u1 - 4.0), fill.between(v0 + 4.0, v1 - 4.0))
        stall = Rect(bx, by, fill.between(1.5, 4.0), fill.between(1.5, 2.5), angle)
        roof = str(fill.rng.choice(["hip", "flat", "gable"]))
        if fill.add_building(district, (stall,), fill.between(2.5, 5.0), roof):
            loud = fill.buildings[-1]
            colour = hsv(fill.between(0.0, 1.0), 0.6, 0.85)
            fill.buildings[-1] = Building(**{**loud.__dict__, "roof_colour": colour})
    species = int(fill.rng.choice(district.species))
    if fill.chance(0.7):
        for tv in np.arange(v0 + 3.0, v1 - 2.0, fill.between(7.0, 11.0)):
            for tu in (u0 + 3.0, u1 - 3.0):
                tx, ty, _turn = district.place(tu, float(tv))
                fill.add_tree(tx, ty, species, 0.8)


def _fields(fill: Filling, district: District, box: tuple[float, float, float, float]) -> None:
    u0, u1, v0, v1 = box
    v = v0
    while v < v1 - 6.0:
        wide = min(fill.between(14.0, 45.0), v1 - v)
        first, second = CROPS[int(fill.rng.integers(len(CROPS)))]
        x, y, angle = district.place(0.5 * (u0 + u1), v + 0.5 * wide)
        turn = 0.0 if fill.chance(0.7) else 0.5 * np.pi
        half = (0.5 * (u1 - u0), 0.5 * wide) if turn == 0.0 else (0.5 * wide, 0.5 * (u1 - u0))
        rect = Rect(x, y, half[0], half[1], angle + turn)
        colours = jitter(fill.rng, first, 10.0), jitter(fill.rng, second, 10.0)
        fill.patches.append(Patch(rect, *colours, "rows", fill.between(1.7, 4.0)))
        if fill.chance(0.4):
            species = int(fill.rng.choice(district.species))
            for tu in np.arange(u0, u1, fill.between(6.0, 14.0)):
                tx, ty, _turn = district.place(float(tu), v)
                fill.add_tree(tx, ty, species, 0.8)
        v += wide
    for _ in range(int(fill.rng.integers(1, 4))):
        bx, by, turn = district.place(fill.between(u0 + 8.0, u1 - 8.0), fill.between(v0 + 8.0, v1 - 8.0))
        main = Rect(bx, by, fill.between(6.0, 12.0), fill.between(4.0, 6.5), turn)
        roof = str(fill.rng.choice(["gable", "hip"]))
        fill.add_building(district, _wings(fill, main), fill.between(3.0, 6.0), roof)


def _street_trees(fill: Filling, streets: tuple[Street, ...]) -> None:
    for street in streets:
        if street.species < 0:
            continue
        offset = 0.5 * street.width + min(street.sidewalk, 1.0) * 0.6 + 0.3
        steps = np.diff(street.points, axis=0)
        lengths = np.hypot(steps[:, 0], steps[:, 1])
        along = np.concatenate([[0.0], np.cumsum(lengths)])
        for at in np.arange(12.0, along[-1] - 12.0, street.tree_spacing):
            i = min(int(np.searchsorted(along, at)) - 1, len(steps) - 1)
            unit = steps[i] / lengths[i]
            x, y = street.points[i] + (at - along[i]) * unit
            for side in (-1.0, 1.0):
                if not fill.chance(0.12):
                    tx, ty = float(x - side * offset * unit[1]), float(y + side * offset * unit[0])
                    fill.add_tree(tx, ty, street.species, 0.8, on_way=True)


def fill_blocks(
    rng: np.random.Generator,
    districts: tuple[District, ...],
    streets: tuple[Street, ...],
    occupancy: Occupancy,
) -> Filling:
    """Fill every block of every district and plant the street trees."""
    fill = Filling(rng, occupancy)
    for index, district in enumerate(districts):
        for u0, u1 in zip(district.lines_u[:-1], district.lines_u[1:], strict=True):
            for v0, v1 in zip(district.lines_v[:-1], district.lines_v[1:], strict=True):
                corners = np.array(
                    [[u0, v0], [u0, v1], [u1, v0], [u1, v1], [0.5 * (u0 + u1), 0.5 * (v0 + v1)]]
                )
                xy = district.to_world(corners)
                inside = (np.abs(xy) < occupancy.half + 20.0).all(axis=1)
                if not (inside & (nearest_district(districts, xy) == index)).any():
                    continue
                margin = 7.0
                box = (float(u0) + margin, float(u1) - margin, float(v0) + margin, float(v1) - margin)
                if box[1] - box[0] < 14.0 or box[3] - box[2] < 14.0:
                    continue
                draw = rng.uniform()
                if district.kind == "fields":
                    _fields(fill, district, box)
                elif draw < 0.10:
                    _park(fill, district, box)
                elif draw < (0.22 if district.kind == "old town" else 0.14):
                    _square(fill, district, box)
                elif district.kind == "old town":
                    _perimeter(fill, district, box)
                elif district.kind in ("houses", "terraces"):
                    _houses(fill, district, box)
                else:
                    _large(fill, district, box)
    _street_trees(fill, streets)
    return fill
