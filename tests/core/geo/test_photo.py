import io
import struct

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from geolocator_gui.errors import PhotoError
from geolocator_gui.geo.photo import load_image, read_facts
from tests.core.geo.makers import texture

IFD, GPS = 0x8769, 0x8825


def pano(**fields):
    attributes = " ".join(f'GPano:{name}="{value}"' for name, value in fields.items())
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" {attributes}/>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


def photo(path, size=(640, 480), *, gps=None, details=None, base=None, xmp=None, mode="RGB", **options):
    image = Image.fromarray(texture(size[1], size[0])).convert(mode)
    exif = Image.Exif()
    for tag, value in (base or {}).items():
        exif[tag] = value
    exif.get_ifd(GPS).update(gps or {})
    exif.get_ifd(IFD).update(details or {})
    if xmp:
        options["xmp"] = xmp
    image.save(path, exif=exif, **options)
    return path


BERLIN = {1: "N", 2: (52.0, 31.0, 8.1), 3: "E", 4: (13.0, 24.0, 1.06)}


def test_position_heading_and_camera(tmp_path):
    facts = read_facts(
        photo(
            tmp_path / "a.jpg", gps={**BERLIN, 16: "T", 17: 123.5}, base={271: "Maker\x00\x00", 272: "Box 3"},
            details={0x9003: "2024:05:06 07:08:09"},
        )
    )  # fmt: skip
    assert facts.position == pytest.approx((13.400294, 52.518917), abs=1e-6)
    assert facts.heading == pytest.approx(123.5)
    assert not facts.heading_is_magnetic
    assert facts.camera == "Maker Box 3"
    assert facts.taken == "2024-05-06T07:08:09"


def test_south_west_and_magnetic(tmp_path):
    gps = {1: "S", 2: (33.0, 30.0, 0.0), 3: "W", 4: (70.0, 15.0, 0.0), 16: "M", 17: 359.0}
    facts = read_facts(photo(tmp_path / "a.jpg", gps=gps))
    assert facts.position == pytest.approx((-70.25, -33.5))
    assert facts.heading == 359.0
    assert facts.heading_is_magnetic


ZERO = TiffImagePlugin.IFDRational(0, 0)


@pytest.mark.parametrize(
    "gps",
    [
        {1: "N", 2: (ZERO, ZERO, ZERO), 3: "E", 4: (ZERO, ZERO, ZERO)},
        {1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)},
        {1: "N", 2: (152.0, 0.0, 0.0), 3: "E", 4: (13.0, 0.0, 0.0)},
        {2: (52.0, 0.0, 0.0), 4: (13.0, 0.0, 0.0)},
        {1: "N", 2: (52.0, 0.0, 0.0)},
        {17: ZERO},
        {},
    ],
)
def test_what_is_no_position_is_none(tmp_path, gps):
    facts = read_facts(photo(tmp_path / "a.jpg", gps=gps))
    assert facts.position is None
    assert facts.heading is None


def test_field_of_view_from_the_focal_length(tmp_path):
    wide = read_facts(photo(tmp_path / "a.jpg", details={0xA405: 28}))
    assert wide.horizontal_fov == pytest.approx(65.47, abs=0.01)
    assert wide.vertical_fov == pytest.approx(2 * np.degrees(np.arctan(18 / 28 * 0.75)), abs=0.01)
    tall = read_facts(photo(tmp_path / "b.jpg", size=(480, 640), details={0xA405: 28}))
    assert (tall.horizontal_fov, tall.vertical_fov) == pytest.approx((wide.vertical_fov, wide.horizontal_fov))
    # 640 pixels at 640/22.3 mm: a sensor 22.3 mm wide behind 18 mm.
    plane = {0x920A: 18.0, 0xA20E: 640 / 22.3 * 10, 0xA210: 3}
    sensor = read_facts(photo(tmp_path / "c.jpg", details=plane))
    assert sensor.horizontal_fov == pytest.approx(2 * np.degrees(np.arctan(22.3 / 2 / 18)), abs=0.1)
    assert read_facts(photo(tmp_path / "d.jpg", details={0x920A: 4.3})).horizontal_fov is None
    assert read_facts(photo(tmp_path / "e.jpg", details={0xA405: 0})).horizontal_fov is None


def test_orientation_turns_size_pixels_and_field_of_view(tmp_path):
    path = photo(tmp_path / "a.png", base={0x0112: 6}, details={0xA405: 28})
    facts = read_facts(path)
    assert (facts.width, facts.height) == (480, 640)
    assert facts.horizontal_fov < facts.vertical_fov
    image = load_image(path)
    assert image.shape == (640, 480, 3)
    assert np.array_equal(image, np.rot90(texture(480, 640), -1))


FULL = {
    "ProjectionType": "equirectangular", "FullPanoWidthPixels": 2048, "FullPanoHeightPixels": 1024,
    "CroppedAreaImageWidthPixels": 2048, "CroppedAreaImageHeightPixels": 1024,
}  # fmt: skip


def test_panorama_facts(tmp_path):
    posed = pano(**FULL, PoseHeadingDegrees=211.5, PosePitchDegrees=0, PoseRollDegrees=0)
    facts = read_facts(photo(tmp_path / "a.jpg", (1024, 512), xmp=posed, details={0xA405: 15}))
    assert facts.is_panorama
    assert (facts.horizontal_fov, facts.vertical_fov) == (360, 180)
    assert facts.heading == 211.5
    unset = pano(**FULL, PoseHeadingDegrees="0.0", PosePitchDegrees="0.0", PoseRollDegrees="0.0")
    assert read_facts(photo(tmp_path / "b.jpg", (1024, 512), xmp=unset)).heading is None
    tilted = pano(**FULL, PoseHeadingDegrees="0.0", PosePitchDegrees="0.4", PoseRollDegrees="0.0")
    assert read_facts(photo(tmp_path / "c.jpg", (1024, 512), xmp=tilted)).heading == 0.0
    assert (
        read_facts(photo(tmp_path / "d.jpg", (1024, 512), xmp=unset, gps={16: "T", 17: 77.0})).heading == 77.0
    )
    part = FULL | {"CroppedAreaImageWidthPixels": 1024, "CroppedAreaImageHeightPixels": 256}
    facts = read_facts(photo(tmp_path / "e.jpg", (1024, 256), xmp=pano(**part)))
    assert (facts.is_panorama, facts.horizontal_fov, facts.vertical_fov) == (True, 180, 45)


def test_panorama_guessed_from_shape_and_size(tmp_path):
    assert read_facts(photo(tmp_path / "a.jpg", (1024, 512))).is_panorama
    assert not read_facts(photo(tmp_path / "b.jpg", (640, 320))).is_panorama
    assert not read_facts(photo(tmp_path / "c.jpg", (1024, 600))).is_panorama
    assert not read_facts(photo(tmp_path / "d.jpg", (1024, 512), details={0xA405: 28})).is_panorama


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif"])
def test_formats_are_loaded_alike(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    options = {"quality": 95} if suffix in ("jpg", "webp", "avif") else {}
    Image.fromarray(texture(240, 320)).resize((320, 240), 3).save(path, **options)
    image = load_image(path)
    assert image.shape == (240, 320, 3)
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - texture(240, 320)).mean() < 12


def test_modes_become_rgb(tmp_path):
    for mode in ("L", "1", "P", "CMYK", "LA", "RGBA", "I;16"):
        suffix = "jpg" if mode == "CMYK" else "tif" if mode == "I;16" else "png"
        image = Image.fromarray(texture(64, 96))
        if mode == "I;16":
            image = Image.fromarray(texture(64, 96)[..., 0].astype(np.uint16) * 257)
        else:
            image = image.convert(mode)
        image.save(tmp_path / f"m.{suffix}")
        loaded = load_image(tmp_path / f"m.{suffix}")
        assert loaded.shape == (64, 96, 3), mode
        assert loaded.std() > 5, mode
        if mode == "I;16":
            assert np.array_equal(loaded[..., 0], texture(64, 96)[..., 0])


def test_transparency_lies_on_white_and_the_first_frame_counts(tmp_path):
    clear = np.zeros((20, 30, 4), np.uint8)
    Image.fromarray(clear).save(tmp_path / "a.png")
    assert (load_image(tmp_path / "a.png") == 255).all()
    frames = [Image.new("RGB", (30, 20), (200, 10, 10)), Image.new("RGB", (30, 20), (10, 200, 10))]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    assert load_image(tmp_path / "a.webp")[0, 0].tolist() == [200, 10, 10]


def test_longest_side(tmp_path):
    path = photo(tmp_path / "a.jpg", (1600, 1200))
    assert load_image(path, longest_side=400).shape == (300, 400, 3)
    assert load_image(path, longest_side=4000).shape == (1200, 1600, 3)


def png_of(width, height):
    data = io.BytesIO()
    Image.new("RGB", (4, 4)).save(data, "PNG")
    raw = bytearray(data.getvalue())
    raw[16:24] = struct.pack(">II", width, height)
    import zlib

    raw[29:33] = struct.pack(">I", zlib.crc32(bytes(raw[12:29])))
    return bytes(raw)


def test_files_that_are_no_photo_get_a_clear_answer(tmp_path):
    whole = photo(tmp_path / "whole.jpg", (800, 600)).read_bytes()
    cases = {
        "empty.jpg": (b"", "0 bytes"),
        "text.jpg": (b"hello", "not an image"),
        "cut.jpg": (whole[: len(whole) // 2], "damaged"),
        "head.jpg": (whole[:20], "damaged|not an image"),
        "bomb.png": (png_of(100_000, 100_000), "too large|pixels"),
        "page.jpg": (b"<html></html>", "not an image"),
        "tiny.png": (png_of(1, 1), "1 x 1"),
    }
    for name, (content, words) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PhotoError, match=words) as caught:
            load_image(tmp_path / name)
        assert name in str(caught.value)
    for path in (tmp_path / "absent.jpg", tmp_path):
        with pytest.raises(PhotoError):
            load_image(path)
        with pytest.raises(PhotoError):
            read_facts(path)
    with pytest.raises(PhotoError, match="million"):
        load_image(tmp_path / "whole.jpg", max_pixels=1000)


def test_damaged_metadata_does_not_spoil_a_good_picture(tmp_path):
    path = photo(tmp_path / "a.jpg", gps=BERLIN)
    data = bytearray(path.read_bytes())
    start = data.index(b"Exif\x00\x00")
    data[start + 14 : start + 60] = b"\xff" * 46
    path.write_bytes(bytes(data))
    assert read_facts(path).position is None
    assert load_image(path).shape == (480, 640, 3)


def test_real_photos(shared_dir):
    photos = shared_dir / "real" / "photos"
    berlin = read_facts(photos / "berlin_01.jpg")
    assert berlin.position == pytest.approx((13.400, 52.519), abs=1e-3)
    assert berlin.horizontal_fov == pytest.approx(54.4, abs=0.1)
    sphere = read_facts(photos / "gopro_max_360.jpg")
    assert sphere.is_panorama
    assert sphere.heading is None
    assert (sphere.width, sphere.height) == (5760, 2880)
    phone = read_facts(photos / "iphone7.heic")
    assert phone.heading == pytest.approx(264.3, abs=0.1)
    assert phone.position is not None
    assert load_image(photos / "iphone7.heic", longest_side=800).shape == (600, 800, 3)
