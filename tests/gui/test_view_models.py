"""What the panels show, without Qt."""

import errno
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geolocator_gui import paths
from geolocator_gui.configs import IndexConfig, LocaliseConfig, ModelConfig
from geolocator_gui.errors import AreaError, ImageryError
from geolocator_gui.events import EventWriter, Note, Outcome, Progress
from geolocator_gui.gui import catalogue, drops, estimate, opening, tray, wording
from geolocator_gui.gui.map import heat
from geolocator_gui.gui.run_rows import RunTail, find_runs
from geolocator_gui.gui.tray import PhotoCard, Tray
from geolocator_gui.records import BoundingBox, Fused, ImageryInfo, Localisation, LonLat, Match, PhotoFacts
from geolocator_gui.runs import RunFolder
from geolocator_gui.workspace import Workspace, write_atomically


def answer(file: str, score: float = 0.7) -> Localisation:
    match = Match(1, 5, score, LonLat(13, 52), BoundingBox(12.9, 51.9, 13.1, 52.1), 90.0)
    facts = PhotoFacts(200, 100, LonLat(13.01, 52), heading=214.2, horizontal_fov=67)
    return Localisation(
        file, facts, "perspective", (match,), Fused(match.position, 12), 0.2, True, sentence="Found."
    )


def test_the_window_loads_no_learning_stack() -> None:
    code = (
        "import sys, geolocator_gui.gui.app, geolocator_gui.gui.main_window\n"
        "bad = {'torch', 'timm', 'faiss', 'openvino', 'folium', 'rasterio', 'geopandas'} & set(sys.modules)\n"
        "bad |= {name for name in sys.modules if name.startswith('geolocator_gui.ml')}\n"
        "print(sorted(bad))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_view_models_load_no_qt() -> None:
    names = [
        "tray",
        "catalogue",
        "run_rows",
        "drops",
        "estimate",
        "coordinates",
        "wording",
        "tokens",
        "answers",
    ]
    names += ["map.handlers", "map.page", "map.messages", "map.heat", "map.imagery_pool"]
    code = "".join(f"import geolocator_gui.gui.{name}\n" for name in names)
    code += "import sys; print('PySide6' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_tray_keeps_order_through_removal_and_undo() -> None:
    photos = Tray()
    cards = photos.add([Path(f"/p/{n}.jpg") for n in range(6)])
    assert photos.add([Path("/p/3.jpg")]) == []
    removed = photos.remove([cards[1].key, cards[4].key])
    assert [card.path.name for card in photos] == ["0.jpg", "2.jpg", "3.jpg", "5.jpg"]
    photos.restore(removed)
    assert [card.path.name for card in photos] == [f"{n}.jpg" for n in range(6)]
    assert photos.row(cards[5].key) == 5


def test_tray_survives_the_disk(tmp_path) -> None:
    photos = Tray()
    first, second = photos.add([tmp_path / "a.jpg", tmp_path / "b.jpg"])
    photos.change(first.key, state="located", answer=answer("a.jpg"), facts=answer("a").facts, mode="drone")
    photos.change(second.key, state="locating")
    tray.save(photos, tmp_path / "tray.json")
    rows = tray.load(tmp_path / "tray.json").rows
    assert rows[0]["answer"] == answer("a.jpg")
    assert rows[0]["mode"] == "drone"
    assert rows[1]["state"] == "new"
    (tmp_path / "later.json").write_text('{"schema": 1, "photos": [{"path": "a.jpg", "colour": 3}]}')
    assert tray.load(tmp_path / "later.json").rows[0]["path"] == Path("a.jpg")


def test_an_answer_knows_its_index_from_another_of_its_name(tmp_path) -> None:
    index = catalogue.IndexRow("town", tmp_path / "town", "ready", edition="2026-01-01 abc")
    photos = Tray()
    key = photos.add([tmp_path / "a.jpg"])[0].key
    assert not photos.change(key, index="town", edition=index.edition).answered_by(index)
    card = photos.change(key, answer=answer("a.jpg"), state="queued")
    assert card.answered_by(index)
    assert not card.answered_by(replace(index, edition="2026-01-02 abc"))
    assert not card.answered_by(replace(index, name="village"))

    file = tmp_path / "tray.json"
    tray.save(photos, file)
    row = tray.load(file).rows[0]
    assert (row["edition"], row["state"]) == (index.edition, "located")
    document = json.loads(file.read_text())
    del document["photos"][0]["edition"], document["photos"][0]["attribution"]  # as earlier versions wrote it
    file.write_text(json.dumps(document))
    assert not PhotoCard(1, **tray.load(file).rows[0]).answered_by(index)


def test_a_card_says_what_it_is() -> None:
    photos = Tray()
    key = photos.add([Path("x.jpg")])[0].key
    assert photos.change(key, state="queued").line() == "queued"
    located = photos.change(key, state="located", answer=answer("x.jpg"), facts=answer("x").facts)
    assert located.line() == "photo 67° · heading 214°"
    assert photos.change(key, heading=10.0).line() == "photo 67° · heading 10°"
    assert photos.change(key, state="failed", error="the file ends early").line() == "the file ends early"
    options = photos.change(key, mode="drone", fov=90.0).options(LocaliseConfig(top=7))
    assert (options.mode, options.heading, options.fov, options.top) == ("drone", 10.0, 90.0, 7)
    swept = photos.change(key, state="located", heading=None, sweep=True, mode=None, fov=None)
    assert swept.line() == "photo 67° · heading about 90°", "the match's, not the file's"
    assert swept.options(LocaliseConfig()).sweep


def test_words_for_numbers() -> None:
    assert wording.counted(1024, "chip") == "1\u2009024 chips"
    assert wording.counted(1, "chip") == "1 chip"
    assert [wording.metres(m) for m in (None, 12.4, 1240, 87_400)] == ["–", "12 m", "1.24 km", "87 km"]
    assert [wording.duration(s) for s in (0.2, 8, 200, 7800)] == ["under 1 s", "8 s", "3 min", "2 h 10 min"]
    assert wording.score(-0.1234) == "−0.123"
    assert wording.heading(-146) == "214° SW"
    assert wording.one_line("a\nb\x1b[31m") == "a b [31m"


def test_a_name_written_from_right_to_left_turns_nothing_around_it() -> None:
    from geolocator_gui.gui.notifications import describe
    from geolocator_gui.gui.run_rows import RunRow

    name = "\u05d7\u05d9\u05e4\u05d4"
    kept = f"\u2068{name}\u2069"
    assert [wording.isolated(plain) for plain in ("Köln", "東京-2", "a b")] == ["Köln", "東京-2", "a b"]
    assert wording.isolated("a\u202eb") == "\u2068a\u202eb\u2069"
    photos = Tray()
    photos.add([Path("x.jpg")])
    assert f" · {kept}, 52 chips · " in tray.summary(photos, name, 52)
    assert RunRow(Path(name), "index", "stopped").title == f"Index {kept}"
    told = describe(AreaError("it is empty", path=name))
    assert told.text == f"{kept}: it is empty"


def run_with(tmp_path: Path, *events: object) -> RunFolder:
    run = RunFolder(tmp_path / "indexes" / "centre")
    run.write_config("index", IndexConfig(imagery=("x.mbtiles",)))
    writer = EventWriter(run.events_path)
    for event in events:
        writer.write(event)
    writer.close()
    return run


def test_a_run_is_followed_and_its_end_told(tmp_path) -> None:
    run = run_with(tmp_path, Outcome("running"), Progress("Embedding chips", 420, 1000, "chips", 180))
    tail = RunTail(run)
    with run.lock():
        row = tail.read()
        assert row.state == "running"
        assert row.short() == "indexing centre 42 % · 3 min left"
        assert "420 of 1\u2009000 chips" in row.line()
        run.request_stop()
        assert tail.read().stopping
    killed = tail.read()
    assert killed.state == "interrupted"
    assert killed.can_continue
    writer = EventWriter(run.events_path)
    writer.write(Note("3 chips were blank.", "warning"))
    writer.write(Outcome("failed", "disk full", "Make room."))
    writer.close()
    row = tail.read()
    assert (row.state, row.line(), row.hint, row.warnings) == (
        "failed",
        "disk full",
        "Make room.",
        ("3 chips were blank.",),
    )


def test_runs_are_found_again(tmp_path) -> None:
    workspace = Workspace.create(tmp_path / "w")
    run_with(workspace.root, Outcome("running"), Outcome("stopped"))
    assert [RunTail(run).read().state for run in find_runs(workspace)] == ["stopped"]
    rows = catalogue.list_indexes(workspace, [])
    assert [(row.name, row.state) for row in rows] == [("centre", "stopped")]


def test_a_drop_is_sorted(tmp_path, shared_dir) -> None:
    folder = tmp_path / "holiday"
    folder.mkdir()
    (folder / "a.JPG").write_bytes(b"x")
    (folder / "notes.txt").write_bytes(b"x")
    (folder / ".hidden.jpg").write_bytes(b"x")
    (tmp_path / "area.geojson").write_text("{}")
    (tmp_path / "w.pth").write_bytes(b"x")
    tiles = tmp_path / "tiles" / "14" / "9135"
    tiles.mkdir(parents=True)
    Workspace.create(tmp_path / "work")
    found = drops.sort_out(
        [
            folder,
            tmp_path / "area.geojson",
            tmp_path / "w.pth",
            tmp_path / "tiles",
            tmp_path / "work",
            folder / "notes.txt",
            shared_dir / "real" / "colorado_15cm_utm13.tif",
        ]
    )
    assert found.photos == (folder / "a.JPG",)
    assert found.areas == (tmp_path / "area.geojson",)
    assert found.weights == (tmp_path / "w.pth",)
    assert found.workspaces == (tmp_path / "work",)
    assert found.unknown == (folder / "notes.txt",)
    assert found.imagery == (tmp_path / "tiles", shared_dir / "real" / "colorado_15cm_utm13.tif")


def test_heat_shows_the_best_place_and_hides_the_median() -> None:
    lon, lat = (part.ravel() for part in np.meshgrid(np.linspace(13, 13.1, 60), np.linspace(52, 52.06, 60)))
    scores = np.zeros(lon.size, np.float32)
    best = 60 * 45 + 10  # in the north-west
    scores[best] = 1
    where = heat.plan(lon, lat)
    image = heat.raster(where, scores)
    row, column = np.unravel_index(np.nanargmax(image), image.shape)
    west, south, east, north = where.bounds
    assert west + (column + 0.5) / where.width * (east - west) == pytest.approx(lon[best], abs=0.003)
    assert north - (row + 0.5) / where.height * (north - south) == pytest.approx(lat[best], abs=0.003)
    rgba = heat.colours(image)
    assert rgba[row, column, 3] > 200
    assert (rgba[..., 3] == 0).mean() > 0.95


def test_a_million_chips_are_drawn_quickly() -> None:
    rng = np.random.default_rng(0)
    lon, lat = (
        part.ravel() for part in np.meshgrid(np.linspace(13, 13.5, 1000), np.linspace(52, 52.3, 1000))
    )
    where = heat.plan(lon, lat)
    start = time.perf_counter()
    body = heat.png(heat.colours(heat.raster(where, rng.random(lon.size, np.float32))))
    assert time.perf_counter() - start < 2  # 0.15 s on an idle machine
    assert body.startswith(b"\x89PNG")


def test_rates_are_remembered(tmp_path) -> None:
    file = tmp_path / "rates.json"
    assert estimate.known_rate("demo-town", file) is None
    estimate.remember_rate("demo-town", 41.5, file)
    estimate.remember_rate("other", 2, file)
    assert estimate.known_rate("demo-town", file) == 41.5


def test_a_run_that_ends_between_two_looks_is_finished_not_interrupted(tmp_path, monkeypatch) -> None:
    from geolocator_gui.configs import IndexConfig
    from geolocator_gui.events import EventWriter, Outcome
    from geolocator_gui.gui.run_rows import RunTail
    from geolocator_gui.runs import RunFolder

    run = RunFolder(tmp_path / "centre")
    run.write_config("index", IndexConfig(imagery=("a.mbtiles",), model="m"))
    words = EventWriter(run.events_path)
    words.write(Outcome("running"))
    tail = RunTail(run)

    def ends_now() -> bool:  # the process says its last word and lets the lock go just before it is asked for
        words.write(Outcome("finished"))
        return False

    monkeypatch.setattr(run, "is_locked", ends_now)
    assert tail.read().state == "finished"


def test_only_one_window_writes_the_list_of_photos(tmp_path) -> None:
    workspace = Workspace.create(tmp_path / "w")
    first = opening.claim(workspace)
    second = opening.claim(workspace)
    assert first.file is not None
    assert second.file is None
    assert "another window" in second.why
    first.give_up()
    third = opening.claim(workspace)
    assert third.file is not None
    third.give_up()


def test_the_world_is_reckoned_not_counted() -> None:
    from geolocator_gui.geo.area import area_from_bbox
    from geolocator_gui.geo.grid import build_grid

    bundle = ModelConfig.read_json(paths.models_dir() / "demo-town" / "model.json")
    imagery = ImageryInfo("xyz", "x", BoundingBox(-180, -85, 180, 85), 1, 19, 0.3, "EPSG:3857", 3)
    began = time.monotonic()
    found = estimate.estimate(area_from_bbox((-179, -80, 179, 80)), imagery, bundle, 0.5, None, None)
    assert "too many" in found.trouble
    france = area_from_bbox((-1, 45, 4, 48))
    found = estimate.estimate(france, imagery, bundle, 0.5, None, None)
    assert found.trouble == ""
    assert found.chips == pytest.approx(france.km2 * 1e6 / 40**2, rel=0.01)
    with pytest.raises(AreaError, match="rows of chips high"):
        _ = build_grid(area_from_bbox((-179, -80, 179, 80)), 80, 0.625).count
    assert time.monotonic() - began < 5


def test_an_area_beside_the_imagery_is_told_before_anything_starts() -> None:
    from geolocator_gui.geo.area import area_from_bbox

    bundle = ModelConfig.read_json(paths.models_dir() / "demo-town" / "model.json")

    def chips(bounds: BoundingBox, area: tuple[float, float, float, float]) -> int:
        info = ImageryInfo("mbtiles", "x", bounds, 1, 19, 0.3, "EPSG:3857", 3)
        return estimate.estimate(area_from_bbox(area, "mine"), info, bundle, 0.5, None, None).chips

    fiji = BoundingBox(179.99, -17.01, -179.99, -17.0)
    assert chips(fiji, (179.995, -17.005, -179.995, -17.004)) > 0
    assert chips(fiji, (-179.995, -17.005, -179.98, -17.004)) > 0, "partly outside is fine"
    for area in ((179.97, -17.005, 179.98, -17.004), (-179.98, -17.005, -179.97, -17.004)):
        with pytest.raises(ImageryError, match=r"'mine' lies beside this imagery, .* 179\.99000, -17\.01000"):
            chips(fiji, area)


def test_trouble_with_a_disk_is_no_fault_of_the_program(tmp_path) -> None:
    from geolocator_gui.gui.notifications import describe

    with pytest.raises(OSError, match="No such file") as found:
        write_atomically(tmp_path / "none" / "tray.json", "x")
    told = describe(found.value)
    assert told.text == "tray.json: no such file or directory"
    assert "fault" not in told.hint
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="irectory") as found:
        write_atomically(tmp_path / "file" / "tray.json", "x")
    assert describe(found.value).text.startswith("tray.json: ")
    full = describe(OSError(errno.ENOSPC, "No space left on device"))
    assert (full.text, full.hint) == ("no space left on device", "Free some space, then try again.")
    assert "fault of the program" in describe(KeyError("x")).hint


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes among files")
def test_a_pipe_among_photos_is_not_waited_for(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    assert drops.sort_out([tmp_path]).photos == (tmp_path / "pipe.tif",)


def test_what_an_answer_assumes_is_part_of_it() -> None:
    from geolocator_gui.gui.answer_pane import in_words

    photos = Tray()
    key = photos.add([Path("x.jpg")])[0].key
    noted = replace(answer("x.jpg"), note="demo-town knows generated imagery only.")
    card = photos.change(key, state="located", answer=noted)
    assert in_words(card, 700)[0].endswith("demo-town knows generated imagery only.")
