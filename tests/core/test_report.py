"""What leaves the program: every format carries the answer and no file name becomes code."""

import csv
import io
import json
from xml.etree import ElementTree

import pytest

from geolocator_gui.errors import InputError
from geolocator_gui.records import BoundingBox, Fused, Localisation, LonLat, Match, PhotoFacts
from geolocator_gui.report.table import csv_text, geojson, gpx, kml, to_dict, write_table

EVIL = '=cmd|"<script>alert(1)<b>&{{7*7}}.jpg'


@pytest.fixture
def answers():
    match = Match(1, 17, 0.71, LonLat(24.9, 60.2), BoundingBox(24.8, 60.1, 25.0, 60.3))
    facts = PhotoFacts(100, 50, position=LonLat(24.91, 60.21), heading=90.0)
    return [
        Localisation(
            EVIL,
            facts,
            "panorama",
            (match,),
            Fused(LonLat(24.9, 60.2), 12.0),
            0.1,
            True,
            "Here & <there>.",
            71.4,
        ),
        Localisation("bad.jpg", None, error="the file is empty"),
    ]


def test_json_keeps_the_promised_keys(answers):
    first, second = (to_dict(item) for item in answers)
    assert first["matches"] == [
        {
            "rank": 1,
            "chip": 17,
            "score": 0.71,
            "lon": 24.9,
            "lat": 60.2,
            "bounds": [24.8, 60.1, 25.0, 60.3],
            "heading": None,
        }
    ]
    assert first["exif"] == {"lon": 24.91, "lat": 60.21, "heading": 90.0}
    assert first["error_m"] == 71.4
    assert (second["matches"], second["exif"], second["error"]) == ([], None, "the file is empty")


def test_csv_has_a_row_for_every_photo_and_no_formula(answers):
    rows = list(csv.DictReader(io.StringIO(csv_text(answers, attribution="© me"))))
    assert [row["error"] for row in rows] == ["", "the file is empty"]
    assert rows[0]["file"] == f"'{EVIL}"
    assert (float(rows[0]["lon"]), float(rows[0]["north"])) == (24.9, 60.3)
    assert rows[0]["attribution"] == "© me"


def test_geojson_tells_guess_and_truth_apart(answers):
    kinds = {f["properties"]["kind"]: f["geometry"]["coordinates"] for f in geojson(answers)["features"]}
    assert kinds["fused"] == [24.9, 60.2]
    assert kinds["exif"] == [24.91, 60.21]
    assert kinds["match"][0][0] == [24.8, 60.1]


@pytest.mark.parametrize("write", [kml, gpx])
def test_xml_is_well_formed_and_holds_no_markup_of_others(answers, write):
    tree = ElementTree.fromstring(write(answers))
    assert not [node for node in tree.iter() if node.tag.endswith("}script")]
    assert EVIL in "".join(tree.itertext())


@pytest.mark.parametrize("suffix", [".geojson", ".json", ".csv", ".kml", ".gpx", ".gpkg"])
def test_every_format_is_written_whole(answers, tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    write_table(path, answers, attribution="© me")
    assert path.stat().st_size > 100
    if suffix == ".gpkg":
        import geopandas

        assert geopandas.read_file(path, layer="match").loc[0, "chip"] == 17
    if suffix in (".json", ".geojson"):
        json.loads(path.read_text("utf-8"))


def test_an_unknown_ending_is_refused_with_the_known_ones(answers, tmp_path):
    with pytest.raises(InputError, match=r"\.geojson"):
        write_table(tmp_path / "out.doc", answers)
