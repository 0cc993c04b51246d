"""The network by PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geolocator_gui.ml.transforms import Floats, Pixels

if TYPE_CHECKING:
    from geolocator_gui.ml.bundle import Bundle


class TorchBackend:
    """Eager float32 on the CPU."""

    def __init__(self, bundle: Bundle, *, threads: int | None = None) -> None:
        import torch

        from geolocator_gui.ml.model_loading import load_backbone

        if threads is not None:
            torch.set_num_threads(threads)
        self._module: Any = load_backbone(bundle)
        mean = torch.tensor(bundle.config.mean).view(1, 3, 1, 1) * 255
        std = torch.tensor(bundle.config.std).view(1, 3, 1, 1) * 255
        self._shift, self._scale = mean, 1 / std

    @property
    def description(self) -> dict[str, str]:
        """Device, back-end, precision, version."""
        import torch

        return {"device": "cpu", "backend": "torch", "precision": "fp32", "torch": torch.__version__}

    def embed(self, images: Pixels) -> Floats:
        """Unit vectors, float32 (N, D), of uint8 images (N, h, w, 3)."""
        import torch

        with torch.inference_mode():
            pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
            features = self._module((pixels - self._shift) * self._scale)
            unit = torch.nn.functional.normalize(features.float(), dim=-1)
            return np.asarray(unit.numpy(), dtype=np.float32)

    def close(self) -> None:
        """Let go of the weights."""
        self._module = None
