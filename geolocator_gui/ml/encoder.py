"""The encoder: uint8 images in, unit vectors out, by whichever back-end is fastest on this machine.

No torch at module level: the OpenVINO path with a converted model on disk never loads it.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from geolocator_gui.errors import InputError
from geolocator_gui.ml.backends.choice import choose
from geolocator_gui.ml.transforms import Floats, Pixels, input_size
from geolocator_gui.records import View

if TYPE_CHECKING:
    from geolocator_gui.ml.backends.base import Backend
    from geolocator_gui.ml.backends.choice import Plan
    from geolocator_gui.ml.bundle import Bundle


class Encoder:
    """Turns images that are already at the input size into unit vectors.

    Args:
        bundle: The model.
        device: "auto", "cpu", "cuda", "mps".
        backend: "auto", "torch", "openvino".
        precision: "auto", "fp32", "bf16", "fp16", "int8".
        threads: CPU threads; None for one per core.
        batch_size: Images per pass; None for automatic.
        expected: Images that this encoder will embed in all, if known: decides what preparation pays.

    Raises:
        BundleError: The weights are missing or not the named ones.
        WeightsError: The weights do not fit the architecture.
        ConfigError: What is asked for is not on this machine.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: str = "auto",
        backend: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        batch_size: int | None = None,
        expected: int | None = None,
    ) -> None:
        bundle.verify()
        self.bundle = bundle
        self.config = bundle.config
        self._backend = _open(bundle, choose(device, backend, precision, threads), batch_size, expected)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def description(self) -> dict[str, str]:
        """Device, back-end, precision, threads and library versions, as recorded beside an index."""
        return self._backend.description

    @property
    def batch_size(self) -> int:
        """Images per pass; smaller after the memory ran out."""
        return self._backend.batch_size

    @batch_size.setter
    def batch_size(self, size: int) -> None:
        self._backend.batch_size = size

    def embed(self, images: Pixels, view: View) -> Floats:
        """Vectors of images.

        Args:
            images: uint8 (N, h, w, 3), RGB, at the view's input size (see `transforms.prepare`).
            view: Which of the two inputs they are for.

        Returns:
            float32 (N, D), rows of length 1. A row does not depend on the images beside it.
        """
        height, width = input_size(view, self.config)
        if images.ndim != 4 or images.shape[1:] != (height, width, 3) or images.dtype != np.uint8:
            raise InputError(
                f"the encoder takes uint8 images of {height}x{width}x3, not {images.dtype} {images.shape[1:]}"
            )
        return self._backend.embed(images, view)

    def close(self) -> None:
        """Free the device's memory."""
        self._backend.close()


def _open(bundle: Bundle, plan: Plan, batch_size: int | None, expected: int | None) -> Backend:
    if plan.backend == "openvino":
        from geolocator_gui.ml.backends.openvino_backend import OpenVinoBackend

        return OpenVinoBackend(bundle, plan, batch_size)
    from geolocator_gui.ml.backends.torch_backend import TorchBackend, worth_compiling

    return TorchBackend(bundle, plan, batch_size, compiled=worth_compiling(plan.device, expected))
