import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geolocator_gui.gui import coordinates
from geolocator_gui.records import LonLat


@pytest.mark.parametrize(
    ("text", "lat", "lon"),
    [
        ("52.520008, 13.404954", 52.520008, 13.404954),
        ("52.520008 13.404954", 52.520008, 13.404954),
        ("-33.8568; 151.2153", -33.8568, 151.2153),
        ("33.8568S, 151.2153E", -33.8568, 151.2153),
        ("13.405E 52.52N", 52.52, 13.405),
        ("52°31'12\"N 13°24'18\"E", 52.52, 13.405),
        ("N 52°31'12\" E 13°24'18\"", 52.52, 13.405),
        ("52° 31.2' N, 13° 24.3' E", 52.52, 13.405),
        ("33°51′24.5″S 151°12′55.1″E", -33.856806, 151.215306),
        ("33U 391780 5820080", 52.5200, 13.4050),
    ],
)
def test_reads_what_people_write(text: str, lat: float, lon: float) -> None:
    found = coordinates.parse(text)
    assert found is not None
    assert found.lat == pytest.approx(lat, abs=2e-4)
    assert found.lon == pytest.approx(lon, abs=2e-4)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "berlin",
        "91, 10",
        "10, 181",
        "52°61'0\"N 13°0'0\"E",
        "52.5",
        "61U UU 1 1",
        "33U UU 917 2007",
        "1 2 3",
    ],
)
def test_refuses_what_is_no_position(text: str) -> None:
    assert coordinates.parse(text) is None


@given(st.floats(-79.9, 83.9), st.floats(-179.99, 179.99))
def test_every_way_of_writing_reads_back(lat: float, lon: float) -> None:
    here = LonLat(lon, lat)
    for write, tolerance in ((coordinates.decimal, 1e-6), (coordinates.dms, 2e-5)):
        found = coordinates.parse(write(here))
        assert found is not None, write(here)
        assert found.lat == pytest.approx(lat, abs=tolerance)
        assert found.lon == pytest.approx(lon, abs=tolerance)
    metre = 1.1e-5
    found = coordinates.parse(coordinates.to_mgrs(here))
    assert found is not None, coordinates.to_mgrs(here)
    assert found.lat == pytest.approx(lat, abs=metre)


@given(st.floats(-79.9, 83.9), st.floats(-179.99, 179.99))
def test_utm_agrees_with_proj(lat: float, lon: float) -> None:
    from pyproj import Transformer

    utm = coordinates.to_utm(LonLat(lon, lat))
    code = (32700 if lat < 0 else 32600) + utm.zone
    east, north = Transformer.from_crs(4326, code, always_xy=True).transform(lon, lat)
    assert utm.easting == pytest.approx(east, abs=0.002)
    assert utm.northing == pytest.approx(north, abs=0.002)
    back = coordinates.from_utm(utm)
    assert back.lat == pytest.approx(lat, abs=1e-8)


def test_a_long_text_is_no_position_and_takes_no_time() -> None:
    began = time.monotonic()
    for text in ("1" * 100_000, "1 " * 50_000, "52°" * 20_000, " " * 100_000 + "a"):
        assert coordinates.parse(text) is None
    assert time.monotonic() - began < 1
