"""Readers at the published size: every list and every file name of VIGOR and CVUSA, one byte each."""

import os
import time
from pathlib import Path

import pytest

from geolocator_gui.ml.datasets import read_pairs, training_samples

SATELLITES = {"Chicago": 22_308, "NewYork": 23_279, "SanFrancisco": 24_255, "Seattle": 20_776}
PANORAMAS = 105_214


def fill(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True)
    for name in names:
        file = os.open(f"{folder}/{name}", os.O_CREAT | os.O_WRONLY)
        os.write(file, b"-")
        os.close(file)


def seconds(call) -> tuple[object, float]:
    # Of this process alone: how busy the machine is says nothing about the reader.
    began = time.process_time()
    result = call()
    return result, time.process_time() - began


@pytest.mark.slow
def test_vigor_at_full_size_reads_in_seconds(tmp_path: Path, record_testsuite_property) -> None:
    left = PANORAMAS
    for number, (city, count) in enumerate(SATELLITES.items()):
        chips = [f"satellite_{40 + i * 1e-5:.13f}_{-80 - i * 1e-5:.14f}.png" for i in range(count)]
        panoramas = left if number == 3 else round(PANORAMAS * count / sum(SATELLITES.values()))
        left -= panoramas
        lines = []
        for i in range(panoramas):
            four = [chips[(i + step) % count] for step in range(4)]
            lines.append(
                f"KcuqJn_PuuZq3GER{i:06d},{40 + i * 1e-5:.6f},{-80 - i * 1e-5:.6f},.jpg "
                + " ".join(f"{chip} -71.0 -141.0" for chip in four)
            )
        splits = tmp_path / "splits" / city
        splits.mkdir(parents=True)
        (splits / "satellite_list.txt").write_text("\n".join(chips) + "\n")
        (splits / "pano_label_balanced.txt").write_text("\n".join(lines) + "\n")
        (splits / "same_area_balanced_train.txt").write_text("\n".join(lines[::2]) + "\n")
        (splits / "same_area_balanced_test.txt").write_text("\n".join(lines[1::2]) + "\n")
        fill(tmp_path / "satellite" / city, chips)
        fill(tmp_path / "ground" / city, [line.partition(" ")[0] for line in lines])
    test, took_test = seconds(lambda: read_pairs("vigor-same", tmp_path, "val"))
    train, took_train = seconds(lambda: training_samples("vigor-same", tmp_path))
    record_testsuite_property("vigor_seconds", (took_test, took_train))
    assert len(test.reference_paths) == 90_618
    assert len(test.query_paths) + len(train) == PANORAMAS
    assert test.report.missing == train.data.report.missing == 0
    assert max(took_test, took_train) < 5.0


@pytest.mark.slow
def test_cvusa_at_full_size_reads_in_seconds(tmp_path: Path, record_testsuite_property) -> None:
    names = [f"{number:07d}.jpg" for number in range(1, 44_417)]
    fill(tmp_path / "bingmap/19", names)
    fill(tmp_path / "streetview/panos", names)
    lines = [
        f"bingmap/19/{name},streetview/panos/{name},streetview/annotations/{name[:-3]}png" for name in names
    ]
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits/train-19zl.csv").write_text("\n".join(lines[:35_532]))
    (tmp_path / "splits/val-19zl.csv").write_text("\n".join(lines[35_532:]))
    (tmp_path / "split_locations").mkdir()
    place = "44.750410252126471,-121.224477921547162,44.750453,-121.224609,15.160000\n"
    (tmp_path / "split_locations/all.csv").write_text(place * 45_516)
    train, took = seconds(lambda: read_pairs("cvusa", tmp_path, "train"))
    record_testsuite_property("cvusa_seconds", took)
    assert len(train.query_paths) == 35_532
    assert train.report.dropped == train.report.notes == ()
    assert took < 3.0
