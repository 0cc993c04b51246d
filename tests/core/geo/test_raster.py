import numpy as np
import pytest
import rasterio
import rasterio.shutil
import rasterio.vrt
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.transform import Affine, from_gcps
from rasterio.warp import transform_bounds

from geolocator_gui.errors import ImageryError
from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.geo.imagery.fetch import USER_AGENT
from geolocator_gui.geo.projection import tile_bounds
from tests.core.geo.makers import png, texture, write_geotiff
from tests.core.geo.tile_server import TileServer

ZOOM, COLUMN, ROW = 18, 140_000, 80_000


def block(columns=1, rows=1):
    west, _, _, north = tile_bounds(COLUMN, ROW, ZOOM)
    _, south, east, _ = tile_bounds(COLUMN + columns - 1, ROW + rows - 1, ZOOM)
    return west, south, east, north


@pytest.fixture
def ground():
    return texture(512, 768)


def smooth(height, width):
    y, x = np.mgrid[0:height, 0:width]
    return np.stack(
        [90 + 60 * np.sin(x / 90), 120 + 60 * np.cos(y / 70), 100 + 50 * np.sin((x + y) / 110)], axis=2
    ).astype(np.uint8)


def utm(path, pixels, transform, crs="EPSG:32633", **profile):
    values = pixels if pixels.ndim == 3 else pixels[..., None]
    settings = dict(
        driver="GTiff", crs=crs, transform=transform, width=values.shape[1], height=values.shape[0],
        count=values.shape[2], dtype=values.dtype, **profile,
    )  # fmt: skip
    with rasterio.open(path, "w", **settings) as out:
        out.write(values.transpose(2, 0, 1))
    return path


def seen(source, size=200):
    """The middle half of the extent."""
    bounds = transform_bounds("EPSG:4326", "EPSG:3857", *source.info.bounds)
    x, y = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    half = min(bounds[2] - bounds[0], bounds[3] - bounds[1]) / 4
    return source.read((x - half, y - half, x + half, y + half), size, size)


def test_mercator_raster_is_read_on_its_own_pixels(tmp_path, ground):
    with open_imagery(write_geotiff(tmp_path / "a.tif", ground, ZOOM, COLUMN, ROW)) as source:
        patch = source.read(block(3, 2), 768, 512)
        assert np.array_equal(patch.pixels, ground)
        assert patch.valid.all()
        assert source.info.kind == "geotiff"
        assert source.info.crs == "EPSG:3857"
        half = source.read(block(3, 2), 384, 256).pixels
        want = ground.reshape(256, 2, 384, 2, 3).mean(axis=(1, 3))
        assert np.abs(half - want).max() <= 1


def test_beyond_the_edge_is_not_valid(tmp_path, ground):
    with open_imagery(write_geotiff(tmp_path / "a.tif", ground, ZOOM, COLUMN, ROW)) as source:
        west, south, east, north = block(3, 2)
        width = east - west
        patch = source.read((west - width, south, east, north), 1536, 512)
        assert not patch.valid[:, :768].any()
        assert patch.valid[:, 768:].all()
        assert not source.read((west + 9 * width, south, east + 9 * width, north), 64, 64).valid.any()


def test_world_turns_do_not_matter(tmp_path, ground):
    with open_imagery(write_geotiff(tmp_path / "a.tif", ground, ZOOM, COLUMN, ROW)) as source:
        west, south, east, north = block()
        turn = 2 * 20037508.342789244
        a = source.read((west, south, east, north), 256, 256).pixels
        b = source.read((west + turn, south, east + turn, north), 256, 256).pixels
        assert np.abs(a.astype(int) - b).max() <= 1


@pytest.mark.parametrize("how", ["plain", "south_up", "rotated"])
def test_any_orientation_shows_the_same_ground(tmp_path, how):
    pixels = smooth(400, 400)
    centre = Affine.translation(500_000, 5_600_000)
    straight = centre @ Affine.scale(0.5, -0.5) @ Affine.translation(-200, -200)
    if how == "south_up":
        stored, transform = pixels[::-1], centre @ Affine.scale(0.5, 0.5) @ Affine.translation(-200, -200)
    elif how == "rotated":
        transform = centre @ Affine.rotation(90) @ Affine.scale(0.5, -0.5) @ Affine.translation(-200, -200)
        stored = np.rot90(pixels, -1)
    else:
        stored, transform = pixels, straight
    with open_imagery(utm(tmp_path / "a.tif", np.ascontiguousarray(stored), transform)) as source:
        patch = seen(source)
    with open_imagery(utm(tmp_path / "b.tif", pixels, straight)) as source:
        want = seen(source)
    assert patch.valid.all()
    assert np.abs(patch.pixels.astype(int) - want.pixels).max() <= 3


def test_skewed_raster_has_empty_corners(tmp_path):
    transform = Affine.translation(500_000, 5_600_000) @ Affine.rotation(45) @ Affine.scale(0.5, -0.5)
    with open_imagery(utm(tmp_path / "a.tif", texture(400, 400), transform)) as source:
        bounds = transform_bounds("EPSG:4326", "EPSG:3857", *source.info.bounds)
        valid = source.read(bounds, 200, 200).valid
        assert valid.mean() == pytest.approx(0.5, abs=0.05)
        assert not valid[:20, :20].any()


def test_nodata_alpha_and_mask(tmp_path, ground):
    holed = ground.copy()
    holed[100:200, 100:200] = 7
    masks = []
    with open_imagery(write_geotiff(tmp_path / "n.tif", holed, ZOOM, COLUMN, ROW, nodata=7)) as source:
        masks.append(source.read(block(3, 2), 768, 512).valid)
    alpha = np.full(ground.shape[:2], 255, np.uint8)
    alpha[100:200, 100:200] = 0
    four = np.dstack([ground, alpha])
    path = write_geotiff(tmp_path / "a.tif", four, ZOOM, COLUMN, ROW, photometric="RGB", alpha="unassociated")
    with rasterio.open(path, "r+") as out:
        out.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    with open_imagery(path) as source:
        patch = source.read(block(3, 2), 768, 512)
        masks.append(patch.valid)
        assert np.array_equal(patch.pixels[patch.valid], ground[patch.valid])
    path = write_geotiff(tmp_path / "m.tif", ground, ZOOM, COLUMN, ROW)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as out:
        out.write_mask(alpha)
    with open_imagery(path) as source:
        masks.append(source.read(block(3, 2), 768, 512).valid)
    for mask in masks:
        assert not mask[100:200, 100:200].any()
        assert mask.sum() == 768 * 512 - 10_000


def test_palette_grey_sixteen_bit_and_infrared(tmp_path, ground):
    colours = np.random.default_rng(0).integers(0, 256, (256, 3))
    indices = texture(512, 768, 4)[..., 0]
    path = write_geotiff(tmp_path / "p.tif", indices, ZOOM, COLUMN, ROW, photometric="palette")
    with rasterio.open(path, "r+") as out:
        out.write_colormap(1, {i: (*map(int, colour), 255) for i, colour in enumerate(colours)})
    with open_imagery(path) as source:
        assert np.array_equal(source.read(block(3, 2), 768, 512).pixels, colours[indices])
    with open_imagery(write_geotiff(tmp_path / "g.tif", indices, ZOOM, COLUMN, ROW)) as source:
        assert np.array_equal(source.read(block(3, 2), 768, 512).pixels, np.dstack([indices] * 3))
    wide = ground.astype(np.uint16) * 16
    with open_imagery(write_geotiff(tmp_path / "w.tif", wide, ZOOM, COLUMN, ROW)) as source:
        pixels = source.read(block(3, 2), 768, 512).pixels
        assert source.info.bands == 3
        assert np.corrcoef(pixels.ravel(), ground.ravel())[0, 1] > 0.999
        assert pixels.max() == 255
    narrow = ground.astype(np.uint16)
    with open_imagery(write_geotiff(tmp_path / "k.tif", narrow, ZOOM, COLUMN, ROW)) as source:
        assert np.array_equal(source.read(block(3, 2), 768, 512).pixels, ground)
    infra = np.dstack([ground, indices])
    path = write_geotiff(tmp_path / "i.tif", infra, ZOOM, COLUMN, ROW, photometric="RGB", alpha="NO")
    with rasterio.open(path, "r+") as out:
        out.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined]
    with open_imagery(path) as source:
        patch = source.read(block(3, 2), 768, 512)
        assert np.array_equal(patch.pixels, ground)
        assert patch.valid.all()


def test_overviews_and_vrt(tmp_path, ground):
    big = np.tile(ground, (4, 3, 1))
    path = write_geotiff(tmp_path / "a.tif", big, ZOOM, COLUMN, ROW)
    with open_imagery(path) as source:
        plain = source.read(block(9, 8), 288, 256).pixels
    with rasterio.open(path, "r+") as out:
        out.build_overviews([2, 4, 8], rasterio.enums.Resampling.average)
    with open_imagery(path) as source:
        assert np.abs(source.read(block(9, 8), 288, 256).pixels.astype(int) - plain).max() <= 2
    with rasterio.open(path) as inside, rasterio.vrt.WarpedVRT(inside, crs="EPSG:32633") as view:
        rasterio.shutil.copy(view, tmp_path / "a.vrt", driver="VRT")
    with open_imagery(tmp_path / "a.vrt") as source:
        assert source.info.kind == "vrt"
        assert source.read(block(2, 2), 128, 128).valid[20:-20, 20:-20].all()


def test_world_file_asks_for_the_crs(tmp_path):
    from PIL import Image

    Image.fromarray(texture(200, 300)).save(tmp_path / "a.png")
    with pytest.raises(ImageryError, match="no position"):
        open_imagery(tmp_path / "a.png")
    (tmp_path / "a.pgw").write_text("0.5\n0\n0\n-0.5\n500000\n5600000\n")
    with pytest.raises(ImageryError, match="which coordinate system") as caught:
        open_imagery(tmp_path / "a.png")
    assert "?crs=" in str(caught.value)
    for source in (
        f"{tmp_path / 'a.png'}?crs=EPSG:32633",
        {"src": str(tmp_path / "a.png"), "crs": "EPSG:32633"},
    ):
        with open_imagery(source) as opened:
            assert opened.info.bounds.west == pytest.approx(15.0, abs=0.01)
            assert opened.info.metres_per_pixel == pytest.approx(0.5, rel=0.01)
    with pytest.raises(ImageryError, match="not known"):
        open_imagery(f"{tmp_path / 'a.png'}?crs=EPSG:1")


def test_control_points(tmp_path):
    pixels = smooth(300, 300)
    points = [
        GroundControlPoint(row, col, 500_000 + col * 0.5, 5_600_000 - row * 0.5)
        for row, col in ((0, 0), (0, 300), (300, 0), (300, 300))
    ]
    with rasterio.open(
        tmp_path / "g.tif", "w", driver="GTiff", width=300, height=300, count=3, dtype="uint8"
    ) as out:
        out.write(pixels.transpose(2, 0, 1))
        out.gcps = (points, rasterio.crs.CRS.from_epsg(32633))
    with (
        open_imagery(tmp_path / "g.tif") as source,
        open_imagery(utm(tmp_path / "u.tif", pixels, from_gcps(points))) as plain,
    ):
        assert np.abs(seen(source).pixels.astype(int) - seen(plain).pixels).max() <= 3


@pytest.mark.parametrize(
    ("crs", "words"),
    [
        (None, "which coordinate system"),
        ("+proj=longlat +a=3396190 +b=3376200 +no_defs", "not of the Earth"),
        ('LOCAL_CS["site",UNIT["metre",1]]', "local|coordinate system"),
    ],
)
def test_coordinate_systems_that_cannot_be_used(tmp_path, crs, words):
    path = utm(tmp_path / "a.tif", texture(64, 64), Affine(0.001, 0, 10, 0, -0.001, 50), crs=crs)
    with pytest.raises(ImageryError, match=words):
        open_imagery(path)


def test_bad_files_are_refused_in_words(tmp_path, ground):
    (tmp_path / "a.tif").write_bytes(b"II*\x00 nothing")
    (tmp_path / "b.tif").write_bytes(b"hello")
    (tmp_path / "c.tif").write_bytes(b"")
    write_geotiff(tmp_path / "d.tif", ground[..., 0].astype(np.complex64), ZOOM, COLUMN, ROW)
    for name in "abcd":
        with pytest.raises(ImageryError) as caught:
            open_imagery(tmp_path / f"{name}.tif")
        assert f"{name}.tif" in str(caught.value)
    with pytest.raises(ImageryError, match=r"85\.05"):
        open_imagery(
            utm(tmp_path / "p.tif", ground, Affine(1000, 0, -300_000, 0, -1000, 300_000), crs="EPSG:3413")
        )


@pytest.mark.timeout(20)
def test_a_place_beyond_every_system_is_refused_and_not_searched(tmp_path):
    pixels = np.full((3, 512, 512), 90, np.uint8)
    for far in (-1.1e150, 1e12):
        path = utm(tmp_path / "far.tif", pixels, Affine(1e3, 0, 1364859.0, 0, far / 512, 9336324.0))
        with pytest.raises(ImageryError, match="makes no sense"):
            open_imagery(str(path))


def test_a_corrupt_block_alone_is_missing(tmp_path, ground):
    big = np.tile(ground, (2, 2, 1))
    path = write_geotiff(
        tmp_path / "a.tif", big, ZOOM, COLUMN, ROW, compress="deflate", blockxsize=512, blockysize=512
    )
    with rasterio.open(path) as inside:
        offset = int(inside.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", 1))
    data = bytearray(path.read_bytes())
    data[offset : offset + 4000] = b"\xff" * 4000
    path.write_bytes(bytes(data))
    with open_imagery(path) as source:
        patch = source.read(block(6, 4), 1536, 1024)
        assert source.corrupt >= 1
        assert not patch.valid[:512, :512].any()
        assert patch.valid[512:, 512:1024].all()


def test_real_rasters(shared_dir):
    with open_imagery(shared_dir / "real" / "oam_10cm_epsg3395.tif") as source:
        assert source.info.crs == "EPSG:3395"
        assert source.info.metres_per_pixel == pytest.approx(0.0965, abs=0.002)
        assert seen(source).valid.all()
    with open_imagery(shared_dir / "real" / "colorado_15cm_utm13.tif") as source:
        assert source.info.crs == "EPSG:26913"
        assert source.info.metres_per_pixel == pytest.approx(0.15, abs=0.002)


def test_a_raster_on_a_server_is_read_in_ranges(tmp_path, ground):
    big = np.tile(ground, (6, 4, 1))
    path = write_geotiff(tmp_path / "a.tif", big, ZOOM, COLUMN, ROW)
    secret = "s3cretS3cretS3cretS3cret0"
    with TileServer({}) as server:
        server.files["/a.tif"] = path
        with open_imagery(f"{server.url}/a.tif?token={secret}#attribution=Nobody") as source:
            assert np.array_equal(source.read(block(1, 1), 256, 256).pixels, ground[:256, :256])
            assert source.info.attribution == "Nobody"
            assert secret not in repr(source.info)
        assert server.agents == {USER_AGENT}
        with pytest.raises(ImageryError) as caught:
            open_imagery(f"{server.url}/none.tif?token={secret}")
    assert secret not in str(caught.value)


def test_nothing_of_the_libraries_own_warnings_is_shown(tmp_path, recwarn):
    path = tmp_path / "plain.png"
    path.write_bytes(png(texture(64, 64)))
    with pytest.raises(ImageryError, match="no position"):
        open_imagery(str(path))
    assert not [warning for warning in recwarn if "georef" in str(warning.message)]
