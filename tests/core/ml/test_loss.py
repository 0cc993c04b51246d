"""InfoNCE and its gradients against the numbers that the published implementation printed."""

import json

import numpy as np
import pytest
import torch

from geolocator_gui.ml.loss import InfoNCE


def close(got, expected):
    return np.all(np.abs(np.asarray(got) - expected) <= 1e-7 + 1e-5 * np.abs(expected))


@pytest.mark.parametrize("case", [0, 1, 2])
def test_parity_with_published(shared_dir, case):
    facts = json.loads((shared_dir / "golden/expected.json").read_text())["infonce"][case]
    arrays = np.load(shared_dir / "golden/infonce.npz")
    query = torch.tensor(arrays[f"query_{case}"], requires_grad=True)
    reference = torch.tensor(arrays[f"reference_{case}"], requires_grad=True)
    scale = torch.tensor(facts["logit_scale"], requires_grad=True)
    loss = InfoNCE(facts["label_smoothing"])(query, reference, scale.exp())
    loss.backward()
    assert close(loss.item(), facts["loss"])
    assert close(query.grad, arrays[f"grad_query_{case}"])
    assert close(reference.grad, arrays[f"grad_reference_{case}"])
    assert close(scale.grad.item(), facts["grad_logit_scale"])


def test_half_precision_features_are_compared_in_float32():
    rows = torch.nn.functional.normalize(
        torch.randn(6, 32, generator=torch.Generator().manual_seed(0)), dim=-1
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = InfoNCE(0.0)(rows, rows + 0.01, 10.0)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, InfoNCE(0.0)(rows, rows + 0.01, 10.0))
