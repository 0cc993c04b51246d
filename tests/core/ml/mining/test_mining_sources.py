"""Photos in an index are mined: their chips hold them, and ids outlive the index."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from geolocator_gui.cli_commands.serve_similarity import Explainer
from geolocator_gui.configs import IndexConfig
from geolocator_gui.errors import DataError
from geolocator_gui.events import Note, Progress, finish
from geolocator_gui.geo.photo import read_facts
from geolocator_gui.marks import photo_id
from geolocator_gui.mined import MineConfig, Mined
from geolocator_gui.ml.bundle import find_bundle
from geolocator_gui.ml.datasets import PairData, Report
from geolocator_gui.ml.distances import ground_metres
from geolocator_gui.ml.encoder import Encoder
from geolocator_gui.ml.index import Index, build_index
from geolocator_gui.ml.mining.mine import mine
from geolocator_gui.ml.mining.parts import MiningData
from geolocator_gui.ml.mining.sources import index_chip_ids, pairs_to_mine, run_mining
from geolocator_gui.ml.mining.sweep import sweep_headings
from geolocator_gui.ml.pairs.pair_set import Embedded, embed_pairs
from geolocator_gui.ml.pairs.pair_set_town import TownPairSet
from geolocator_gui.paths import demo_dir


def built(folder: Path, centre: tuple[float, float], metres: float) -> Index:
    config = IndexConfig(
        imagery=(str(demo_dir() / "town.mbtiles"),), circle=(*centre, metres), model="demo-town", overlap=0.5
    )
    finish(build_index(config, folder))
    return Index.open(folder)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    inside = [path for path in sorted((demo_dir() / "photos").glob("*.jpg")) if "panorama" in path.name][:5]
    for path in inside:
        shutil.copy(path, folder)
    (folder / "below").mkdir()
    shutil.copy(inside[0], folder / "below" / "again.jpg")
    (folder / "notes.txt").write_text("not a photo")
    return folder


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Index:
    position = read_facts(min(photos.glob("*.jpg"))).position
    assert position is not None
    return built(tmp_path_factory.mktemp("i") / "index", tuple(position), 200.0)


def test_the_nearest_chip_that_holds_a_photo_is_its_positive(
    index: Index, photos: Path, tmp_path: Path
) -> None:
    config = MineConfig(index=str(index.folder), photos=str(photos), neighbours=20)
    summary = finish(run_mining(config, tmp_path))
    queries = Mined.open(tmp_path).queries
    assert summary.queries == 6
    assert queries["query"].is_unique
    assert queries["query"].str.removesuffix("~2").nunique() == 5
    first = queries[queries["file"] == str(min(photos.glob("*.jpg")))].iloc[0]
    assert first["positive_row"] >= 0
    centres = np.stack([index.chips.lon, index.chips.lat], axis=1)
    apart = ground_metres(np.array([first["lon"], first["lat"]]), centres)
    assert first["positive_row"] == apart.argmin()
    scores = Index.open(index.folder).all_scores(
        np.asarray(index.vectors[int(first["positive_row"])], np.float32)
    )
    assert np.isfinite(scores).all()
    negatives = pd.read_parquet(tmp_path / "negatives.parquet")
    near = negatives[negatives["flag"] == "same_place"]
    assert (near["distance_m"] < 80).all()
    assert len(near)
    outside = queries[queries["positive_row"] < 0]
    assert (outside["rank"] == 0).all()
    assert not outside["suspect_pair"].any()


def test_a_mining_stopped_among_its_photos_goes_on_and_ends_the_same(
    index: Index, photos: Path, tmp_path: Path
) -> None:
    config = MineConfig(index=str(index.folder), photos=str(photos), neighbours=5)
    finish(run_mining(config, tmp_path / "whole"))
    steps = run_mining(config, tmp_path / "cut")
    for event in steps:
        if isinstance(event, Progress) and event.what == "Embedding photos" and event.done >= 3:
            break
    steps.close()
    vectors = tmp_path / "cut" / "vectors"
    journal = vectors / "photos.jsonl"
    before = len(journal.read_text().splitlines())
    assert before >= 3
    with journal.open("a") as file:
        file.write('{"path": "half a li')
    with (vectors / "photos.f32").open("ab") as file:
        file.write(b"half a vector")
    again = list(run_mining(config, tmp_path / "cut"))
    assert any(isinstance(event, Note) and "embedded before" in event.text for event in again)
    for name in ("queries.parquet", "negatives.parquet"):
        assert pd.read_parquet(tmp_path / "cut" / name).equals(pd.read_parquet(tmp_path / "whole" / name))


def test_chip_ids_outlive_an_index(index: Index, photos: Path, tmp_path: Path) -> None:
    position = read_facts(min(photos.glob("*.jpg"))).position
    assert position is not None
    other = built(tmp_path / "other", (position.lon + 0.001, position.lat), 200.0)
    ids, others = set(index_chip_ids(index).tolist()), set(index_chip_ids(other).tolist())
    assert len(ids) == index.count
    shared = ids & others
    assert 0.3 * len(ids) < len(shared) < len(ids)


def test_a_missing_folder_is_named(index: Index, tmp_path: Path) -> None:
    config = MineConfig(index=str(index.folder), photos=str(tmp_path / "none"))
    with pytest.raises(DataError, match="no such folder"):
        finish(run_mining(config, tmp_path / "out"))


def test_pairs_without_a_heading_are_swept(tmp_path: Path) -> None:
    """Panoramas rolled by a quarter are told from their chips again once every direction is tried."""
    pairs = read_pairs_with_unknown_headings(tmp_path)
    with Encoder(find_bundle("demo-town"), device="cpu") as encoder:
        north = finish(embed_pairs(pairs, encoder, tmp_path / "v"))
        swept = finish(sweep_headings(pairs, north, encoder, tmp_path / "v"))
    known = pairs.heading_known
    assert known is not None
    assert np.array_equal(swept.query[known], north.query[known])
    assert not np.allclose(swept.query[~known], north.query[~known])
    fits = (swept.query @ swept.reference.T).max(1)
    assert (fits >= (north.query @ north.reference.T).max(1) - 1e-5).all()
    own = np.einsum("qd,qd->q", swept.query, swept.reference)[~known]
    assert own.mean() > np.einsum("qd,qd->q", north.query, north.reference)[~known].mean() + 0.05


def read_pairs_with_unknown_headings(folder: Path) -> PairData:
    town = TownPairSet.of("", count=10)
    for part in ("ground", "satellite"):
        (folder / part).mkdir()
    for row in range(10):
        photo = town.query_image(row)
        if row >= 4:
            photo = np.roll(photo, photo.shape[1] // 4, axis=1)
        Image.fromarray(photo).save(folder / f"ground/{row}.png")
        Image.fromarray(town.reference_image(row)).save(folder / f"satellite/{row}.png")
    names, label = [str(row) for row in range(10)], np.arange(10)
    return PairData(
        name="turned",
        split="train",
        root=folder,
        query_paths=[f"ground/{row}.png" for row in range(10)],
        reference_paths=[f"satellite/{row}.png" for row in range(10)],
        query_names=names,
        reference_names=names,
        query_label=label,
        reference_label=label,
        report=Report(10, 10),
        heading_known=label < 4,
    )


def test_a_town_leaves_its_pictures_beside_the_mining(tmp_path: Path) -> None:
    from geolocator_gui.gui.negatives.result import open_result

    finish(run_mining(MineConfig(data="town:", limit=6, neighbours=3), tmp_path / "first"))
    (tmp_path / "first").rename(tmp_path / "moved")
    result = open_result(tmp_path / "moved")
    assert all(Path(file).stat().st_size > 500 for file in [*result.files, *result.chips.files])
    assert result.names[0].count(",") == 1
    # What makes a photo and a chip alike can be asked of the files, too.
    first = result.candidates(0)[0]
    request = {"photo": result.files[0], "chip_file": result.chips.files[first.chip], **result.about}
    answer = Explainer().answer_files({**request, "out": str(tmp_path / "alike")})
    assert answer["similarity"] == pytest.approx(first.cosine, abs=0.1)
    assert Path(answer["photo"]).exists()
    assert Path(answer["chip"]).exists()


def test_photos_of_data_laid_out_by_city_say_their_city(tmp_path: Path) -> None:
    pairs = replace(
        read_pairs_with_unknown_headings(tmp_path),
        name="vigor-same",
        query_names=[f"{'Seattle' if row < 3 else 'Chicago'}/{row}.jpg" for row in range(10)],
    )
    vectors = Embedded(np.eye(10, dtype=np.float32), np.eye(10, dtype=np.float32))
    areas = pairs_to_mine(pairs, vectors, side_m=70.0).query_area
    assert areas is not None
    assert areas.tolist() == ["Seattle"] * 3 + ["Chicago"] * 7


def test_a_folder_without_photos_leaves_nothing_behind(index: Index, tmp_path: Path, root: Path) -> None:
    for name, files in (("empty", ()), ("words", ("notes.txt",))):
        folder, out = tmp_path / name, tmp_path / f"{name}-out"
        folder.mkdir()
        for file in files:
            (folder / file).write_text("not a photo")
        done = geolocator(root, "mine", "--index", index.folder, "--photos", folder, "--out", out)
        assert done.returncode == 2, done.stderr
        assert "no file here" in done.stderr or "no photo that can be mined" in done.stderr
        assert not out.exists()


def mined_before(folder: Path, ids: list[str]) -> Path:
    """A finished mining of photos with these ids."""
    vectors = np.eye(len(ids), 8, dtype=np.float32)
    chips = np.array([f"chip:{row}" for row in range(len(ids))])
    finish(mine(MiningData(vectors, vectors, np.array(ids), chips, np.arange(len(ids))), folder))
    return folder


def test_what_cannot_be_compared_is_refused_before_the_work(
    index: Index, photos: Path, tmp_path: Path, root: Path
) -> None:
    other, out = mined_before(tmp_path / "other", ["photo:0", "photo:1", "photo:2"]), tmp_path / "out"
    base = ("mine", "--index", index.folder, "--photos", photos, "--compare", other, "--out", out)
    done = geolocator(root, *base, "--marks", tmp_path / "nofile.csv")
    assert done.returncode == 2
    assert "no such marks file" in done.stderr
    done = geolocator(root, *base)
    assert done.returncode == 2
    assert "none of the photos" in done.stderr
    assert "Embedding" not in done.stderr
    assert not out.exists()
    town = MineConfig(data="town:", limit=4, neighbours=3, compare=str(other))
    with pytest.raises(DataError, match="none of the photos"):
        finish(run_mining(town, out, must_compare=True))
    assert not out.exists()


def test_one_photo_in_common_is_enough_to_compare(index: Index, photos: Path, tmp_path: Path) -> None:
    other = mined_before(tmp_path / "other", ["photo:0", photo_id(max(photos.glob("*.jpg")))])
    config = MineConfig(index=str(index.folder), photos=str(photos), neighbours=3, compare=str(other))
    steps = run_mining(config, tmp_path / "out", must_compare=True)
    assert any(isinstance(event, Progress) and event.what == "Embedding photos" for event in steps)


def geolocator(root: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "geolocator_gui.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=200, check=False)
