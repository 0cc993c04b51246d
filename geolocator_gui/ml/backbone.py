"""The backbones: the only place that imports timm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geolocator_gui.errors import WeightsError

if TYPE_CHECKING:
    from torch import nn

# Libraries of operator schemas live as long as these objects.
_SCHEMAS: list[Any] = []


@dataclass(frozen=True)
class DataDefaults:
    """What timm says of the images a backbone was made for.

    Attributes:
        size: Side of the square input, pixels.
        mean: Per channel, of images scaled to 0..1.
        std: Per channel, of images scaled to 0..1.
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def import_timm() -> Any:
    """Import timm, also where torchvision's compiled operators do not fit the installed torch.

    timm needs only torchvision's Python code, but importing that registers kernels for operators which a
    build of torchvision for another torch does not bring. Declaring the operators lets the import pass;
    nothing in this program calls them.
    """
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library: Any = getattr(torch.library, "Library")("torchvision", "DEF")  # noqa: B009 - it is untyped
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _SCHEMAS.append(library)
    import timm

    return timm


def create_backbone(architecture: str, *, image_size: int | None = None) -> nn.Module:
    """A backbone that turns normalised images (N, 3, H, W) into raw features (N, D), randomly initialised.

    Args:
        architecture: timm name, with or without the tag of its pretrained weights.
        image_size: Side of the square grid that position embeddings are made for (transformers only);
            other sizes are interpolated. None for timm's own.

    Raises:
        WeightsError: timm does not know the name.
    """
    timm = import_timm()
    if not timm.is_model(architecture):
        near = timm.list_models(f"*{architecture.split('.')[0].split('_')[0]}*")[:5]
        hint = f"Names that timm knows: {', '.join(near)}, …" if near else "See timm's list of models."
        raise WeightsError(f"there is no backbone named '{architecture}'", hint=hint)
    module: nn.Module
    size = {} if image_size is None else {"img_size": image_size}
    try:
        # Transformers whose position embeddings can be interpolated take any image size.
        module = timm.create_model(
            architecture, pretrained=False, num_classes=0, dynamic_img_size=True, **size
        )
    except TypeError:
        # This network has no such option (every convolutional one).
        module = timm.create_model(architecture, pretrained=False, num_classes=0)
    return module


def embedding_size(module: nn.Module) -> int:
    """Length of the backbone's output; some networks widen their features once more before the classifier."""
    return int(getattr(module, "head_hidden_size", None) or getattr(module, "num_features"))  # noqa: B009


def data_defaults(architecture: str) -> DataDefaults:
    """Input size, mean and std of the backbone's pretrained weights."""
    timm = import_timm()
    fields = timm.get_pretrained_cfg(architecture)
    if fields is None:
        raise WeightsError(f"there is no backbone named '{architecture}'")
    return DataDefaults(int(fields.input_size[-1]), tuple(fields.mean), tuple(fields.std))
