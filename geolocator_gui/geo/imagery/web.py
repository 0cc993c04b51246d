"""Tiles from a server: templates (XYZ, TMS, quadkeys); WMTS and WMS use the same reader."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from geolocator_gui.errors import ImageryError
from geolocator_gui.geo.imagery.address import KEY_PLACE, Address, host_of, names_tile
from geolocator_gui.geo.imagery.base import MercatorBounds
from geolocator_gui.geo.imagery.cache import DecodedTiles
from geolocator_gui.geo.imagery.decode import Tile, TileDataError, decode_tile, whole_picture
from geolocator_gui.geo.imagery.fetch import Fetcher, Manners
from geolocator_gui.geo.imagery.keys import with_key, without_key
from geolocator_gui.geo.imagery.providers import Terms, provider, terms_of_host, terms_of_provider
from geolocator_gui.geo.imagery.tile_cache import TileCache
from geolocator_gui.geo.imagery.tiled import Level, TiledSource, xyz_level
from geolocator_gui.geo.projection import MAX_LATITUDE, metres_per_pixel
from geolocator_gui.records import BoundingBox, ImageryInfo

# Where a template does not say how deep it goes; most aerial imagery ends here.
_DEFAULT_MAX_ZOOM = 20
WORLD = BoundingBox(-180.0, -MAX_LATITUDE, 180.0, MAX_LATITUDE)
Addresses = Callable[[Level, int, int], str]


class WebTiles(TiledSource):
    """Tiles that a server delivers one by one, kept in the tile cache."""

    finer = False
    fallbacks = 3

    def __init__(
        self,
        info: ImageryInfo,
        levels: Sequence[Level],
        address_of: Addresses,
        fetcher: Fetcher,
        tiles: DecodedTiles | None = None,
    ) -> None:
        """Wrap a server.

        Args:
            info: What it is.
            levels: Coarse to fine.
            address_of: Level, column, row (from the north) to an address.
            fetcher: Asks for it; closed with the last of its users.
            tiles: Decoded tiles to share.
        """
        self.info, self.levels = info, levels
        self.tiles = tiles or DecodedTiles()
        self._address_of, self._fetcher = address_of, fetcher
        self._closed = False

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return self._fetcher.requests

    @property
    def corrupt(self) -> int:
        """Tiles that did not come whole and count as missing."""
        return self._fetcher.corrupt

    @property
    def trouble(self) -> str:
        """See `ImagerySource.trouble`."""
        if not self.corrupt:
            return super().trouble
        came = (
            "1 of its tiles was not delivered"
            if self.corrupt == 1
            else (f"{self.corrupt:,} of its tiles were not delivered")
        )
        return f"{came}: {self._fetcher.reason}"

    def clone(self) -> Self:
        """The same server for another thread; limits, cache and decoded tiles are shared."""
        return type(self)(self.info, self.levels, self._address_of, self._fetcher.share(), self.tiles)

    def look_anew(self) -> None:
        """Ask the server again for every tile, also where the cache still counts it as fresh."""
        self._fetcher.newer_than = time.time()

    def close(self) -> None:
        """The last clone's call ends the connections."""
        if not self._closed:
            self._closed = True
            self._fetcher.close()

    def prefetch(self, rectangles: Sequence[MercatorBounds], width: int, height: int) -> None:
        """See `ImagerySource.prefetch`."""
        wanted: dict[str, str] = {}
        for bounds in rectangles:
            level = self.level_for(min((bounds[2] - bounds[0]) / width, (bounds[3] - bounds[1]) / height))
            first_column, first_row, last_column, last_row = level.tiles(bounds)
            for row in range(first_row, last_row):
                for column in range(first_column, last_column):
                    turned = column % level.columns if level.columns else column
                    if not self.tiles.holds((level.number, turned, row)) and self._exists(level, turned, row):
                        wanted[_key(level, turned, row)] = self._address_of(level, turned, row)
        self._fetcher.get_all(wanted.items(), whole_picture)

    def body(self, level: Level, column: int, row: int) -> bytes | None:
        """A tile as the server sent it; None where there is none."""
        return self._fetcher.get(
            _key(level, column, row), self._address_of(level, column, row), whole_picture
        )

    def _exists(self, level: Level, column: int, row: int) -> bool:
        return column >= 0 and row >= 0 and (not level.columns or row < level.columns)

    def _load(self, level: Level, column: int, row: int) -> Tile | None:
        if not self._exists(level, column, row):
            return None
        data = self.body(level, column, row)
        if data is None:
            return None
        try:
            return decode_tile(data, level.tile_px)
        except TileDataError as error:
            self.tiles.note_spoilt(str(error))
            return None


def _key(level: Level, column: int, row: int) -> str:
    return f"{level.number}/{column}/{row}"


@dataclass(frozen=True)
class Template:
    """A tile template; `address` fills it in.

    Attributes:
        text: With `{z} {x} {y} {-y} {q} {s} {r}` in it, and its keys.
        subdomains: For `{s}`, taken in turn.
        tms: `{y}` counts from the south.
        retina: `{r}` is `@2x` and tiles have twice the pixels.
    """

    text: str
    subdomains: tuple[str, ...] = ("a", "b", "c")
    tms: bool = False
    retina: bool = False

    def address(self, level: Level, column: int, row: int) -> str:
        """The address of a tile, its row counted from the north."""
        south = (1 << level.number) - 1 - row
        values = {
            "z": str(level.number),
            "x": str(column),
            "y": str(south if self.tms else row),
            "-y": str(south),
            "q": quadkey(level.number, column, row),
            "s": self.subdomains[(column + row) % len(self.subdomains)] if self.subdomains else "",
            "r": "@2x" if self.retina else "",
        }
        return re.sub(r"\{(-?[a-z])\}", lambda found: values.get(found.group(1), found.group(0)), self.text)


def quadkey(zoom: int, column: int, row: int) -> str:
    """Microsoft's name of a tile: a digit per zoom, 1 for east plus 2 for south."""
    return "".join(str((column >> bit & 1) + 2 * (row >> bit & 1)) for bit in range(zoom - 1, -1, -1))


def open_template(where: Address, cache_dir: Path | None) -> WebTiles:
    """Open a tile template or a provider by name.

    Raises:
        ImageryError: The template lacks its places, or a setting is wrong.
    """
    settings = where.settings
    if where.kind == "provider":
        known = provider(where.where)
        text, attribution, kind = known.template, known.attribution, "xyz"
        zooms, subdomains, name = (known.min_zoom, known.max_zoom), known.subdomains, known.name
        terms = terms_of_provider(known.name, host_of(text), user_says_yes=where.flag("bulk"))
    else:
        text = re.sub(r"\{zoom\}", "{z}", where.where)
        switch = re.search(r"\{switch:([^}]*)\}", text)
        subdomains = tuple(settings.get("subdomains", switch.group(1) if switch else "a,b,c").split(","))
        if len(subdomains) == 1:
            subdomains = tuple(subdomains[0])
        text = re.sub(r"\{switch:[^}]*\}", "{s}", text)
        name, attribution, zooms = host_of(text), "", (0, _DEFAULT_MAX_ZOOM)
        kind = "tms" if "{-y}" in text or settings.get("scheme") == "tms" else "xyz"
        terms = terms_of_host(host_of(text), user_says_yes=where.flag("bulk"))
    if not names_tile(text):
        raise ImageryError(
            "the template does not say where zoom, column and row go",
            path=name,
            hint="Write {z}, {x} and {y} (or {-y} for TMS, or {q} for quadkeys) into the address.",
        )
    left = set(re.findall(r"\{([^}]*)\}", KEY_PLACE.sub("", text))) - {"z", "x", "y", "-y", "q", "s", "r"}
    if left:
        raise ImageryError(f"the template has an unknown place {{{min(left)}}}", path=name)
    retina = where.flag("retina")
    filled = with_key(text, where.where if where.kind == "tiles" else text)
    template = Template(filled, subdomains, settings.get("scheme") == "tms", retina)
    tile_px = int(where.number("tile_px", 512 if retina else 256, 64, 2048))
    low, high = (
        int(where.number(f"{end}_zoom", default, 0, 24))
        for end, default in zip(("min", "max"), zooms, strict=True)
    )
    if low > high:
        raise ImageryError(f"min_zoom {low} is above max_zoom {high}", path=name)
    levels = tuple(xyz_level(zoom, tile_px) for zoom in range(low, high + 1))
    bounds = bounds_setting(where) or WORLD
    info = ImageryInfo(
        kind=kind,
        name=settings.get("name", name),
        bounds=bounds,
        min_zoom=low,
        max_zoom=high,
        metres_per_pixel=float(metres_per_pixel((bounds.south + bounds.north) / 2, high, tile_px)),
        crs="EPSG:3857",
        bands=3,
        attribution=settings.get("attribution", attribution),
        licence=settings.get("licence", terms.licence),
        bulk=terms.bulk,
        extra={"address": without_key(text), "tile_px": str(tile_px)} | terms.refusal,
    )
    return WebTiles(info, levels, template.address, make_fetcher(info.name, text, where, terms, cache_dir))


def make_fetcher(name: str, identity: str, where: Address, terms: Terms, cache_dir: Path | None) -> Fetcher:
    """A fetcher with the limits of a source and its file in the tile cache.

    Args:
        name: Of the source in errors.
        identity: What tells this source's tiles from others'; keys in it do not count.
        where: Settings that override the limits.
        terms: Limits.
        cache_dir: Folder of the cache, None to keep nothing.
    """
    cache = None
    if cache_dir is not None:
        bare = without_key(identity)
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "source"
        cache = TileCache(cache_dir / f"{slug}-{hashlib.sha256(bare.encode()).hexdigest()[:10]}.sqlite")
    manners = Manners(
        concurrency=int(where.number("concurrency", terms.concurrency, 1, 32)),
        per_second=where.number("per_second", terms.per_second, 0.01, 10_000),
    )
    return Fetcher(name, cache, manners)


def bounds_setting(where: Address) -> BoundingBox | None:
    """The `bounds=W,S,E,N` of a source; raises `ImageryError`."""
    text = where.settings.get("bounds")
    if text is None:
        return None
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ImageryError(f"bounds={text} is not W,S,E,N in degrees", path=host_of(where.where)) from error
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south < north <= 90):
        raise ImageryError(f"bounds={text} is not a box on the Earth", path=host_of(where.where))
    return BoundingBox(west, max(south, -MAX_LATITUDE), east, min(north, MAX_LATITUDE))
