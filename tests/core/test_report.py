"""What leaves the program: every format carries the answer and no file name becomes code."""

import csv
import io
import json
import sys
from xml.etree import ElementTree

import pytest

from geolocator_gui.cli_commands import localise
from geolocator_gui.errors import FaultError, InputError
from geolocator_gui.geo.projection import distance_m
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
            margin=0.1,
            stands_out=True,
            sentence="Here & <there>.",
            error_m=71.4,
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


def test_the_text_says_which_position_a_distance_belongs_to(answers, capsys):
    localise._print(answers)
    lines = capsys.readouterr().out.splitlines()
    assert "  best position 60.200000, 24.900000 (± 12 m): 71 m from the photo's own GPS position" in lines


def test_every_distance_of_a_table_has_its_position(answers):
    found, bad = csv.DictReader(io.StringIO(csv_text(answers)))
    assert (float(found["answer_lon"]), float(found["answer_lat"]), found["error_m"]) == (24.9, 60.2, "71.4")
    away = float(distance_m(LonLat(24.9, 60.2), LonLat(24.91, 60.21)))
    assert float(found["match_error_m"]) == pytest.approx(away, abs=0.1)
    assert bad["answer_lon"] == bad["match_error_m"] == ""
    match = geojson(answers)["features"][0]["properties"]
    assert (match["kind"], match["match_error_m"]) == ("match", pytest.approx(away))


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


@pytest.mark.skipif(sys.platform == "win32", reason="files are limited otherwise there")
@pytest.mark.parametrize("room", [500, 1500, 60_000])
def test_a_geopackage_that_finds_no_room_says_so_and_leaves_nothing(answers, tmp_path, room):
    import resource

    path = tmp_path / "out.gpkg"
    write_table(path, answers)
    before, (soft, hard) = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(FaultError, match="the file cannot be written") as found:
            write_table(path, answers)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert found.value.path == path
    assert "free space" in found.value.hint
    assert [file.name for file in tmp_path.iterdir()] == ["out.gpkg"]
    assert path.read_bytes() == before


def test_a_geopackage_takes_any_file_name_and_replaces_the_old_one_when_it_is_whole(answers, tmp_path):
    import dataclasses

    import geopandas

    path = tmp_path / "out.gpkg"
    odd = [dataclasses.replace(answers[0], file="/p/lat\udce9in.jpg")]
    write_table(path, answers)
    write_table(path, odd)
    assert geopandas.read_file(path, layer="match").loc[0, "file"] == r"/p/lat\udce9in.jpg"
    before = path.read_bytes()
    with pytest.raises(UnicodeEncodeError):
        write_table(path, answers, attribution="\udce9")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_unknown_ending_is_refused_with_the_known_ones(answers, tmp_path):
    with pytest.raises(InputError, match=r"\.geojson"):
        write_table(tmp_path / "out.doc", answers)


def test_what_was_assumed_is_in_the_evidence_report(shown, tmp_path):
    import dataclasses

    from geolocator_gui.report.evidence import EvidenceContext, evidence_html

    answer, imagery, bounds = shown
    noted = dataclasses.replace(answer, note="This model knows generated imagery only.")
    context = EvidenceContext(imagery, bounds, "i", 1, "m", "0", "me", "2026-01-01")
    assert "knows generated imagery only" in evidence_html(noted, context)


@pytest.fixture
def shown(tmp_path):
    """A real photo under a name that is markup, answered in the demo town."""
    import shutil

    from geolocator_gui.paths import demo_dir

    photo = tmp_path / "<img src=x onerror=alert(1)>{{7*7}}{% endraw %}{{8*8}}.jpg"
    shutil.copyfile(demo_dir() / "photos" / "panorama_01.jpg", photo)
    match = Match(1, 17, 0.71, LonLat(20.7501, 60.1702), BoundingBox(20.7494, 60.1698, 20.7508, 60.1706))
    facts = PhotoFacts(1536, 768, position=LonLat(20.7505, 60.1702), heading=90.0)
    answer = Localisation(str(photo), facts, "panorama", (match,), Fused(match.position, 12.0), error_m=22.0)
    return answer, str(demo_dir() / "town.mbtiles"), BoundingBox(20.741, 60.166, 20.759, 60.174)


def test_the_result_map_needs_nothing_from_outside_and_runs_no_file_name(shown, tmp_path):
    from geolocator_gui.report.result_map import write_result_map

    answer, imagery, bounds = shown
    html, png = tmp_path / "map.html", tmp_path / "map.png"
    write_result_map(
        html, png, [answer], imagery=imagery, bounds=bounds, attribution="<b>me</b>", title="<i>town</i>"
    )
    page = html.read_text("utf-8")
    assert "<img src=x" not in page
    assert "<b>me" not in page
    assert "{{7*7}}" in page
    assert "{{8*8}}.jpg" in page
    import re

    assert not re.search(r"<(?:script|link|img|iframe)[^>]+(?:src|href)\s*=\s*[\"']?(?:https?:)?//", page)
    from PIL import Image

    with Image.open(png) as picture:
        assert max(picture.size) == 1600


def test_the_evidence_page_can_be_checked_and_runs_nothing(shown):
    import hashlib
    from pathlib import Path

    from geolocator_gui.report.evidence import EvidenceContext, evidence_html

    answer, imagery, bounds = shown
    context = EvidenceContext(
        imagery, bounds, "town", 976, "demo-town", "ab" * 32, "© <me>", "2026-11-22T10:00Z"
    )
    page = evidence_html(answer, context)
    assert "<script" not in page
    assert "<img src=x" not in page
    assert hashlib.sha256(Path(answer.file).read_bytes()).hexdigest() in page
    assert "ab" * 32 in page
    assert "&lt;me&gt;" in page
    assert "22 m" in page
