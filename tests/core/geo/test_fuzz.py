"""Broken and hostile files end in a clear error or in missing pixels, never in a crash or a hang."""

import contextlib
import json
import sqlite3

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from geolocator_gui.errors import AreaError, ImageryError, PhotoError
from geolocator_gui.geo.area import read_area
from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.geo.imagery.decode import TileDataError, decode_tile
from geolocator_gui.geo.imagery.pmtiles import parse_directory
from geolocator_gui.geo.photo import load_image, read_facts
from geolocator_gui.geo.projection import tile_bounds
from tests.core.geo.makers import cut_tiles, jpeg, png, texture, write_geotiff, write_mbtiles
from tests.core.geo.test_area_files import GPX, POLYGON, kml
from tests.core.geo.test_pmtiles_folder import write_pmtiles

ZOOM, COLUMN, ROW = 18, 140_000, 70_000
# A failing example is printed as found: making it smaller can take longer than all tests together.
QUICK = settings(
    max_examples=30, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip

numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-400, 400),
    st.just("x"),
    st.none(),
    st.floats(-180, 180),
)
points = st.one_of(
    st.lists(numbers, max_size=4), numbers, st.tuples(st.floats(-180, 180), st.floats(-85, 85))
)
rings = st.lists(points, max_size=9)
geometries = st.recursive(
    st.one_of(
        st.none(),
        st.fixed_dictionaries({"type": st.just("Polygon"), "coordinates": st.lists(rings, max_size=3)}),
        st.fixed_dictionaries(
            {
                "type": st.just("MultiPolygon"),
                "coordinates": st.lists(st.lists(rings, max_size=2), max_size=2),
            }
        ),
        st.fixed_dictionaries({"type": st.sampled_from(["Point", "Nonsense", 3]), "coordinates": points}),
    ),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"type": st.just("Feature"), "geometry": inner}),
        st.fixed_dictionaries(
            {"type": st.just("FeatureCollection"), "features": st.lists(inner, max_size=3)}
        ),
        st.fixed_dictionaries(
            {"type": st.just("GeometryCollection"), "geometries": st.lists(inner, max_size=3)}
        ),
    ),
    max_leaves=4,
)


def say(error):
    """A refusal names the thing and says something; it is never a bare exception's text."""
    assert len(error.what) > 10
    assert error.exit_code == 2


def judge(path):
    try:
        area = read_area(path)
    except AreaError as error:
        say(error)
    else:
        assert area.geometry.is_valid
        assert area.geometry.area > 0
        assert np.abs(area.geometry.bounds).max() <= 180
        assert area.km2 >= 0
        assert area.unwrapped.area == pytest.approx(area.geometry.area, rel=1e-6)


@given(geometries)
@QUICK
def test_any_geojson(tmp_path, document):
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps(document))
    judge(path)


@given(
    st.lists(st.tuples(st.floats(-400, 400, width=32), st.floats(-86, 86, width=32)), min_size=3, max_size=12)
)
@QUICK
def test_any_ring(tmp_path, ring):
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    judge(path)


def damaged(data, cuts):
    """Bytes with some places overwritten and perhaps the end cut off."""
    changed = bytearray(data)
    for place, value in cuts[1:]:
        changed[int(place * (len(changed) - 1))] = value
    keep = cuts[0][0]
    return bytes(changed[: max(1, int(len(changed) * keep))] if keep < 0.5 else changed)


cuts = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8)


class Files(dict):
    """Bytes by name that a failing example does not print."""

    def __repr__(self):
        return f"<{len(self)} files>"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    import geopandas
    from shapely.geometry import box

    folder = tmp_path_factory.mktemp("whole")
    ground = texture(512, 512)
    tiles = cut_tiles(ground, ZOOM, COLUMN, ROW)
    frame = geopandas.GeoDataFrame(geometry=[box(10, 50, 10.1, 50.1)], crs="EPSG:25832")
    frame.to_file(folder / "a.gpkg")
    frame.to_file(folder / "s.shp")
    write_mbtiles(folder / "a.mbtiles", tiles)
    write_pmtiles(folder / "a.pmtiles", tiles)
    write_geotiff(
        folder / "a.tif", ground, ZOOM, COLUMN, ROW, compress="deflate", blockxsize=256, blockysize=256
    )
    found = Files((path.name, path.read_bytes()) for path in folder.iterdir())
    found["a.kml"], found["a.gpx"] = kml(POLYGON).encode(), GPX.encode()
    found["a.jpg"], found["a.png"] = jpeg(texture(96, 128)), png(texture(96, 128))
    return found


@pytest.mark.parametrize("name", ["a.kml", "a.gpx", "a.gpkg", "s.shp"])
@given(cuts=cuts)
@settings(QUICK, max_examples=15)
def test_damaged_area_files(tmp_path, whole, name, cuts):
    if name == "s.shp":
        for part in ("s.shx", "s.dbf", "s.prj"):
            (tmp_path / part).write_bytes(whole[part])
    path = tmp_path / name
    path.write_bytes(damaged(whole[name], cuts))
    judge(path)


@given(data=st.binary(max_size=400))
@QUICK
def test_any_bytes(tmp_path, data):
    path = tmp_path / "a.bin"
    path.write_bytes(data)
    judge(path)
    with pytest.raises(ImageryError):
        open_imagery(path)
    for read in (read_facts, load_image):
        with pytest.raises(PhotoError):
            read(path)
    with pytest.raises(TileDataError):
        decode_tile(data, 256)
    with contextlib.suppress(ValueError):
        parse_directory(data)


def look(path):
    west, _, _, north = tile_bounds(COLUMN, ROW, ZOOM)
    _, south, east, _ = tile_bounds(COLUMN + 1, ROW + 1, ZOOM)
    try:
        with open_imagery(path) as source:
            patch = source.read((west, south, east, north), 200, 200)
            assert patch.pixels.shape == (200, 200, 3)
            assert patch.valid.shape == (200, 200)
            assert source.info.bounds.south <= source.info.bounds.north
    except ImageryError as error:
        say(error)


@pytest.mark.parametrize("name", ["a.mbtiles", "a.pmtiles", "a.tif"])
@given(cuts=cuts)
@settings(QUICK, max_examples=20)
def test_damaged_imagery(tmp_path, whole, name, cuts):
    path = tmp_path / name
    path.write_bytes(damaged(whole[name], cuts))
    look(path)


@pytest.mark.parametrize("name", ["a.pmtiles", "a.tif"])
@given(place=st.integers(0, 200), value=st.integers(0, 255))
@settings(QUICK, max_examples=30)
def test_damaged_headers(tmp_path, whole, name, place, value):
    data = bytearray(whole[name])
    data[place] = value
    path = tmp_path / name
    path.write_bytes(bytes(data))
    look(path)


@given(
    rows=st.lists(
        st.tuples(
            st.one_of(st.integers(-3, 40), st.text(max_size=3), st.none()),
            st.one_of(st.integers(-5, 2**40), st.none()),
            st.one_of(st.integers(-5, 2**40), st.text(max_size=3)),
            st.one_of(st.binary(max_size=30), st.text(max_size=3), st.none(), st.just(png(texture(32, 32)))),
        ),
        max_size=5,
    ),
    metadata=st.dictionaries(st.sampled_from(["bounds", "format", "name", "minzoom"]), st.text(max_size=12)),
)
@QUICK
def test_any_mbtiles_content(tmp_path, rows, metadata):
    path = tmp_path / "a.mbtiles"
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("CREATE TABLE metadata (name, value)")
    connection.execute("CREATE TABLE tiles (zoom_level, tile_column, tile_row, tile_data)")
    connection.executemany("INSERT INTO metadata VALUES (?, ?)", metadata.items())
    connection.executemany("INSERT INTO tiles VALUES (?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()
    look(path)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@given(cuts=cuts)
@QUICK
def test_damaged_photos(tmp_path, whole, name, cuts):
    path = tmp_path / name
    path.write_bytes(damaged(whole[name], cuts))
    for read in (read_facts, load_image):
        try:
            read(path)
        except PhotoError as error:
            say(error)
