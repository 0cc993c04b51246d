"""How a source is named: one string that holds all that is needed to open it again.

`town.mbtiles`, `photo.jpg?crs=EPSG:25832`, `folder/`, `https://host/{z}/{x}/{y}.png#max_zoom=20`,
`wmts:https://host/capabilities.xml#layer=ortho`, `wms:https://host/wms#layer=ortho`,
`https://host/file.tif`, `provider://USGS.USImagery`. Settings follow a file after `?` and an address after
`#`, which is never sent to a server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from geolocator_gui.errors import ImageryError

Kind = Literal["file", "tiles", "wmts", "wms", "raster", "provider"]
# Where a key was taken out of an address (see keys.py), or is to be put in; no place of a tile template.
KEY_PLACE = re.compile(r"\{(?:api[-_]?key|key|token|access_?token)(\d*)(?:-[0-9a-f]{8})?\}", re.IGNORECASE)
SETTINGS = frozenset(
    (
        *("crs", "scheme", "min_zoom", "max_zoom", "tile_px", "retina", "subdomains", "bounds", "name"),
        *("layer", "style", "format", "matrix_set", "attribution", "licence", "bulk"),
        *("per_second", "concurrency"),
    )
)


@dataclass(frozen=True)
class Address:
    """A source's name, taken apart.

    Attributes:
        kind: What opens it; a "file" is judged by its content.
        where: Path, address or provider's name without settings.
        settings: By name, as written.
    """

    kind: Kind
    where: str
    settings: Mapping[str, str]

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """A setting that is a number in a range; raises `ImageryError`."""
        text = self.settings.get(name)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise ImageryError(
                f"{name}={text} is not a number from {low:g} to {high:g}", path=host_of(self.where)
            )
        return value

    def flag(self, name: str) -> bool:
        """A setting that is yes or no; raises `ImageryError`."""
        text = self.settings.get(name, "no").lower()
        if text not in ("yes", "no", "true", "false", "1", "0"):
            raise ImageryError(f"{name}={text} is neither yes nor no", path=host_of(self.where))
        return text in ("yes", "true", "1")


def parse_address(src: str | Path | Mapping[str, Any]) -> Address:
    """Take a source's name apart.

    Args:
        src: The string, a path, or a mapping with `src` and settings beside it.

    Raises:
        ImageryError: It is empty or has a setting that does not exist.
    """
    extra: dict[str, str] = {}
    if isinstance(src, Mapping):
        extra = {str(name): str(value) for name, value in src.items() if name != "src" and value is not None}
        src = str(src.get("src", ""))
    text = str(src).strip()
    if not text:
        raise ImageryError(
            "no imagery is named", hint="Give an MBTiles file, a GeoTIFF, a folder or an address."
        )
    kind, where, settings = _kind_of(text)
    settings |= extra
    unknown = sorted(set(settings) - SETTINGS)
    if unknown:
        raise ImageryError(
            f"there is no setting {unknown[0]!r} of an imagery source",
            path=host_of(where),
            hint=f"Settings are: {', '.join(sorted(SETTINGS))}.",
        )
    return Address(kind, where, settings)


def names_tile(template: str) -> bool:
    """Whether a template says which tile it asks for: `{z}`, `{x}`, `{y}` (or `{-y}`), or all in `{q}`."""
    parts = (r"\{z(oom)?\}", r"\{x\}", r"\{-?y\}")
    return "{q}" in template or all(re.search(part, template) for part in parts)


def host_of(where: str) -> str:
    """What may be shown of a source: its host, or the file's name as given; never a query or a key."""
    if "://" not in where:
        return where
    parts = urlsplit(where.replace("{", "%7B").replace("}", "%7D"))
    return parts.hostname or where.split("://", 1)[0]


def _kind_of(text: str) -> tuple[Kind, str, dict[str, str]]:
    scheme = text.split(":", 1)[0].lower()
    if "://" not in text or (scheme == "file" and "{" not in text):
        return _file(text.removeprefix("file://"))
    where, _, fragment = text.partition("#")
    settings = dict(parse_qsl(fragment, keep_blank_values=True))
    try:
        urlsplit(where.split(":", 1)[1] if scheme in ("wmts", "wms") else where)
    except ValueError:
        raise ImageryError(
            "this address cannot be read",
            hint="Write [ and ] of a user name or password as %5B and %5D.",
        ) from None
    if scheme == "provider":
        return "provider", where.split("://", 1)[1], settings
    if scheme in ("wmts", "wms"):
        return ("wmts" if scheme == "wmts" else "wms"), where.split(":", 1)[1], settings
    if scheme not in ("http", "https"):
        raise ImageryError(f"addresses that begin with {scheme}:// are not read", path=host_of(where))
    if "{" in KEY_PLACE.sub("", where):
        return "tiles", where, settings
    query = {name.lower(): value.lower() for name, value in parse_qsl(urlsplit(where).query)}
    path = urlsplit(where).path.lower()
    if query.get("service") == "wms":
        return "wms", where, settings
    if query.get("service") == "wmts" or path.endswith(("wmtscapabilities.xml", "/wmts")):
        return "wmts", where, settings
    if path.endswith((".tif", ".tiff", ".vrt", ".jp2")):
        return "raster", where, settings
    raise ImageryError(
        "this address is neither a tile template nor a service that is known",
        path=host_of(where),
        hint="Write a tile address with {z}/{x}/{y} in it, or wmts: or wms: before a service's address.",
    )


def _file(text: str) -> tuple[Kind, str, dict[str, str]]:
    if "?" in text and not Path(text).expanduser().exists():
        where, _, settings = text.rpartition("?")
        if "=" in settings:
            return "file", where, dict(parse_qsl(settings, keep_blank_values=True))
    return "file", text, {}
