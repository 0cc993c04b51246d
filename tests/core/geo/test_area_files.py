import io
import zipfile

import geopandas
import pytest
from shapely.geometry import MultiPolygon, Point, box

from geolocator_gui.errors import AreaError
from geolocator_gui.geo.area import read_area
from geolocator_gui.geo.area_xml import MAX_XML_BYTES

SQUARE = "10,50,0 10.1,50,0 10.1,50.1,0 10,50.1,0 10,50,0"
HOLE = "10.02,50.02 10.04,50.02 10.04,50.04 10.02,50.04 10.02,50.02"


def kml(body):
    return (
        f'<?xml version="1.0"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document>{body}</Document></kml>'
    )


def ring(kind, coordinates):
    return f"<{kind}><LinearRing><coordinates>\n {coordinates}\n</coordinates></LinearRing></{kind}>"


RINGS = ring("outerBoundaryIs", SQUARE) + ring("innerBoundaryIs", HOLE)
POLYGON = f"<Placemark><Polygon>{RINGS}</Polygon></Placemark>"
GPX = (
    '<gpx xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>'
    '<trkpt lat="50" lon="10"/><trkpt lat="50" lon="10.1"/><trkpt lat="50.1" lon="10.1"/>'
    "</trkseg></trk></gpx>"
)


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_kml_with_a_hole(tmp_path):
    area = read_area(write(tmp_path / "a.kml", kml(POLYGON)))
    assert area.contains(10.05, 50.05)
    assert not area.contains(10.03, 50.03)
    assert area.notes == ()


def test_kml_path_and_gpx_track_are_closed_and_said_so(tmp_path):
    path = f"<Placemark><LineString><coordinates>{SQUARE}</coordinates></LineString></Placemark>"
    for file in (write(tmp_path / "a.kml", kml(path)), write(tmp_path / "a.gpx", GPX)):
        area = read_area(file)
        assert area.contains(10.09, 50.05)
        assert any("closed" in note for note in area.notes)


def test_kmz(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.kmz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("files/other.kml", kml(""))
        archive.writestr("doc.kml", kml(POLYGON))
    assert read_area(tmp_path / "a.kmz").contains(10.05, 50.05)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32632", "EPSG:3857", "EPSG:25832", "EPSG:2154"])
@pytest.mark.parametrize("suffix", ["shp", "gpkg"])
def test_shapefile_and_geopackage_in_any_crs(tmp_path, crs, suffix):
    shape = MultiPolygon(
        [box(10, 50, 10.1, 50.1).difference(box(10.02, 50.02, 10.04, 50.04)), box(10.2, 50, 10.3, 50.1)]
    )
    frame = geopandas.GeoDataFrame({"n": [1]}, geometry=[shape], crs="EPSG:4326").to_crs(crs)
    frame.to_file(tmp_path / f"a.{suffix}")
    area = read_area(tmp_path / f"a.{suffix}")
    assert area.geometry.symmetric_difference(shape).area < shape.area * 1e-4


def test_zipped_shapefile(tmp_path):
    frame = geopandas.GeoDataFrame(geometry=[box(10, 50, 10.1, 50.1)], crs="EPSG:4326")
    frame.to_file(tmp_path / "a.shp")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for part in tmp_path.glob("a.*"):
            if part.suffix != ".zip":
                archive.write(part, part.name)
    assert read_area(tmp_path / "a.zip").contains(10.05, 50.05)


@pytest.mark.filterwarnings("error")
def test_a_damaged_geopackage_is_one_message(tmp_path):
    path = write(tmp_path / "garbage.gpkg", b"SQLite format 3\x00" + bytes(range(256)) * 20)
    with pytest.raises(AreaError) as caught:
        read_area(path)
    assert "Shapefile" not in str(caught.value)


def test_an_area_on_the_moon_is_refused_by_name(tmp_path):
    moon = "+proj=longlat +R=1737400 +no_defs"
    geopandas.GeoDataFrame(geometry=[box(10, 50, 10.1, 50.1)], crs=moon).to_file(tmp_path / "moon.gpkg")
    with pytest.raises(AreaError, match="is not of the Earth"):
        read_area(tmp_path / "moon.gpkg")


def test_shapefile_without_its_companions(tmp_path):
    frame = geopandas.GeoDataFrame(geometry=[box(10, 50, 10.1, 50.1)], crs="EPSG:4326")
    frame.to_file(tmp_path / "a.shp")
    (tmp_path / "a.prj").unlink()
    area = read_area(tmp_path / "a.shp")
    assert any("no coordinate system" in note for note in area.notes)
    with pytest.raises(AreaError, match=r"a\.shp instead"):
        read_area(tmp_path / "a.dbf")
    frame.to_crs("EPSG:32632").to_file(tmp_path / "b.shp")
    (tmp_path / "b.prj").unlink()
    with pytest.raises(AreaError, match="which coordinate system"):
        read_area(tmp_path / "b.shp")
    (tmp_path / "c.shp").write_bytes((tmp_path / "a.shp").read_bytes()[:90])
    with pytest.raises(AreaError):
        read_area(tmp_path / "c.shp")


def test_points_are_no_area(tmp_path):
    geopandas.GeoDataFrame(geometry=[Point(1, 2)], crs="EPSG:4326").to_file(tmp_path / "p.gpkg")
    write(tmp_path / "p.kml", kml("<Placemark><Point><coordinates>1,2</coordinates></Point></Placemark>"))
    write(tmp_path / "p.gpx", '<gpx><wpt lat="1" lon="2"/></gpx>')
    for name in ("p.gpkg", "p.kml", "p.gpx"):
        with pytest.raises(AreaError, match=r"no (polygon|outline)"):
            read_area(tmp_path / name)


LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE kml [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9))
    + "]><kml><Document><name>&j;</name></Document></kml>"
)
OUTSIDE = '<!DOCTYPE kml [<!ENTITY x SYSTEM "file:///etc/hostname">]><kml><name>&x;</name></kml>'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LAUGHS, "entities"),
        (OUTSIDE, "entities"),
        ("<kml><Document>", "damaged"),
        ("<html><body/></html>", "neither KML nor GPX"),
        (kml(""), "no outline"),
        ("<" * 5000, "damaged"),
    ],
)
def test_hostile_and_wrong_xml(tmp_path, text, words):
    with pytest.raises(AreaError, match=words):
        read_area(write(tmp_path / "a.kml", text))


def test_deeply_nested_xml_neither_crashes_nor_hangs(tmp_path):
    text = "<kml>" + "<Folder>" * 50_000 + "</Folder>" * 50_000 + "</kml>"
    with pytest.raises(AreaError):
        read_area(write(tmp_path / "a.kml", text))


def test_zip_bombs_are_refused(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "bomb.kmz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("doc.kml", "w", force_zip64=True) as out,
    ):
        for _ in range(MAX_XML_BYTES // 2**20 + 2):
            out.write(b" " * 2**20)
    assert (tmp_path / "bomb.kmz").stat().st_size < 2**20
    with pytest.raises(AreaError, match="unpacked"):
        read_area(tmp_path / "bomb.kmz")
    # The same archive with a directory that understates the size.
    data = bytearray((tmp_path / "bomb.kmz").read_bytes())
    start = data.rindex(b"PK\x01\x02")
    data[start + 24 : start + 28] = (1000).to_bytes(4, "little")
    write(tmp_path / "liar.kmz", bytes(data))
    with pytest.raises(AreaError):
        read_area(tmp_path / "liar.kmz")


def test_damaged_and_empty_archives(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("doc.kml", kml(POLYGON))
    data = out.getvalue()
    write(tmp_path / "cut.kmz", data[:-30])
    flipped = bytearray(data)
    flipped[60] ^= 0xFF
    write(tmp_path / "flip.kmz", bytes(flipped))
    with zipfile.ZipFile(tmp_path / "none.kmz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    for name in ("cut", "flip", "none"):
        with pytest.raises(AreaError):
            read_area(tmp_path / f"{name}.kmz")
