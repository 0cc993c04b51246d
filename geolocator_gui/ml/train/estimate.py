"""What a run will need, before it starts: memory and time, from a few images on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from geolocator_gui.configs import ModelConfig
from geolocator_gui.ml.model import SharedEncoder
from geolocator_gui.ml.train import depthwise
from geolocator_gui.ml.train.batch_loss import BatchLoss
from geolocator_gui.ml.train.gradcache import batch_gradients
from geolocator_gui.ml.train.loop import freeze, pick_device
from geolocator_gui.training import TrainRun

_PROBE = 4
_ALLOCATOR = 1.15  # what allocators and workspaces add to tensors, roughly


@dataclass(frozen=True)
class TrainEstimate:
    """What a run will need; memory is estimated, not measured.

    Attributes:
        device: Where it will run.
        steps: Optimiser steps.
        seconds: Of them all, without evaluations; with caching every image is embedded twice.
        fixed_bytes: Of `bytes_whole`, what does not grow with the batch.
        bytes_whole: Device memory with the whole batch at once.
        bytes_free: Of the device, None where it is not known.
        micro_batch: Images at once that fit, None for the whole batch; 0 where not even one does.
    """

    device: str
    steps: int
    seconds: float
    fixed_bytes: int
    bytes_whole: int
    bytes_free: int | None
    micro_batch: int | None

    def to_dict(self) -> dict[str, object]:
        """JSON-able."""
        return {
            "device": self.device,
            "steps": self.steps,
            "seconds": round(self.seconds, 3),
            "fixed_bytes": self.fixed_bytes,
            "memory_bytes": self.bytes_whole,
            "free_bytes": self.bytes_free,
            "micro_batch": self.micro_batch,
        }


def estimate(run: TrainRun, model: SharedEncoder, bundle: ModelConfig) -> TrainEstimate:
    """Time a step with a few images and count what it keeps for the backward pass.

    Args:
        run: The run.
        model: Its network; weights are not changed.
        bundle: Input sizes.
    """
    device = torch.device(pick_device(run.train.device))
    # As the loop does it: another layout is many times slower on a CPU.
    model = model.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    freeze(model.backbone, run.train.freeze)
    if run.train.fast_depthwise and device.type == "cpu" and depthwise.available():
        depthwise.use_fast_depthwise(model.backbone)
    looks = 4 if run.views.enabled and run.views.inner_contrast else 2
    height, width = bundle.ground_size
    side = bundle.satellite_size
    views = [
        torch.zeros(_PROBE, 3, height, width, device=device),
        torch.zeros(_PROBE, 3, side, side, device=device),
    ]
    views = [view.contiguous(memory_format=torch.channels_last) for view in (views * 2)[:looks]]
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(run.train.precision)

    def embed(images: Tensor) -> Tensor:
        with torch.autocast(device.type, dtype=half, enabled=half is not None):
            features: Tensor = model(images)
            return features

    kept = _kept_bytes(model, embed, views)
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        batch_gradients(model, embed, views, BatchLoss(run.train.label_smoothing))
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
        model.zero_grad(set_to_none=True)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    learned = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    # Weights, their average, gradients and AdamW's two moments, float32.
    fixed = 4 * (parameters * (2 if run.train.ema else 1) + 3 * learned)
    per_pair = kept / _PROBE
    whole = int(_ALLOCATOR * (fixed + per_pair * run.train.batch_size))
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None
    micro = run.train.micro_batch
    if micro is None and free is not None and whole > free:
        # The images of the whole batch stay on the device; only the graph is kept for a part of them.
        images = 12 * looks // 2 * (height * width + side * side) * run.train.batch_size
        room = (free / _ALLOCATOR - fixed - images) / max(1.0, per_pair / looks)
        micro = 1 << (int(room).bit_length() - 1) if room >= 1 else 0
        micro = min(micro, run.train.batch_size)
    per_step = min(seconds) / _PROBE * run.train.batch_size * (4 / 3 if micro else 1)
    seconds_in_all = per_step * run.train.steps
    own = int(_ALLOCATOR * fixed)
    return TrainEstimate(str(device), run.train.steps, seconds_in_all, own, whole, free, micro)


def _kept_bytes(model: nn.Module, embed: object, views: list[Tensor]) -> int:
    """Bytes that the graph of a forward pass over all views holds, weights apart."""
    own = {parameter.data_ptr() for parameter in model.parameters()}
    seen: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in own:
            seen[tensor.data_ptr()] = max(
                seen.get(tensor.data_ptr(), 0), tensor.numel() * tensor.element_size()
            )
        return tensor

    assert callable(embed)
    features = []
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        for view in views:
            features.append(embed(view))
    total = sum(seen.values())
    del features
    return total
