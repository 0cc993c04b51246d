"""A checkpoint of the released size goes all the way: model add, index, localise, by the command line."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch

from geolocator_gui.ml.backbone import create_backbone
from geolocator_gui.paths import demo_dir


def geolocator(home, *words):
    run = subprocess.run(
        [sys.executable, "-m", "geolocator_gui.cli", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=1500,
        env={**os.environ, "GEOLOCATOR_HOME": str(home)},
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_random_convnext_b_is_added_indexes_and_localises(tmp_path):
    home = tmp_path / "home"
    path = tmp_path / "Downloads" / "vigor_cross" / "weights_e40_0.6109.pth"
    path.parent.mkdir(parents=True)
    torch.manual_seed(0)
    state = create_backbone("convnext_base.fb_in22k_ft_in1k_384").state_dict()
    torch.save({"logit_scale": torch.tensor(2.66), **{f"model.{k}": v for k, v in state.items()}}, path)
    assert path.stat().st_size > 340_000_000
    try:
        added = json.loads(geolocator(home, "model", "add", path, "--link", "--json"))
        assert added["name"] == "sample4geo-vigor-cross", "told by path and file name"
        assert added["side_m"] == 71.0

        photos = json.loads((demo_dir() / "demo.json").read_text())["photos"]
        inside = next(photo for photo in photos if photo["file"].startswith("panorama"))
        lon, lat = inside["lon"], inside["lat"]
        index = tmp_path / "index"
        words = ("--imagery", demo_dir() / "town.mbtiles", "--circle", f"{lon},{lat},90")
        built = json.loads(
            geolocator(
                home,
                "index",
                *words,
                "--model",
                "sample4geo-vigor-cross",
                "--out",
                index,
                "--json",
                "--quiet",
            )
        )
        assert 4 <= built["chips"] <= 60
        photo = demo_dir() / "photos" / inside["file"]
        found = json.loads(geolocator(home, "localise", photo, "--index", index, "--json", "--quiet"))
        assert len(found[0]["matches"]) >= 1
        assert found[0]["error"] is None
        assert -1.0 <= found[0]["matches"][0]["score"] <= 1.0
    finally:  # a gigabyte with the converted model
        path.unlink()
        shutil.rmtree(home)
