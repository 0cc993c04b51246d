import os
import socket

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing

from geolocator_gui.ml.train.batch_loss import BatchLoss
from geolocator_gui.ml.train.gradcache import batch_gradients
from tests.core.ml.train.training_stand_ins import tiny_model


def views(count: int = 12, looks: int = 2) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    sizes = [(32, 64), (32, 32)] * (looks // 2)
    return [torch.randn(count, 3, *size, generator=generator) for size in sizes]


def gradients(micro_batch: int | None, looks: int = 2, ignore: torch.Tensor | None = None):
    model = tiny_model()
    loss = batch_gradients(
        model, model, views(looks=looks), BatchLoss(0.1, 0.5, ignore), micro_batch=micro_batch
    )
    return loss, {name: value.grad.clone() for name, value in model.named_parameters()}


@pytest.mark.parametrize("looks", [2, 4])
@pytest.mark.parametrize("micro_batch", [1, 5, 6])
def test_caching_gives_the_gradients_of_the_whole_batch(micro_batch, looks):
    ignore = torch.zeros(12, 12, dtype=torch.bool)
    ignore[0, 3] = ignore[3, 0] = True
    whole, expected = gradients(None, looks, ignore)
    cached, found = gradients(micro_batch, looks, ignore)
    assert torch.isclose(whole, cached, atol=1e-6)
    for name, value in expected.items():
        assert torch.allclose(found[name], value, atol=1e-5, rtol=1e-4), name


def _share(rank: int, port: int, folder: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", rank=rank, world_size=2)
    model = tiny_model()
    mine = [view[rank::2] for view in views()]
    micro_batch = 4 if os.environ.get("GEOLOCATOR_TEST_MICRO") else None
    loss = batch_gradients(model, model, mine, BatchLoss(0.1), micro_batch=micro_batch)
    found = {name: value.grad for name, value in model.named_parameters()}
    torch.save({"loss": loss, "gradients": found}, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("micro", ["", "1"])
def test_two_processes_give_the_loss_and_gradients_of_one(tmp_path, monkeypatch, micro):
    monkeypatch.setenv("GEOLOCATOR_TEST_MICRO", micro)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(_share, args=(port, str(tmp_path)), nprocs=2)
    model = tiny_model()
    # Gathered rows stand process by process.
    order = [*range(0, 12, 2), *range(1, 12, 2)]
    whole = [view[order] for view in views()]
    loss = batch_gradients(model, model, whole, BatchLoss(0.1))
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert torch.isclose(found["loss"], loss, atol=1e-6)
        for name, value in model.named_parameters():
            assert torch.allclose(found["gradients"][name], value.grad, atol=1e-5, rtol=1e-4), name


def test_the_mask_takes_candidates_out_of_the_loss():
    rng = np.random.default_rng(0)
    query, reference = (torch.tensor(rng.normal(size=(6, 8)), dtype=torch.float32) for _ in range(2))
    scale = torch.tensor(5.0)
    plain = BatchLoss(0.1)([query, reference], scale)
    nothing = BatchLoss(0.1, ignore=torch.zeros(6, 6, dtype=torch.bool))([query, reference], scale)
    assert torch.isclose(plain, nothing, atol=1e-6)
    # Pair 5 ignored by and ignoring everybody: the mean over the other five is the loss without it.
    ignore = torch.zeros(6, 6, dtype=torch.bool)
    ignore[5, :5] = ignore[:5, 5] = True
    masked = BatchLoss(0.1, ignore=ignore)([query, reference], scale)
    without = BatchLoss(0.1)([query[:5], reference[:5]], scale)
    assert torch.isclose(masked * 6, without * 5, atol=1e-5)
