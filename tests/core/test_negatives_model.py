"""The inspector's plain parts: a mining as arrays, order and filters, plots, weak places, exports. No Qt."""

import csv
import io
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from geolocator_gui.errors import DataError, InputError
from geolocator_gui.events import finish
from geolocator_gui.gui.negatives import colours
from geolocator_gui.gui.negatives.exporting import gather
from geolocator_gui.gui.negatives.ordering import Filter, Lister
from geolocator_gui.gui.negatives.plotting import histogram, inside, thinned
from geolocator_gui.gui.negatives.result import SUSPECT, finished_minings, open_result
from geolocator_gui.gui.negatives.weak_places import weak_places
from geolocator_gui.gui.tokens import contrast
from geolocator_gui.marks import Mark, Marks
from geolocator_gui.ml.mining.mine import mine
from geolocator_gui.ml.mining.parts import MiningData
from geolocator_gui.report.confusions import csv_text, geojson, write_confusions
from geolocator_gui.report.contact_sheet import SheetContext, contact_sheet_html

LON, LAT = 20.75, 60.17


def mining(folder: Path, count: int = 60, *, seed: int = 3) -> Path:
    """Photos near their chips, every fifth one nearer to the next chip, one without a chip."""
    rng = np.random.default_rng(seed)
    chips = rng.normal(size=(count, 24))
    chips /= np.linalg.norm(chips, axis=1, keepdims=True)
    photos = chips + rng.normal(size=chips.shape) * 0.05
    wrong = np.arange(0, count - 1, 5)
    photos[wrong] = 0.5 * chips[wrong] + chips[wrong + 1]
    photos /= np.linalg.norm(photos, axis=1, keepdims=True)
    lonlat = np.stack([LON + np.arange(count) % 8 * 0.002, LAT + np.arange(count) // 8 * 0.001], axis=1)
    positive = np.arange(count)
    positive[-1] = -1
    own = lonlat + rng.normal(size=lonlat.shape) * 1e-5
    own[-1] = np.nan
    data = MiningData(
        query_vectors=photos.astype(np.float32),
        chip_vectors=chips.astype(np.float32),
        query_ids=np.array([f"photo:{i:04d}" for i in range(count)]),
        chip_ids=np.array([f"chip:town/80m/{i}" for i in range(count)]),
        positive=positive,
        query_lonlat=own,
        chip_lonlat=lonlat,
        side_m=80.0,
        query_files=np.array([f"/photos/img_{count - i:04d}.jpg" for i in range(count)]),
        query_area=np.array(["Harbour" if i % 2 else "Hill" for i in range(count)]),
    )
    finish(mine(data, folder, neighbours=12, about={"model": "toy", "attribution": "© <nobody>"}))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mining(tmp_path_factory.mktemp("workspace") / "mining" / "first")


def test_the_arrays_say_what_the_tables_say(folder: Path) -> None:
    import pandas as pd

    result = open_result(folder)
    table = pd.read_parquet(folder / "queries.parquet")
    assert result.ids.tolist() == table["query"].tolist()
    assert result.rank.tolist() == table["rank"].tolist()
    np.testing.assert_allclose(result.margin, table["margin"].to_numpy(float))
    assert result.names[0] == "img_0060.jpg"
    assert result.positive[-1] == -1
    assert result.place(59) is None
    assert result.pair_key(59) is None
    assert result.pair_key(3) == ("photo:0003", "chip:town/80m/3")
    assert (result.flag == SUSPECT).tolist() == table["suspect_pair"].tolist()


def test_the_candidates_of_one_query_come_by_rank_without_its_own_chip(folder: Path) -> None:
    result = open_result(folder)
    for row in (0, 7, 58):
        found = result.candidates(row)
        assert [c.rank for c in found] == sorted(c.rank for c in found)
        assert [c.place for c in found] == list(range(len(found)))
        assert result.positive[row] not in [c.chip for c in found]
        hardest = next(c for c in found if c.chip == result.hardest[row])
        assert hardest.margin == pytest.approx(float(result.margin[row]), abs=1e-6)
    assert result.candidates(0)[0].chip == 1
    assert result.candidates(0)[0].margin < 0


def test_a_chips_outline_is_its_side_on_the_ground(folder: Path) -> None:
    result = open_result(folder)
    bounds, centre = result.chips.bounds(5), result.chips.place(5)
    metres = (bounds.east - bounds.west) * np.pi / 180 * 6378137 * np.cos(np.radians(centre.lat))
    assert metres == pytest.approx(80, rel=1e-6)
    assert bounds.south < centre.lat < bounds.north
    from geolocator_gui.geo.grid import Chips as GridChips

    one = np.array([0])
    grid = GridChips(
        one, np.array([centre.lon]), np.array([centre.lat]), np.array([80.0]), one, one, one.astype(np.int8)
    )
    np.testing.assert_allclose(grid.bounds()[0], bounds, atol=1e-9)


def test_an_unfinished_and_a_damaged_mining_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no finished mining"):
        open_result(tmp_path / "none")
    broken = tmp_path / "mining" / "broken"
    broken.mkdir(parents=True)
    for name in ("mining.json", "chips.parquet"):
        (broken / name).write_bytes((folder / name).read_bytes())
    (broken / "queries.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match="damaged"):
        open_result(broken)
    assert finished_minings(tmp_path / "mining") == [broken]
    assert finished_minings(tmp_path / "nowhere") == []


def test_sorting_is_stable_and_unknown_comes_last_either_way(folder: Path) -> None:
    result = open_result(folder)
    lister, everything = Lister(result), np.ones(60, bool)
    by_rank = lister.rows(everything, "rank")
    assert by_rank[-1] == 59  # it has no chip, so no rank
    assert lister.rows(everything, "rank", descending=True)[-1] == 59
    ranks = result.rank[by_rank[:-1]]
    assert (np.diff(ranks) >= 0).all()
    same = by_rank[:-1][ranks == 1]
    assert (np.diff(same) > 0).all()
    assert lister.rows(everything, "photo").tolist() == list(range(59, -1, -1))
    assert lister.rows(everything, "margin")[0] == np.nanargmin(result.margin)


def test_filters_hold_together(folder: Path) -> None:
    result = open_result(folder)
    lister, judged = Lister(result), np.zeros(60, bool)
    judged[[2, 4]] = True
    assert lister.mask(Filter(text="harbour IMG_0001"), judged).nonzero()[0].tolist() == [59]
    assert lister.mask(Filter(text="photo:0007"), judged).nonzero()[0].tolist() == [7]
    assert lister.mask(Filter(judged="judged"), judged).nonzero()[0].tolist() == [2, 4]
    assert lister.mask(Filter(judged="open"), judged).sum() == 58
    outranked = lister.mask(Filter(margin=(None, 0.0)), judged)
    assert set(outranked.nonzero()[0]) == set(np.flatnonzero(result.margin <= 0))
    assert outranked.sum() >= 12
    both = lister.mask(Filter(margin=(None, 0.0), rows=frozenset({0, 1, 2, 5})), judged)
    assert both.nonzero()[0].tolist() == [0, 5]
    assert (
        lister.mask(Filter(flags=frozenset({"far_twin"})), judged).nonzero()[0].tolist()
        == np.flatnonzero(result.flag == 3).tolist()
    )
    assert Filter().is_empty
    assert not Filter(text="x").is_empty


def test_a_hundred_thousand_queries_sort_and_filter_at_once(folder: Path) -> None:
    from dataclasses import replace

    small, many = open_result(folder), 100_000
    rng = np.random.default_rng(0)
    names = np.array([f"img_{i:06d}.jpg" for i in range(many)], object)
    take = rng.integers(0, 59, many)
    big = replace(
        small,
        **{
            field: getattr(small, field)[take]
            for field in (
                "files",
                "areas",
                "lon",
                "lat",
                "positive",
                "cosine",
                "rank",
                "hardest",
                "distance_m",
            )
        },
        **{field: getattr(small, field)[take] for field in ("flag", "suspect", "x", "y")},
        margin=rng.normal(size=many).astype(np.float32),
        ids=names,
        names=names,
    )
    lister, judged = Lister(big), np.zeros(many, bool)
    lister.mask(Filter(text="warm"), judged)
    lister.rows(np.ones(many, bool), "photo")
    for column, wanted in (
        ("margin", Filter()),
        ("photo", Filter(text="9999")),
        ("rank", Filter(margin=(0, None))),
    ):
        begin = time.process_time()
        rows = lister.rows(lister.mask(wanted, judged), column)
        assert time.process_time() - begin < 0.25, column
        assert len(rows)


def test_a_lasso_encloses_what_lies_inside_also_of_a_dented_line() -> None:
    x, y = np.meshgrid(np.arange(5.0), np.arange(5.0))
    dented = np.array([(-0.5, -0.5), (4.5, -0.5), (4.5, 4.5), (2.0, 1.5), (-0.5, 4.5)])
    found = inside(x.ravel(), y.ravel(), dented)
    assert {(a, b) for a, b in zip(x.ravel()[found], y.ravel()[found], strict=True)} >= {
        (0, 0),
        (4, 3),
        (0, 3),
    }
    assert not found[(x.ravel() == 2) & (y.ravel() == 2)].any()
    assert not inside(x.ravel(), y.ravel(), dented[:2]).any()


def test_histograms_count_everything_that_is_known() -> None:
    values = np.concatenate([np.random.default_rng(1).normal(size=500), [np.nan, np.nan, 1e6]])
    counted = histogram(values)
    assert counted.counts.sum() == 501
    assert counted.left_out == 2
    assert counted.edges[-1] < 10  # one wild value does not flatten the rest
    assert histogram(np.array([np.nan])).counts.sum() == 0
    assert histogram(np.array([5.0, 500.0, 50_000.0]), log=True).edges[0] >= 0
    assert len(thinned(1_000_000, 500)) == 500
    assert thinned(3, 500).tolist() == [0, 1, 2]


def test_colours_go_from_yellow_to_blue_and_numbers_stay_readable() -> None:
    worst, best = colours.hex_of(-1.0, 0.1), colours.hex_of(1.0, 0.1)
    assert worst == "#fde725"
    assert best == "#482475"
    assert colours.hex_of(None, 0.1) == "#888888"
    for margin in np.linspace(-0.1, 0.1, 21):
        colour = colours.hex_of(float(margin), 0.1)
        assert (
            contrast(colour, colours.ink_on(colour)) >= 4.5 or contrast(colour, colours.ink_on(colour)) >= 4.2
        )
    assert colours.span_of(np.array([np.nan], np.float32)) == 0.05


def test_weak_places_are_medians_of_the_photos_that_lie_there(folder: Path) -> None:
    result = open_result(folder)
    found = weak_places(result)
    assert found.count.sum() == 59  # the photo without a position lies nowhere
    assert np.isfinite(found.median).sum() == (found.count > 0).sum()
    assert found.median.min() >= np.nanmin(result.margin) - 1e-6
    picture = found.picture(0.1)
    assert picture.shape == (*found.median.shape, 4)
    assert ((picture[..., 3] > 0) == (found.count > 0)).all()
    west = found.bounds.west
    column = int((result.lon[0] - west) / (found.bounds.east - west) * found.median.shape[1])
    assert found.count[:, column].sum() > 0


def test_exports_hold_verdicts_positions_and_no_formula(folder: Path, tmp_path: Path) -> None:
    result = open_result(folder)
    rival = result.candidates(5)[0].id
    marks = Marks(
        [
            Mark("photo:0005", rival, "hard", "=HYPERLINK(1) <b>"),
            Mark("photo:0000", "chip:town/80m/0", "bad_pair"),
        ]
    )
    confusions = gather(result, [5, 0, 59], marks, most=3)
    assert [len(c.impostors) for c in confusions] == [3, 3, 3]
    rows = list(csv.DictReader(io.StringIO(csv_text(confusions, attribution="© <nobody>"))))
    assert len(rows) == 9
    assert rows[0]["verdict"] == "hard"
    assert rows[0]["note"].startswith("'=HYPERLINK")
    assert rows[6]["own_chip"] == ""
    assert rows[0]["attribution"] == "© <nobody>"
    shapes = geojson(confusions)["features"]
    kinds = [shape["properties"]["kind"] for shape in shapes]
    assert kinds.count("confusion") == 6  # the photo without a position is joined to nothing
    assert kinds.count("photo") == 2
    line = next(shape for shape in shapes if shape["properties"]["kind"] == "confusion")
    assert line["geometry"]["coordinates"][0] == pytest.approx(list(result.place(5)))
    write_confusions(tmp_path / "out.geojson", confusions)
    assert json.loads((tmp_path / "out.geojson").read_text("utf-8"))["type"] == "FeatureCollection"
    with pytest.raises(InputError, match="no known format"):
        write_confusions(tmp_path / "out.xlsx", confusions)


def test_the_contact_sheet_is_escaped_and_loads_nothing(folder: Path) -> None:
    result = open_result(folder)
    rival = result.candidates(5)[0].id
    marks = Marks([Mark("photo:0005", rival, "hard", "<script>alert(1)</script>")])
    context = SheetContext("first <b>", "toy", result.attribution, "2026-01-01T00:00:00+00:00")
    page = contact_sheet_html(gather(result, [5], marks), context)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "first &lt;b&gt;" in page
    assert "© &lt;nobody&gt;" in page
    assert "default-src 'none'" in page
    assert "http://" not in page
    assert "https://" not in page
    assert "keep as hard" in page


def test_judged_impostors_come_along_on_the_contact_sheet_at_any_rank(folder: Path) -> None:
    result = open_result(folder)
    candidates = result.candidates(5)
    far = candidates[9]
    marks = Marks([Mark("photo:0005", far.id, "same_place", "same mill")])
    context = SheetContext("first", "toy", "", "2026-01-01T00:00:00+00:00", most=5)
    page = contact_sheet_html(gather(result, [5], marks), context)
    assert "same mill" in page
    assert page.count("<figcaption><b>") == 1 + 5 + 1  # own chip, the first five, the judged one
    assert f"<b>{far.rank:,}</b>" in page
    assert f"<b>{candidates[7].rank:,}</b>" not in page


def test_a_photo_without_a_position_is_told_as_such(folder: Path) -> None:
    from geolocator_gui.gui.negatives.bench import in_words

    result = open_result(folder)
    result.lon[58], result.positive[58], result.rank[58] = LON, -1, 0
    assert result.place(59) is None
    assert "is not known" in in_words(result, 59)[0]
    assert in_words(result, 58)[0] == "No chip of the index holds this photo."


def test_a_contact_sheet_with_pictures(root: Path, folder: Path) -> None:
    from dataclasses import replace

    imagery = root / "resources" / "demo" / "town.mbtiles"
    photo = root / "resources" / "demo" / "photos" / "photo_01.jpg"
    if not imagery.exists():
        pytest.skip("the demo town is not in this checkout")
    confusions = [replace(item, file=str(photo)) for item in gather(open_result(folder), [5], Marks())]
    page = contact_sheet_html(
        confusions, SheetContext("first", "toy", "made up", "2026-01-01T00:00:00+00:00", str(imagery), most=2)
    )
    assert page.count("data:image/jpeg") == 4  # the photo, its own chip, two impostors


def test_the_model_of_a_mining_needs_neither_qt_nor_torch() -> None:
    code = (
        "import sys, geolocator_gui.gui.negatives.result, geolocator_gui.gui.negatives.ordering, "
        "geolocator_gui.gui.negatives.exporting, geolocator_gui.gui.negatives.weak_places, "
        "geolocator_gui.report.contact_sheet\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'PySide6', 'torch', 'pandas', 'pyqtgraph'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
