"""The network by PyTorch: on a GPU, and on CPUs that OpenVINO does not serve."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from geolocator_gui.ml.backends.base import EXACT, Backend
from geolocator_gui.ml.transforms import Floats, Pixels, input_size
from geolocator_gui.records import View

if TYPE_CHECKING:
    from geolocator_gui.ml.backends.choice import Plan
    from geolocator_gui.ml.bundle import Bundle

log = logging.getLogger(__name__)

# Compiling takes a minute or more; it gains perhaps a third, so it pays for itself from about here on.
_COMPILE_FROM = 50_000
_CPU_PIXELS = 384 * 384
_CPU_MOST = 4
_GPU_MOST = 256


class TorchBackend(Backend):
    """Half precision by autocast, normalisation in float32, images in channels_last memory.

    Args:
        bundle: The model.
        plan: Device, precision, threads.
        batch_size: Images per pass; None for what fits.
        compiled: Whether to compile with `torch.compile`.
    """

    def __init__(
        self, bundle: Bundle, plan: Plan, batch_size: int | None = None, *, compiled: bool = False
    ) -> None:
        if "torch" not in sys.modules:
            # Threads that wait asleep instead of spinning leave the cores to the window and other runs.
            os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        import torch

        from geolocator_gui.ml.model_loading import PixelsToVectors, load_backbone

        self._bundle, self._device, self._precision = bundle, plan.device, plan.precision
        if plan.device == "cpu":
            torch.set_num_threads(plan.threads)
        self._threads = plan.threads
        network: Any = PixelsToVectors(load_backbone(bundle), bundle.config).to(plan.device)
        self._network: Any = network.to(memory_format=torch.channels_last)
        if self._precision != "fp32" and not plan.given:
            self._check_precision()
        if compiled:
            self._network = torch.compile(self._network)
        self._compiled = compiled
        self.batch_size = batch_size or self._fitting_batch()

    @property
    def description(self) -> dict[str, str]:
        """Device, back-end, precision, threads, versions."""
        import torch

        facts = {"device": self._device, "backend": "torch", "precision": self._precision}
        if self._device == "cpu":
            facts["threads"] = str(self._threads)
        elif self._device == "cuda":
            facts["device_name"] = torch.cuda.get_device_name()
        if self._compiled:
            facts["compiled"] = "yes"
        return {**facts, "torch": torch.__version__}

    def embed(self, images: Pixels, view: View) -> Floats:
        """Unit vectors, float32 (N, D), of uint8 images (N, h, w, 3) at the view's input size."""
        vectors = np.empty((len(images), self._bundle.config.embedding_size), dtype=np.float32)
        start = 0
        while start < len(images):
            size = self.batch_size if view == "satellite" else min(self.batch_size, _at_least(len(images)))
            part = images[start : start + size]
            try:
                vectors[start : start + len(part)] = self._pass(part, size)[: len(part)]
            except (MemoryError, RuntimeError) as error:
                if not out_of_memory(error) or self.batch_size == 1:
                    raise
                self.batch_size = max(1, self.batch_size // 2)
                self._free()
                log.warning("out of memory: continuing with %d images per pass", self.batch_size)
                continue
            start += len(part)
        return vectors

    def close(self) -> None:
        """Let go of the weights and the device's memory."""
        self._network = None
        self._free()

    def _pass(self, part: Pixels, size: int) -> Floats:
        import torch

        if len(part) < size:
            part = np.concatenate([part, np.zeros((size - len(part), *part.shape[1:]), dtype=np.uint8)])
        pixels = torch.from_numpy(np.ascontiguousarray(part))
        if self._device == "cuda":
            pixels = pixels.pin_memory()
        with torch.inference_mode(), self._autocast():
            unit = self._network(pixels.to(self._device, non_blocking=True))
        return np.asarray(unit.cpu().numpy(), dtype=np.float32)

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        import torch

        if self._precision == "fp32":
            return contextlib.nullcontext()
        dtype = torch.bfloat16 if self._precision == "bf16" else torch.float16
        return torch.autocast(self._device, dtype=dtype)

    def _check_precision(self) -> None:
        """Fall back to float32 where this model in this precision on this device is inexact."""
        height, width = input_size("satellite", self._bundle.config)
        noise = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
        reduced = self._pass(noise, 1)
        wanted, self._precision = self._precision, "fp32"
        cosine = float((reduced * self._pass(noise, 1)).sum())
        if cosine >= EXACT:  # also False for NaN
            self._precision = wanted
        else:
            log.warning("%s gives a cosine of only %.5f to fp32 here: using fp32", wanted, cosine)

    def _fitting_batch(self) -> int:
        """Images per pass: enough to keep the device busy, and a quarter of its free memory at most."""
        import torch

        height, width = input_size("satellite", self._bundle.config)
        if self._device != "cuda":
            return int(min(_CPU_MOST, max(1, _CPU_PIXELS // (height * width))))
        free, _ = torch.cuda.mem_get_info()
        # The widest activations of a ConvNeXt take about 4 x width / 16 numbers per pixel, a few at a time.
        per_image = height * width * 4 * 64
        fitting = int(free / 4 / per_image)
        return max(1, min(_GPU_MOST, 1 << max(0, fitting.bit_length() - 1)))

    def _free(self) -> None:
        if self._device == "cuda":
            import torch

            torch.cuda.empty_cache()
        elif self._device == "mps":
            import torch

            torch.mps.empty_cache()


def worth_compiling(device: str, images: int | None) -> bool:
    """Whether a job of so many images wins back the time that compiling takes."""
    return device == "cuda" and images is not None and images >= _COMPILE_FROM


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    return isinstance(error, MemoryError) or "out of memory" in str(error).lower() or "alloc" in str(error)


def _at_least(count: int) -> int:
    """The power of two that holds `count` images: few shapes, little waste."""
    return 1 << max(0, count - 1).bit_length()
