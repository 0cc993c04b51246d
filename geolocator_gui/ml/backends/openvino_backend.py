"""The network by OpenVINO, the fastest way on x86 CPUs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geolocator_gui.ml.backends.base import EXACT, Backend
from geolocator_gui.ml.backends.openvino_model import (
    converted_model,
    discard,
    import_openvino,
    measured_cosine,
)
from geolocator_gui.ml.transforms import Floats, Pixels, input_size
from geolocator_gui.records import View

if TYPE_CHECKING:
    from geolocator_gui.ml.backends.choice import Plan
    from geolocator_gui.ml.bundle import Bundle

log = logging.getLogger(__name__)

_TYPES = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
_MOST_PER_PASS = 4
_PIXELS_PER_PASS = 384 * 384


class OpenVinoBackend(Backend):
    """A compiled model per view, each made when it is first needed.

    Satellite chips come in thousands: one request per thread, each on one core, no waiting for each other.
    A ground image comes alone and someone waits for it: all threads work on one request.

    Args:
        bundle: The model.
        plan: Precision and threads.
        batch_size: Images per request; None for as many as keep a core busy without costing latency.
    """

    def __init__(self, bundle: Bundle, plan: Plan, batch_size: int | None = None) -> None:
        self._bundle, self._plan = bundle, plan
        self._core = import_openvino().Core()
        self._queues: dict[View, Any] = {}
        self._precision = plan.precision
        if plan.precision == "bf16" and not plan.given and measured_cosine(bundle, "bf16") < EXACT:
            log.warning("bf16 is inexact for this model: using fp32")
            self._precision = "fp32"
        height, width = input_size("satellite", bundle.config)
        self.batch_size = batch_size or max(1, min(_MOST_PER_PASS, _PIXELS_PER_PASS // (height * width)))

    @property
    def description(self) -> dict[str, str]:
        """Device, back-end, precision, threads, versions."""
        return {
            "device": "cpu",
            "backend": "openvino",
            "precision": self._precision,
            "threads": str(self._plan.threads),
            "openvino": str(import_openvino().get_version()),
        }

    def embed(self, images: Pixels, view: View) -> Floats:
        """Unit vectors, float32 (N, D), of uint8 images (N, h, w, 3) at the view's input size."""
        size, queue = self._queue(view)
        vectors = np.empty((len(images), self._bundle.config.embedding_size), dtype=np.float32)

        def take(request: Any, span: tuple[int, int]) -> None:
            start, stop = span
            vectors[start:stop] = request.get_output_tensor().data[: stop - start]

        queue.set_callback(take)
        for start in range(0, len(images), size):
            part = images[start : start + size]
            stop = start + len(part)
            if len(part) < size:
                part = np.concatenate([part, np.zeros((size - len(part), *part.shape[1:]), dtype=np.uint8)])
            queue.start_async([np.ascontiguousarray(part)], (start, stop))
        queue.wait_all()
        return vectors

    def close(self) -> None:
        """Let go of the compiled models."""
        self._queues.clear()

    def _queue(self, view: View) -> tuple[int, Any]:
        held = self._queues.get(view)
        if held is None or held[0] != self.batch_size:
            held = self._queues[view] = (self.batch_size, self._compile(view))
        return held

    def _model_path(self, view: View) -> Path:
        if self._precision == "int8":
            from geolocator_gui.ml.backends.int8 import quantised_model

            return quantised_model(self._bundle, view)
        return converted_model(self._bundle, view)

    def _compile(self, view: View) -> Any:
        try:
            model = self._core.read_model(self._model_path(view))
        except RuntimeError:
            # The cached file is damaged; it is only a cache.
            discard(self._bundle, view)
            model = self._core.read_model(self._model_path(view))
        model.reshape([self.batch_size, *input_size(view, self._bundle.config), 3])
        streams = self._plan.threads if view == "satellite" else 1
        compiled = self._core.compile_model(
            model,
            "CPU",
            {
                "INFERENCE_NUM_THREADS": self._plan.threads,
                "NUM_STREAMS": streams,
                "INFERENCE_PRECISION_HINT": _TYPES[self._precision],
                # Two processes pinned to the same cores would wait for each other.
                "ENABLE_CPU_PINNING": False,
            },
        )
        return import_openvino().AsyncInferQueue(compiled, streams)
