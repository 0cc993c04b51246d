"""Small stand-ins of the published data sets, built from real lines of their lists."""

from pathlib import Path

import cv2
import numpy as np
import pytest

CVUSA_LINES = {
    1227: "bingmap/19/0001227.jpg,streetview/panos/0001227.jpg,streetview/annotations/0001227.png",
    **{
        n: f"bingmap/19/{n:07d}.jpg,streetview/panos/{n:07d}.jpg,streetview/annotations/{n:07d}.png"
        for n in (1, 2, 3, 4, 5)
    },
}
VIGOR_LINE = (
    "KcuqJn_PuuZq3GERzhqG5Q,41.854423,-87.682638,.jpg "
    "satellite_41.8543505796211_-87.68282621216503.png -71.0 -141.0 "
    "satellite_41.8543505796211_-87.68238562277327.png -74.0 188.0 "
    "satellite_41.85467865207374_-87.68282621216503.png 256.0 -138.0 "
    "satellite_41.85467865207374_-87.68238562277327.png 254.0 190.0"
)
VIGOR_SATELLITES = VIGOR_LINE.split()[1::3]


def picture(path: Path, value: int = 90, size: tuple[int, int] = (8, 16)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((*size, 3), (value, 40, 200), np.uint8))


def written(path: Path, lines: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.fixture
def cvusa(tmp_path: Path) -> Path:
    """Train 1, 2, 3 and 1227; validation 4 and 5."""
    root = tmp_path / "CVUSA"
    written(root / "splits/train-19zl.csv", [CVUSA_LINES[n] for n in (1, 2, 3, 1227)])
    written(root / "splits/val-19zl.csv", [CVUSA_LINES[n] for n in (4, 5)])
    place = "44.750410252126471,-121.224477921547162,44.750453,-121.224609,15.160000"
    written(
        root / "split_locations/all.csv", [place.replace("44.75", f"4{n % 9}.75") for n in range(1, 1300)]
    )
    for line in CVUSA_LINES.values():
        for name in line.split(",")[:2]:
            picture(root / name)
    return root


@pytest.fixture
def vigor(tmp_path: Path) -> Path:
    """Four cities; in each one panorama to train and one to test, five satellites, one nobody's."""
    root = tmp_path / "VIGOR"
    for city in ("Chicago", "NewYork", "SanFrancisco", "Seattle"):
        other = VIGOR_LINE.replace("KcuqJn_PuuZq3GERzhqG5Q", "test_pano").split()
        other[1], other[4] = other[4], other[1]
        splits = root / "splits" / city
        written(splits / "satellite_list.txt", [*VIGOR_SATELLITES, "satellite_41.9_-87.6.png"])
        written(splits / "same_area_balanced_train.txt", [VIGOR_LINE])
        written(splits / "same_area_balanced_test.txt", [" ".join(other)])
        written(splits / "pano_label_balanced.txt", [VIGOR_LINE, " ".join(other)])
        for name in (*VIGOR_SATELLITES, "satellite_41.9_-87.6.png"):
            picture(root / "satellite" / city / name, size=(8, 8))
        for name in (VIGOR_LINE.split()[0], other[0]):
            picture(root / "ground" / city / name)
    return root


@pytest.fixture
def university(tmp_path: Path) -> Path:
    """Buildings 0001 and 0002 to train, 0003 and 0004 to test, 0005 a distractor."""
    root = tmp_path / "University-1652"
    for folder, ids in (
        ("train", (1, 2)),
        ("test/query", (3, 4)),
        ("test/gallery", (3, 4, 5)),
    ):
        for one in ids:
            stem = f"{folder}/" if folder == "train" else f"{folder}_"
            picture(root / f"{stem}satellite/{one:04d}/0000.jpg", size=(8, 8))
            for shot in (1, 2, 3):
                picture(root / f"{stem}drone/{one:04d}/image-{shot:02d}.jpeg", size=(8, 8))
    return root
