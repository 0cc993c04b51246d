"""How often outlines cross: a scribble is refused before its repair, which could take hours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import shapely
from shapely.geometry import Polygon

from geolocator_gui.errors import AreaError

# The repair of so many takes about two seconds, and its time grows faster than their number.
MAX_CROSSINGS = 50_000
# So many edges spread over the outlines stand for all of them.
_SAMPLE = 200


def check_crossings(polygons: Sequence[Polygon], path: Path | str | None) -> None:
    """Refuse outlines that cross themselves or each other far too often; raises `AreaError`."""
    found = count_crossings(polygons)
    if found > MAX_CROSSINGS:
        raise AreaError(
            f"the outline crosses itself more than {MAX_CROSSINGS:,} times",
            path=path,
            hint="Draw it anew, or simplify it.",
        )


def count_crossings(polygons: Sequence[Polygon]) -> int:
    """Crossings among all edges, from a sample of the edges where there are many; touching does not count."""
    rings = [ring for polygon in polygons for ring in (polygon.exterior, *polygon.interiors)]
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    ends = np.stack([xy[:-1], xy[1:]], axis=1)
    edges = shapely.linestrings(ends[(ring[:-1] == ring[1:]) & (xy[:-1] != xy[1:]).any(axis=1)])
    # Fewer edges than these cannot cross so often.
    if len(edges) * (len(edges) - 1) <= 2 * MAX_CROSSINGS:
        return 0
    tree = shapely.STRtree(edges)
    some = edges[:: max(1, len(edges) // _SAMPLE)]
    seen = sum(len(tree.query(edge, predicate="crosses")) for edge in some)
    return round(seen * len(edges) / len(some) / 2)
