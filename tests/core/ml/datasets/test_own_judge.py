"""Which of a user's photos become pairs: bursts, default positions, turns on the spot."""

from geolocator_gui.ml.datasets.own_judge import judge
from geolocator_gui.ml.datasets.own_scan import Scanned


def scanned(name: str, lon: float, lat: float, **more) -> Scanned:
    return Scanned(name, 1, 1, digest=f"{name}-".ljust(64, "0"), lon=lon, lat=lat, **more)


def test_bursts_keep_the_first_but_not_other_directions() -> None:
    photos = [
        scanned("a", 10.0, 50.0, heading=0.0, taken="2024-01-01T10:00:00"),
        scanned("b", 10.000001, 50.0, heading=3.0, taken="2024-01-01T10:00:01"),
        scanned("c", 10.000001, 50.0, heading=90.0, taken="2024-01-01T10:00:01"),
        scanned("d", 10.000001, 50.0, heading=3.0, taken="2024-01-01T11:00:01"),
        scanned("e", 10.001, 50.0, heading=0.0, taken="2024-01-01T10:00:00"),
    ]
    kept, aside = judge(photos)
    assert [photo.path for photo in kept] == ["a", "c", "d", "e"]
    assert [(one.photo.path, one.detail) for one in aside] == [("b", "a")]


def test_a_default_position_is_not_believed() -> None:
    walk = [scanned(f"w{n}", 10 + n * 1e-3, 50.0) for n in range(20)]
    default = [scanned(f"d{n}", 10.5, 50.0) for n in range(10)]
    few = [scanned(f"f{n}", 10.7, 50.0, heading=n * 90.0) for n in range(4)]
    kept, aside = judge([*walk, *default, *few])
    assert {one.photo.path for one in aside} == {f"d{n}" for n in range(10)}
    assert len(kept) == 24
    assert judge([])[0] == []


def test_a_turn_on_the_spot_is_real_unless_it_is_most_of_a_large_folder() -> None:
    walk = [scanned(f"w{n}", 10 + n * 1e-3, 50.0) for n in range(20)]
    turn = [scanned(f"t{n}", 10.5, 50.0, heading=n * 30.0) for n in range(12)]
    waited = [scanned(f"h{n}", 10.7, 50.0, taken=f"2024-01-01T{n:02}:00:00") for n in range(8)]
    assert judge([*walk, *turn, *waited])[1] == []
    most = [scanned(f"m{n}", 10.9, 50.0, heading=float(n * 12)) for n in range(25)]
    _, aside = judge([*walk, *most])
    assert {one.photo.path for one in aside} == {f"m{n}" for n in range(25)}
    assert judge([*walk, *most], one_spot=True)[1] == []


def test_headings_can_be_asked_for() -> None:
    kept, aside = judge([scanned("a", 1.0, 2.0, heading=3.0), scanned("b", 1.1, 2.0)], unknown_heading=False)
    assert [photo.path for photo in kept] == ["a"]
    assert aside[0].reason == "no heading in the file"
