"""Photos carry what cameras write, and it is true."""

import io

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from geolocator_gui.town.geometry import generate_town
from geolocator_gui.town.photos import Shot, encode, exif, render, tilted
from geolocator_gui.town.scene import Scene

TOWN = generate_town(4, size_m=256.0)
PLACE = Scene(TOWN).street_positions(1, np.random.default_rng(3))[0]


def _degrees(values):
    return float(values[0]) + float(values[1]) / 60.0 + float(values[2]) / 3600.0


def _open(shot):
    lon, lat = TOWN.to_lonlat(PLACE[None])[0]
    image = render(TOWN, shot, metres_per_pixel=0.4)
    return Image.open(io.BytesIO(encode(image, shot, (lon, lat)))), (lon, lat)


def test_a_panorama_has_gpano_and_its_position():
    shot = Shot(*PLACE, heading=123.45, fov=360.0, width=256, height=128, pitch=1.25, roll=-0.75)
    photo, (lon, lat) = _open(shot)
    assert photo.size == (256, 128)
    pano = photo.getxmp()["xmpmeta"]["RDF"]["Description"]
    assert pano["ProjectionType"] == "equirectangular"
    assert (pano["FullPanoWidthPixels"], pano["FullPanoHeightPixels"]) == ("256", "128")
    assert (pano["CroppedAreaImageWidthPixels"], pano["CroppedAreaTopPixels"]) == ("256", "0")
    assert float(pano["PoseHeadingDegrees"]) == 123.45
    assert (float(pano["PosePitchDegrees"]), float(pano["PoseRollDegrees"])) == (1.25, -0.75)
    gps = photo.getexif().get_ifd(IFD.GPSInfo)
    assert (gps[GPS.GPSLatitudeRef], gps[GPS.GPSLongitudeRef]) == ("N", "E")
    # 0.0001″ are 3 mm
    assert _degrees(gps[GPS.GPSLatitude]) == pytest.approx(lat, abs=2e-8)
    assert _degrees(gps[GPS.GPSLongitude]) == pytest.approx(lon, abs=2e-8)
    assert gps[GPS.GPSImgDirectionRef] == "T"
    assert float(gps[GPS.GPSImgDirection]) == pytest.approx(123.45)


def test_a_perspective_photo_states_its_field_of_view():
    shot = Shot(*PLACE, heading=300.0, fov=70.0, width=256, height=192)
    photo, _ = _open(shot)
    data = photo.getexif()
    assert data[Base.Make]
    assert data[Base.Model]
    inner = data.get_ifd(IFD.Exif)
    assert inner[Base.DateTimeOriginal] == shot.taken
    film = inner[Base.FocalLengthIn35mmFilm]
    assert np.degrees(2.0 * np.arctan(18.0 / film)) == pytest.approx(70.0, abs=1.5)
    assert float(inner[Base.FocalLength]) == pytest.approx(film * 6.4 / 36.0, rel=0.03)
    assert "xmp" not in photo.info


def test_south_and_west_have_their_letters():
    shot = Shot(0.0, 0.0, heading=-10.0, fov=70.0, width=64, height=48)
    gps = exif(shot, (-70.5, -33.25)).get_ifd(IFD.GPSInfo)
    assert (gps[GPS.GPSLatitudeRef], gps[GPS.GPSLongitudeRef]) == ("S", "W")
    assert _degrees(gps[GPS.GPSLatitude]) == 33.25
    assert float(gps[GPS.GPSImgDirection]) == 350.0


def test_tilting_moves_the_horizon_as_gpano_says():
    level = np.zeros((180, 360, 3), dtype=np.uint8)
    level[:90] = 255  # sky

    def horizon(image, column):
        return int((image[:, column, 0] > 0).sum())

    up = tilted(level, 10.0, 0.0)
    assert horizon(up, 180) == pytest.approx(100, abs=1)  # looking up: the horizon sinks in the centre
    assert horizon(up, 0) == pytest.approx(80, abs=1)
    turned = tilted(level, 0.0, 10.0)
    # Counter-clockwise: right of the centre the horizon is higher, so there is less sky.
    assert horizon(turned, 270) == pytest.approx(80, abs=1)
    assert horizon(turned, 90) == pytest.approx(100, abs=1)
    assert np.array_equal(tilted(level, 0.0, 0.0), level)


def test_a_photo_and_a_training_view_show_the_same_place():
    shot = Shot(*PLACE, heading=40.0, fov=360.0, width=384, height=192)
    photo = render(TOWN, shot).astype(float)
    band = photo[48:144].reshape(48, 2, 192, 2, 3).mean(axis=(1, 3))
    view = Scene(TOWN).panoramas(PLACE[None], np.array([40.0])).astype(float)[0]
    same = np.corrcoef(band.ravel(), view.ravel())[0, 1]
    turned = np.corrcoef(np.roll(band, 48, axis=1).ravel(), view.ravel())[0, 1]
    assert same > 0.75
    assert same > turned + 0.1
