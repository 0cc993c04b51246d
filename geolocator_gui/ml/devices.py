"""What this machine can run a model on, for `geolocator devices`."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from geolocator_gui.ml.backends.choice import choose, cpu_has, gpu_possible, has_openvino, native_precision
from geolocator_gui.ml.threads import usable_cores


def survey(
    *, device: str = "auto", backend: str = "auto", precision: str = "auto", threads: int | None = None
) -> dict[str, Any]:
    """Devices with their back-ends and precisions (fastest first), and what would be chosen.

    Raises:
        ConfigError: What is asked for is not on this machine.
    """
    plan = choose(device, backend, precision, threads)
    found = [_cpu(), *_gpus()]
    notes = []
    if has_openvino():
        notes.append("int8 is never chosen by itself: it is faster but costs some recall.")
    if not gpu_possible():
        notes.append("No GPU: PyTorch is built for the CPU, or there is no driver.")
    return {
        "devices": found,
        "chosen": {
            "device": plan.device,
            "backend": plan.backend,
            "precision": plan.precision,
            "threads": plan.threads,
        },
        "versions": {name: _version(name) for name in ("torch", "timm", "openvino")},
        "notes": notes,
    }


def _cpu() -> dict[str, Any]:
    backends: dict[str, list[str]] = {}
    if has_openvino():
        fast = native_precision("cpu", "openvino")
        backends["openvino"] = [*dict.fromkeys([fast, "fp32"]), "int8"]
    backends["torch"] = ["bf16", "fp32"] if cpu_has(("avx512_bf16", "amx_bf16")) else ["fp32", "bf16"]
    features = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "neon") if cpu_has((name,))]
    return {
        "device": "cpu",
        "name": cpu_name(),
        "cores": usable_cores(),
        "memory_bytes": _memory(),
        "features": features,
        "detail": f", {usable_cores()} cores{', ' + ' '.join(features) if features else ''}",
        "backends": backends,
    }


def _gpus() -> list[dict[str, Any]]:
    if not gpu_possible():
        return []
    import torch

    found: list[dict[str, Any]] = []
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(index)
            precisions = ["bf16", "fp16", "fp32"] if facts.major >= 8 else ["fp16", "fp32"]
            found.append(
                {
                    "device": "cuda",
                    "name": facts.name,
                    "memory_bytes": facts.total_memory,
                    "detail": f", compute capability {facts.major}.{facts.minor}",
                    "backends": {"torch": precisions},
                }
            )
    if torch.backends.mps.is_available():
        found.append(
            {
                "device": "mps",
                "name": f"Apple GPU ({platform.processor() or platform.machine()})",
                "memory_bytes": _memory(),
                "detail": ", shared with the CPU",
                "backends": {"torch": ["fp16", "fp32"]},
            }
        )
    return found


def cpu_name() -> str:
    """The processor's name as it gives it."""
    linux = Path("/proc/cpuinfo")
    if linux.exists():
        for line in linux.read_text("utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> int:
    """Bytes of main memory, 0 where the system does not say."""
    if sys.platform == "win32":
        import ctypes

        class Status(ctypes.Structure):
            _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong)] + [
                (name, ctypes.c_ulonglong)
                for name in ("total", "free", "pages", "free_pages", "virtual", "free_virtual", "extended")
            ]

        status = Status()
        status.length = ctypes.sizeof(Status)
        ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        return int(status.total)
    import os

    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
