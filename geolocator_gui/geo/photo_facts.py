"""What EXIF and XMP (GPano) say of a photo, read with distrust.

EXIF 2.32 tags: GPSImgDirection 17 and its reference 16 (T true, M magnetic), FocalLengthIn35mmFilm 0xA405
(the diagonal-free convention of camera makers: a frame of 36 mm by 24 mm), FocalPlaneXResolution 0xA20E.
GPano: Google's "Photo Sphere XMP" properties.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from geolocator_gui.records import LonLat, PhotoFacts

_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_MIN_PANORAMA_PX = 1024
_UNITS_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}


@dataclass(frozen=True)
class _Lens:
    horizontal_fov: float
    vertical_fov: float


def facts_of(image: Any) -> PhotoFacts:
    """Facts of an opened Pillow image; whatever is missing or makes no sense is None."""
    exif, gps, details = _exif(image)
    turned = image.format != "HEIF" and exif.get(0x0112) in (5, 6, 7, 8)
    width, height = image.size[::-1] if turned else image.size
    pano = _gpano(image)
    horizontal, vertical, is_panorama = _panorama(pano, width, height)
    lens = None if is_panorama else _lens(details, width, height)
    if not is_panorama and lens is None and not pano and _looks_like_panorama(width, height):
        is_panorama, horizontal, vertical = True, 360.0, 180.0
    if lens is not None:
        horizontal, vertical = lens.horizontal_fov, lens.vertical_fov
    heading, magnetic = _gps_heading(gps)
    posed = _pose_heading(pano)
    if posed is not None:
        heading, magnetic = posed, False
    return PhotoFacts(
        width=int(width),
        height=int(height),
        position=_position(gps),
        heading=heading,
        heading_is_magnetic=magnetic,
        horizontal_fov=horizontal,
        vertical_fov=vertical,
        is_panorama=is_panorama,
        taken=_taken(details.get(0x9003) or exif.get(0x0132)),
        camera=" ".join(part for part in (_text(exif.get(0x010F)), _text(exif.get(0x0110))) if part),
    )


def _exif(image: Any) -> tuple[dict[int, Any], dict[int, Any], dict[int, Any]]:
    try:
        exif = image.getexif()
        return dict(exif), dict(exif.get_ifd(_GPS_IFD)), dict(exif.get_ifd(_EXIF_IFD))
    # A damaged EXIF block makes Pillow raise anything; the picture itself may be fine.
    except Exception:  # noqa: BLE001
        return {}, {}, {}


def _number(value: Any) -> float | None:
    """A finite float of an EXIF value; 0/0 and text that is no number are None."""
    try:
        number: float = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if not isinstance(value, str):
        return ""
    return "".join(letter for letter in value.split("\x00")[0] if letter.isprintable()).strip()[:200]


def _position(gps: Mapping[int, Any]) -> LonLat | None:
    lat, lon = _angle(gps.get(2), gps.get(1), "S", "N"), _angle(gps.get(4), gps.get(3), "W", "E")
    if lat is None or lon is None or abs(lat) > 90 or abs(lon) > 180 or (lat == 0 and lon == 0):
        return None
    return LonLat(lon, lat)


def _angle(parts: Any, reference: Any, negative: str, positive: str) -> float | None:
    if not isinstance(parts, (tuple, list)) or not 1 <= len(parts) <= 3:
        return None
    numbers = [_number(part) for part in parts]
    if numbers[0] is None or any(number is None for number in numbers):
        return None
    letter = _text(reference).upper()[:1]
    if letter not in (negative, positive):
        return None
    total: float = sum(number / 60**place for place, number in enumerate(numbers) if number is not None)
    return -total if letter == negative else total


def _gps_heading(gps: Mapping[int, Any]) -> tuple[float | None, bool]:
    heading = _number(gps.get(17))
    if heading is None or not -360 <= heading <= 720:
        return None, False
    return heading % 360.0, _text(gps.get(16)).upper()[:1] == "M"


def _gpano(image: Any) -> dict[str, str]:
    """GPano properties by their bare names, from attributes or elements of the XMP packet."""
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    if isinstance(packet, (list, tuple)):
        packet = packet[0] if packet else b""
    text = packet.decode("utf-8", errors="replace") if isinstance(packet, bytes) else str(packet)
    # A packet is XML, but often torn or wrongly escaped; a property is a name and a short plain value.
    declared = re.search(r"xmlns:(\w+)\s*=\s*[\"']http://ns\.google\.com/photos/1\.0/panorama/", text)
    prefix = re.escape(declared.group(1)) if declared else "GPano"
    found = re.findall(
        rf"(?<![/\w]){prefix}:(\w{{3,40}})\s*(?:=\s*[\"']([^\"'<]{{0,80}})[\"']|>\s*([^<]{{0,80}})\s*</)",
        text[:1_000_000],
    )
    return {name: (attribute or element).strip() for name, attribute, element in found}


def _panorama(pano: Mapping[str, str], width: int, height: int) -> tuple[float | None, float | None, bool]:
    """Horizontal and vertical degrees, and whether it is an equirectangular panorama by its own word."""
    if not pano or pano.get("ProjectionType", "equirectangular").lower() != "equirectangular":
        return None, None, False
    full_width, full_height = (
        _number(pano.get("FullPanoWidthPixels")),
        _number(pano.get("FullPanoHeightPixels")),
    )
    if not full_width or not full_height or full_width < 0 or full_height < 0:
        return (
            (360.0, 180.0, True) if _is_two_to_one(width, height) else (None, None, "ProjectionType" in pano)
        )
    across = _number(pano.get("CroppedAreaImageWidthPixels")) or full_width
    down = _number(pano.get("CroppedAreaImageHeightPixels")) or full_height
    return min(360.0, 360.0 * across / full_width), min(180.0, 180.0 * down / full_height), True


def _pose_heading(pano: Mapping[str, str]) -> float | None:
    """PoseHeadingDegrees; heading, pitch and roll all exactly 0 are a default, not a measurement."""
    heading = _number(pano.get("PoseHeadingDegrees"))
    if heading is None or not -360 <= heading <= 720:
        return None
    pitch, roll = _number(pano.get("PosePitchDegrees")), _number(pano.get("PoseRollDegrees"))
    if heading == 0 and not pitch and not roll:
        return None
    return heading % 360.0


def _is_two_to_one(width: int, height: int) -> bool:
    return abs(width - 2 * height) <= max(2, width // 500)


def _looks_like_panorama(width: int, height: int) -> bool:
    return width >= _MIN_PANORAMA_PX and _is_two_to_one(width, height)


def _lens(details: Mapping[int, Any], width: int, height: int) -> _Lens | None:
    """Field of view of a perspective photo from its focal length; None when the file does not say."""
    long_side, short_side = max(width, height), min(width, height)
    focal35 = _number(details.get(0xA405))
    if focal35 and 4 <= focal35 <= 5000:
        half_long = 18.0 / focal35
    else:
        sensor = _sensor_width_mm(details, long_side)
        focal = _number(details.get(0x920A))
        if sensor is None or not focal or focal <= 0:
            return None
        half_long = sensor / 2 / focal
    if not 0.003 < half_long < 10:
        return None
    long_fov = math.degrees(2 * math.atan(half_long))
    short_fov = math.degrees(2 * math.atan(half_long * short_side / long_side))
    return _Lens(long_fov, short_fov) if width >= height else _Lens(short_fov, long_fov)


def _sensor_width_mm(details: Mapping[int, Any], long_side: int) -> float | None:
    per_unit = _number(details.get(0xA20E))
    unit = _UNITS_MM.get(int(_number(details.get(0xA210)) or 2))
    if not per_unit or per_unit <= 0 or unit is None:
        return None
    # The resolution is of the sensor's full picture; a file made smaller since then keeps that number.
    taken_px = max(_number(details.get(0xA002)) or 0, _number(details.get(0xA003)) or 0, long_side)
    width = taken_px / per_unit * unit
    return width if 1.0 < width < 100.0 else None


def _taken(value: Any) -> str:
    text = _text(value)
    try:
        return datetime.strptime(text, "%Y:%m:%d %H:%M:%S").isoformat()
    except ValueError:
        return text
