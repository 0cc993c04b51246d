"""The verbs `index` and `localise`: their JSON, their exit codes, their words."""

import json
import os
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from geolocator_gui import cli
from geolocator_gui.ml.index import Index
from geolocator_gui.workspace import Workspace
from tests.core.ml.index.conftest import tiny_model


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command; exit code, stdout, stderr."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["geolocator", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture(autouse=True)
def _model_on_the_search_path(tmp_path, monkeypatch):
    monkeypatch.setenv("GEOLOCATOR_HOME", str(tmp_path / "home"))
    tiny_model(tmp_path / "home" / "models" / "model")


@pytest.fixture
def build(world):
    return ("index", "--imagery", world / "ground.mbtiles", "--model", "model", "--backend", "torch",
            "--precision", "fp32", "--threads", "1", "--batch-size", "8")  # fmt: skip


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    for name in ("a.jpg", "b.png"):
        Image.fromarray(pixels).resize((400, 300)).save(folder / name)
    return folder


def test_index_json_and_the_same_command_again(run, build, tmp_path, whole):
    code, out, err = run(*build, "--out", tmp_path / "index", "--json")
    assert code == 0
    result = json.loads(out)
    assert result["chips"] == Index.open(whole).count
    assert result["skipped"]["missing"] > 0
    assert result["reused"] is False
    assert "Embedding chips" in err
    code, out, err = run(*build, "--out", tmp_path / "index", "--json")
    assert (code, json.loads(out)["reused"]) == (0, True)
    code, out, err = run(*build, "--out", tmp_path / "index", "--overlap", "0.5")
    assert code == 2
    assert "other settings" in err
    assert "Traceback" not in err


def test_estimate_builds_nothing(run, build, tmp_path):
    code, out, _ = run(*build, "--out", tmp_path / "index", "--estimate", "--json")
    found = json.loads(out)
    assert code == 0
    assert {"chips", "tiles", "bytes", "seconds"} <= set(found)
    assert not (tmp_path / "index").exists()
    code, out, _ = run(*build, "--estimate")
    assert "measured just now" in out


def test_an_estimate_makes_no_workspace_and_out_and_workspace_exclude_each_other(run, build, tmp_path):
    assert run(*build, "--estimate", "--workspace", tmp_path / "new")[0] == 0
    code, _, err = run(*build, "--out", tmp_path / "index", "--workspace", tmp_path / "new")
    assert (code, "given together" in err) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_options_before_a_verb_on_an_index_are_refused(run, whole):
    code, out, err = run("index", "--imagery", "nowhere", "info", whole)
    assert (code, out) == (2, "")
    assert "--imagery stands before 'info'" in err


def test_info_says_where_and_how_large_the_ground_is(run, whole):
    facts = json.loads(run("index", "info", whole, "--json")[1])
    west, south, east, north = Index.open(whole).bounds
    assert facts["bounds"] == pytest.approx([west, south, east, north], abs=1e-3)
    assert 0 < facts["km2"] < 1


def test_other_files_in_a_folder_of_photos_are_passed_over(run, photos, whole):
    (photos / "readme.txt").write_text("hello")
    code, out, err = run("localise", photos, "--index", whole, "--json", "--quiet")
    assert (code, len(json.loads(out))) == (0, 2)
    assert err == f"{photos}: 1 file is no photo and passed over\n"
    code, out, _ = run("localise", photos / "readme.txt", "--index", whole, "--json", "--quiet")
    assert (code, bool(json.loads(out)[0]["error"])) == (2, True)


def test_what_cannot_be_done_is_said_in_a_clean_line_before_the_work(run, photos, whole):
    for words, says in (
        (("--mode", "x"), "geolocator localise: Invalid value for '--mode': 'x' is not one of"),
        (("--sweep", "--heading", "5"), "--sweep and --heading"),
        (("--csv", photos / "a.jpg" / "o.csv"), "folder of this file does not exist"),
        (("--csv", "/proc/o.csv") if os.path.isdir("/proc") else ("--csv", "/o.x"), "/"),
    ):
        code, out, err = run("localise", photos, "--index", whole, "--quiet", *words)
        assert (code, out) == (2, "")
        assert says in err
        assert "passed over" not in err
        assert "Value error" not in err


def test_resume_continues_after_everything_was_moved(run, build, tmp_path, world):
    place = tmp_path / "here"
    place.mkdir()
    shutil.copy(world / "ground.mbtiles", place / "ground.mbtiles")
    moved = (*build[:2], place / "ground.mbtiles", *build[3:])
    assert run(*moved, "--out", place / "index")[0] == 0
    place.rename(tmp_path / "there")
    code, out, _ = run("index", "--resume", tmp_path / "there" / "index", "--json")
    assert (code, json.loads(out)["reused"]) == (0, True)


def test_wrong_input_is_exit_2_in_words(run, build, tmp_path):
    for arguments, words in (
        (("index", "--imagery", tmp_path / "absent.mbtiles"), "does not exist"),
        ((*build, "--bbox", "1,2,3"), "--bbox W,S,E,N"),
        ((*build, "--model", "nothing"), "no model named 'nothing'"),
        ((*build, "--bbox", "0,0,1,1", "--circle", "1,1,50"), "given twice"),
        ((*build, "--overlap", "0.9"), "overlap"),
        (("index", "verify", tmp_path), "no index in this folder"),
        (("index", "remove", tmp_path, "--bbox", "0,0,1,1"), "no index in this folder"),
        (("localise", "x.jpg"), "no index is named"),
    ):
        code, out, err = run(*arguments)
        assert code == 2, arguments
        assert words in err
        assert out == ""
        assert len(err.strip().splitlines()) <= 4
        assert "Traceback" not in err


def test_localise_json_has_an_entry_for_every_file(run, photos, whole, tmp_path):
    (photos / "c.jpg").write_bytes(b"")
    code, out, err = run(
        "localise", photos, tmp_path / "absent.jpg", "--index", whole, "--top", 3, "--json",
        "--geojson", tmp_path / "m.geojson", "--csv", tmp_path / "m.csv",
    )  # fmt: skip
    assert code == 2
    answers = json.loads(out)
    assert [answer["file"].rsplit("/", 1)[-1] for answer in answers] == [
        "a.jpg",
        "b.png",
        "c.jpg",
        "absent.jpg",
    ]
    for answer in answers[:2]:
        assert answer["error"] is None
        assert answer["exif"] is None
        assert answer["error_m"] is None
        assert [match["rank"] for match in answer["matches"]] == [1, 2, 3]
        for match in answer["matches"]:
            assert {"rank", "chip", "score", "lon", "lat", "bounds"} <= set(match)
            assert isinstance(match["chip"], int)
            west, south, east, north = match["bounds"]
            assert west < match["lon"] < east
            assert south < match["lat"] < north
    for answer in answers[2:]:
        assert answer["matches"] == []
        assert answer["error"]
    assert "0 bytes" in err
    collection = json.loads((tmp_path / "m.geojson").read_text())
    assert "Nobody, public domain" in json.dumps(collection)
    assert (tmp_path / "m.csv").read_text().count("a.jpg") == 3


def test_a_photo_that_cannot_be_placed_costs_its_own_entry_alone(run, photos, whole, monkeypatch):
    from geolocator_gui.ml import localise

    def place(image, facts, *rest):
        if image.shape[0] == 300 and image[0, 0, 0] == 255:
            raise MemoryError("Unable to allocate 3 TiB")
        return real(image, facts, *rest)

    real = localise.place
    monkeypatch.setattr(localise, "place", place)
    Image.new("RGB", (400, 300), "white").save(photos / "c.png")
    code, out, err = run("localise", photos, "--index", whole, "--json", "--quiet")
    assert code == 2
    assert [answer["error"] is None for answer in json.loads(out)] == [True, True, False]
    assert "3 TiB" in err


def test_localise_flags_reach_the_answer(run, photos, whole):
    index = Index.open(whole)
    lon, lat = float(index.chips.lon[0]), float(index.chips.lat[0])
    code, out, _ = run(
        "localise", photos / "a.jpg", "--index", whole, "--json", "--mode", "perspective", "--heading", "90",
        "--fov", "70", "--within", f"{lon},{lat},25", "--min-distance", "0", "--top", "50",
    )  # fmt: skip
    assert code == 0
    (answer,) = json.loads(out)
    assert answer["note"] == ""
    assert answer["matches"][0]["heading"] is None
    assert 0 < len(answer["matches"]) < index.count


def test_localise_names_both_models_when_they_differ(run, photos, whole, tmp_path):
    tiny_model(tmp_path / "stranger", seed=3)
    code, _, err = run("localise", photos, "--index", whole, "--model", tmp_path / "stranger")
    assert code == 2
    assert "'model'" in err
    assert "'stranger'" in err


def test_a_workspace_stands_for_out_and_index(run, build, photos, tmp_path):
    root = tmp_path / "town"
    assert run("localise", photos, "--workspace", Workspace.create(root).root)[0] == 2
    code, out, _ = run(*build, "--workspace", root, "--json")
    assert code == 0
    folder = json.loads(out)["index"]
    assert Index.is_finished(root / "indexes" / "ground")
    assert json.loads(run(*build, "--workspace", root, "--json")[1])["index"] == folder
    code, out, _ = run("localise", photos / "a.jpg", "--workspace", root, "--json")
    assert code == 0
    assert json.loads(out)[0]["matches"]


def test_care_for_an_index(run, build, tmp_path, whole):
    west, south, east, north = Index.open(whole).bounds
    middle = (west + east) / 2
    one, two = tmp_path / "one", tmp_path / "two"
    assert run(*build, "--bbox", f"{west},{south},{middle},{north}", "--out", one)[0] == 0
    assert run(*build, "--bbox", f"{middle},{south},{east},{north}", "--out", two)[0] == 0
    code, out, _ = run("index", "info", one, "--json")
    assert (code, json.loads(out)["state"]) == (0, "finished")
    assert "model" in run("index", "info", one)[1]
    assert run("index", "merge", one, two, "--out", tmp_path / "both")[0] == 0
    assert run("index", "extend", one, "--bbox", f"{middle},{south},{east},{north}")[0] == 0
    assert Index.open(one).count == Index.open(tmp_path / "both").count
    assert run("index", "remove", one, "--bbox", f"{middle},{south},{east},{north}")[0] == 0
    assert Index.open(one).count < Index.open(tmp_path / "both").count
    assert run("index", "refresh", two, "--json")[0] == 0
    code, out, _ = run("index", "verify", two, "--json")
    assert (code, json.loads(out)["sound"]) == (0, True)
    data = bytearray((two / "vectors" / "000-0000.f16").read_bytes())
    data[5] ^= 1
    (two / "vectors" / "000-0000.f16").write_bytes(bytes(data))
    code, out, err = run("index", "verify", two)
    assert code == 2
    assert "000-0000.f16" in out
    assert "--repair" in err
    assert run("index", "verify", two, "--repair")[0] == 0
    assert run("index", "verify", two)[0] == 0
    assert run("index", "export", two, tmp_path / "two.zip")[0] == 0
    assert run("index", "import", tmp_path / "two.zip", "--out", tmp_path / "back")[0] == 0
    assert Index.open(tmp_path / "back").count == Index.open(two).count


def test_keys_stay_out_of_what_an_index_keeps(tmp_path):
    from geolocator_gui.cli_commands.index_words import source_name
    from geolocator_gui.ml.index.plan import relative_source

    address = "https://tiles.example.com/{z}/{x}/{y}.png?key=s3cr3t"
    assert "s3cr3t" not in source_name(address)
    assert "s3cr3t" not in relative_source(address, tmp_path)
    ground = tmp_path / "my ground.tif"
    ground.touch()
    assert (
        relative_source(f"{ground}?crs=EPSG:25832", tmp_path / "index") == "../my ground.tif?crs=EPSG:25832"
    )


def test_numpys_threads_are_one_whatever_the_shell_says(run, monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "8")
    assert run("--version")[0] == 0
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"


def test_resume_takes_where_things_are_now_and_nothing_else(run, build, tmp_path, world):
    run(*build, "--out", tmp_path / "index")
    code, _, err = run("index", "--resume", tmp_path / "index", "--overlap", "0")
    assert code == 2
    assert "--overlap cannot be changed" in err
    code, out, _ = run(
        "index", "--resume", tmp_path / "index", "--imagery", world / "ground.mbtiles", "--json"
    )
    assert code == 0
    assert json.loads(out)["reused"]


def test_a_refused_merge_leaves_nothing_behind(run, build, tmp_path):
    run(*build, "--out", tmp_path / "index")
    code, _, err = run("index", "merge", tmp_path / "index", tmp_path / "none", "--out", tmp_path / "merged")
    assert code == 2
    assert "no index in this folder" in err
    assert not (tmp_path / "merged").exists()


def test_size_of_an_index_below_a_folder_named_run(run, build, tmp_path):
    run(*build, "--out", tmp_path / "run" / "index")
    _, out, _ = run("index", "info", tmp_path / "run" / "index", "--json")
    assert json.loads(out)["bytes"] > 1000


def test_export_and_import_answer_in_json_and_a_zip_is_told_from_an_index(run, build, tmp_path):
    run(*build, "--out", tmp_path / "index")
    packed = tmp_path / "index.zip"
    code, out, _ = run("index", "export", tmp_path / "index", packed, "--json")
    assert (code, json.loads(out)["bytes"]) == (0, packed.stat().st_size)
    code, out, _ = run("index", "import", packed, "--out", tmp_path / "back", "--json")
    assert (code, json.loads(out)["index"]) == (0, str(tmp_path / "back"))
    code, _, err = run("index", "info", packed)
    assert code == 2
    assert "not the folder of an index" in err
    assert "index import" in err
