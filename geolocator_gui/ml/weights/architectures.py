"""Tells the architecture from the weights alone: every ConvNeXt that timm has a name for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from geolocator_gui.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

# Widths of the four stages and blocks in each (Liu et al., CVPR 2022; timm's smaller and test variants).
_Stages = tuple[int, ...]
_SIZES: dict[tuple[_Stages, _Stages], str] = {
    ((32, 64, 128, 256), (2, 2, 4, 2)): "zepto",
    ((40, 80, 160, 320), (2, 2, 6, 2)): "atto",
    ((48, 96, 192, 384), (2, 2, 6, 2)): "femto",
    ((64, 128, 256, 512), (2, 2, 6, 2)): "pico",
    ((80, 160, 320, 640), (2, 2, 8, 2)): "nano",
    ((96, 192, 384, 768), (3, 3, 9, 3)): "tiny",
    ((96, 192, 384, 768), (3, 3, 27, 3)): "small",
    ((128, 256, 512, 1024), (3, 3, 27, 3)): "base",
    ((192, 384, 768, 1536), (3, 3, 27, 3)): "large",
    ((256, 512, 1024, 2048), (3, 3, 27, 3)): "xlarge",
    ((352, 704, 1408, 2816), (3, 3, 27, 3)): "huge",
    ((384, 768, 1536, 3072), (3, 4, 30, 3)): "xxlarge",
}
_TEST_SIZES: dict[tuple[_Stages, _Stages], str] = {
    ((24, 32, 48, 64), (1, 2, 4, 2)): "test_convnext",
    ((32, 64, 96, 128), (1, 1, 1, 1)): "test_convnext2",
}
_STAGES = range(4)
_HINT = "Name the architecture with --architecture (a timm name, such as vit_base_patch14_dinov2)."


def recognise_architecture(state: Mapping[str, Tensor], path: Path | str = "") -> str:
    """Timm name of a ConvNeXt state dict with bare keys.

    Names of equal networks with other pretrained weights (the tag after the dot) cannot be told apart.

    Raises:
        WeightsError: It is no ConvNeXt, or one of a size that has no name.
    """
    first = [state.get(f"stages.{stage}.blocks.0.conv_dw.weight") for stage in _STAGES]
    if "stem.0.weight" not in state or any(weight is None or weight.ndim != 4 for weight in first):
        some = ", ".join(sorted(key for key in state if key)[:2])
        raise WeightsError(
            "the architecture cannot be told: these are not the weights of a ConvNeXt"
            + (f" (keys such as {some})" if some else ""),
            path=path or None,
            hint=_HINT,
        )
    widths = tuple(int(weight.shape[0]) for weight in first if weight is not None)
    depths = tuple(
        len({key.split(".")[3] for key in state if key.startswith(f"stages.{stage}.blocks.")})
        for stage in _STAGES
    )
    if test := _TEST_SIZES.get((widths, depths)):
        kernels = {int(weight.shape[-1]) for weight in first if weight is not None}
        return "test_convnext3" if test == "test_convnext2" and kernels != {7} else test
    size = _SIZES.get((widths, depths))
    if size is None:
        raise WeightsError(
            f"timm has no name for a ConvNeXt of widths {'-'.join(map(str, widths))} "
            f"and depths {'-'.join(map(str, depths))}",
            path=path or None,
            hint=_HINT,
        )
    if any(".mlp.grn." in key for key in state):
        return f"convnextv2_{size}"
    name = f"convnext_{size}"
    if "stages.0.blocks.0.norm.weight" in state and "stages.0.blocks.0.norm.bias" not in state:
        name += "_rms"
    stem_convs = sum(key.startswith("stem.") and state[key].ndim == 4 for key in state)
    if stem_convs > 1:
        name += "_ols"
    if "norm_pre.weight" in state:
        name += "_hnf"
    if "head.pre_logits.fc.weight" in state:
        name += "_mlp"
    return name
