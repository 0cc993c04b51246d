"""Pictures inside reports: imagery of a box, the answers drawn on it, and data addresses."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from geolocator_gui.errors import PhotoError
from geolocator_gui.geo.imagery.base import ImagerySource
from geolocator_gui.geo.photo import load_image
from geolocator_gui.geo.projection import lonlat_to_mercator
from geolocator_gui.records import BoundingBox, Localisation, LonLat

ACCENT = "#1d6ce0"
Corners = tuple[float, float, float, float]


def mercator_corners(bounds: BoundingBox) -> Corners:
    """West, south, east, north in EPSG:3857 metres."""
    x, y = lonlat_to_mercator(np.array([bounds.west, bounds.east]), np.array([bounds.south, bounds.north]))
    return float(x[0]), float(y[0]), float(x[1]), float(y[1])


def read_picture(source: ImagerySource, corners: Corners, longest: int) -> Image.Image:
    """The imagery between the corners, its longer side `longest` pixels."""
    west, south, east, north = corners
    scale = longest / max(east - west, north - south)
    width, height = max(1, round((east - west) * scale)), max(1, round((north - south) * scale))
    return Image.fromarray(source.read(corners, width, height).pixels)


def answer_of(item: Localisation) -> LonLat | None:
    """The one position that is shown as the answer."""
    if item.fused is not None:
        return item.fused.position
    return item.matches[0].position if item.matches else None


def own_position(item: Localisation) -> LonLat | None:
    """The photo's own position if it lies in the indexed area."""
    return item.facts.position if item.facts is not None and not item.outside else None


def draw_answers(
    picture: Image.Image, corners: Corners, localisations: Sequence[Localisation]
) -> Image.Image:
    """Draw answers as blue discs and the photos' own positions as rings, each pair joined; in place."""
    west, south, east, north = corners
    draw = ImageDraw.Draw(picture)

    def pixel(position: LonLat) -> tuple[float, float]:
        x, y = lonlat_to_mercator(np.array([position.lon]), np.array([position.lat]))
        return (
            float((x[0] - west) / (east - west) * picture.width),
            float((north - y[0]) / (north - south) * picture.height),
        )

    def circle(centre: tuple[float, float], radius: float, **style: Any) -> None:
        x, y = centre
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), **style)

    for item in localisations:
        answer, own = answer_of(item), own_position(item)
        if own is not None and answer is not None:
            draw.line((*pixel(own), *pixel(answer)), fill=ACCENT, width=2)
        if own is not None:
            circle(pixel(own), 11, outline="#101418", width=5)
            circle(pixel(own), 10, outline="#ffffff", width=2)
        if answer is not None:
            circle(pixel(answer), 8, fill=ACCENT, outline="#ffffff", width=2)
    return picture


def data_uri(picture: Image.Image, kind: str = "JPEG") -> str:
    """The picture as a `data:` address."""
    data = io.BytesIO()
    picture.save(data, kind, quality=88)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(data.getvalue()).decode()}"


def thumbnail_uri(file: str, longest: int = 320) -> str | None:
    """A photo's thumbnail as a `data:` address, None if it can no longer be read."""
    try:
        return data_uri(Image.fromarray(load_image(Path(file), longest_side=longest)))
    except PhotoError:
        return None  # moved since; its result still has a place on the map
