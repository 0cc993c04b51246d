"""Which device, back-end and precision run a model here: automatic, visible, overridable."""

from __future__ import annotations

import importlib.util
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from geolocator_gui.errors import ConfigError
from geolocator_gui.ml.threads import usable_cores

DEVICES = ("cpu", "cuda", "mps")
BACKENDS = ("torch", "openvino")
PRECISIONS = ("fp32", "bf16", "fp16", "int8")


@dataclass(frozen=True)
class Plan:
    """What will run a model.

    Attributes:
        device: "cpu", "cuda" or "mps".
        backend: "torch" or "openvino".
        precision: "fp32", "bf16", "fp16" or "int8".
        threads: CPU threads.
        given: Whether the precision was asked for; one that was not falls back where it is inexact.
    """

    device: str
    backend: str
    precision: str
    threads: int
    given: bool


def choose(
    device: str = "auto", backend: str = "auto", precision: str = "auto", threads: int | None = None
) -> Plan:
    """The fastest exact way on this machine, within what is asked for.

    Raises:
        ConfigError: What is asked for is unknown or not on this machine.
    """
    for value, known, name in (
        (device, DEVICES, "device"),
        (backend, BACKENDS, "back-end"),
        (precision, PRECISIONS, "precision"),
    ):
        if value not in (*known, "auto"):
            raise ConfigError(f"there is no {name} '{value}'", hint=f"Choose auto, {', '.join(known)}.")
    if threads is not None and threads < 1:
        raise ConfigError("the encoder needs at least one thread")
    if backend == "openvino" or precision == "int8":
        if device not in ("auto", "cpu"):
            raise ConfigError(f"OpenVINO and int8 run on the CPU here, not on {device}")
        device = "cpu"
    found = _device(device)
    if backend == "auto":
        backend = "openvino" if found == "cpu" and (precision == "int8" or _openvino_pays()) else "torch"
    if backend == "openvino" and not has_openvino():
        raise ConfigError(
            "OpenVINO is not installed", hint="`pip install openvino`, or choose --backend torch."
        )
    if precision == "int8" and backend != "openvino":
        raise ConfigError("int8 needs OpenVINO", hint="Choose --backend openvino or another precision.")
    if precision == "fp16" and found == "cpu":
        raise ConfigError("fp16 is slower than fp32 on a CPU", hint="Choose bf16, fp32 or auto.")
    return Plan(
        found,
        backend,
        native_precision(found, backend) if precision == "auto" else precision,
        min(threads or usable_cores(), usable_cores()),
        precision != "auto",
    )


def has_openvino() -> bool:
    """Whether OpenVINO is installed; imports nothing."""
    return importlib.util.find_spec("openvino") is not None


def _openvino_pays() -> bool:
    """OpenVINO is measured to win on x86; on ARM it is not the default."""
    return has_openvino() and platform.machine().lower() in ("x86_64", "amd64")


def _device(wanted: str) -> str:
    if wanted == "cpu" or (wanted == "auto" and not gpu_possible()):
        return "cpu"
    import torch

    if torch.cuda.is_available() and wanted in ("auto", "cuda"):
        return "cuda"
    if torch.backends.mps.is_available() and wanted in ("auto", "mps"):
        return "mps"
    if wanted == "auto":
        return "cpu"
    raise ConfigError(
        f"PyTorch finds no {'NVIDIA or AMD GPU' if wanted == 'cuda' else 'Apple GPU'} here",
        hint="`geolocator devices` lists what there is; --device cpu always works.",
    )


def gpu_possible() -> bool:
    """Whether it is worth a second to load PyTorch and ask it for a GPU."""
    if "torch" in sys.modules or sys.platform == "darwin":
        return True
    try:
        from importlib.metadata import version

        if version("torch").endswith("+cpu"):
            return False
    except ImportError:  # PackageNotFoundError: installed in a way that leaves no record
        return True
    if sys.platform == "linux":
        return any(Path(node).exists() for node in ("/dev/nvidia0", "/dev/nvidiactl", "/dev/kfd", "/dev/dxg"))
    return True


def native_precision(device: str, backend: str) -> str:
    """The fastest floating-point precision that the hardware itself computes in."""
    if backend == "openvino":
        from geolocator_gui.ml.backends.openvino_model import native_precision as of_openvino

        return of_openvino()
    import torch

    if device == "cuda":
        return "bf16" if torch.cuda.get_device_capability()[0] >= 8 else "fp16"
    if device == "mps":
        return "fp16"
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    flags = ("avx512_bf16", "amx_bf16")
    return "bf16" if supported is not None and supported() and cpu_has(flags) else "fp32"


def cpu_has(flags: tuple[str, ...]) -> bool:
    """Whether the CPU reports one of these features (Linux; elsewhere False)."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:
        return False
    line = next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "")
    return any(flag in line.split() for flag in flags)
