"""From a bundle to an OpenVINO model on disk, made once and then read in a moment.

The stored form is OpenVINO's own (`model.xml`, `model.bin`, weights in float32) with the preprocessing inside
the graph: uint8 pixels go in, unit vectors come out. Compiling it for a shape takes half a second; making it
takes PyTorch, timm and some seconds, which later starts do not pay. OpenVINO's own cache of compiled models
was measured to save 0.1 s of 0.6 (ConvNeXt-B) for another 335 MB per precision and size, so it is left off.
Its files can be deleted at any time.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geolocator_gui import paths
from geolocator_gui.ml.transforms import input_size
from geolocator_gui.records import View

if TYPE_CHECKING:
    from geolocator_gui.ml.bundle import Bundle

# Raised when what is written changes, so that older files are not read.
_FORM = 1
_KEPT = 6
_CHECK_FILE = "check.json"


def import_openvino() -> Any:
    """Import OpenVINO without its telemetry, which would report the import and every conversion.

    Its Python part falls back to a stub that does nothing where the telemetry package is missing; an entry
    of None in `sys.modules` makes it missing.
    """
    if "openvino" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    return openvino


def native_precision() -> str:
    """What OpenVINO itself would compute in on this CPU: "bf16" where the hardware has it, else "fp32"."""
    hint = import_openvino().Core().get_property("CPU", "INFERENCE_PRECISION_HINT").get_type_name()
    return "bf16" if hint == "bf16" else "fp32"


def cache_dir() -> Path:
    """Where converted models lie; where the home cannot be written, a folder that goes with the process."""
    folder = paths.user_cache_dir() / "openvino"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass  # no home, a home that is a file, a read-only disk
    return Path(_spare_cache().name)


@functools.cache
def _spare_cache() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="geolocator-")


def converted_model(bundle: Bundle, view: View) -> Path:
    """Path of the bundle's `model.xml`, made now if it is not there.

    Raises:
        WeightsError: The weights cannot be read or do not fit the architecture.
    """
    folder = cache_dir() / _key(bundle, view)
    if not (folder / _CHECK_FILE).is_file():
        shutil.rmtree(folder, ignore_errors=True)
        _convert(bundle, view, folder)
    os.utime(folder)  # what was used last is kept longest
    return folder / "model.xml"


def measured_cosine(bundle: Bundle, precision: str) -> float:
    """Cosine of this model in a precision to PyTorch in float32, measured on noise when it was converted."""
    folder = converted_model(bundle, "satellite").parent
    return float(json.loads((folder / _CHECK_FILE).read_text("utf-8")).get(precision, 1.0))


def discard(bundle: Bundle, view: View) -> None:
    """Forget a converted model that cannot be read."""
    shutil.rmtree(cache_dir() / _key(bundle, view), ignore_errors=True)


def any_shape(bundle: Bundle) -> bool:
    """Whether one graph serves all image sizes; a transformer's depends on the size it is traced with."""
    return "convnext" in bundle.config.architecture


def _key(bundle: Bundle, view: View) -> str:
    config = bundle.config
    facts = [
        _FORM,
        import_openvino().get_version(),
        config.weights_sha256,
        config.architecture,
        config.mean,
        config.std,
        None if any_shape(bundle) else input_size(view, config),
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]


def _convert(bundle: Bundle, view: View, folder: Path) -> None:
    import torch

    from geolocator_gui.ml.model_loading import PixelsToVectors, load_backbone

    openvino = import_openvino()
    network = PixelsToVectors(load_backbone(bundle), bundle.config)
    if any_shape(bundle):
        height, width, shape = 64, 64, (-1, -1, -1, 3)
    else:
        height, width = input_size(view, bundle.config)
        shape = (-1, height, width, 3)
    example = torch.zeros(1, height, width, 3, dtype=torch.uint8)
    with torch.inference_mode(), warnings.catch_warnings():
        # PyTorch deprecates the tracing that OpenVINO's converter does.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", getattr(torch.jit, "TracerWarning"))  # noqa: B009 - not exported
        model = openvino.convert_model(network, example_input=example, input=[openvino.PartialShape(shape)])
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        openvino.save_model(model, scratch / "model.xml", compress_to_fp16=False)
        cosine = _compare(network, scratch / "model.xml", input_size(view, bundle.config))
        (scratch / _CHECK_FILE).write_text(json.dumps({"bf16": cosine}), "utf-8")
        try:
            scratch.rename(folder)
        except OSError:
            # Another process made it meanwhile; both are equal.
            if not (folder / _CHECK_FILE).is_file():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    _prune(folder.parent)


def _compare(network: Any, path: Path, size: tuple[int, int]) -> float:
    """Cosine of OpenVINO in bf16 to PyTorch in float32 for one image of noise; 1 where there is no bf16."""
    import torch

    if native_precision() != "bf16":
        return 1.0
    noise = np.random.default_rng(0).integers(0, 256, (1, *size, 3), dtype=np.uint8)
    core = import_openvino().Core()
    model = core.read_model(path)
    model.reshape(noise.shape)
    reduced = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "bf16"})([noise])[0]
    with torch.inference_mode():
        exact = network(torch.from_numpy(noise)).numpy()
    return float((np.asarray(reduced, dtype=np.float64) * exact).sum())


def _prune(parent: Path) -> None:
    """Keep the models that were used last."""
    folders = [entry for entry in parent.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    for folder in sorted(folders, key=lambda entry: entry.stat().st_mtime, reverse=True)[_KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)
