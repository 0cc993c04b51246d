"""The published checkpoint of the golden set: it loads as is and computes the published features."""

import json

import numpy as np
import pytest
import torch

from geolocator_gui.ml.model_loading import build_backbone
from geolocator_gui.ml.weights.checkpoint import read_state_dict


@pytest.fixture(scope="module")
def golden(shared_dir):
    return shared_dir / "golden"


def test_features_and_unit_vectors(golden):
    path = golden / "weights_e40_0.7786.pth"
    facts = json.loads((golden / "expected.json").read_text())["checkpoint"]
    checkpoint = read_state_dict(path)
    assert checkpoint.logit_scale == pytest.approx(facts["logit_scale"], abs=1e-6)
    module = build_backbone(facts["architecture"], checkpoint.state, path)
    arrays = np.load(golden / "forward.npz")
    for view in ("satellite", "ground"):
        with torch.inference_mode():
            features = module(torch.from_numpy(arrays[view]))
        unit = torch.nn.functional.normalize(features, dim=-1)
        assert np.abs(features.numpy() - arrays[f"{view}_features"]).max() <= 1e-5
        assert np.abs(unit.numpy() - arrays[f"{view}_unit"]).max() <= 1e-5
