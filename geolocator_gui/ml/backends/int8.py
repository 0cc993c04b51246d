"""Eight-bit integers for OpenVINO, off by default: faster still, at a cost in recall that must be measured.

Every product of activations with weights is quantised: weights per output channel, symmetric; activations
per tensor, to the range that they take on average over a fixed set of images (the shipped demo town, from
above and from the street), so that the same model always gives the same quantisation. Depthwise convolutions
and the stem stay as they are: they cost little and lose most.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geolocator_gui import paths
from geolocator_gui.errors import FaultError
from geolocator_gui.ml.backends.openvino_model import converted_model, import_openvino
from geolocator_gui.ml.transforms import Pixels, input_size, prepare
from geolocator_gui.records import View

if TYPE_CHECKING:
    from geolocator_gui.ml.bundle import Bundle

_SATELLITE_IMAGES = 16
_FORM = 1


def quantised_model(bundle: Bundle, view: View) -> Path:
    """Path of the bundle's quantised `model.xml` for a view, made now if it is not there."""
    source = converted_model(bundle, view)
    folder = source.parent / f"int8-{view}-{_FORM}"
    if not (folder / "model.xml").is_file():
        openvino = import_openvino()
        model = openvino.Core().read_model(source)
        model.reshape([1, *input_size(view, bundle.config), 3])
        _quantise(model, list(_calibration_images(bundle, view)))
        model.reshape([-1, *input_size(view, bundle.config), 3])
        scratch = Path(tempfile.mkdtemp(prefix=".int8-", dir=source.parent))
        openvino.save_model(model, scratch / "model.xml", compress_to_fp16=False)
        shutil.rmtree(folder, ignore_errors=True)
        scratch.rename(folder)
    return folder / "model.xml"


def _quantise(model: Any, images: list[Pixels]) -> None:
    """Put the rounding to 256 levels before both inputs of every product in the model."""
    ops = import_openvino().opset13
    products = list(_products(model))
    ranges = _measure_ranges(model, products, images)
    for product, (low, high) in zip(products, ranges, strict=True):
        given = ops.fake_quantize(product.input_value(0), low, high, low, high, 256)
        product.input(0).replace_source_output(given.output(0))
        weights = product.input_value(1).get_node()
        values = np.abs(weights.data)
        axes = tuple(axis for axis in range(values.ndim) if axis != _output_axis(product))
        most = np.maximum(values.max(axis=axes, keepdims=True), 1e-8).astype(np.float32)
        rounded = ops.fake_quantize(weights, -most, most, -most, most, 255)
        product.input(1).replace_source_output(rounded.output(0))


def _products(model: Any) -> Iterator[Any]:
    """The products with constant weights, without the stem (three input channels)."""
    for node in model.get_ordered_ops():
        if node.get_type_name() not in ("MatMul", "Convolution"):
            continue
        weights = node.input_value(1).get_node()
        if weights.get_type_name() != "Constant":
            continue
        if node.get_type_name() == "Convolution" and weights.data.shape[1] == 3:
            continue
        yield node


def _output_axis(product: Any) -> int:
    if product.get_type_name() == "Convolution":
        return 0
    return 0 if product.get_attributes().get("transpose_b") else 1


def _measure_ranges(model: Any, products: list[Any], images: list[Pixels]) -> list[tuple[float, float]]:
    """Least and greatest value before each product, averaged over the images."""
    openvino = import_openvino()
    ops = openvino.opset13
    probed = model.clone()
    results = []
    for product in _products(probed):
        value = product.input_value(0)
        axes = np.arange(len(value.get_partial_shape()), dtype=np.int64)
        results += [ops.reduce_min(value, axes), ops.reduce_max(value, axes)]
    probe = openvino.Model(results, probed.get_parameters())
    compiled = openvino.Core().compile_model(probe, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = np.mean([[float(v) for v in compiled([image[None]]).values()] for image in images], axis=0)
    if len(found) != 2 * len(products):
        raise FaultError("the model cannot be quantised: its products were not found again")
    return [(min(float(low), 0.0), max(float(high), 1e-6)) for low, high in found.reshape(-1, 2)]


def _calibration_images(bundle: Bundle, view: View) -> Iterator[Pixels]:
    """Images of the shipped demo town, as the encoder takes them."""
    config = bundle.config
    if view == "ground":
        from geolocator_gui.geo.photo import load_image

        for path in sorted((paths.demo_dir() / "photos").glob("*.jpg")):
            yield prepare(load_image(path), "ground", config)
        return
    from geolocator_gui.geo.imagery import open_imagery
    from geolocator_gui.geo.projection import lonlat_to_mercator

    with open_imagery(paths.demo_dir() / "town.mbtiles") as source:
        west, south, east, north = source.info.bounds
        x, y = lonlat_to_mercator(np.array([west, east]), np.array([south, north]))
        side = (config.side_m or 80.0) / np.cos(np.radians((south + north) / 2))
        random = np.random.default_rng(0)
        for _ in range(_SATELLITE_IMAGES):
            left = random.uniform(x[0], max(x[0], x[1] - side))
            bottom = random.uniform(y[0], max(y[0], y[1] - side))
            pixels = config.satellite_source_px
            patch = source.read((left, bottom, left + side, bottom + side), pixels, pixels)
            yield prepare(patch.pixels, "satellite", config)
