"""Well-known sources: what their terms allow. The addresses and attributions are those of xyzservices.

Only sources that are published as open data may be fetched by whole areas; all others are for display, unless
the user has read their terms and says so. Free data does not mean that a server may be worn out: where the
operator asks for moderate use, whole areas are fetched slowly.

What the lines rest on (November 2026): swisstopo's general terms of the federal spatial data infrastructure
(free of charge, moderate use, access may be cut), PDOK's questions and answers (open data, a "fair use" level
of limited capacity), the developers' pages of GIBS (a section on bulk download). For the USGS, basemap.at and
IGN only the licence of the data is generally known, not a rule for their tile servers: read it before relying
on a line, or adding one.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

from geolocator_gui.errors import ImageryError


@dataclass(frozen=True)
class Terms:
    """What a source's terms say.

    Attributes:
        licence: Short name.
        bulk: Whether fetching whole areas is allowed.
        why: In words, where it is not.
        per_second: Requests per second that the operator is fine with.
        concurrency: Requests at a time.
    """

    licence: str
    bulk: bool
    why: str = ""
    per_second: float = 10.0
    concurrency: int = 4

    @property
    def refusal(self) -> dict[str, str]:
        """Why whole areas may not be fetched, for the further facts of a source."""
        return {} if self.bulk else {"bulk": self.why}


# By name in xyzservices.
ALLOWED: dict[str, Terms] = {
    "USGS.USImagery": Terms("US public domain (USGS)", True, per_second=5.0, concurrency=2),
    "NASAGIBS.ModisTerraTrueColorCR": Terms("US public domain (NASA GIBS)", True),
    "NASAGIBS.ModisAquaTrueColorCR": Terms("US public domain (NASA GIBS)", True),
    "NASAGIBS.ViirsTrueColorCR": Terms("US public domain (NASA GIBS)", True),
    "BasemapAT.orthofoto": Terms("CC BY 4.0 (basemap.at)", True, per_second=5.0, concurrency=2),
    "nlmaps.luchtfoto": Terms("CC BY 4.0 (PDOK)", True, per_second=5.0, concurrency=2),
    "GeoportailFrance.orthos": Terms("Licence Ouverte 2.0 (IGN)", True, per_second=5.0, concurrency=2),
    "SwissFederalGeoportal.SWISSIMAGE": Terms(
        "OGD, source must be named (swisstopo)", True, per_second=5.0, concurrency=2
    ),
}
UNKNOWN = "its terms are not known to allow it"
_DISPLAY_ONLY = Terms("", False, UNKNOWN)
# Hosts (and all below them) whose terms forbid it, whatever the user says.
_FORBIDDEN: dict[str, str] = {
    "arcgisonline.com": "Esri's terms forbid bulk download",
    "arcgis.com": "Esri's terms forbid bulk download",
    "google.com": "Google's terms forbid bulk download and analysis",
    "googleapis.com": "Google's terms forbid bulk download and analysis",
    "gstatic.com": "Google's terms forbid bulk download and analysis",
    "virtualearth.net": "Microsoft's terms forbid bulk download",
    "bing.com": "Microsoft's terms forbid bulk download",
    "atlas.microsoft.com": "Microsoft's terms forbid bulk download",
    "mapbox.com": "Mapbox's terms forbid bulk download",
    "maptiler.com": "MapTiler's terms forbid bulk download from its cloud",
    "hereapi.com": "HERE's terms forbid bulk download",
    "here.com": "HERE's terms forbid bulk download",
    "tomtom.com": "TomTom's terms forbid bulk download",
    "stadiamaps.com": "Stadia Maps' terms forbid bulk download",
    "openstreetmap.org": "OpenStreetMap's tile policy forbids bulk download",
    "thunderforest.com": "Thunderforest's terms forbid bulk download",
    "autonavi.com": "its terms do not allow bulk download",
    "amap.com": "its terms do not allow bulk download",
    "yandex.net": "Yandex's terms forbid bulk download",
    "apple-mapkit.com": "Apple's terms forbid bulk download",
}


def terms_of_host(host: str, *, user_says_yes: bool = False) -> Terms:
    """Terms for an address of the user's own.

    Args:
        host: Of the server.
        user_says_yes: The user says that the terms allow fetching whole areas (`#bulk=yes`).
    """
    name = host.lower().rstrip(".")
    for forbidden, why in _FORBIDDEN.items():
        if name == forbidden or name.endswith("." + forbidden):
            return Terms("", False, why)
    if is_own_network(name):
        return Terms("", True, per_second=1000.0, concurrency=8)
    if user_says_yes:
        return Terms("", True)
    return _DISPLAY_ONLY


def terms_of_provider(name: str, host: str, *, user_says_yes: bool = False) -> Terms:
    """Terms of a source by its name in xyzservices, else by its host."""
    return ALLOWED.get(name) or terms_of_host(host, user_says_yes=user_says_yes)


def is_own_network(host: str) -> bool:
    """Whether a host is this machine or lies in a private network."""
    if host in ("localhost", "") or host.endswith((".localhost", ".local", ".lan", ".internal")):
        return True
    try:
        number = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return "." not in host
    return number.is_private or number.is_loopback


@dataclass(frozen=True)
class Provider:
    """A source of xyzservices.

    Attributes:
        name: In xyzservices.
        template: Tile template with everything but x, y, z, s, r and a key filled in.
        attribution: Plain text.
        min_zoom: Coarsest.
        max_zoom: Finest.
        subdomains: Letters or words for `{s}`.
    """

    name: str
    template: str
    attribution: str
    min_zoom: int
    max_zoom: int
    subdomains: tuple[str, ...]


def provider(name: str) -> Provider:
    """Look a provider up.

    Raises:
        ImageryError: There is none of this name, or it is no longer served.
    """
    import xyzservices.providers

    flat: dict[str, Any] = xyzservices.providers.flatten()
    found = flat.get(name) or next((one for key, one in flat.items() if key.lower() == name.lower()), None)
    if found is None:
        raise ImageryError(
            f"there is no provider {name.split('?')[0]!r}",
            hint="For whole areas: " + ", ".join(f"provider://{known}" for known in ALLOWED) + ".",
        )
    if found.get("status") == "broken":
        raise ImageryError(f"the provider {name!r} is no longer served")
    template = str(found["url"])
    for field, value in found.items():
        if field not in ("url", "x", "y", "z", "s", "r", "name") and not str(value).startswith("<insert"):
            template = template.replace("{" + field + "}", str(value))
    return Provider(
        found["name"],
        template,
        str(found.get("attribution", "")),
        int(found.get("min_zoom", 0)),
        int(found.get("max_zoom", 19)),
        tuple(found.get("subdomains", "abc")),
    )
