"""How fast the encoder is: `python -m benchmarks.encoder [--short]`; the short one takes under four minutes.

Every way of running a ConvNeXt-B at 384 that this machine has, side by side in one process, in turn, medians
over the rounds, with one and with two threads. Beside each: its ratio to the plain way (eager float32 module,
numpy preprocessing, as the published prediction does), its least cosine to it, and the fraction it reaches of
the machine's own matrix-product peak in the same precision (the best of torch, numpy and OpenVINO on
2048 x 2048 x 2048, timed in the same rounds).

Then, in fresh processes: the time from the imports to the first vector, with and without a converted model on
disk; and one photo's latency alone and beside an index build that embeds with all cores.

The share of the processor that others took while it ran is printed: figures of a busy machine say little.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.encoder_ways import (
    Clock,
    Way,
    cpu_ways,
    gigaflops,
    gpu_peak,
    gpu_ways,
    peak_ways,
    pictures,
    processor_clock,
    random_bundle,
    wall_clock,
)
from geolocator_gui.ml.backends.choice import cpu_has
from geolocator_gui.ml.bundle import Bundle
from geolocator_gui.ml.threads import usable_cores
from geolocator_gui.runs import BACKGROUND_NICE


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--architecture", default="convnext_base.fb_in22k_ft_in1k_384")
    parser.add_argument("--size", type=int, default=384, help="side of the images, pixels")
    parser.add_argument("--images", type=int, default=8, help="per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=None, help="1 and 2, or what there is")
    parser.add_argument(
        "--clock", choices=["wall", "processor"], default="wall", help="the latter for a busy machine"
    )
    parser.add_argument("--compile", action="store_true", help="torch.compile too: minutes more")
    parser.add_argument("--int8", action="store_true", help="the int8 way too")
    parser.add_argument(
        "--short",
        action="store_true",
        help="4 images, 3 rounds, short looks at start-up and background: under 4 minutes on 2 idle cores",
    )
    parser.add_argument("--only", default="", help="ways whose name holds this, and the baseline")
    parser.add_argument("--no-processes", action="store_true", help="leave out start-up and background")
    parser.add_argument("--gpu", action="store_true", help="the GPU instead of the CPU")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    begin = time.perf_counter()
    if options.short:
        options.images, options.rounds = 4, 3
    threads = options.threads or sorted({1, min(2, usable_cores())})
    print(f"{_cpu()}; torch {torch.__version__}; {usable_cores()} cores")
    result: dict[str, Any] = {"machine": _cpu(), "torch": torch.__version__}
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["GEOLOCATOR_HOME"] = scratch
        bundle = random_bundle(options.architecture, options.size, Path(scratch))
        work = gigaflops(bundle)
        print(f"{options.architecture} at {options.size}: {work:.1f} GFLOP per image")
        result |= {"architecture": options.architecture, "size": options.size, "gflop": work}
        result["rows"] = []
        if options.gpu:
            result["rows"] += on_gpu(bundle, work, options)
        else:
            for count in threads:
                result["rows"] += on_cpu(bundle, count, work, options)
        if not options.no_processes and not options.gpu:
            result["processes"] = processes(bundle, options.short)
    print(f"\ntook {time.perf_counter() - begin:.0f} s")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


def on_cpu(bundle: Bundle, threads: int, work: float, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The table for one number of threads."""
    images = pictures(options.images, options.size)
    clock = processor_clock if options.clock == "processor" else wall_clock
    torch.set_num_threads(threads)
    ways = [
        way
        for index, way in enumerate(cpu_ways(bundle, threads, compiled=options.compile, int8=options.int8))
        if index == 0 or options.only in way.name
    ]
    products = list(peak_ways(threads, clock))
    found: dict[str, list[float]] = {}
    for way in ways:
        way.run(images[:1])  # warm-up: allocations, kernels chosen by shape
        way.run(images)
    others = _Others()
    for _ in range(options.rounds):
        _one_round(ways, images, clock)
        for library, precision, product in products:
            found.setdefault(f"{precision} {library}", []).append(max(product(), product()))
    peaks: dict[str, float] = {}
    for name, rates in found.items():
        precision = name.split()[0]
        peaks[precision] = max(peaks.get(precision, 0.0), median(rates))
    print(
        f"\n{threads} thread{'s' if threads > 1 else ''}, {options.clock} clock; "
        f"{others.share():.0%} of the cores were taken by others"
    )
    print("  peak " + ", ".join(f"{name} {median(rates):.0f}" for name, rates in found.items()) + " GFLOP/s")
    return _table(ways, work, peaks, threads)


def on_gpu(bundle: Bundle, work: float, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The table for the GPU."""
    images = pictures(max(256, options.images), options.size)
    ways = list(gpu_ways(bundle, compiled=options.compile))
    for way in ways:
        way.run(images)
    for _ in range(options.rounds):
        _one_round(ways, images, wall_clock)
    peak = max(gpu_peak() for _ in range(3))
    print(f"\n{torch.cuda.get_device_name()}: bf16 peak {peak / 1e3:.0f} TFLOP/s")
    return _table(ways, work, {"bf16": peak}, 0)


def _one_round(ways: Sequence[Way], images: np.ndarray[Any, Any], clock: Clock) -> None:
    expected = None
    for way in ways:
        vectors = way.time(images, clock)
        expected = vectors if expected is None else expected
        way.cosine = float((vectors * expected).sum(axis=1).min())


def _table(ways: Sequence[Way], work: float, peaks: dict[str, float], threads: int) -> list[dict[str, Any]]:
    plain = median(ways[0].rates)
    rows = []
    print(f"  {'way':<36}{'images/s':>9}{'ratio':>8}{'of peak':>9}   least cosine")
    for way in ways:
        rate = median(way.rates)
        share = rate * work / peaks[way.precision] if way.precision in peaks else float("nan")
        print(f"  {way.name:<36}{rate:>9.2f}{rate / plain:>7.2f}x{share:>9.1%}   {way.cosine:.6f}")
        rows.append(
            {
                "way": way.name,
                "threads": threads,
                "images_per_second": rate,
                "ratio": rate / plain,
                "of_peak": share,
                "least_cosine": way.cosine,
            }
        )
        way.close()
    return rows


_START = """
import sys, time
from pathlib import Path
import numpy as np
from geolocator_gui.ml.bundle import open_bundle
from geolocator_gui.ml.backends.openvino_model import import_openvino
from geolocator_gui.ml.encoder import Encoder
import_openvino()
if sys.argv[3] == "cold": import torch; from geolocator_gui.ml.backbone import import_timm; import_timm()
size = int(sys.argv[2])
start = time.perf_counter()
with Encoder(open_bundle(Path(sys.argv[1])), device="cpu") as encoder:
    encoder.embed(np.zeros((1, size, size, 3), np.uint8), "satellite")
print(time.perf_counter() - start)
"""

_PHOTO = """
import sys, time
from pathlib import Path
import numpy as np
from geolocator_gui.ml.bundle import open_bundle
from geolocator_gui.ml.encoder import Encoder
encoder = Encoder(open_bundle(Path(sys.argv[1])), device="cpu")
height, width = encoder.config.ground_size
image = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
encoder.embed(image, "ground")
times = []
for _ in range(int(sys.argv[2])):
    time.sleep(0.2)
    start = time.perf_counter()
    encoder.embed(image, "ground")
    times.append(time.perf_counter() - start)
print(sorted(times)[len(times) // 2])
"""

_INDEX = """
import os, sys, time
from pathlib import Path
import numpy as np
from geolocator_gui.ml.bundle import open_bundle
from geolocator_gui.ml.encoder import Encoder
if hasattr(os, "nice"): os.nice(int(sys.argv[3]))
encoder = Encoder(open_bundle(Path(sys.argv[1])), device="cpu")
size = encoder.config.satellite_size
images = np.random.default_rng(0).integers(0, 256, (8, size, size, 3), dtype=np.uint8)
encoder.embed(images, "satellite")
print("ready", flush=True)
start, done = time.perf_counter(), 0
while time.perf_counter() - start < float(sys.argv[2]):
    encoder.embed(images, "satellite")
    done += len(images)
print(done / (time.perf_counter() - start), flush=True)
"""


def processes(bundle: Bundle, short: bool) -> dict[str, float]:
    """Start-up, and a window beside an index build, each in processes of its own.

    The index build stands back behind the window as far as one that the window starts (`runs.start`).
    """
    looks, seconds, nice = ("5", "6", str(BACKGROUND_NICE)) if short else ("9", "15", str(BACKGROUND_NICE))
    folder, size = str(bundle.folder), str(bundle.config.satellite_size)
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as empty:
        found["first_start_s"] = float(_python(_START, folder, size, "cold", home=empty))
        found["second_start_s"] = median(
            float(_python(_START, folder, size, "warm", home=empty)) for _ in range(3)
        )
        found["photo_alone_s"] = float(_python(_PHOTO, folder, looks, home=empty))
        found["index_alone_per_s"] = float(_python(_INDEX, folder, seconds, nice, home=empty).split()[-1])
        index = _start(_INDEX, folder, str(2 * int(seconds)), nice, home=empty)
        assert index.stdout is not None
        index.stdout.readline()  # it is at work
        found["photo_beside_index_s"] = float(_python(_PHOTO, folder, looks, home=empty))
        found["index_beside_photos_per_s"] = float(index.communicate(timeout=300)[0])
        pair = [_start(_INDEX, folder, seconds, nice, home=empty) for _ in range(2)]
        rates = [float(one.communicate(timeout=300)[0].split()[-1]) for one in pair]
        found["two_builds_together_per_s"] = sum(rates)
    print("\nfrom the imports to the first vector:")
    print(
        f"  nothing on disk {found['first_start_s']:.1f} s, converted model {found['second_start_s']:.2f} s"
    )
    print("window and index build on all cores each, in processes of their own:")
    print(
        f"  one photo alone {found['photo_alone_s']:.2f} s, "
        f"beside an index {found['photo_beside_index_s']:.2f} s"
    )
    print(
        f"  index alone {found['index_alone_per_s']:.2f}, beside photos "
        f"{found['index_beside_photos_per_s']:.2f}, two builds together "
        f"{found['two_builds_together_per_s']:.2f} images/s"
    )
    return found


def _start(code: str, *words: str, home: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "GEOLOCATOR_HOME": home}
    return subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True, env=environment
    )


def _python(code: str, *words: str, home: str) -> str:
    output, _ = _start(code, *words, home=home).communicate(timeout=600)
    return output


class _Others:
    """How much of the machine other processes took since it was made (Linux; elsewhere nan)."""

    def __init__(self) -> None:
        self._start = self._read()

    def share(self) -> float:
        """Fraction of all cores, 0..1."""
        (busy0, own0, wall0), (busy1, own1, wall1) = self._start, self._read()
        cores = os.cpu_count() or 1
        return max(0.0, (busy1 - busy0 - (own1 - own0)) / ((wall1 - wall0) * cores))

    @staticmethod
    def _read() -> tuple[float, float, float]:
        own = time.process_time()
        try:
            fields = Path("/proc/stat").read_text("ascii").split("\n")[0].split()[1:9]
        except OSError:
            return float("nan"), own, time.perf_counter()
        user, nice, system, _, _, irq, soft, steal = map(int, fields)
        busy = (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")
        return busy, own, time.perf_counter()


def _cpu() -> str:
    from geolocator_gui.ml.devices import cpu_name

    features = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if cpu_has((name,))]
    return f"{cpu_name()} ({platform.machine()}{', ' + ' '.join(features) if features else ''})"


if __name__ == "__main__":
    main()
