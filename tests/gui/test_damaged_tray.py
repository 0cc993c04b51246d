"""A list of photos that was damaged or edited: what is wrong in it is left out where it is read."""

import contextlib
import copy
import json
import math
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from geolocator_gui.configs import LocaliseConfig
from geolocator_gui.errors import ConfigError
from geolocator_gui.gui import opening, tray, wording
from geolocator_gui.gui.tray import PhotoCard, Tray
from geolocator_gui.records import BoundingBox, Fused, Localisation, LonLat, Match, PhotoFacts
from geolocator_gui.report.table import csv_text, geojson, gpx, kml, to_dict
from geolocator_gui.workspace import Workspace

ODD = [
    None,
    "<b>x",
    "\x00",
    "\ud800",
    -1,
    0,
    1e308,
    math.nan,
    math.inf,
    10**400,
    True,
    [],
    {},
    [1],
    "located",
]


def matches() -> tuple[Match, ...]:
    bounds = BoundingBox(12.9, 51.9, 13.1, 52.1)
    return tuple(Match(rank, rank + 7, 0.7, LonLat(13, 52), bounds, 90.0) for rank in (1, 2))


def saved(folder: Path) -> dict:
    """A tray as it lies on disk, with every field in use."""
    facts = PhotoFacts(200, 100, LonLat(13.01, 52), 214.2, False, 67, 40, False, "2020-01-01", "Cam")
    answer = Localisation(
        "a.jpg", facts, "perspective", matches(), Fused(LonLat(13, 52), 12), 0.2, True, 0.1, "N.", "Found.", 7
    )
    photos = Tray()
    for name in ("a.jpg", "b.jpg"):
        card = photos.add([Path(name)])[0]
        photos.change(
            card.key, state="located", facts=facts, mode="perspective", heading=10, fov=67, answer=answer
        )
    tray.save(photos, folder / "tray.json")
    return json.loads((folder / "tray.json").read_text())


def places(value: object, path: tuple = ()) -> list[tuple]:
    """The path of everything in a document but its root."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [path] if path else []
    return [*found, *(place for key, item in inner for place in places(item, (*path, key)))]


def use(card: PhotoCard) -> None:
    """Everything that is done with a card, as far as it needs no window."""
    from geolocator_gui.gui.answer_pane import in_words
    from geolocator_gui.gui.map import messages
    from geolocator_gui.gui.panels.photos import facts_in_words
    from geolocator_gui.gui.widgets.match_strip import metres_between

    assert all(isinstance(text, str) for text in (card.line(), *in_words(card, 700), facts_in_words(card)))
    card.path.exists()
    options = card.options(LocaliseConfig(top=7))
    assert LocaliseConfig.from_mapping(json.loads(options.model_dump_json())) == options
    if card.known_heading is not None:
        wording.heading(card.known_heading)
    if card.answer is not None:
        answer = card.answer
        for written in (csv_text, kml, gpx):
            written([answer])
        json.dumps([to_dict(answer), geojson([answer])], allow_nan=False)
        for match in answer.matches:
            assert metres_between(match.position, answer.matches[0].position) >= 0
            pin = messages.Pin(match.rank, match.position.lon, match.position.lat, match.bounds)
            json.dumps(messages.SetMatches((pin,)).__dict__, default=vars)


def look(folder: Path, document: object) -> tray.Kept:
    (folder / "tray.json").write_text(json.dumps(document))
    kept = tray.load(folder / "tray.json")
    for fields in kept.rows:
        use(PhotoCard(key=1, **fields))
    return kept


def test_no_value_of_a_wrong_kind_comes_in(tmp_path) -> None:
    whole = saved(tmp_path)
    assert [row["answer"].matches for row in look(tmp_path, whole).rows] == [matches(), matches()]
    for place in places(whole["photos"][0]):
        for odd in ODD:
            document = copy.deepcopy(whole)
            holder = document["photos"][0]
            for key in place[:-1]:
                holder = holder[key]
            holder[place[-1]] = odd
            kept = look(tmp_path, document)
            assert len(kept.rows) + kept.left_out == 2, (place, odd)
            assert kept.rows[-1]["answer"].matches == matches(), "the other photo is whole"
            if place != ("path",):
                assert kept.left_out == 0, (place, odd)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(value=JSON, choice=st.integers(0))
def test_no_document_whatever_raises_later(tmp_path_factory, value, choice) -> None:
    folder = tmp_path_factory.mktemp("tray")
    document = saved(folder)
    found = places(document)
    holder, place = document, found[choice % len(found)]
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    with contextlib.suppress(ConfigError):  # the whole of it is no list of photos
        look(folder, document)


def test_what_is_damaged_is_told_and_the_photo_located_again(tmp_path) -> None:
    workspace = Workspace.create(tmp_path / "w")
    document = saved(workspace.photos)
    document["photos"][0]["answer"]["matches"][1]["bounds"] = [1, 2]
    document["photos"][1]["path"] = ["b.jpg"]
    (workspace.photos / "tray.json").write_text(json.dumps(document))
    opened = opening.read_workspace(workspace.root)
    assert [(row["path"].name, row["state"], row.get("answer")) for row in opened.photos] == [
        ("a.jpg", "new", None)
    ]
    assert opened.photos[0]["heading"] == 10, "what its user set stays"
    assert [error.what for error in opened.troubles] == [
        "in the list of photos, the entries of 1 photo are damaged"
    ]
    assert json.loads((workspace.photos / "tray-unread-1.json").read_text()) == document
    file = workspace.photos / "tray.json"
    for text in ("[" * 100_000, '{"schema": 1, "photos": {}}'):
        file.write_text(text)
        assert "cannot be read" in opening.read_workspace(workspace.root).troubles[0].what
