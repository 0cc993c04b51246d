"""What a WMTS or WMS says of itself: fetched, parsed without entities, and turned into tiles in EPSG:3857.

OGC 07-057r7 (WMTS 1.0.0) and OGC 06-042 (WMS 1.3.0). Tiles are read in Web-Mercator grids, maps in
Web-Mercator or degrees; both kinds of service nearly always offer these, and others are refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from geolocator_gui.errors import ImageryError
from geolocator_gui.geo.imagery.address import Address, host_of
from geolocator_gui.geo.imagery.fetch import Fetcher
from geolocator_gui.geo.imagery.keys import hide_keys, with_key

WEB_MERCATOR = re.compile(r"(EPSG:{1,2}(\d[\d.]*:)?(3857|900913|3785)|GoogleMapsCompatible|WebMercatorQuad)$")
PICTURES = ("image/jpeg", "image/png", "image/webp")
_MAX_BYTES = 32 * 1024 * 1024


def fetch_capabilities(where: Address, fetcher: Fetcher, service: str) -> Any:
    """The root element of a service's capabilities.

    Raises:
        ImageryError: It does not answer, or not with capabilities.
    """
    asked = asking_for(where.where, {"SERVICE": service, "REQUEST": "GetCapabilities"})
    address = with_key(asked, where.where)

    def clean(body: bytes) -> bytes:
        text = body.decode("utf-8", "surrogateescape")
        return hide_keys(text, where.where, only_in_links=True).encode("utf-8", "surrogateescape")

    # Servers write the key that they were asked with into the addresses that they name.
    data = fetcher.get("capabilities", address, _looks_like_xml, clean)
    if data is None:
        raise ImageryError(
            f"there is no {service} at this address", path=host_of(where.where), hint="Check the address."
        )
    return parse_capabilities(data, service, where.where)


def parse_capabilities(data: bytes, service: str, source: str) -> Any:
    """Parse the capabilities document of a source's address; raises `ImageryError`."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    host = host_of(source)
    # WMS 1.1.1 documents name a DTD; it is stripped, never fetched.
    data = re.sub(rb"<!DOCTYPE[^>\[]*(\[[^\]]{0,2000}\])?\s*>", b"", data[:_MAX_BYTES], count=1)
    try:
        root = fromstring(data, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    except (DefusedXmlException, ParseError, ValueError, LookupError, RecursionError) as error:
        raise ImageryError(f"its capabilities cannot be read ({type(error).__name__})", path=host) from error
    if "apabilities" not in name_of(root):
        message = hide_keys(" ".join(text.strip() for text in root.itertext()), source)[:200]
        raise ImageryError(f"the server answers without {service} capabilities: {message}", path=host)
    return root


def name_of(element: Any) -> str:
    """An element's name without its namespace."""
    return element.tag.rsplit("}", 1)[-1] if isinstance(element.tag, str) else ""


def children(element: Any, name: str) -> Iterator[Any]:
    """Direct children of a name."""
    return (child for child in element if name_of(child) == name)


def text_of(element: Any, *path: str) -> str:
    """Text at the end of a path of names; "" where there is none."""
    for name in path:
        found = next(children(element, name), None)
        if found is None:
            return ""
        element = found
    return (element.text or "").strip()


def chosen(layers: dict[str, Any], asked: str | None, host: str) -> tuple[str, Any]:
    """The layer that was asked for, or the only one; raises `ImageryError` with what there is."""
    if asked is not None and asked in layers:
        return asked, layers[asked]
    if asked is None and len(layers) == 1:
        return next(iter(layers.items()))
    if not layers:
        raise ImageryError("the service offers no layer", path=host)
    some = ", ".join(list(layers)[:15]) + (", ..." if len(layers) > 15 else "")
    what = f"the service has no layer {asked!r}" if asked else f"the service has {len(layers)} layers"
    raise ImageryError(what, path=host, hint=f"Add #layer=NAME to the address, one of: {some}.")


def picture_format(offered: list[str], asked: str | None, host: str) -> str:
    """The picture format to ask for; raises `ImageryError`."""
    plain = [form.split(";")[0].strip().lower() for form in offered]
    for wanted in (asked,) if asked else PICTURES:
        if wanted in plain:
            return wanted
    raise ImageryError(f"it delivers {', '.join(plain[:8]) or 'nothing'}, no JPEG, PNG or WebP", path=host)


def asking_for(address: str, changes: dict[str, str]) -> str:
    """An address with query values set, names compared without case; one of a file stays as it is."""
    parts = urlsplit(address)
    lowered = {name.lower() for name in changes}
    query = [
        pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0].lower() not in lowered
    ]
    if parts.path.lower().endswith(".xml"):
        return address
    text = urlencode([*query, *changes.items()], safe="{}:/,")
    return urlunsplit((parts.scheme, parts.netloc, parts.path, text, ""))


def _looks_like_xml(data: bytes, kind: str) -> str | None:
    return None if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") else f"no capabilities, but {kind}"
