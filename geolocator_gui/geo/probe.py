"""What a source is, in plain values for a table or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from geolocator_gui.errors import ImageryError
from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.geo.imagery.base import ImagerySource, MercatorBounds, Patch
from geolocator_gui.geo.projection import lonlat_to_mercator

_SAMPLE_PX = 256
_TRIED = 3  # places, before a source whose tiles all are spoilt is given up
# Parts of the extent that are looked at, in this order.
_PLACES = ((0.5, 0.5), *((x, y) for y in (0.5, 0.15, 0.85) for x in (0.1, 0.3, 0.7, 0.9)))


def probe(src: str | Path | Mapping[str, Any], *, tiles_dir: Path | None = None) -> dict[str, Any]:
    """Open a source and read one sample from the middle of its extent.

    Returns:
        Plain values: kind, name, bounds, zooms, metres per pixel, CRS, bands, attribution, licence, bulk,
        further facts, and of the sample its bounds, the share of missing pixels and its mean colour.

    Raises:
        ImageryError: The source cannot be used, or nothing that it holds can be decoded.
    """
    with open_imagery(src, tiles_dir=tiles_dir) as source:
        return describe(source)


def describe(source: ImagerySource) -> dict[str, Any]:
    """As `probe`, for a source that is open."""
    info = source.info
    bounds, patch = _sample(source)
    if source.trouble and not patch.valid.any():
        raise ImageryError(
            f"no imagery could be read: {source.trouble}",
            path=info.name,
            hint="Check the file or the address.",
        )
    held = patch.pixels[patch.valid]
    return {
        "kind": info.kind,
        "name": info.name,
        "bounds": [round(edge, 7) for edge in info.bounds],
        "min_zoom": info.min_zoom,
        "max_zoom": info.max_zoom,
        "metres_per_pixel": round(info.metres_per_pixel, 4),
        "crs": info.crs,
        "bands": info.bands,
        "attribution": info.attribution,
        "licence": info.licence,
        "bulk": info.bulk,
        "extra": dict(info.extra or {}),
        "sample": {
            "bounds_epsg3857": [round(edge, 2) for edge in bounds],
            "missing": round(1.0 - float(np.mean(patch.valid)), 4),
            "mean_colour": [round(float(value)) for value in held.mean(axis=0)] if len(held) else None,
        },
    }


def _sample(source: ImagerySource) -> tuple[MercatorBounds, Patch]:
    """A square of native pixels in the middle of the extent, or where there is imagery if not there."""
    west, south, east, north = source.info.bounds
    if west > east:
        east += 360.0
    (x0, x1), (y0, y1) = lonlat_to_mercator([west, east], [south, north])
    scale = float(np.cos(np.radians((south + north) / 2)))
    half = float(min(source.info.metres_per_pixel / scale * _SAMPLE_PX, x1 - x0, y1 - y0)) / 2
    best: tuple[MercatorBounds, Patch] | None = None
    for tried, (right, up) in enumerate(_PLACES, 1):
        x, y = float(x0 + (x1 - x0) * right), float(y0 + (y1 - y0) * up)
        x, y = min(max(x, x0 + half), x1 - half), min(max(y, y0 + half), y1 - half)
        bounds = (x - half, y - half, x + half, y + half)
        patch = source.read(bounds, _SAMPLE_PX, _SAMPLE_PX)
        if best is None or patch.valid.mean() > best[1].valid.mean():
            best = bounds, patch
        if patch.valid.mean() > 0.5 or (source.trouble and tried >= _TRIED and not best[1].valid.any()):
            break
    assert best is not None
    return best
