"""What a source is, in plain values for a table or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.geo.imagery.base import ImagerySource, MercatorBounds
from geolocator_gui.geo.projection import lonlat_to_mercator
from geolocator_gui.records import ImageryInfo

_SAMPLE_PX = 256


def probe(src: str | Path | Mapping[str, Any], *, tiles_dir: Path | None = None) -> dict[str, Any]:
    """Open a source and read one sample from the middle of its extent.

    Returns:
        Plain values: kind, name, bounds, zooms, metres per pixel, CRS, bands, attribution, licence, bulk,
        further facts, and of the sample its bounds, the share of missing pixels and its mean colour.

    Raises:
        ImageryError: The source cannot be used.
    """
    with open_imagery(src, tiles_dir=tiles_dir) as source:
        return describe(source)


def describe(source: ImagerySource) -> dict[str, Any]:
    """As `probe`, for a source that is open."""
    info = source.info
    bounds = _sample_bounds(info)
    patch = source.read(bounds, _SAMPLE_PX, _SAMPLE_PX)
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


def _sample_bounds(info: ImageryInfo) -> MercatorBounds:
    """A square of `_SAMPLE_PX` native pixels in the middle, smaller where the imagery is."""
    west, south, east, north = info.bounds
    if west > east:
        east += 360.0
    lat = (south + north) / 2
    (x0, x, x1), (y0, y, y1) = lonlat_to_mercator([west, (west + east) / 2, east], [south, lat, north])
    half = info.metres_per_pixel / np.cos(np.radians(lat)) * _SAMPLE_PX / 2
    half = float(min(half, (x1 - x0) / 2, (y1 - y0) / 2))
    return float(x) - half, float(y) - half, float(x) + half, float(y) + half
