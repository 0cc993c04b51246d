import json
import time

import numpy as np
import pytest
import shapely
from shapely.geometry import Point, Polygon, box

from geolocator_gui.errors import AreaError
from geolocator_gui.geo.area import Area, area_from_bbox, area_from_circle, area_of_imagery, read_area
from geolocator_gui.geo.crossings import count_crossings
from geolocator_gui.geo.grid import build_grid
from geolocator_gui.geo.outlines import MAX_VERTICES, normalise
from geolocator_gui.records import BoundingBox, ImageryInfo

RING = [[10, 50], [10.1, 50], [10.1, 50.1], [10, 50.1], [10, 50]]


def geojson(path, geometry, **more):
    path.write_text(json.dumps({"type": "Feature", "properties": {}, "geometry": geometry, **more}))
    return path


def polygon(*rings):
    return {"type": "Polygon", "coordinates": list(rings)}


def test_box_has_its_size():
    area = area_from_bbox(BoundingBox(10, 50, 10.1, 50.1))
    assert area.km2 == pytest.approx(7.16 * 11.13, rel=0.01)
    width, height = area.size_m
    assert width == pytest.approx(7150, rel=0.01)
    assert height == pytest.approx(11130, rel=0.01)
    assert area.contains(10.05, 50.05)
    assert not area.contains(10.2, 50.05)


def test_box_across_the_antimeridian():
    area = area_from_bbox((179.9, -17, -179.9, -16.9))
    assert area.bounds == pytest.approx((179.9, -17, -179.9, -16.9))
    assert area.contains(179.95, -16.95)
    assert area.contains(-179.95, -16.95)
    assert not area.contains(0, -16.95)
    assert area.size_m[0] == pytest.approx(0.2 * 111320 * np.cos(np.radians(16.95)), rel=0.01)


@pytest.mark.parametrize(
    "bad",
    [(1, 2, 1, 3), (10, 50, 9, 51), (1, 3, 2, 2), (float("nan"), 0, 1, 1), (0, 80, 1, 88), (0, -89, 1, 0)],
)
def test_bad_boxes_are_refused(bad):
    with pytest.raises(AreaError):
        area_from_bbox(bad)


def test_circle_is_geodesic_even_across_the_antimeridian():
    for lon in (13.4, 179.999):
        area = area_from_circle(lon, 52.5, 1000)
        assert area.km2 == pytest.approx(np.pi, rel=2e-3)
        assert area.contains((lon + 0.005 + 180) % 360 - 180, 52.5)


@pytest.mark.parametrize(
    "bad", [(0, 0, 0), (0, 0, -5), (0, 84.9, 50_000), (50, 120, 10), (0, 0, float("nan"))]
)
def test_bad_circles_are_refused(bad):
    with pytest.raises(AreaError):
        area_from_circle(*bad)


def test_geojson_round_trip_with_a_hole_and_two_parts(tmp_path):
    hole = [[10.02, 50.02], [10.04, 50.02], [10.04, 50.04], [10.02, 50.04], [10.02, 50.02]]
    other = [[11, 51], [11.1, 51], [11.1, 51.1], [11, 51]]
    path = geojson(tmp_path / "a.geojson", {"type": "MultiPolygon", "coordinates": [[RING, hole], [other]]})
    area = read_area(path)
    assert area.notes == ()
    assert not area.contains(10.03, 50.03)
    area.write_geojson(tmp_path / "b.geojson")
    again = read_area(tmp_path / "b.geojson")
    assert again.geometry.equals(area.geometry)
    assert again.km2 == pytest.approx(area.km2)


def test_self_crossing_ring_is_repaired_and_said_so(tmp_path):
    bow = [[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]
    area = read_area(geojson(tmp_path / "a.geojson", polygon(bow)))
    assert area.geometry.is_valid
    assert area.geometry.area == pytest.approx(0.5)
    assert any("repaired" in note for note in area.notes)


def test_open_ring_is_closed_and_said_so(tmp_path):
    area = read_area(geojson(tmp_path / "a.geojson", polygon(RING[:-1])))
    assert area.geometry.equals(box(10, 50, 10.1, 50.1))
    assert any("closed" in note for note in area.notes)


def test_ring_that_jumps_over_the_antimeridian(tmp_path):
    ring = [[179.5, 10], [-179.5, 10], [-179.5, 11], [179.5, 11], [179.5, 10]]
    area = read_area(geojson(tmp_path / "a.geojson", polygon(ring)))
    assert area.contains(180, 10.5)
    assert not area.contains(0, 10.5)
    assert area.geometry.area == pytest.approx(1.0)
    beyond = [[179.5, 10], [180.5, 10], [180.5, 11], [179.5, 11], [179.5, 10]]
    same = read_area(geojson(tmp_path / "b.geojson", polygon(beyond)))
    assert same.geometry.equals(area.geometry)


def test_other_crs_is_converted(tmp_path):
    ring = [[1113194.9, 6446275.8], [1124326.8, 6446275.8], [1124326.8, 6463612.0], [1113194.9, 6446275.8]]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}
    area = read_area(geojson(tmp_path / "a.geojson", polygon(ring), crs=crs))
    assert area.bounds[:2] == pytest.approx((10.0, 50.0), abs=1e-5)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"hello", "not an area file"),
        (b"POLYGON((0 0,1 1,1 0,0 0))", "none of the kinds"),
        (b"[1,2]", "not GeoJSON"),
        (b'{"type":"Point","coordinates":[1,2]}', "no polygon"),
        (b'{"type":"FeatureCollection","features":[]}', "no polygon"),
        (b'{"type":"Polygon","coordinates":[[[0,0],[1,1],[0,0]]]}', "three corners"),
        (b'{"type":"Polygon","coordinates":[[[0,0],[1,1],[2,2],[0,0]]]}', "empty"),
        (b'{"type":"Polygon","coordinates":[[[0,0],["a",1],[2,2],[0,0]]]}', "pairs of numbers"),
        (b'{"type":"Polygon","coordinates":[[[0,0],[NaN,1],[2,2],[0,0]]]}', "not numbers"),
        (b'{"type":"Polygon","coordinates":[[[50,110],[51,110],[51,111],[50,110]]]}', "swapped"),
        (
            b'{"type":"Polygon","coordinates":[[[500000,5e6],[500100,5e6],[500100,5000100],[500000,5e6]]]}',
            "not degrees",
        ),
        (b'{"type":"Polygon","coordinates":[[[0,84],[1,84],[1,88],[0,84]]]}', "latitude 88"),
        (b'{"type":"Polygon","coordinates":[[[0,80],[90,80],[180,80],[-90,80],[0,80]]]}', "pole"),
        (b'{"type":"GeometryCollection","geometries":[' * 40 + b"]}" * 40, "nested"),
        (b"[" * 100_000, "not an area file"),
    ],
)
def test_bad_files_get_a_clear_answer(tmp_path, content, words):
    path = tmp_path / "area.geojson"
    path.write_bytes(content)
    with pytest.raises(AreaError) as caught:
        read_area(path)
    assert words in str(caught.value)
    assert "area.geojson" in str(caught.value)


def test_geojson_in_utf_16_is_read(tmp_path):
    path = geojson(tmp_path / "a.geojson", polygon([[10, 50], [11, 50], [11, 51], [10, 50]]))
    path.write_bytes(path.read_text().encode("utf-16"))
    assert read_area(path).contains(10.9, 50.1)


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / "none.geojson", tmp_path):
        with pytest.raises(AreaError):
            read_area(path)


def test_a_hundred_thousand_corners_are_thinned_out(tmp_path):
    angle = np.linspace(0, 2 * np.pi, 100_000, endpoint=False)
    radius = 0.5 + 0.001 * np.sin(angle * 3000)
    ring = np.column_stack([10 + radius * np.cos(angle), 40 + radius * np.sin(angle)])
    area = read_area(geojson(tmp_path / "a.geojson", polygon(ring.tolist())))
    assert len(np.asarray(area.geometry.exterior.coords)) <= MAX_VERTICES
    assert area.geometry.area == pytest.approx(Polygon(ring).area, rel=1e-3)
    assert any("100000 corners" in note or "100001 corners" in note for note in area.notes)


def test_extent_of_imagery_wants_whole_chips():
    info = ImageryInfo("mbtiles", "town", BoundingBox(10, 50, 10.1, 50.1), 1, 2, 0.3, "EPSG:3857", 3)
    assert area_of_imagery(info).whole_chips
    assert Point(10, 50).within(area_of_imagery(info).geometry.buffer(1e-9))


@pytest.mark.parametrize("shape", ["star", "jitter", "crossing", "triangles"])
def test_outlines_that_zigzag_take_seconds(shape):
    """Their every corner lies far from the line between its neighbours: the worst case of thinning out."""
    corners = 100_000
    turn = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    random = np.random.default_rng(0)
    radius = np.where(np.arange(corners) % 2, 1.1, 0.9)
    if shape == "jitter":
        radius = 1 + 0.1 * random.random(corners)
    if shape == "crossing":
        turn = turn + random.normal(0, 0.001, corners)
    star = Polygon(np.column_stack([7 + 0.02 * radius * np.cos(turn), 50 + 0.012 * radius * np.sin(turn)]))
    polygons = [star]
    if shape == "triangles":
        west, south = 7 + np.arange(30_000) % 200 * 1e-3, 50 + np.arange(30_000) // 200 * 1e-3
        polygons = [Polygon([(x, y), (x + 5e-4, y), (x, y + 5e-4)]) for x, y in zip(west, south, strict=True)]
    start = time.process_time()
    geometry, notes = normalise(polygons)
    assert time.process_time() - start < 30
    expected = np.pi * 0.02 * 0.012 * (radius**2).mean() if shape != "triangles" else 30_000 * 5e-4**2 / 2
    assert geometry.is_valid
    if shape == "triangles":  # corners that cannot be left out are kept, and nothing is said
        assert geometry.area == pytest.approx(expected, rel=1e-6)
        assert not notes
    else:
        assert geometry.area == pytest.approx(expected, rel=0.05)
        assert sum("thinned out" in note for note in notes) == 1
        assert shape == "crossing" or shapely.get_num_coordinates(geometry) <= MAX_VERTICES


def test_a_scribble_is_refused_at_once(tmp_path):
    random = np.random.default_rng(0)
    scribble = np.column_stack([10 + random.random(20_000), 50 + random.random(20_000)])
    start = time.process_time()
    with pytest.raises(AreaError, match="crosses itself more than 50,000 times"):
        read_area(geojson(tmp_path / "a.geojson", polygon(scribble.tolist())))
    assert time.process_time() - start < 20
    halves = [Polygon(scribble[:10_000]).convex_hull, Polygon(scribble[10_000:]).convex_hull]
    assert normalise(halves)[0].is_valid


def test_crossings_are_counted_and_touching_is_none():
    random = np.random.default_rng(1)
    spread = Polygon(random.random((600, 2)))
    lines = shapely.linestrings(
        np.stack([np.asarray(spread.exterior.coords)[at : at + 2] for at in range(600)])
    )
    exact = shapely.STRtree(lines).query(lines, predicate="crosses").shape[1] // 2
    assert count_crossings([spread]) == pytest.approx(exact, rel=0.1)
    fields = [box(x, y, x + 1, y + 1) for x in range(20) for y in range(20)]
    assert count_crossings(fields) == 0
    assert count_crossings([]) == 0


@pytest.mark.parametrize(
    ("bounds", "km2"),
    [
        ((-180, -85, 180, 85), 508.13e6),
        ((-180, 0, 0, 85), 127.03e6),
        ((-179, -60, 179, 60), 439.70e6),
        ((-100, 40, 100, 60), 31.59e6),
    ],
)
def test_boxes_around_the_world_are_as_wide_as_they_say(bounds, km2):
    """Spherical: 2 pi R^2 (sin north - sin south) x width / 360, with the radius of equal area."""
    area = area_from_bbox(bounds)
    assert area.km2 == pytest.approx(km2, rel=0.005)
    assert tuple(area.bounds) == pytest.approx(bounds)
    assert area.notes == ()
    assert build_grid(area, 200_000, 0.0).count == pytest.approx(km2 / 40_000, rel=0.05)


def test_size_of_a_drawn_world():
    corners = [(x, -80.0) for x in range(-180, 181, 90)] + [(x, 80.0) for x in range(180, -181, -90)]
    geometry, _ = normalise([Polygon(corners)])
    assert Area("world", geometry).km2 == pytest.approx(502.32e6, rel=0.005)


def test_circles_too_large_are_told_why():
    with pytest.raises(AreaError, match="radius of 6,000 km"):
        area_from_circle(0, 0, 6e6)
    with pytest.raises(AreaError, match="reaches over a pole"):
        area_from_circle(0, 80, 2e6)
    with pytest.raises(AreaError, match=r"reaches latitude 8[56]\."):
        area_from_circle(0, 80, 6e5)


def test_boxes_and_circles_are_called_by_their_place() -> None:
    assert area_from_bbox((20.74, 60.16, 20.76, 60.18)).name == "box around 60.1700, 20.7500"
    assert area_from_bbox((179.9, -17, -179.7, -16.9)).name == "box around -16.9500, -179.9000"
    assert area_from_circle(20.75, 60.17, 250).name == "250 m around 60.1700, 20.7500"
    assert area_from_circle(20.75, 60.17, 250, "harbour").name == "harbour"
