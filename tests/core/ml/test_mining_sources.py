"""Photos in an index are mined: their chips hold them, and ids outlive the index."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from geolocator_gui.configs import IndexConfig
from geolocator_gui.errors import DataError
from geolocator_gui.events import finish
from geolocator_gui.geo.photo import read_facts
from geolocator_gui.mined import MineConfig, Mined
from geolocator_gui.ml.distances import ground_metres
from geolocator_gui.ml.index import Index, build_index
from geolocator_gui.ml.mining_sources import index_chip_ids, run_mining
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
