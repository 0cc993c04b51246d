"""Loss and gradients of a batch that is larger than what fits the device at once.

Gradient caching (Gao, Zhang, Han, Callan: "Scaling Deep Contrastive Learning Batch Size under Memory Limited
Setup", 2021): every part of the batch is embedded without a graph, the loss is differentiated with respect
to the features alone, then every part is embedded again and its features' gradients are passed back. Several
processes each embed their share of the batch and see the features of all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, distributed

from geolocator_gui.ml.model import SharedEncoder

Embed = Callable[[Tensor], Tensor]
Loss = Callable[[list[Tensor], Tensor], Tensor]
"""Of the features of every view, all processes' rows, and the inverse temperature."""


def batch_gradients(
    model: SharedEncoder,
    embed: Embed,
    views: Sequence[Tensor],
    loss_of: Loss,
    *,
    micro_batch: int | None = None,
    scale: float = 1.0,
) -> Tensor:
    """Add the gradients of a batch's loss to the parameters; returns the loss, a detached scalar.

    Args:
        model: Its parameters get gradients.
        embed: `model`, perhaps compiled and under autocast.
        views: (B, 3, h, w) each, this process's share of the batch; row i of all views belongs together.
        loss_of: See `Loss`.
        micro_batch: Images embedded at once with a graph; None for whole views, without caching.
        scale: Factor on the gradients (loss scaling in half precision).

    With several processes the parameters' gradients are those of the whole batch on every one of them.
    """
    if micro_batch is None or micro_batch >= len(views[0]):
        loss = _whole(model, embed, views, loss_of, scale)
    else:
        loss = _cached(model, embed, views, loss_of, micro_batch, scale)
    if distributed.is_initialized():
        # The loss is the same everywhere, so is its gradient by the temperature; the backbone's are shares.
        for parameter in model.backbone.parameters():
            if parameter.grad is not None:
                distributed.all_reduce(parameter.grad)
    return loss


def _whole(
    model: SharedEncoder, embed: Embed, views: Sequence[Tensor], loss_of: Loss, scale: float
) -> Tensor:
    loss = loss_of([gather(embed(view)) for view in views], model.logit_scale.exp())
    (loss * scale).backward()  # type: ignore[no-untyped-call]
    return loss.detach()


def _cached(
    model: SharedEncoder,
    embed: Embed,
    views: Sequence[Tensor],
    loss_of: Loss,
    micro_batch: int,
    scale: float,
) -> Tensor:
    states: list[_Random] = []
    features: list[Tensor] = []
    with torch.no_grad():
        for view in views:
            parts = []
            for part in torch.split(view, micro_batch):
                states.append(_Random(part.device))
                parts.append(embed(part).float())
            features.append(torch.cat(parts))
    for feature in features:
        feature.requires_grad_()
    loss = loss_of([gather(feature) for feature in features], model.logit_scale.exp())
    (loss * scale).backward()  # type: ignore[no-untyped-call]
    remembered = iter(states)
    for view, feature in zip(views, features, strict=True):
        assert feature.grad is not None
        for part, gradient in zip(
            torch.split(view, micro_batch), torch.split(feature.grad, micro_batch), strict=True
        ):
            with next(remembered):  # dropout must blank what it blanked before
                again = embed(part)
            again.backward(gradient.to(again.dtype))  # type: ignore[no-untyped-call]
    return loss.detach()


class _Random:
    """The random state of a device as it was; inside the context it is so again."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._then = self._read()

    def _read(self) -> tuple[Tensor, Tensor | None]:
        return torch.get_rng_state(), torch.cuda.get_rng_state() if self._cuda else None

    def _write(self, state: tuple[Tensor, Tensor | None]) -> None:
        torch.set_rng_state(state[0])
        if state[1] is not None:
            torch.cuda.set_rng_state(state[1])

    def __enter__(self) -> None:
        self._now = self._read()
        self._write(self._then)

    def __exit__(self, *_: object) -> None:
        self._write(self._now)


class _Gather(torch.autograd.Function):
    """Rows of all processes, in their order; gradients come back to the process whose rows they are."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, rows.contiguous())
        ctx.count = len(rows)  # type: ignore[attr-defined]
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:  # type: ignore[override]
        count: int = ctx.count  # type: ignore[attr-defined]
        first = distributed.get_rank() * count
        return gradient[first : first + count]


def gather(rows: Tensor) -> Tensor:
    """(W·B, D) rows of all processes from each one's (B, D), float32; the rows themselves in a single one."""
    rows = rows.float()
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return rows
    gathered: Tensor = _Gather.apply(rows)  # type: ignore[no-untyped-call]
    return gathered
