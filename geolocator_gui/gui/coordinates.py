"""Coordinates as people write them: decimal degrees, degrees-minutes-seconds, UTM and MGRS.

UTM is computed with Krüger's series in the third flattening to order n⁴ (Karney 2011, "Transverse Mercator
with an accuracy of a few nanometers", eqs. 35 and 36), good to well under a millimetre inside a zone. MGRS
letters follow NGA.STND.0037. Nothing here asks the network and nothing needs a projection library.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from geolocator_gui.records import LonLat

_A, _F = 6378137.0, 1 / 298.257223563
_K0 = 0.9996
_N = _F / (2 - _F)
_RADIUS = _A / (1 + _N) * (1 + _N**2 / 4 + _N**4 / 64)
_ALPHA = (
    _N / 2 - 2 * _N**2 / 3 + 5 * _N**3 / 16 + 41 * _N**4 / 180,
    13 * _N**2 / 48 - 3 * _N**3 / 5 + 557 * _N**4 / 1440,
    61 * _N**3 / 240 - 103 * _N**4 / 140,
    49561 * _N**4 / 161280,
)
_BETA = (
    _N / 2 - 2 * _N**2 / 3 + 37 * _N**3 / 96 - _N**4 / 360,
    _N**2 / 48 + _N**3 / 15 - 437 * _N**4 / 1440,
    17 * _N**3 / 480 - 37 * _N**4 / 840,
    4397 * _N**4 / 161280,
)
_E = math.sqrt(_F * (2 - _F))
_BANDS = "CDEFGHJKLMNPQRSTUVWX"
_ROWS = "ABCDEFGHJKLMNPQRSTUV"
_COLUMNS = ("ABCDEFGH", "JKLMNPQR", "STUVWXYZ")


@dataclass(frozen=True)
class Utm:
    """A UTM position, metres; `band` is the MGRS latitude band."""

    zone: int
    band: str
    easting: float
    northing: float


def zone_of(position: LonLat) -> int:
    """UTM zone with the exceptions of Norway and Svalbard."""
    lon = (position.lon + 180) % 360 - 180
    lat = position.lat
    if 56 <= lat < 64 and 3 <= lon < 12:
        return 32
    if 72 <= lat <= 84 and 0 <= lon < 42:
        return 31 if lon < 9 else 33 if lon < 21 else 35 if lon < 33 else 37
    return int((lon + 180) // 6) + 1


def to_utm(position: LonLat) -> Utm:
    """Project; raises `ValueError` outside 80° S to 84° N."""
    if not -80 <= position.lat <= 84:
        raise ValueError("UTM covers 80° S to 84° N")
    zone = zone_of(position)
    phi = math.radians(position.lat)
    lam = math.radians((position.lon - (zone * 6 - 183) + 180) % 360 - 180)
    tau = math.sinh(math.atanh(math.sin(phi)) - _E * math.atanh(_E * math.sin(phi)))
    xi, eta = math.atan2(tau, math.cos(lam)), math.asinh(math.sin(lam) / math.hypot(tau, math.cos(lam)))
    north = xi + sum(a * math.sin(2 * j * xi) * math.cosh(2 * j * eta) for j, a in enumerate(_ALPHA, 1))
    east = eta + sum(a * math.cos(2 * j * xi) * math.sinh(2 * j * eta) for j, a in enumerate(_ALPHA, 1))
    northing = _K0 * _RADIUS * north + (10_000_000 if position.lat < 0 else 0)
    # Just south of the equator rounds to 80.0 above; the false northing and the band must agree.
    band = _BANDS[min(int((position.lat + 80) // 8), 9 if position.lat < 0 else 19)]
    return Utm(zone, band, 500_000 + _K0 * _RADIUS * east, northing)


def from_utm(utm: Utm) -> LonLat:
    """The inverse of `to_utm`."""
    south = utm.band < "N"
    xi_ = (utm.northing - (10_000_000 if south else 0)) / (_K0 * _RADIUS)
    eta_ = (utm.easting - 500_000) / (_K0 * _RADIUS)
    xi = xi_ - sum(b * math.sin(2 * j * xi_) * math.cosh(2 * j * eta_) for j, b in enumerate(_BETA, 1))
    eta = eta_ - sum(b * math.cos(2 * j * xi_) * math.sinh(2 * j * eta_) for j, b in enumerate(_BETA, 1))
    tau_ = math.sin(xi) / math.hypot(math.sinh(eta), math.cos(xi))
    psi = math.asinh(tau_)
    sine = math.tanh(psi)
    for _ in range(6):  # fixed point; converges by e² per step
        sine = math.tanh(psi + _E * math.atanh(_E * sine))
    lon = math.degrees(math.atan2(math.sinh(eta), math.cos(xi))) + utm.zone * 6 - 183
    return LonLat((lon + 180) % 360 - 180, math.degrees(math.asin(sine)))


def to_mgrs(position: LonLat) -> str:
    """`33U UR 09876 12345`, one metre; raises `ValueError` where UTM does."""
    utm = to_utm(position)
    column = _COLUMNS[(utm.zone - 1) % 3][int(utm.easting // 100_000) - 1]
    row = _ROWS[(int(utm.northing // 100_000) + (5 if utm.zone % 2 == 0 else 0)) % 20]
    return (
        f"{utm.zone}{utm.band} {column}{row} "
        f"{int(utm.easting % 100_000):05d} {int(utm.northing % 100_000):05d}"
    )


def _from_mgrs(zone: int, band: str, square: str, digits: str) -> LonLat | None:
    if zone not in range(1, 61) or band not in _BANDS or len(digits) % 2:
        return None
    column = _COLUMNS[(zone - 1) % 3].find(square[0])
    row = _ROWS.find(square[1])
    if column < 0 or row < 0:
        return None
    half = len(digits) // 2
    unit = 10 ** (5 - half)
    centre = unit / 2 if half < 5 else 0.5
    easting = (column + 1) * 100_000 + (int(digits[:half] or 0) * unit + centre)
    inside = (int(digits[half:] or 0) * unit) + centre
    base = ((row - (5 if zone % 2 == 0 else 0)) % 20) * 100_000 + inside
    lowest = -80 + 8 * _BANDS.index(band)
    middle = lowest + (6 if band == "X" else 4)
    for cycle in range(6):  # the row letters repeat every 2 000 km; the band says which one is meant
        northing = base + cycle * 2_000_000
        found = from_utm(Utm(zone, band, easting, northing))
        if abs(found.lat - middle) < (7.0 if band == "X" else 5.0):
            return found
    return None


_LONGEST = 120
_NUMBER = r"[-+−]?\d+(?:[.,]\d+)?"
_DECIMAL = re.compile(rf"^\s*({_NUMBER})\s*°?\s*([NSEW])?\s*[,;\s]\s*({_NUMBER})\s*°?\s*([NSEW])?\s*$", re.I)
_DMS = re.compile(
    r"([NSEW])?\s*([-+−]?\d+(?:[.,]\d+)?)\s*[°d:\s]\s*(?:(\d+(?:[.,]\d+)?)\s*['′’m:\s]\s*)?"
    r"(?:(\d+(?:[.,]\d+)?)\s*(?:[\"″”s]|''|′′)?)?\s*([NSEW])?",
    re.I,
)
_UTM = re.compile(
    r"^\s*(\d{1,2})\s*([C-HJ-NP-X])\s+(\d{6}(?:\.\d+)?)\s*m?E?\s*[,;\s]\s*(\d{1,8}(?:\.\d+)?)\s*m?N?\s*$",
    re.I,
)
_MGRS = re.compile(r"^\s*(\d{1,2})\s*([C-HJ-NP-X])\s*([A-HJ-NP-Z][A-HJ-NP-V])\s*((?:\d\s*){0,10})$", re.I)


def parse(text: str) -> LonLat | None:
    """A position from what somebody typed or pasted, None when it is not one.

    Understood: `52.52, 13.405` (latitude first; letters may turn it round: `13.405E 52.52N`),
    `52°31'12"N 13°24'18"E`, `33U 391776 5820073` (UTM with its band) and `33U UU 91776 20073` (MGRS).
    """
    text = text.strip()
    if len(text) > _LONGEST:
        return None  # whatever was pasted; the expressions below would search it for minutes
    if found := _MGRS.match(text):
        digits = re.sub(r"\s", "", found.group(4))
        return _from_mgrs(int(found.group(1)), found.group(2).upper(), found.group(3).upper(), digits)
    if found := _UTM.match(text):
        zone = int(found.group(1))
        if not 1 <= zone <= 60:
            return None
        return from_utm(Utm(zone, found.group(2).upper(), float(found.group(3)), float(found.group(4))))
    if found := _DECIMAL.match(text):
        return _ordered(
            (_number(found.group(1)), found.group(2) or ""), (_number(found.group(3)), found.group(4) or "")
        )
    return _parse_dms(text)


def _parse_dms(text: str) -> LonLat | None:
    parts = [found for found in _DMS.finditer(text) if found.group(0).strip()]
    rest = _DMS.sub("", text).strip(" ,;")
    if len(parts) != 2 or rest:
        return None
    values = []
    for found in parts:
        degrees = _number(found.group(2))
        minutes, seconds = _number(found.group(3) or "0"), _number(found.group(4) or "0")
        if minutes >= 60 or seconds >= 60:
            return None
        size = abs(degrees) + minutes / 60 + seconds / 3600
        values.append((math.copysign(size, degrees), found.group(1) or found.group(5) or ""))
    return _ordered(values[0], values[1])


def _number(text: str) -> float:
    return float(text.replace(",", ".").replace("−", "-"))


def _ordered(first: tuple[float, str], second: tuple[float, str]) -> LonLat | None:
    letters = first[1].upper() + second[1].upper()
    (a, b) = (first, second)
    if letters and letters[0] in "EW":
        a, b = b, a
    if (a[1].upper() or "N") not in "NS" or (b[1].upper() or "E") not in "EW":
        return None
    lat = -abs(a[0]) if a[1].upper() == "S" else a[0]
    lon = -abs(b[0]) if b[1].upper() == "W" else b[0]
    return LonLat(lon, lat) if abs(lat) <= 90 and abs(lon) <= 180 else None


def decimal(position: LonLat) -> str:
    """`52.520008, 13.404954`: latitude first, six decimals (0.1 m)."""
    return f"{position.lat:.6f}, {position.lon:.6f}"


def dms(position: LonLat) -> str:
    """`52°31'12.0"N 13°24'17.8"E`."""
    return f"{_one_dms(position.lat, 'NS')} {_one_dms(position.lon, 'EW')}"


def _one_dms(value: float, letters: str) -> str:
    tenths = round(abs(value) * 36_000)
    degrees, rest = divmod(tenths, 36_000)
    minutes, seconds = divmod(rest, 600)
    return f"{degrees}°{minutes:02d}'{seconds / 10:04.1f}\"{letters[value < 0]}"


def utm(position: LonLat) -> str:
    """`33U 391776 5820073`; raises `ValueError` outside UTM."""
    found = to_utm(position)
    return f"{found.zone}{found.band} {found.easting:.0f} {found.northing:.0f}"
