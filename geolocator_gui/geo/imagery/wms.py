"""WMS: maps asked for in squares of the web's tile grid, so that they are cached like tiles.

A layer that is only drawn in degrees (EPSG:4326, CRS:84) is asked for the same squares by their edges in
degrees, and its rows, evenly spaced in latitude, are put where Web-Mercator has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from geolocator_gui.errors import ImageryError
from geolocator_gui.geo.imagery import capabilities as ogc
from geolocator_gui.geo.imagery.address import Address, host_of
from geolocator_gui.geo.imagery.decode import Tile
from geolocator_gui.geo.imagery.keys import with_key, without_key
from geolocator_gui.geo.imagery.providers import terms_of_host
from geolocator_gui.geo.imagery.tiled import Level, xyz_level
from geolocator_gui.geo.imagery.web import WORLD, WebTiles, bounds_setting, make_fetcher
from geolocator_gui.geo.imagery.wmts import clipped
from geolocator_gui.geo.projection import (
    mercator_to_lonlat,
    metres_per_pixel,
    tile_bounds,
    tile_bounds_lonlat,
)
from geolocator_gui.records import BoundingBox, ImageryInfo

_TILE_PX = 512
_DEFAULT_MAX_ZOOM = 20
_DEGREES = ("CRS:84", "EPSG:4326")


class DegreeTiles(WebTiles):
    """Squares of a layer that is drawn in degrees."""

    def _load(self, level: Level, column: int, row: int) -> Tile | None:
        tile = super()._load(level, column, row)
        return None if tile is None else _into_mercator(tile, level, column, row)


def open_wms(where: Address, cache_dir: Path | None) -> WebTiles:
    """Open a WMS by its address.

    Raises:
        ImageryError: It does not answer, has no such layer, or draws neither in Web-Mercator nor in degrees.
    """
    host = host_of(where.where)
    terms = terms_of_host(host, user_says_yes=where.flag("bulk"))
    identity = f"{where.where}#{where.settings.get('layer')}#{where.settings.get('style')}"
    fetcher = make_fetcher(host, identity, where, terms, cache_dir)
    try:
        root = ogc.fetch_capabilities(where, fetcher, "WMS")
        capability = next(ogc.children(root, "Capability"), root)
        found = {ogc.text_of(layer, "Name"): (layer, above) for layer, above in _layers(capability, ())}
        found.pop("", None)
        name, (layer, above) = ogc.chosen(found, where.settings.get("layer"), host)
        crs = _crs((*above, layer), host)
        tile_px = int(where.number("tile_px", min(_TILE_PX, _max_size(root)), 64, 2048))
        formats = [
            (one.text or "").strip()
            for request in ogc.children(capability, "Request")
            for get_map in ogc.children(request, "GetMap")
            for one in ogc.children(get_map, "Format")
        ]
        form = ogc.picture_format(formats, where.settings.get("format"), host)
    except BaseException:
        fetcher.close()
        raise
    version = root.get("version", "1.3.0")
    newer = version >= "1.3.0"
    base = ogc.asking_for(
        where.where,
        {
            "SERVICE": "WMS", "REQUEST": "GetMap", "VERSION": "1.3.0" if newer else "1.1.1", "LAYERS": name,
            "STYLES": where.settings.get("style", ""), ("CRS" if newer else "SRS"): crs, "FORMAT": form,
            "WIDTH": str(tile_px), "HEIGHT": str(tile_px),
        } | ({"TRANSPARENT": "TRUE"} if form == "image/png" else {}),
    )  # fmt: skip
    filled = with_key(base, where.where)
    # A tile of 512 pixels at zoom z has the detail of one of 256 at zoom z + 1.
    low = int(where.number("min_zoom", 0, 0, 24))
    high = int(where.number("max_zoom", _DEFAULT_MAX_ZOOM, low, 24))

    # WMS 1.3.0 takes the axes of EPSG:4326 in their official order, latitude first.
    latitude_first = newer and crs == "EPSG:4326"

    def address(level: Level, column: int, row: int) -> str:
        if crs in _DEGREES:
            west, south, east, north = tile_bounds_lonlat(column, row, level.number)
            box = (south, west, north, east) if latitude_first else (west, south, east, north)
            edges = ",".join(f"{edge:.10f}" for edge in box)
        else:
            edges = ",".join(f"{edge:.6f}" for edge in tile_bounds(column, row, level.number))
        return f"{filled}&BBOX={edges}"

    bounds = bounds_setting(where) or _bounds((*above, layer))
    info = ImageryInfo(
        kind="wms",
        name=where.settings.get("name", f"{host} {name}"),
        bounds=bounds,
        min_zoom=low,
        max_zoom=high,
        metres_per_pixel=float(metres_per_pixel((bounds.south + bounds.north) / 2, high, tile_px)),
        crs=crs,
        bands=3,
        attribution=where.settings.get("attribution", ogc.text_of(layer, "Attribution", "Title")),
        licence=where.settings.get(
            "licence", terms.licence or ogc.text_of(root, "Service", "AccessConstraints")[:300]
        ),
        bulk=terms.bulk,
        extra={"layer": name, "address": without_key(base), "tile_px": str(tile_px)} | terms.refusal,
    )
    kind = DegreeTiles if crs in _DEGREES else WebTiles
    return kind(info, tuple(xyz_level(zoom, tile_px) for zoom in range(low, high + 1)), address, fetcher)


def _into_mercator(tile: Tile, level: Level, column: int, row: int) -> Tile:
    """A tile whose rows are evenly spaced in latitude, with rows evenly spaced in Web-Mercator."""
    height, width = tile.pixels.shape[:2]
    _, low, _, high = tile_bounds(column, row, level.number)
    y = high - (np.arange(height) + 0.5) * (high - low) / height
    north, south = (mercator_to_lonlat(0.0, edge)[1] for edge in (high, low))
    wanted = (north - mercator_to_lonlat(np.zeros(height), y)[1]) / (north - south) * height - 0.5
    rows = np.repeat(wanted.astype(np.float32)[:, None], width, axis=1)
    columns = np.repeat(np.arange(width, dtype=np.float32)[None], height, axis=0)
    pixels = cv2.remap(tile.pixels, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    valid = tile.valid
    if valid is not None:
        nearest = np.clip(np.rint(wanted).astype(np.int64), 0, height - 1)
        valid = valid[nearest]
    return Tile(np.asarray(pixels, np.uint8), valid)


def _layers(element: Any, above: tuple[Any, ...]) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Layers and what they inherit from, coarse first."""
    if len(above) > 32:
        return
    for layer in ogc.children(element, "Layer"):
        yield layer, above
        yield from _layers(layer, (*above, layer))


def _crs(family: tuple[Any, ...], host: str) -> str:
    codes = [
        code
        for layer in family
        for name in ("CRS", "SRS")
        for child in ogc.children(layer, name)
        for code in (child.text or "").split()
    ]
    for code in codes:
        if ogc.WEB_MERCATOR.search(code):
            return code
    for code in _DEGREES:
        if code in codes:
            return code
    raise ImageryError(
        "the layer is drawn neither in Web-Mercator nor in degrees, only in: "
        + (", ".join(dict.fromkeys(codes[:8])) or "nothing"),
        path=host,
        hint="Ask the operator for EPSG:3857, or save the area as a GeoTIFF (any CRS) and use that.",
    )


def _max_size(root: Any) -> int:
    sizes = [ogc.text_of(root, "Service", f"Max{way}") for way in ("Width", "Height")]
    return min([int(size) for size in sizes if size.isdigit() and int(size) >= 64], default=_TILE_PX)


def _bounds(family: tuple[Any, ...]) -> BoundingBox:
    for layer in reversed(family):
        for box in ogc.children(layer, "EX_GeographicBoundingBox"):
            sides = ("westBoundLongitude", "southBoundLatitude", "eastBoundLongitude", "northBoundLatitude")
            values = [ogc.text_of(box, side) for side in sides]
            break
        else:
            box = next(ogc.children(layer, "LatLonBoundingBox"), None)
            if box is None:
                continue
            values = [box.get(side, "") for side in ("minx", "miny", "maxx", "maxy")]
        try:
            west, south, east, north = (float(value) for value in values)
        except ValueError:
            continue
        return clipped(west, south, east, north)
    return WORLD
