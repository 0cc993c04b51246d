"""JPEG files of a town as cameras write them: pixels, EXIF and, for panoramas, GPano XMP.

EXIF follows CIPA DC-008 (Exif 2.32), the panorama's packet Google's "Photo Sphere XMP Metadata".
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from geolocator_gui.town.elements import FloatArray
from geolocator_gui.town.geometry import Town
from geolocator_gui.town.scene import FARTHEST_M, Images, Scene, march

PHOTO_METRES_PER_PIXEL = 0.08
PHOTO_MARCH = march(0.1, 0.02, 0.006)
LEAF_CELLS = 10.0
SUPERSAMPLE = 2
CLOUD_SHARE = 0.7  # how far the thickest clouds hide the blue
JPEG_QUALITY = 88
FILM_WIDTH_MM = 36.0
SENSOR_WIDTH_MM = 6.4


@dataclass(frozen=True)
class Shot:
    """Where and how a photo is taken.

    Attributes:
        x: metres east of the town's origin; y: metres north.
        heading: where the centre looks, degrees clockwise from true north.
        fov: horizontal field of view in degrees, 360 for a panorama.
        pitch: of a panorama: how far its centre looks above the horizon, degrees.
        roll: of a panorama: degrees, see `tilted`.
        taken: EXIF date and time, "YYYY:MM:DD HH:MM:SS".
    """

    x: float
    y: float
    heading: float
    fov: float
    width: int
    height: int
    eye: float = 1.7
    pitch: float = 0.0
    roll: float = 0.0
    taken: str = "2024:06:14 11:20:00"

    @property
    def is_panorama(self) -> bool:
        """Whether it looks all around."""
        return self.fov >= 360.0


def sky_table(azimuths: FloatArray, elevations: FloatArray, rng: np.random.Generator) -> FloatArray:
    """A sky with clouds for `Scene.panoramas`.

    Args:
        azimuths: radians, (w,) or (h, w).
        elevations: radians, (h, 1) or (h, w).
        rng: draws the clouds.

    Returns:
        float64 (h, w), 0 horizon … 1 zenith colour, below 0 cloud white.
    """
    clear = np.clip(np.sin(np.clip(elevations, 0.0, None)) * 1.15, 0.0, 1.0)
    # A flat layer of cloud seen from below: plane coordinates fall off towards the horizon.
    height = np.maximum(np.sin(elevations), 0.06)
    east = np.cos(elevations) * np.sin(azimuths) / height
    north = np.cos(elevations) * np.cos(azimuths) / height
    field = np.zeros(np.broadcast_shapes(clear.shape, east.shape))
    for octave in range(6):
        frequency = 0.7 * 1.9**octave
        for _ in range(3):
            turn, phase = rng.uniform(0.0, 2.0 * np.pi, 2)
            field += 0.62**octave * np.sin(frequency * (east * np.cos(turn) + north * np.sin(turn)) + phase)
    cover = np.clip((field - rng.uniform(0.2, 1.2)) / 1.6, 0.0, 1.0) * np.clip(elevations / 0.12, 0.0, 1.0)
    cover = CLOUD_SHARE * cover
    return np.asarray(clear * (1.0 - cover) - 0.28 * cover, dtype=np.float64)


def _shrunk(image: Images) -> Images:
    height, width = image.shape[0] // SUPERSAMPLE, image.shape[1] // SUPERSAMPLE
    blocks = image.reshape(height, SUPERSAMPLE, width, SUPERSAMPLE, 3)
    return np.asarray((blocks.mean(axis=(1, 3)) + 0.5).astype(np.uint8))


def tilted(image: Images, pitch_deg: float, roll_deg: float) -> Images:
    """A level panorama as a pitched and rolled camera takes it, same size.

    With the signs of GPano: the centre looks `pitch_deg` above the horizon, and the horizon turns
    counter-clockwise in the image as the roll grows.
    """
    height, width = image.shape[:2]
    azimuths = np.radians((np.arange(width) + 0.5) * 360.0 / width - 180.0)[None, :]
    elevations = np.radians(90.0 - (np.arange(height) + 0.5) * 180.0 / height)[:, None]
    right, ahead = np.cos(elevations) * np.sin(azimuths), np.cos(elevations) * np.cos(azimuths)
    above = np.sin(elevations)
    roll, pitch = np.radians(roll_deg), np.radians(pitch_deg)
    right, above = np.cos(roll) * right + np.sin(roll) * above, np.cos(roll) * above - np.sin(roll) * right
    ahead, above = (
        np.cos(pitch) * ahead - np.sin(pitch) * above,
        np.sin(pitch) * ahead + np.cos(pitch) * above,
    )
    cols = np.degrees(np.arctan2(right, ahead)) * width / 360.0 + 0.5 * width
    rows = (90.0 - np.degrees(np.arcsin(np.clip(above, -1.0, 1.0)))) * height / 180.0
    row = np.clip(np.floor(rows), 0, height - 1).astype(np.int64)
    return np.asarray(image[row, np.floor(cols).astype(np.int64) % width], dtype=np.uint8)


def render(
    town: Town,
    shot: Shot,
    *,
    metres_per_pixel: float = PHOTO_METRES_PER_PIXEL,
    use_numba: bool | None = None,
) -> Images:
    """What the camera sees, uint8 (height, width, 3), antialiased, from a close-up scene.

    Light and sky differ from shot to shot; they follow from the town's seed and the place.
    """
    reach = FARTHEST_M + 4.0
    half = 0.5 * town.size_m
    window = (
        max(shot.x - reach, -half),
        max(shot.y - reach, -half),
        min(shot.x + reach, half),
        min(shot.y + reach, half),
    )
    scene = Scene(town, metres_per_pixel, window=window, use_numba=use_numba)
    rng = np.random.default_rng([town.seed, 5, round(shot.x * 100) & 0xFFFF, round(shot.y * 100) & 0xFFFF])
    width, height = shot.width * SUPERSAMPLE, shot.height * SUPERSAMPLE
    position = np.array([[shot.x, shot.y]])
    if shot.is_panorama:
        degrees = 360.0 / width
        azimuths = np.radians(shot.heading + (np.arange(width) + 0.5) * degrees - 180.0)
        elevations = np.radians((0.5 * height - np.arange(height) - 0.5) * degrees)[:, None]
        image = scene.panoramas(
            position,
            np.array([shot.heading]),
            height=height,
            width=width,
            eye_m=shot.eye,
            steps=PHOTO_MARCH,
            detail=LEAF_CELLS,
            sky=sky_table(azimuths, elevations, rng),
            variation=rng,
        )[0]
        return _shrunk(tilted(image, shot.pitch, shot.roll))
    focal = 0.5 * width / np.tan(np.radians(0.5 * shot.fov))
    right = (np.arange(width) + 0.5 - 0.5 * width)[None, :] / focal
    up = (0.5 * height - np.arange(height) - 0.5)[:, None] / focal
    azimuths = np.radians(shot.heading) + np.arctan(right)
    elevations = np.arctan(up / np.sqrt(1.0 + right * right))
    image = scene.perspective(
        position[0],
        shot.heading,
        fov_deg=shot.fov,
        height=height,
        width=width,
        eye_m=shot.eye,
        steps=PHOTO_MARCH,
        detail=LEAF_CELLS,
        sky=sky_table(azimuths, elevations, rng),
        variation=rng,
    )
    return _shrunk(image)


def _rational(value: float, denominator: int) -> IFDRational:
    return IFDRational(round(value * denominator), denominator)


def _sexagesimal(degrees: float) -> tuple[IFDRational, IFDRational, IFDRational]:
    """Degrees, minutes and seconds to 0.0001″ (3 mm), as cameras store them."""
    ticks = round(abs(Fraction(degrees)) * 3600 * 10000)
    whole, rest = divmod(ticks, 3600 * 10000)
    minutes, seconds = divmod(rest, 60 * 10000)
    return (IFDRational(whole, 1), IFDRational(minutes, 1), IFDRational(seconds, 10000))


def exif(shot: Shot, lonlat: tuple[float, float]) -> Image.Exif:
    """The EXIF block of a shot taken at longitude, latitude (degrees)."""
    data = Image.Exif()
    data[0x010F] = "Geolocator"  # Make
    data[0x0110] = "Demo 360" if shot.is_panorama else "Demo Compact"  # Model
    data[0x0112] = 1  # Orientation: upright
    data[0x0131] = "Geolocator demo town"  # Software
    data[0x0132] = shot.taken  # DateTime
    inner = data.get_ifd(0x8769)
    inner[0x9000] = b"0232"  # ExifVersion
    inner[0x9003] = shot.taken  # DateTimeOriginal
    inner[0xA002], inner[0xA003] = shot.width, shot.height  # PixelXDimension, PixelYDimension
    if not shot.is_panorama:
        half = float(np.tan(np.radians(0.5 * shot.fov)))
        inner[0x920A] = _rational(0.5 * SENSOR_WIDTH_MM / half, 1000)  # FocalLength
        inner[0xA405] = round(0.5 * FILM_WIDTH_MM / half)  # FocalLengthIn35mmFilm, whole mm
    gps = data.get_ifd(0x8825)
    gps[0] = b"\x02\x03\x00\x00"  # GPSVersionID
    gps[1], gps[2] = ("N" if lonlat[1] >= 0 else "S"), _sexagesimal(lonlat[1])
    gps[3], gps[4] = ("E" if lonlat[0] >= 0 else "W"), _sexagesimal(lonlat[0])
    gps[16], gps[17] = "T", _rational(shot.heading % 360.0, 100)  # GPSImgDirection, true north
    gps[18] = "WGS-84"
    return data


def gpano(shot: Shot) -> bytes:
    """The XMP packet of a full equirectangular panorama."""
    fields = {
        "ProjectionType": "equirectangular",
        "UsePanoramaViewer": "True",
        "FullPanoWidthPixels": shot.width,
        "FullPanoHeightPixels": shot.height,
        "CroppedAreaImageWidthPixels": shot.width,
        "CroppedAreaImageHeightPixels": shot.height,
        "CroppedAreaLeftPixels": 0,
        "CroppedAreaTopPixels": 0,
        "PoseHeadingDegrees": f"{shot.heading % 360.0:.2f}",
        "PosePitchDegrees": f"{shot.pitch:.2f}",
        "PoseRollDegrees": f"{shot.roll:.2f}",
    }
    attributes = "\n".join(f'    GPano:{name}="{value}"' for name, value in fields.items())
    packet = (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
        ' <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
        '  <rdf:Description rdf:about="" xmlns:GPano="http://ns.google.com/photos/1.0/panorama/"\n'
        f"{attributes}/>\n"
        " </rdf:RDF>\n</x:xmpmeta>\n"
        '<?xpacket end="w"?>'
    )
    return packet.encode("utf-8")


def encode(image: Images, shot: Shot, lonlat: tuple[float, float]) -> bytes:
    """The JPEG file of a rendered shot, the same bytes for the same input and libjpeg."""
    stream = io.BytesIO()
    options = {"xmp": gpano(shot)} if shot.is_panorama else {}
    Image.fromarray(image).save(
        stream, "JPEG", quality=JPEG_QUALITY, subsampling=2, exif=exif(shot, lonlat).tobytes(), **options
    )
    return stream.getvalue()
