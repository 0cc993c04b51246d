"""The same ground through XYZ, MBTiles, PMTiles, a folder and a GeoTIFF gives the same neighbours."""

import numpy as np
import pytest

from geolocator_gui.configs import IndexConfig
from geolocator_gui.events import finish
from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.ml.index import Index, build_index
from tests.core.geo.test_four_ways import ways  # noqa: F401
from tests.core.ml.index.conftest import tiny_model


@pytest.fixture
def indexes(ways, tmp_path, monkeypatch):  # noqa: F811
    """An index of the same box through every way."""
    monkeypatch.setenv("GEOLOCATOR_TILES", str(tmp_path / "cache"))
    tiny_model(tmp_path / "model")
    with open_imagery(ways["mbtiles"]) as source:
        bounds = source.info.bounds
    found = {}
    for name, src in ways.items():
        config = IndexConfig(
            imagery=(str(src),),
            bbox=tuple(bounds),
            model=str(tmp_path / "model"),
            threads=1,
            backend="torch",
            precision="fp32",
        )
        finish(build_index(config, tmp_path / name))
        found[name] = Index.open(tmp_path / name)
    return found


def test_the_same_neighbours(indexes):
    want = indexes.pop("mbtiles")
    queries = np.asarray(want.vectors, dtype=np.float32)
    scores, rows = want.search(queries, 5)
    assert want.count > 100
    assert (rows[:, 0] == np.arange(want.count)).mean() > 0.99
    for name, index in indexes.items():
        assert index.count == want.count, name
        assert np.array_equal(index.chips.lon, want.chips.lon), name
        assert np.array_equal(index.chips.lat, want.chips.lat), name
        found_scores, found = index.search(queries, 5)
        assert (found[:, 0] == rows[:, 0]).all(), name
        if name != "geotiff":  # the same bytes: the same chips, bit for bit
            assert np.array_equal(found, rows), name
            continue
        # Two grey levels may swap chips that are about equally near (to this model of random weights).
        assert found_scores[:, 0].min() > 0.99
        assert np.abs(found_scores - scores).max() < 0.03
        shared = [len(set(a) & set(b)) / 5 for a, b in zip(found.tolist(), rows.tolist(), strict=True)]
        assert np.mean(shared) > 0.95
