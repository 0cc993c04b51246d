"""Readers of published data on stand-ins: layouts, what is missing, what is not as published."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from geolocator_gui.errors import DataError
from geolocator_gui.ml.datasets import KINDS, read_pairs, training_samples
from geolocator_gui.ml.pairs.pair_set import open_pair_set


def reasons(report) -> dict[str, int]:
    return {one.reason: one.count for one in report.dropped}


def test_cvusa_as_published(cvusa: Path) -> None:
    pairs = read_pairs("cvusa", cvusa, "train")
    assert list(pairs.query_label) == [1, 2, 3, 1227]
    assert pairs.query_paths[3] == "streetview/panos/0001227.jpg"
    assert pairs.reference_paths[3] == "bingmap/19/0001227.jpg"
    # Row N from 1 belongs to id N; columns are satellite lat, lon, ground lat, lon.
    assert pairs.reference_lonlat[1] == pytest.approx([-121.224477921547162, 42.750410252126471])
    assert pairs.query_lonlat[1] == pytest.approx([-121.224609, 42.750453])
    assert reasons(pairs.report) == {}
    assert "4 pairs; the published list has 35,532" in " ".join(pairs.report.notes)
    assert pairs.query_image(0).shape == (8, 16, 3)
    assert list(read_pairs("cvusa", cvusa, "val").query_names) == ["0000004", "0000005"]


def test_colours_are_rgb(cvusa: Path) -> None:
    red, _, blue = read_pairs("cvusa", cvusa, "train").query_image(0).reshape(-1, 3).mean(axis=0)
    assert red > 150 > blue


def test_cvusa_missing_images_are_counted(cvusa: Path) -> None:
    (cvusa / "bingmap/19/0000001.jpg").unlink()
    (cvusa / "streetview/panos/0000003.jpg").unlink()
    pairs = read_pairs("cvusa", cvusa, "train")
    assert list(pairs.query_label) == [2, 1227]
    assert reasons(pairs.report) == {
        "the satellite image is not on disk": 1,
        "the panorama is not on disk": 1,
    }
    assert ("bingmap/19/0000001.jpg", "the satellite image is not on disk") in pairs.report.aside
    assert pairs.report.missing == 2


@pytest.mark.parametrize("written", ["input/bingmap/19/{}.jpg", "input19/{}.png", "bingmap/input{}.png"])
def test_cvusa_paths_with_a_prefix_are_found(cvusa: Path, written: str) -> None:
    lines = [f"{written.format(f'{n:07d}')},inputs/panos/{n:07d}.png,x" for n in (1, 2, 3)]
    (cvusa / "splits/train-19zl.csv").write_text("\n".join(lines))
    pairs = read_pairs("cvusa", cvusa, "train")
    assert list(pairs.reference_paths) == [f"bingmap/19/{n:07d}.jpg" for n in (1, 2, 3)]
    assert list(pairs.query_paths) == [f"streetview/panos/{n:07d}.jpg" for n in (1, 2, 3)]
    assert any(written.format("0000001") in note for note in pairs.report.notes)


def test_cvusa_png_beside_jpg(cvusa: Path) -> None:
    (cvusa / "bingmap/19/0000002.jpg").rename(cvusa / "bingmap/19/0000002.png")
    shutil.copy(cvusa / "bingmap/19/0000003.jpg", cvusa / "bingmap/19/0000003.png")
    pairs = read_pairs("cvusa", cvusa, "train")
    assert pairs.reference_paths[1:3] == ["bingmap/19/0000002.png", "bingmap/19/0000003.jpg"]


def test_cvusa_leak_is_named_and_not_trained_on(cvusa: Path) -> None:
    file = cvusa / "splits/train-19zl.csv"
    file.write_text(file.read_text() + (cvusa / "splits/val-19zl.csv").read_text())
    train = read_pairs("cvusa", cvusa, "train")
    assert list(train.query_label) == [1, 2, 3, 1227]
    assert reasons(train.report) == {"the pair also stands in the validation list (leak)": 2}
    assert "2 validation pairs also stand in train-19zl.csv" in " ".join(
        read_pairs("cvusa", cvusa, "val").report.notes
    )


def test_cvusa_bad_lines_do_no_harm(cvusa: Path) -> None:
    file = cvusa / "splits/train-19zl.csv"
    file.write_bytes(
        b"\xef\xbb\xbfsat,ground,annotation\r\n\r\nnonsense\r\nbingmap/19/0000001.jpg,streetview/panos/0000002.jpg,\r\n"
        + file.read_bytes()
        + b"bingmap/19/0000002.jpg,streetview/panos/0000002.jpg\n\xff\xfe"
    )
    (cvusa / "split_locations/all.csv").write_text("1,2\n95,200,3,4\nx,y,z\n")
    pairs = read_pairs("cvusa", cvusa, "train")
    assert list(pairs.query_label) == [1, 2, 3, 1227]
    assert reasons(pairs.report)["a line of train-19zl.csv is not a pair"] == 3
    assert reasons(pairs.report)["a line of train-19zl.csv pairs two different ids"] == 1
    assert reasons(pairs.report)["an id stands twice in train-19zl.csv"] == 1
    assert pairs.query_lonlat is None
    assert any("no position" in note for note in pairs.report.notes)


def test_a_damaged_image_ends_nothing(cvusa: Path) -> None:
    (cvusa / "streetview/panos/0000002.jpg").write_bytes(b"no image")
    pairs = read_pairs("cvusa", cvusa, "train")
    assert pairs.query_image(1).std() == 0
    assert pairs.damaged == {"streetview/panos/0000002.jpg"}
    with pytest.raises(DataError, match="not a whole image"):
        training_samples("cvusa", cvusa).load_ground(1)


def test_limit_keeps_the_references_of_the_first_queries(cvusa: Path) -> None:
    pairs = read_pairs("cvusa", cvusa, "train", 2)
    assert list(pairs.reference_label) == [1, 2]
    assert len(pairs.query_names) == len(pairs.query_lonlat) == pairs.report.found == 2


@pytest.fixture(params=["char", "cell"])
def cvact(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    root = tmp_path / "CVACT"
    ids = [f"-0-1azFwDs3nw3p9g-{n:04d}" for n in range(6)]
    names = np.array(ids) if request.param == "char" else np.array(ids, dtype=object)
    easting = 693_000.0 + 10 * np.arange(6)
    savemat(
        root.with_suffix(".mat"),
        {
            "panoIds": names,
            "utm": np.stack([easting, np.full(6, 6_092_000.0)], axis=1),
            "trainSet": {"trainIds": np.array(["a"]), "trainInd": np.array([[1], [2], [3], [4], [5]])},
            "valSet": {"valIds": np.array(["b"]), "valInd": np.array([[5], [6]])},
        },
    )
    for folder, some in (("ANU_data_small", ids), ("ANU_data_test", ids[:2])):
        for name in some:
            for path in (f"streetview/{name}_grdView.jpg", f"satview_polish/{name}_satView_polish.jpg"):
                (root / folder / path).parent.mkdir(parents=True, exist_ok=True)
                (root / folder / path).write_bytes(b"-")
    root.with_suffix(".mat").rename(root / "ACT_data.mat")
    return root


def test_cvact(cvact: Path) -> None:
    (cvact / "ANU_data_small/satview_polish/-0-1azFwDs3nw3p9g-0001_satView_polish.jpg").unlink()
    train = read_pairs("cvact", cvact, "train")
    # 1-based indices; the fifth also validates.
    assert list(train.query_names) == [f"-0-1azFwDs3nw3p9g-{n:04d}" for n in (0, 2, 3)]
    assert reasons(train.report) == {
        "the pair also stands in the validation list (leak)": 1,
        "the satellite image is not on disk": 1,
    }
    val = read_pairs("cvact", cvact, "val")
    assert list(val.query_names) == [f"-0-1azFwDs3nw3p9g-{n:04d}" for n in (4, 5)]
    lon, lat = val.query_lonlat[0]
    assert 149.0 < lon < 149.3  # Canberra
    assert -35.5 < lat < -35.1
    assert val.side_m == 72.0


def test_cvact_test_set(cvact: Path) -> None:
    pairs = read_pairs("cvact-test", cvact, "train")
    assert len(pairs.query_names) == 2
    assert pairs.query_paths[0].startswith("ANU_data_test/streetview/")
    assert np.isfinite(pairs.query_lonlat).all()
    (cvact / "ACT_data.mat").unlink()
    assert read_pairs("cvact-test", cvact).query_lonlat is None
    with pytest.raises(DataError, match="test set"):
        training_samples("cvact-test", cvact)


def test_cvact_damaged_index(cvact: Path) -> None:
    (cvact / "ACT_data.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(300))
    with pytest.raises(DataError, match=r"ACT_data\.mat"):
        read_pairs("cvact", cvact)


def test_vigor_same_area(vigor: Path) -> None:
    train = read_pairs("vigor-same", vigor, "train")
    assert len(train.query_paths) == 4
    assert len(train.reference_paths) == 4  # only somebody's positive
    test = read_pairs("vigor-same", vigor, "val")
    assert len(test.query_paths) == 4
    assert len(test.reference_paths) == 20  # all satellites of all cities
    assert test.query_label.shape == (4, 4)
    assert test.reference_paths[test.pair_reference[0]].endswith("41.8543505796211_-87.68238562277327.png")
    assert test.query_lonlat[0] == pytest.approx([-87.682638, 41.854423])
    assert test.reference_lonlat[0] == pytest.approx([-87.68282621216503, 41.8543505796211])
    assert test.side_m == pytest.approx(71.2, abs=0.2)
    assert len(set(test.query_names)) == 4  # one panorama's name in four cities


def test_vigor_cross_area(vigor: Path) -> None:
    train, test = read_pairs("vigor-cross", vigor, "train"), read_pairs("vigor-cross", vigor, "val")
    assert {path.split("/")[1] for path in train.query_paths} == {"NewYork", "Seattle"}
    assert {path.split("/")[1] for path in test.reference_paths} == {"SanFrancisco", "Chicago"}
    assert len(test.reference_paths) == 10
    samples = training_samples("vigor-cross", vigor)
    assert samples.semi_positive.shape == (4, 3)


def test_vigor_without_a_city(vigor: Path) -> None:
    shutil.rmtree(vigor / "splits/Seattle")
    pairs = read_pairs("vigor-same", vigor, "val")
    assert len(pairs.query_paths) == 3
    assert "Seattle is left out: splits/Seattle/same_area_balanced_test.txt is missing." in pairs.report.notes


def test_vigor_missing_images_and_bad_lines(vigor: Path) -> None:
    first = vigor / "satellite/Chicago/satellite_41.8543505796211_-87.68238562277327.png"
    first.unlink()
    (vigor / "ground/NewYork/test_pano,41.854423,-87.682638,.jpg").unlink()
    file = vigor / "splits/Seattle/same_area_balanced_test.txt"
    file.write_text(file.read_text() + "half a line\n")
    pairs = read_pairs("vigor-same", vigor, "val")
    assert len(pairs.query_paths) == 2
    assert len(pairs.reference_paths) == 19
    assert reasons(pairs.report) == {
        "a line has not 13 columns (Seattle/same_area_balanced_test.txt)": 1,
        "the satellite image of a panorama is not on disk": 1,
        "a satellite of the list is not on disk": 1,
        "the panorama is not on disk": 1,
    }
    # Labels are places in the list, so they still agree.
    row = pairs.pair_reference[0]
    assert pairs.reference_paths[row].endswith(first.name)


def test_vigor_corrected_lists_go_first(vigor: Path) -> None:
    place = vigor / "splits__corrected/Chicago/same_area_balanced_train__corrected.txt"
    place.parent.mkdir(parents=True)
    line = (vigor / "splits/Chicago/same_area_balanced_train.txt").read_text().split()
    line[1], line[4] = line[4], line[1]
    place.write_text(" ".join(line) + " \n")
    pairs = read_pairs("vigor-same", vigor, "train")
    assert pairs.reference_paths[pairs.pair_reference[0]].endswith(line[1])
    assert any("corrected" in note for note in pairs.report.notes)


def test_vigor_leak(vigor: Path) -> None:
    splits = vigor / "splits/Chicago"
    shutil.copy(splits / "same_area_balanced_test.txt", splits / "same_area_balanced_train.txt")
    train = read_pairs("vigor-same", vigor, "train")
    assert reasons(train.report) == {"the panorama also stands in the test list (leak)": 1}
    assert not any("Chicago" in path for path in train.query_paths)


def test_university(university: Path) -> None:
    d2s = read_pairs("u1652-d2s", university, "val")
    assert (len(d2s.query_paths), len(d2s.reference_paths)) == (6, 3)
    assert (d2s.query_view, d2s.reference_view) == ("ground", "satellite")
    assert list(d2s.reference_label) == [3, 4, 5]
    assert any("1 buildings of the gallery have no query" in note for note in d2s.report.notes)
    s2d = read_pairs("u1652-s2d", university, "val")
    assert (len(s2d.query_paths), len(s2d.reference_paths)) == (2, 9)
    assert (s2d.query_view, s2d.reference_view) == ("satellite", "ground")


def test_university_training_is_the_same_both_ways(university: Path) -> None:
    shutil.rmtree(university / "train/satellite/0002")
    found = [training_samples(kind, university) for kind in ("u1652-d2s", "u1652-s2d")]
    for samples in found:
        assert list(samples.label) == [1, 1, 1]
        assert "/satellite/0001/0000.jpg" in samples.satellite_path(2)
        assert "/drone/0001/image-03.jpeg" in samples.ground_path(2)
        assert samples.load_satellite(0).shape == (8, 8, 3)
    assert found[0].data.report.missing == 1


def test_university_leak(university: Path) -> None:
    for view in ("satellite", "drone"):
        shutil.copytree(university / f"train/{view}/0002", university / f"test/query_{view}/0002")
    pairs = read_pairs("u1652-d2s", university, "train")
    assert set(pairs.query_label) == {1}
    assert reasons(pairs.report) == {"the building is also a query of the test (leak)": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_folder_says_what_was_expected(kind: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        read_pairs(kind, tmp_path / "nowhere")
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(DataError) as caught:
        read_pairs(kind, tmp_path)
    assert "Expected" in caught.value.hint or "expected" in str(caught.value).lower()


def test_lists_without_images_say_so(cvusa: Path) -> None:
    shutil.rmtree(cvusa / "streetview")
    with pytest.raises(DataError, match="no pair has both") as caught:
        read_pairs("cvusa", cvusa)
    assert "2 left out: the panorama is not on disk" in caught.value.hint


def test_every_kind_opens_by_its_name(cvusa: Path) -> None:
    assert open_pair_set(f"cvusa:{cvusa}", split="train", limit=3).name == "cvusa"
    assert open_pair_set("town:3", limit=4).name == "town-3"
    with pytest.raises(DataError, match="not a kind of data"):
        open_pair_set("imagenet:/x")
    with pytest.raises(DataError, match="names no folder"):
        open_pair_set("cvusa:")
