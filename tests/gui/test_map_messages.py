import json

import pytest

from geolocator_gui.gui.map import messages
from geolocator_gui.records import BoundingBox, LonLat


def test_a_message_to_the_page_is_json_of_its_fields() -> None:
    shown = json.loads(messages.write(messages.Show(BoundingBox(1, 2, 3, 4))))
    assert shown == {"kind": "view", "bounds": [1, 2, 3, 4], "padding": 24, "jump": False}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"kind": "ready"}', messages.Ready()),
        ('{"kind": "hover", "rank": null}', messages.MatchPointed(None)),
        ('{"kind": "zoom", "rank": 3}', messages.MatchChosen(3, True)),
        ('{"kind": "pointer", "lon": 13.5, "lat": 52}', messages.Pointer(LonLat(13.5, 52))),
        ('{"kind": "circle", "lon": 1, "lat": 2, "radius_m": 50}', messages.CircleDrawn(LonLat(1, 2), 50)),
    ],
)
def test_reads_what_the_page_says(line, expected) -> None:
    assert messages.read(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "null",
        '{"kind": "open", "path": "/etc/passwd"}',
        '{"kind": "pointer", "lon": 1e400, "lat": 0}',
        '{"kind": "pointer", "lon": 0, "lat": 91}',
        '{"kind": "pointer", "lon": "NaN", "lat": 0}',
        '{"kind": "choose"}',
        '{"kind": "drawn", "geometry": {"type": "Point", "coordinates": [0, 0]}}',
        '{"kind": "drawn", "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, "x"], [1, 1]]]}}',
        '{"kind": "drawn", "geometry": {"type": "Polygon", "coordinates": []}}',
    ],
)
def test_refuses_everything_else(line) -> None:
    assert messages.read(line) is None
