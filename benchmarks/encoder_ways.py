"""The ways of running a network that `benchmarks.encoder` compares, and the machine's own peak."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geolocator_gui.configs import ModelConfig
from geolocator_gui.ml.backbone import create_backbone, embedding_size
from geolocator_gui.ml.backends.base import Backend
from geolocator_gui.ml.backends.choice import Plan, has_openvino
from geolocator_gui.ml.backends.openvino_backend import OpenVinoBackend
from geolocator_gui.ml.backends.openvino_model import import_openvino, native_precision
from geolocator_gui.ml.backends.torch_backend import TorchBackend
from geolocator_gui.ml.bundle import Bundle, write_bundle
from geolocator_gui.ml.model_loading import load_backbone
from geolocator_gui.ml.transforms import normalise

Images = NDArray[np.uint8]
Clock = Callable[[int], float]
PEAK_SIDE = 2048


@dataclass
class Way:
    """One way at one number of threads.

    Attributes:
        name: For the table.
        precision: Which peak it is held against.
        threads: CPU threads.
        run: Images to vectors.
        close: Lets go of its memory.
        rates: Images per second, one per round.
        cosine: Smallest cosine to the baseline over the images.
    """

    name: str
    precision: str
    threads: int
    run: Callable[[Images], NDArray[np.float32]]
    close: Callable[[], None]
    rates: list[float] = field(default_factory=list)
    cosine: float = float("nan")

    def time(self, images: Images, clock: Clock) -> NDArray[np.float32]:
        """Embed once and note the rate."""
        start = clock(self.threads)
        vectors = self.run(images)
        self.rates.append(len(images) / (clock(self.threads) - start))
        return vectors


def wall_clock(threads: int) -> float:
    """Seconds of the clock on the wall."""
    return time.perf_counter()


def processor_clock(threads: int) -> float:
    """Seconds of the processor per thread: what the wall would show if nobody else used the machine.

    Threads that spin while they wait count as busy, so several threads look slower than they are.
    """
    return time.process_time() / max(1, threads)


def random_bundle(architecture: str, size: int, folder: Path) -> Bundle:
    """A bundle of seeded random weights."""
    torch.manual_seed(0)
    module = create_backbone(architecture)
    config = ModelConfig(
        name="random",
        architecture=architecture,
        embedding_size=embedding_size(module),
        satellite_size=size,
        ground_size=(size, 2 * size),
        ground_view="panorama",
        satellite_source_px=size,
    )
    return write_bundle(folder / "random", config, module.state_dict(), "")


def pictures(count: int, size: int) -> Images:
    """Seeded pictures with structure at several scales."""
    random = np.random.default_rng(1)
    coarse = random.integers(0, 256, (count, size // 16 + 1, size // 16 + 1, 3)).repeat(16, 1).repeat(16, 2)
    fine = random.integers(-20, 20, (count, size, size, 3))
    images: Images = np.clip(coarse[:, :size, :size] + fine, 0, 255).astype(np.uint8)
    return images


def gigaflops(bundle: Bundle) -> float:
    """Floating-point operations of one satellite image, 1e9, products and sums counted apart."""
    from torch.utils.flop_counter import FlopCounterMode

    size = bundle.config.satellite_size
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        load_backbone(bundle)(torch.zeros(1, 3, size, size))
    return float(counter.get_total_flops()) / 1e9


def baseline(bundle: Bundle, threads: int, batch: int) -> Way:
    """The plain way, as the published prediction does: numpy preprocessing, eager float32, NCHW."""
    module = load_backbone(bundle)

    def run(images: Images) -> NDArray[np.float32]:
        torch.set_num_threads(threads)
        parts = []
        with torch.inference_mode():
            for start in range(0, len(images), batch):
                part = normalise(images[start : start + batch], bundle.config.mean, bundle.config.std)
                features = module(torch.from_numpy(part))
                parts.append(torch.nn.functional.normalize(features.float(), dim=-1).numpy())
        return np.concatenate(parts)

    return Way("baseline: eager fp32, numpy", "fp32", threads, run, lambda: None)


def published_on_gpu(bundle: Bundle, batch: int) -> Way:
    """The published way on a GPU: fp16 autocast, NCHW, float32 images prepared on the host."""
    module: Any = load_backbone(bundle).cuda()

    def run(images: Images) -> NDArray[np.float32]:
        parts = []
        for start in range(0, len(images), batch):
            part = normalise(images[start : start + batch], bundle.config.mean, bundle.config.std)
            with torch.inference_mode(), torch.autocast("cuda", dtype=torch.float16):
                features = module(torch.from_numpy(part).cuda())
            parts.append(torch.nn.functional.normalize(features.float(), dim=-1).cpu().numpy())
        return np.concatenate(parts)

    return Way("baseline: fp16 autocast, host fp32", "bf16", 0, run, lambda: None)


def _of_backend(name: str, plan: Plan, backend: Backend) -> Way:
    def run(images: Images) -> NDArray[np.float32]:
        if plan.backend == "torch" and plan.device == "cpu":
            torch.set_num_threads(plan.threads)
        return backend.embed(images, "satellite")

    held = "bf16" if plan.precision in ("bf16", "fp16", "int8") else "fp32"
    return Way(name, held, plan.threads, run, backend.close)


def cpu_ways(bundle: Bundle, threads: int, *, compiled: bool, int8: bool) -> Iterator[Way]:
    """Every way on this CPU, the baseline first."""
    yield baseline(bundle, threads, batch=8)
    for precision in ("fp32", "bf16"):
        plan = Plan("cpu", "torch", precision, threads, given=True)
        yield _of_backend(f"torch {precision}", plan, TorchBackend(bundle, plan))
        if compiled and shutil.which("g++"):
            backend = TorchBackend(bundle, plan, compiled=True)
            yield _of_backend(f"torch {precision} compiled", plan, backend)
    if not has_openvino():
        return
    precisions = dict.fromkeys(["fp32", native_precision()])
    for precision in [*precisions, *(["int8"] if int8 else [])]:
        plan = Plan("cpu", "openvino", precision, threads, given=True)
        yield _of_backend(f"openvino {precision}", plan, OpenVinoBackend(bundle, plan))


def gpu_ways(bundle: Bundle, *, compiled: bool) -> Iterator[Way]:
    """Every way on the first GPU, the published one first."""
    yield published_on_gpu(bundle, batch=128)
    for precision in ("fp32", "fp16", "bf16"):
        plan = Plan("cuda", "torch", precision, 1, given=True)
        yield _of_backend(f"cuda {precision}", plan, TorchBackend(bundle, plan))
    if compiled:
        plan = Plan("cuda", "torch", "bf16", 1, given=True)
        yield _of_backend("cuda bf16 compiled", plan, TorchBackend(bundle, plan, compiled=True))


def peak_ways(threads: int, clock: Clock) -> Iterator[tuple[str, str, Callable[[], float]]]:
    """(library, precision, gigaflops per second of one 2048-cubed product) for each library."""
    work = 2 * PEAK_SIDE**3 / 1e9
    left = np.random.default_rng(0).standard_normal((PEAK_SIDE, PEAK_SIDE)).astype(np.float32)

    def timed(product: Callable[[], object]) -> Callable[[], float]:
        def once() -> float:
            start = clock(threads)
            product()
            return work / (clock(threads) - start)

        return once

    for dtype, precision in ((torch.float32, "fp32"), (torch.bfloat16, "bf16")):
        tensor = torch.from_numpy(left).to(dtype)

        def by_torch(tensor: torch.Tensor = tensor) -> None:
            torch.set_num_threads(threads)
            torch.mm(tensor, tensor)

        yield "torch", precision, timed(by_torch)
    if threads == torch.get_num_threads():
        yield "numpy", "fp32", timed(lambda: np.matmul(left, left))
    if has_openvino():
        for precision in dict.fromkeys(["fp32", native_precision()]):
            yield "openvino", precision, timed(_openvino_product(left, precision, threads))


def _openvino_product(left: NDArray[np.float32], precision: str, threads: int) -> Callable[[], object]:
    """A product with a constant, as in a network: its layout is prepared once."""
    openvino = import_openvino()
    ops = openvino.opset13
    given = ops.parameter(left.shape, np.float32)
    model = openvino.Model([ops.matmul(given, ops.constant(left), False, False)], [given])
    hint = {"fp32": "f32", "bf16": "bf16"}[precision]
    request = (
        openvino.Core()
        .compile_model(
            model,
            "CPU",
            {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": hint},
        )
        .create_infer_request()
    )
    return lambda: request.infer([left])


def gpu_peak() -> float:
    """Gigaflops per second of a large bf16 product on the GPU."""
    side = 8192
    tensor = torch.randn(side, side, device="cuda", dtype=torch.bfloat16)
    with contextlib.suppress(RuntimeError):
        torch.mm(tensor, tensor)  # warm-up; an error shows in the timed one
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(10):
        torch.mm(tensor, tensor)
    torch.cuda.synchronize()
    return 10 * 2 * side**3 / 1e9 / (time.perf_counter() - start)
