"""Own photos to pairs and back, on the shipped demo town."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from geolocator_gui.configs import ModelConfig
from geolocator_gui.errors import DataError, ImageryError
from geolocator_gui.events import Note, finish
from geolocator_gui.geo.chips import ChipCutter
from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.ml.bundle import find_bundle
from geolocator_gui.ml.datasets import read_pairs, training_samples
from geolocator_gui.ml.datasets.own_cut import _chips
from geolocator_gui.ml.datasets.own_make import BETWEEN, PairsSummary, count_leaks, make_pairs
from geolocator_gui.ml.datasets.own_scan import scan_photos
from geolocator_gui.pairs_folder import SUMMARY, PairsConfig, PairsFolder
from geolocator_gui.paths import demo_dir

IMAGERY = str(demo_dir() / "town.mbtiles")


def gps(path: Path, source: Path, latitude, longitude, *, taken: str = "") -> None:
    """A copy of a photo with another GPS block: rationals as EXIF has them."""
    with Image.open(source) as image:
        exif = Image.Exif()
        if taken:
            exif[0x0132] = taken
        exif.get_ifd(0x8825).update({1: "N", 2: latitude, 3: "E", 4: longitude})
        image.resize((64, 48)).save(path, exif=exif)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Demo photos, and what goes wrong with photos in life."""
    folder = tmp_path_factory.mktemp("mine") / "photos"
    (folder / "more").mkdir(parents=True)
    for name in sorted((demo_dir() / "photos").iterdir()):
        shutil.copy(name, folder / name.name)
    source = folder / "photo_01.jpg"
    shutil.copy(source, folder / "more" / "copy.jpg")
    (folder / "empty.jpg").touch()
    (folder / "notes.txt").write_text("not a photo")
    (folder / ".hidden.jpg").write_bytes(source.read_bytes())
    gps(folder / "zero.jpg", source, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    gps(folder / "broken.jpg", source, (400.0, 0.0, 0.0), (1.0, 0.0, 0.0))
    with Image.open(source) as image:
        image.resize((64, 48)).save(folder / "bare.jpg")
    return folder


@pytest.fixture(scope="module")
def made(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PairsSummary]:
    folder = tmp_path_factory.mktemp("made") / "walk"
    return folder, finish(make_pairs(PairsConfig(photos=str(photos), imagery=(IMAGERY,)), folder))


def test_every_photo_is_a_pair_or_set_aside_with_a_reason(made) -> None:
    folder, summary = made
    aside = {row["photo"]: row["reason"] for row in PairsFolder.open(folder).set_aside()}
    rows = PairsFolder.open(folder).rows()
    assert summary.photos == len(aside) + len(rows) == 29
    assert aside.pop("zero.jpg") == "the position is 0, 0"
    assert aside.pop("broken.jpg") == "the position cannot be read (broken EXIF)"
    assert aside.pop("bare.jpg") == "no position in the file"
    assert aside.pop("empty.jpg") == "not a readable photo"
    # Of two equal files the first is kept, those of the folder itself before those of its subfolders.
    assert aside.pop("more/copy.jpg") == "a copy of another photo"
    assert {aside.pop(f"outside_0{n}.jpg") for n in (1, 2, 3, 4)} == {
        "the photo's position is outside the imagery"
    }
    assert set(aside.values()) <= {BETWEEN}
    assert summary.train + summary.validation == len(rows)
    assert summary.train >= 12
    assert summary.validation >= 3
    assert summary.modes == {
        "panorama": summary.modes["panorama"],
        "perspective": summary.modes["perspective"],
    }


def test_training_and_validation_share_no_ground(made) -> None:
    folder, summary = made
    assert summary.leaks == 0
    rows = PairsFolder.open(folder).rows()
    at = {
        split: np.array([(float(r["lon"]), float(r["lat"])) for r in rows if r["split"] == split])
        for split in ("train", "val")
    }
    apart = np.abs(at["train"][:, None] - at["val"][None]) * 111_320.0
    apart[..., 0] *= np.cos(np.radians(60.17))
    assert apart.max(axis=2).min() >= summary.side_m * (1 + 2 * summary.margin) * 0.99


def test_a_leak_would_be_counted(made, tmp_path: Path) -> None:
    lines = (made[0] / "pairs.csv").read_text().splitlines()
    split = [line.split(",") for line in lines]
    train = next(row for row in split if row[1] == "train")
    moved = [*train[:1], "val", *train[2:4], f"{float(train[4]) + 1e-4:.8f}", *train[5:]]
    (tmp_path / "pairs.csv").write_text("\n".join([*lines, ",".join(moved)]))
    assert count_leaks(tmp_path / "pairs.csv", 120.0) >= 1


def test_the_chip_is_what_the_imagery_shows_at_the_photo(made) -> None:
    folder, summary = made
    pairs = read_pairs("pairs", folder, "train")
    with open_imagery(IMAGERY) as source:
        cutter = ChipCutter(source, source_px=summary.source_px)
        lon, lat = pairs.reference_lonlat[0]
        expected = cutter.cut(_chips(np.array([lon]), np.array([lat]), summary.side_m))[0][0]
    found = pairs.reference_image(0)
    assert found.shape == expected.shape == (96, 96, 3)
    assert np.abs(found.astype(int) - expected).mean() < 1.0
    assert pairs.wide_reference(0).shape == (144, 144, 3)


def test_offsets_move_the_chip_over_the_ground(made) -> None:
    samples = training_samples("pairs", made[0])
    with open_imagery(IMAGERY) as source:
        cutter = ChipCutter(source, source_px=96)
        lon, lat = samples.lonlat[2]
        east = lon + np.degrees(0.25 * 80.0 / 6378137.0) / np.cos(np.radians(lat))
        expected = cutter.cut(_chips(np.array([east]), np.array([lat]), 80.0))[0][0]
    moved = samples.load_satellite(2, (samples.max_offset, 0.0))
    assert samples.max_offset == 0.25
    assert np.abs(moved.astype(int) - expected).mean() < 3.0
    assert np.abs(moved.astype(int) - samples.load_satellite(2)).mean() > 3.0
    # More than the file has is held to what it has.
    assert (samples.load_satellite(2, (9.0, 0.0)) == moved).all()


def test_photos_come_placed_as_the_model_takes_them(made) -> None:
    from geolocator_gui.configs import LocaliseConfig
    from geolocator_gui.geo.photo import load_image, read_facts
    from geolocator_gui.ml.placement import loading_side, place

    folder, _ = made
    model = find_bundle("demo-town").config
    pairs = read_pairs("pairs", folder, "train")
    for mode in ("panorama", "perspective"):
        row = next(row for row in range(len(pairs.query_names)) if pairs.photos.mode[row] == mode)
        photo = next(r["photo"] for r in PairsFolder.open(folder).rows() if r["id"] == pairs.query_names[row])
        path = demo_dir() / "photos" / photo
        facts = read_facts(path)
        image = load_image(path, longest_side=loading_side(facts, model, mode))
        expected = place(image, facts, model, LocaliseConfig()).images[0].astype(int)
        found = cv2.resize(pairs.query_image(row), (192, 48), interpolation=cv2.INTER_AREA)
        assert np.abs(found - expected).mean() < 6.0, mode
        assert np.abs(np.roll(found, 48, axis=1) - expected).mean() > 8.0, mode
    wider = pairs.for_model(model.model_copy(update={"ground_size": (140, 768), "ground_band_deg": 65.0}))
    assert wider.query_image(0).shape == (280, 1536, 3)
    assert pairs.limited(2).query_image(1).shape == (96, 384, 3)


def test_continuing_reads_and_cuts_nothing_twice(photos: Path, made, tmp_path: Path) -> None:
    config = PairsConfig(photos=str(photos), imagery=(IMAGERY,))
    folder = tmp_path / "walk"
    steps = make_pairs(config, folder)
    for event in steps:
        if getattr(event, "what", "").startswith("Cutting") and event.done >= 16:
            break
    steps.close()
    assert not (folder / SUMMARY).exists()
    with pytest.raises(DataError, match="no finished folder of pairs"):
        read_pairs("pairs", folder)
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "satellite").iterdir()}
    assert len(before) == 16
    victim = next((folder / "satellite").iterdir())
    victim.write_bytes(victim.read_bytes()[:100])  # as a power cut leaves it
    with (folder / "scan.jsonl").open("a") as file:
        file.write('{"path": "photo_0')  # as a kill leaves it
    notes = []
    steps = make_pairs(config, folder)
    summary = None
    while summary is None:
        try:
            event = next(steps)
        except StopIteration as stop:
            summary = stop.value
        else:
            notes += [event.text] if isinstance(event, Note) else []
    assert summary == made[1]
    assert "15 of 24 pairs were cut before." in notes
    after = {path.name: path.stat().st_mtime_ns for path in (folder / "satellite").iterdir()}
    kept = before.keys() & after.keys() - {victim.name}
    assert all(after[name] == before[name] for name in kept)
    assert (folder / "pairs.csv").read_text() == (made[0] / "pairs.csv").read_text()


def test_a_photo_more_joins_and_a_photo_less_goes(made, photos: Path, tmp_path: Path) -> None:
    some = tmp_path / "photos"
    some.mkdir()
    for path in sorted(photos.glob("panorama_*.jpg")):
        shutil.copy(path, some)
    (some / "panorama_01.jpg").rename(tmp_path / "later.jpg")
    config = PairsConfig(photos=str(some), imagery=(IMAGERY,))
    folder = some / "pairs"  # inside the photos: its own images are no photos
    first = finish(make_pairs(config, folder))
    (tmp_path / "later.jpg").rename(some / "later.jpg")
    (some / "panorama_02.jpg").unlink()
    second = finish(make_pairs(config, folder))
    assert first.photos == second.photos == 11
    names = {row["photo"] for row in PairsFolder.open(folder).rows()}
    names |= {row["photo"] for row in PairsFolder.open(folder).set_aside()}
    assert names == {path.name for path in some.glob("*.jpg")}
    held = {path.stem for path in (folder / "ground").iterdir()}
    assert held == {row["id"] for row in PairsFolder.open(folder).rows()}


def test_photos_from_above_are_squares_in_a_street_view_model(made) -> None:
    pairs = read_pairs("pairs", made[0], "train")
    above = replace(pairs, photos=replace(pairs.photos, mode=["drone"] * len(pairs.query_names)))
    image = above.query_image(0)
    assert image.shape == (96, 384, 3)
    assert image[:, :100].std(axis=(0, 1)).max() == 0
    assert image[:, 144:240].std() > 5
    drone: ModelConfig = pairs.model.model_copy(update={"ground_view": "drone", "ground_size": (96, 96)})
    assert above.for_model(drone).query_image(0).shape == (192, 192, 3)


def test_missing_files_are_counted(made, tmp_path: Path) -> None:
    folder = tmp_path / "walk"
    shutil.copytree(made[0], folder)
    whole = read_pairs("pairs", folder, "train")
    (folder / whole.query_paths[0]).unlink()
    (folder / whole.reference_paths[1]).unlink()
    pairs = read_pairs("pairs", folder, "train")
    assert len(pairs.query_paths) == len(whole.query_paths) - 2
    assert {one.reason for one in pairs.report.dropped} == {
        "the photo is not on disk",
        "the satellite image is not on disk",
    }
    rows = list(csv.reader((folder / "pairs.csv").open()))
    rows[3][2] = "../../etc/passwd"
    (folder / "pairs.csv").write_text("\n".join(",".join(row) for row in rows))
    assert not any(".." in path for path in read_pairs("pairs", folder, "train").query_paths)


def test_nothing_usable_is_an_error_with_the_reasons(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    source = demo_dir() / "photos" / "photo_01.jpg"
    for number in range(3):
        gps(
            photos / f"{number}.jpg",
            source,
            (60.0, 10.0, 0.1),
            (20.0, 45.0, 0.1),
            taken=f"2024:01:0{number + 1} 10:00:00",
        )
    config = PairsConfig(photos=str(photos), imagery=(IMAGERY,))
    with pytest.raises(DataError, match="none of the 3 photos can become a pair") as caught:
        finish(make_pairs(config, tmp_path / "out"))
    # The three files have different times in their EXIF and so different contents, but one position.
    assert "3: many photos have exactly this position" in caught.value.hint
    assert (tmp_path / "out" / "set_aside.csv").read_text().count("a default, not a measurement") == 3
    with pytest.raises(DataError, match="no photos in this folder"):
        finish(
            make_pairs(
                PairsConfig(photos=str(tmp_path / "out" / "ground"), imagery=(IMAGERY,)), tmp_path / "o"
            )
        )
    with pytest.raises(ImageryError, match="does not exist"):
        finish(
            make_pairs(
                config.model_copy(update={"photos": str(demo_dir() / "photos"), "imagery": ("nowhere.tif",)}),
                tmp_path / "p",
            )
        )


@pytest.mark.slow
def test_the_demo_model_finds_most_of_the_demo_photos(made, tmp_path: Path) -> None:
    from geolocator_gui.ml.encoder import Encoder
    from geolocator_gui.ml.evaluate import evaluate

    pairs = read_pairs("pairs", made[0], "train")
    with Encoder(find_bundle("demo-town"), device="cpu", backend="torch", precision="fp32") as encoder:
        found = finish(evaluate(pairs, encoder, tmp_path))
    assert found.queries == made[1].train
    # Panoramas and ordinary photos among 15 or so chips; photos placed at a wrong heading fall to chance.
    assert found.figures["R@1"] >= 50.0
    assert found.figures["R@1 chance"] < 10.0


def test_a_file_name_is_no_formula_and_comes_back_as_it_was(photos: Path, tmp_path: Path) -> None:
    folder, names = tmp_path / "photos", ["=1+1.jpg", "'=x.jpg", "@a.jpg", "-b.jpg", "'quoted.jpg", "c.jpg"]
    folder.mkdir()
    for place, name in enumerate(names):
        (folder / name).write_bytes((demo_dir() / f"photos/photo_{place + 1:02}.jpg").read_bytes())
    (folder / "=aside.jpg").touch()
    out = tmp_path / "out"
    finish(make_pairs(PairsConfig(photos=str(folder), imagery=(IMAGERY,), margin=0.0), out))
    made = PairsFolder.open(out)
    aside = {row["photo"] for row in made.set_aside()}
    assert aside | {row["photo"] for row in made.rows()} == {*names, "=aside.jpg"}
    for file in (out / "pairs.csv", out / "set_aside.csv"):
        for line in csv.reader(file.open(newline="", encoding="utf-8")):
            assert not any(cell[:1] in "=@+" and cell for cell in line)


def test_a_gps_block_that_cannot_be_followed_is_broken_not_missing(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    gps(tmp_path / "p" / "a.jpg", demo_dir() / "photos" / "photo_01.jpg", (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    whole = (tmp_path / "p" / "a.jpg").read_bytes()
    at = whole.index(b"Exif\0\0") + 6
    order = "little" if whole[at : at + 2] == b"II" else "big"
    tag = whole.index((0x8825).to_bytes(2, order), at)
    far = whole[: tag + 8] + (0x7FFFFF).to_bytes(4, order) + whole[tag + 12 :]
    (tmp_path / "p" / "a.jpg").write_bytes(far)
    (found,) = finish(scan_photos(tmp_path / "p", tmp_path / "scan.jsonl", skip=tmp_path / "out"))
    assert found.problem == "the position cannot be read (broken EXIF)"


def test_a_photo_that_says_it_shows_next_to_nothing_is_set_aside(tmp_path: Path, made) -> None:
    (tmp_path / "p").mkdir()
    sizes = {"FullPanoWidthPixels": 10**9, "FullPanoHeightPixels": 500, "CroppedAreaImageWidthPixels": 1000}
    properties = " ".join(f'GPano:{name}="{value}"' for name, value in sizes.items())
    with Image.open(demo_dir() / "photos" / "photo_01.jpg") as image:
        packet = f"<x:xmpmeta><rdf:Description {properties}/></x:xmpmeta>".encode()
        image.save(tmp_path / "p" / "a.jpg", xmp=packet, exif=image.getexif())
    (found,) = finish(scan_photos(tmp_path / "p", tmp_path / "scan.jsonl", skip=tmp_path / "out"))
    assert found.problem == "by its file it shows less than 1°"
    data = read_pairs("pairs", made[0], "train")
    fov = np.full_like(data.photos.fov, 0.001)
    odd = replace(data, photos=replace(data.photos, fov=fov))
    with pytest.raises(DataError, match="less than 1°"):
        odd.read_query(0)


def test_missing_imagery_is_refused_before_a_photo_is_read(tmp_path: Path) -> None:
    config = PairsConfig(photos=str(demo_dir() / "photos"), imagery=("nowhere.tif",))
    with pytest.raises(ImageryError):
        finish(make_pairs(config, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_town_has_nothing_to_check(capsys) -> None:
    from geolocator_gui.cli_commands.pairs import pairs

    pairs(check="town:")
    assert "rendered" in capsys.readouterr().out


def test_a_drone_looking_down_is_told_by_its_gimbal(tmp_path: Path) -> None:
    source = (demo_dir() / "photos" / "photo_02.jpg").read_bytes()
    properties = b'drone-dji:GimbalPitchDegree="-89.90" drone-dji:GimbalYawDegree="-10.0"'
    xmp = b"http://ns.adobe.com/xap/1.0/\x00<x " + properties + b"/>"
    segment = b"\xff\xe1" + (len(xmp) + 2).to_bytes(2, "big") + xmp
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "above.jpg").write_bytes(source[:2] + segment + source[2:])
    (found,) = finish(scan_photos(tmp_path / "p", tmp_path / "scan.jsonl", skip=tmp_path / "out"))
    assert found.drone
    assert found.heading == pytest.approx(350.0)


def test_the_verb(photos: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    from geolocator_gui import cli

    folder = tmp_path / "walk"
    command = ["geolocator", "pairs", str(demo_dir() / "photos"), "--imagery", IMAGERY, "--out", str(folder)]
    monkeypatch.setattr("sys.argv", [*command, "--json", "--quiet"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    result = json.loads(capsys.readouterr().out)
    assert result["train"] + result["validation"] + sum(result["set_aside"].values()) == 24
    assert result["folder"] == str(folder)
    assert (folder / "run" / "config.toml").exists()
    monkeypatch.setattr("sys.argv", ["geolocator", "pairs", "--check", f"pairs:{folder}", "--json"])
    with pytest.raises(SystemExit):
        cli.main()
    assert json.loads(capsys.readouterr().out)["splits"]["train"]["found"] == result["train"]


def test_the_settings_of_a_run_name_no_key(tmp_path, monkeypatch) -> None:
    from geolocator_gui.cli_commands import pairs as verb

    asked = []
    monkeypatch.setattr(verb, "run_verb", lambda name, folder, config, *_, **__: asked.append(config))
    address = "http://127.0.0.1:9/{z}/{x}/{y}.png?map_key=SECRET1234"
    with pytest.raises(AttributeError):  # nothing was made that could be summed up
        verb.pairs(demo_dir() / "photos", imagery=[address], out=tmp_path)
    assert [config.imagery for config in asked] == [(address.replace("SECRET1234", "{key}"),)]
