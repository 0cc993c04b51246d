"""Plain values passed between the parts: no behaviour beyond what the value itself means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

View = Literal["satellite", "ground"]
PhotoMode = Literal["panorama", "perspective", "drone"]


class LonLat(NamedTuple):
    """A position in degrees, WGS 84."""

    lon: float
    lat: float


class BoundingBox(NamedTuple):
    """Degrees, WGS 84. `west > east` means that the box crosses the antimeridian."""

    west: float
    south: float
    east: float
    north: float


@dataclass(frozen=True)
class PhotoFacts:
    """What a photo says of itself.

    Attributes:
        width: Pixels, after the EXIF orientation has been applied.
        height: Pixels, after the EXIF orientation has been applied.
        position: Where the camera says it was, or None (0/0 rationals and 0,0 are None).
        heading: Degrees clockwise from true north of the view's centre, or None when it was not measured.
        heading_is_magnetic: The heading is relative to magnetic north and so approximate.
        horizontal_fov: Degrees covered by the width, or None; 360 for a full panorama.
        vertical_fov: Degrees covered by the height, or None; 180 for a full panorama.
        is_panorama: The file says (GPano) or its shape and size suggest an equirectangular panorama.
        taken: `DateTimeOriginal` as written (ISO form when it parses), or "".
        camera: Maker and model as written, or "".
    """

    width: int
    height: int
    position: LonLat | None = None
    heading: float | None = None
    heading_is_magnetic: bool = False
    horizontal_fov: float | None = None
    vertical_fov: float | None = None
    is_panorama: bool = False
    taken: str = ""
    camera: str = ""


@dataclass(frozen=True)
class Match:
    """One ranked chip.

    Attributes:
        rank: From 1.
        chip: Row id in the index.
        score: Cosine of photo and chip.
        position: The chip's centre.
        bounds: The chip's outline.
        heading: Estimated heading of the photo in degrees if it was swept, else None.
    """

    rank: int
    chip: int
    score: float
    position: LonLat
    bounds: BoundingBox
    heading: float | None = None


@dataclass(frozen=True)
class Fused:
    """The one position that the matches agree on.

    Attributes:
        position: Score-weighted mean over the neighbourhood of the best place.
        spread_m: Weighted standard distance of that neighbourhood, metres.
    """

    position: LonLat
    spread_m: float


@dataclass(frozen=True)
class Localisation:
    """The answer for one photo.

    Attributes:
        file: The path as given.
        facts: What the photo says of itself, None when it could not be read.
        mode: How the photo was put before the encoder.
        matches: Best first; empty when `error` says why.
        fused: The fused position, None without matches.
        margin: Score of the best place minus that of the best other place, None if there is no other.
        stands_out: Whether the best place stands out from the rest of the index.
        chance: How often a chip drawn at random would hold the true position.
        note: In words what was assumed about the photo, "" if nothing.
        sentence: The answer in words, for people.
        error_m: Geodesic metres from the answer to the photo's own position, None without one.
        outside: The photo's own position lies outside the indexed area.
        seconds: Time from file to matches.
        error: One sentence when the photo could not be used.
    """

    file: str
    facts: PhotoFacts | None
    mode: PhotoMode | None = None
    matches: tuple[Match, ...] = ()
    fused: Fused | None = None
    margin: float | None = None
    stands_out: bool = False
    chance: float | None = None
    note: str = ""
    sentence: str = ""
    error_m: float | None = None
    outside: bool = False
    seconds: float = 0.0
    error: str | None = None


@dataclass(frozen=True)
class ImageryInfo:
    """What an imagery source is.

    Attributes:
        kind: Short name of the reader ("mbtiles", "geotiff", "xyz", ...).
        name: For people; never holds an API key.
        bounds: Extent in degrees.
        min_zoom: Lowest tile zoom, None for rasters.
        max_zoom: Highest tile zoom, None for rasters.
        metres_per_pixel: Ground size of a pixel at the centre of the bounds at the finest level.
        crs: Authority code such as "EPSG:3857".
        bands: Number of bands in the file.
        attribution: As the licence wants it shown.
        licence: Short name or address, "" when unknown.
        bulk: Whether the terms allow fetching whole areas.
        extra: Further facts, for `imagery probe`.
    """

    kind: str
    name: str
    bounds: BoundingBox
    min_zoom: int | None
    max_zoom: int | None
    metres_per_pixel: float
    crs: str
    bands: int
    attribution: str = ""
    licence: str = ""
    bulk: bool = True
    extra: Mapping[str, str] | None = None
