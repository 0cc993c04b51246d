"""A faster gradient for ConvNeXt's 7 × 7 depthwise convolutions when training on a CPU.

oneDNN computes the gradient of depthwise weights as a blocked dense convolution, 16 × 16 channels at a time,
and spends a third of a training step there. The gradient is a plain correlation: for each of the 49 taps the
product of two shifted images, summed over batch and space. Compiled by numba, on two threads.
"""

from __future__ import annotations

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_KERNEL = 7
_PAD = 3
_THREADS = 2


def available() -> bool:
    """Whether numba is installed."""
    return importlib.util.find_spec("numba") is not None


@cache
def _compiled() -> tuple[Any, ThreadPoolExecutor]:
    import numba

    @numba.njit(nogil=True, fastmath=True)
    def add_products(acc, x0, x1, x2, x3, g0, g1, g2, g3):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        for j in range(acc.size):
            acc[j] += x0[j] * g0[j] + x1[j] * g1[j] + x2[j] * g2[j] + x3[j] * g3[j]

    @numba.njit(nogil=True, fastmath=True)
    def correlate(x, g, acc, first, last, channels):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        # x (B, H+6, (W+6)·C), g (B, H, W·C), acc (7, 7, W·C); four images share one pass over acc.
        length = g.shape[2]
        for n in range(first, last, 4):
            for h in range(g.shape[1]):
                for i in range(7):
                    for j in range(7):
                        s = j * channels
                        add_products(
                            acc[i, j],
                            x[n, h + i, s : s + length],
                            x[n + 1, h + i, s : s + length],
                            x[n + 2, h + i, s : s + length],
                            x[n + 3, h + i, s : s + length],
                            g[n, h],
                            g[n + 1, h],
                            g[n + 2, h],
                            g[n + 3, h],
                        )

    return correlate, ThreadPoolExecutor(_THREADS - 1, thread_name_prefix="depthwise")


@torch.library.custom_op("geolocator::depthwise_weight_gradient", mutates_args=())
def weight_gradient(image: Tensor, gradient: Tensor) -> Tensor:
    """Gradient (C, 1, 7, 7) of the weights; `image` and `gradient` are (B, C, H, W), padding 3, stride 1."""
    count, channels, height, width = image.shape
    short = -count % 4
    x = torch.zeros(count + short, height + 2 * _PAD, width + 2 * _PAD, channels)
    x[:count, _PAD:-_PAD, _PAD:-_PAD].copy_(image.permute(0, 2, 3, 1))
    g = torch.zeros(count + short, height, width, channels)
    g[:count].copy_(gradient.permute(0, 2, 3, 1))
    x_rows = x.view(count + short, height + 2 * _PAD, -1).numpy()
    g_rows = g.view(count + short, height, -1).numpy()
    acc = np.zeros((_THREADS, _KERNEL, _KERNEL, width * channels), np.float32)
    correlate, pool = _compiled()
    half = (count + short) // 8 * 4
    other = pool.submit(correlate, x_rows, g_rows, acc[1], 0, half, channels)
    correlate(x_rows, g_rows, acc[0], half, count + short, channels)
    other.result()
    taps = acc.sum(axis=0).reshape(_KERNEL, _KERNEL, width, channels).sum(axis=2)
    return torch.from_numpy(taps).permute(2, 0, 1)[:, None].contiguous().to(image.dtype)


@weight_gradient.register_fake
def _(image: Tensor, gradient: Tensor) -> Tensor:
    return image.new_empty(image.shape[1], 1, _KERNEL, _KERNEL)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(image, weight)
        return nn.functional.conv2d(image, weight, bias, padding=_PAD, groups=image.shape[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        image, weight = ctx.saved_tensors
        to_image = torch.ops.aten.convolution_backward(
            gradient,
            image,
            weight,
            [image.shape[1]],
            [1, 1],
            [_PAD, _PAD],
            [1, 1],
            False,
            [0, 0],
            image.shape[1],
            [True, False, False],
        )[0]
        return to_image, weight_gradient(image, gradient), gradient.sum((0, 2, 3))


class FastDepthwise(nn.Conv2d):
    """A 7 × 7 depthwise convolution with bias, padding 3, stride 1, whose weights' gradient is our own."""

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) from (B, C, H, W), in autocast's dtype where autocast is on."""
        if not (self.training and torch.is_grad_enabled()):
            return super().forward(image)
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else image.dtype
        assert self.bias is not None
        result: Tensor = _Depthwise.apply(  # type: ignore[no-untyped-call]
            image.to(dtype), self.weight.to(dtype), self.bias.to(dtype)
        )
        return result


def use_fast_depthwise(backbone: nn.Module) -> int:
    """Let every fitting convolution of a backbone use it; returns how many there are."""
    count = 0
    for module in backbone.modules():
        if (
            type(module) is nn.Conv2d
            and module.groups == module.in_channels == module.out_channels
            and module.kernel_size == (_KERNEL, _KERNEL)
            and module.padding == (_PAD, _PAD)
            and module.stride == (1, 1)
            and module.bias is not None
        ):
            module.__class__ = FastDepthwise
            count += 1
    return count
