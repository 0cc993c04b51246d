"""WMTS: a layer's tiles in a Web-Mercator matrix set, as its capabilities describe them."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from geolocator_gui.errors import ImageryError
from geolocator_gui.geo.imagery import capabilities as ogc
from geolocator_gui.geo.imagery.address import Address, host_of
from geolocator_gui.geo.imagery.keys import with_key, without_key
from geolocator_gui.geo.imagery.providers import terms_of_host
from geolocator_gui.geo.imagery.tiled import Level, xyz_level
from geolocator_gui.geo.imagery.web import WORLD, Addresses, WebTiles, bounds_setting, make_fetcher
from geolocator_gui.geo.projection import HALF_WORLD_M, WORLD_M, ground_scale, tile_resolution
from geolocator_gui.records import BoundingBox, ImageryInfo

# OGC 07-057r7: a pixel of 0.28 mm.
_PIXEL_M = 0.00028


def open_wmts(where: Address, cache_dir: Path | None) -> WebTiles:
    """Open a WMTS by the address of its capabilities.

    Raises:
        ImageryError: It does not answer, has no such layer, or no matrix set in Web-Mercator.
    """
    host = host_of(where.where)
    terms = terms_of_host(host, user_says_yes=where.flag("bulk"))
    identity = f"{where.where}#{where.settings.get('layer')}#{where.settings.get('matrix_set')}"
    fetcher = make_fetcher(host, identity, where, terms, cache_dir)
    try:
        root = ogc.fetch_capabilities(where, fetcher, "WMTS")
        contents = next(ogc.children(root, "Contents"), root)
        layers = {ogc.text_of(layer, "Identifier"): layer for layer in ogc.children(contents, "Layer")}
        name, layer = ogc.chosen(layers, where.settings.get("layer"), host)
        sets = {ogc.text_of(one, "Identifier"): one for one in ogc.children(contents, "TileMatrixSet")}
        set_name = _matrix_set(layer, sets, where.settings.get("matrix_set"), host)
        levels, names = _levels(sets[set_name], host)
        template = _template(root, layer, where, name, set_name, host)
        template = _with_own(template, where.where)
        filled = with_key(template, where.where)
    except BaseException:
        fetcher.close()
        raise
    bounds = bounds_setting(where) or _bounds(layer)
    finest = levels[-1]
    info = ImageryInfo(
        kind="wmts",
        name=where.settings.get("name", f"{host} {name}"),
        bounds=bounds,
        min_zoom=None,
        max_zoom=None,
        metres_per_pixel=finest.resolution * float(ground_scale((bounds.south + bounds.north) / 2)),
        crs="EPSG:3857",
        bands=3,
        attribution=where.settings.get("attribution", ogc.text_of(root, "ServiceProvider", "ProviderName")),
        licence=where.settings.get(
            "licence", terms.licence or ogc.text_of(root, "ServiceIdentification", "AccessConstraints")[:300]
        ),
        bulk=terms.bulk,
        extra={"layer": name, "matrix_set": set_name, "address": without_key(template)} | terms.refusal,
    )
    return WebTiles(info, levels, _addresses(filled, names), fetcher)


def _addresses(template: str, names: dict[int, str]) -> Addresses:
    def address(level: Level, column: int, row: int) -> str:
        values = {"tilematrix": quote(names[level.number]), "tilecol": str(column), "tilerow": str(row)}
        return re.sub(
            r"\{(TileMatrix|TileCol|TileRow)\}",
            lambda found: values[found.group(1).lower()],
            template,
            flags=re.IGNORECASE,
        )

    return address


def _matrix_set(layer: Any, sets: dict[str, Any], asked: str | None, host: str) -> str:
    linked = [ogc.text_of(link, "TileMatrixSet") for link in ogc.children(layer, "TileMatrixSetLink")]
    systems = {name: ogc.text_of(sets[name], "SupportedCRS") for name in linked if name in sets}
    offered = ", ".join(f"{name} ({_short(crs)})" for name, crs in list(systems.items())[:8]) or "nothing"
    if asked is not None and asked not in systems:
        raise ImageryError(
            f"the layer is not offered in a matrix set {asked!r}, only in: {offered}",
            path=host,
            hint="Name another with #matrix_set=NAME, or leave it out.",
        )
    for name in systems if asked is None else (asked,):
        scale = ogc.text_of(sets[name], "WellKnownScaleSet")
        if ogc.WEB_MERCATOR.search(systems[name]) or ogc.WEB_MERCATOR.search(scale):
            return name
    raise ImageryError(
        f"the layer is not offered in Web-Mercator, only in: {offered}",
        path=host,
        hint="Ask the operator for EPSG:3857, use its WMS, or save the area as a GeoTIFF (any CRS).",
    )


def _short(crs: str) -> str:
    """`EPSG:25832` of a name such as `urn:ogc:def:crs:EPSG::25832`."""
    found = re.search(r"(EPSG|OGC|CRS)\b.*?(\w+)$", crs)
    return f"{found.group(1)}:{found.group(2)}" if found else crs or "no CRS"


def _levels(matrix_set: Any, host: str) -> tuple[tuple[Level, ...], dict[int, str]]:
    """Levels coarse to fine, and the matrix's identifier of each level's number."""
    found: list[tuple[float, Level, str]] = []
    for matrix in ogc.children(matrix_set, "TileMatrix"):
        try:
            resolution = float(ogc.text_of(matrix, "ScaleDenominator")) * _PIXEL_M
            corner = [float(part) for part in ogc.text_of(matrix, "TopLeftCorner").split()]
            width, height = (int(ogc.text_of(matrix, f"Tile{way}")) for way in ("Width", "Height"))
        except ValueError:
            continue  # a matrix that is not described cannot be asked for
        if width != height or not 16 <= width <= 4096 or resolution <= 0 or len(corner) != 2:
            continue
        zoom = round(math.log2(WORLD_M / (resolution * width)))
        on_the_web = zoom >= 0 and abs(resolution / tile_resolution(zoom, width) - 1) < 1e-4
        if on_the_web and abs(corner[0] + HALF_WORLD_M) < 1 and abs(corner[1] - HALF_WORLD_M) < 1:
            # Rounded scale denominators would drift by pixels over a whole world of tiles.
            level = xyz_level(zoom, width)
        else:
            level = Level(1000 + len(found), resolution, width, corner[0], corner[1])
        found.append((resolution, level, ogc.text_of(matrix, "Identifier")))
    if not found:
        raise ImageryError("its matrix set describes no square tiles", path=host)
    found.sort(key=lambda item: -item[0])
    return tuple(level for _, level, _ in found), {level.number: name for _, level, name in found}


def _template(root: Any, layer: Any, where: Address, name: str, set_name: str, host: str) -> str:
    """A template in which only TileMatrix, TileCol and TileRow are open."""
    styles = list(ogc.children(layer, "Style"))
    style = where.settings.get("style")
    if style is None:
        default = next(
            (one for one in styles if one.get("isDefault") == "true"), styles[0] if styles else None
        )
        style = "default" if default is None else ogc.text_of(default, "Identifier")
    fixed = {"Style": style, "TileMatrixSet": set_name, "Layer": name}
    for dimension in ogc.children(layer, "Dimension"):
        fixed[ogc.text_of(dimension, "Identifier")] = ogc.text_of(dimension, "Default")
    offered = {
        str(one.get("format", "")).lower(): str(one.get("template", ""))
        for one in ogc.children(layer, "ResourceURL")
        if one.get("resourceType") == "tile"
    }
    if offered:
        template = offered[ogc.picture_format(list(offered), where.settings.get("format"), host)]
        lowered = {field.lower(): quote(value) for field, value in fixed.items()}
        return re.sub(
            r"\{([^}]*)\}", lambda found: lowered.get(found.group(1).lower(), found.group(0)), template
        )
    formats = [(one.text or "").strip() for one in ogc.children(layer, "Format")]
    query = {
        "SERVICE": "WMTS", "REQUEST": "GetTile", "VERSION": "1.0.0", "LAYER": name, "STYLE": style,
        "FORMAT": ogc.picture_format(formats, where.settings.get("format"), host), "TILEMATRIXSET": set_name,
        "TILEMATRIX": "{TileMatrix}", "TILECOL": "{TileCol}", "TILEROW": "{TileRow}",
    }  # fmt: skip
    query |= {
        field: value for field, value in fixed.items() if field not in ("Style", "TileMatrixSet", "Layer")
    }
    return ogc.asking_for(_get_tile_address(root) or where.where, query)


def _with_own(template: str, asked: str) -> str:
    """A server's template with what the user's address of the same server says beside it, such as a key."""
    mine, its = urlsplit(asked), urlsplit(template)
    login, at, place = mine.netloc.rpartition("@")
    if (mine.scheme, place) != (its.scheme, its.netloc):
        return template
    said = {name.lower() for name, _ in parse_qsl(its.query, keep_blank_values=True)}
    said |= {"service", "request", "version"}
    own = {name: value for name, value in parse_qsl(mine.query) if name.lower() not in said}
    if at:
        template = template.replace("://", f"://{login}@", 1)
    return ogc.asking_for(template, own) if own else template


def _get_tile_address(root: Any) -> str:
    """The address for GetTile in key-value form that the capabilities name."""
    for metadata in ogc.children(root, "OperationsMetadata"):
        for operation in ogc.children(metadata, "Operation"):
            if operation.get("name") == "GetTile":
                for element in operation.iter():
                    if ogc.name_of(element) == "Get":
                        for field, value in element.attrib.items():
                            if field.endswith("href"):
                                return str(value)
    return ""


def _bounds(layer: Any) -> BoundingBox:
    box = next(ogc.children(layer, "WGS84BoundingBox"), None)
    if box is None:
        return WORLD
    try:
        west, south = (float(part) for part in ogc.text_of(box, "LowerCorner").split())
        east, north = (float(part) for part in ogc.text_of(box, "UpperCorner").split())
    except ValueError:
        return WORLD
    return clipped(west, south, east, north)


def clipped(west: float, south: float, east: float, north: float) -> BoundingBox:
    """A stated extent held to the world; the whole world where it makes no sense."""
    held = (max(west, WORLD.west), max(south, WORLD.south), min(east, WORLD.east), min(north, WORLD.north))
    return BoundingBox(*held) if held[0] < held[2] and held[1] < held[3] else WORLD
