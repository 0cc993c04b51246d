"""Every faster way leaves the ranking of the demo photos as plain float32 has it, but for ties."""

import numpy as np
import pytest

from geolocator_gui.configs import LocaliseConfig
from geolocator_gui.geo.area import area_from_bbox
from geolocator_gui.geo.chips import ChipCutter
from geolocator_gui.geo.grid import build_grid
from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.geo.photo import load_image, read_facts
from geolocator_gui.ml.backends.choice import has_openvino
from geolocator_gui.ml.bundle import find_bundle
from geolocator_gui.ml.encoder import Encoder
from geolocator_gui.ml.placement import place
from geolocator_gui.ml.transforms import prepare
from geolocator_gui.paths import demo_dir


@pytest.fixture(scope="module")
def town():
    """Every fourth chip of the demo index and the photos of the town, as the encoder takes them."""
    config = find_bundle("demo-town").config
    with open_imagery(demo_dir() / "town.mbtiles") as source:
        grid = build_grid(area_from_bbox(source.info.bounds), config.side_m, 0.625)
        cut = ChipCutter(source, source_px=config.satellite_source_px)
        images, _ = cut.cut(grid.rows(0, grid.count))
    chips = np.stack([prepare(image, "satellite", config) for image in images[::4]])
    photos = [
        place(load_image(path), read_facts(path), config, LocaliseConfig()).images[0]
        for path in sorted((demo_dir() / "photos").glob("*.jpg"))
    ]
    return chips, np.stack(photos)


def vectors(town, **options):
    chips, photos = town
    with Encoder(find_bundle("demo-town"), device="cpu", **options) as encoder:
        return encoder.embed(photos, "ground"), encoder.embed(chips, "satellite"), encoder.description


@pytest.fixture(scope="module")
def plain(town):
    return vectors(town, backend="torch", precision="fp32")


# Chips whose float32 scores differ by no more than this are tied: which of them comes first is left to the
# rounding of the precision. bfloat16 keeps 8 bits; what it exchanges is measured at 0.0015 among the first
# ten and 0.0055 anywhere, where scores range over about 1.
TIES = {"fp32": (1e-5, 1e-5), "bf16": (0.003, 0.008)}

needs_openvino = pytest.mark.skipif(not has_openvino(), reason="OpenVINO is not made for this platform")


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"backend": "torch", "precision": "bf16"},
        pytest.param({"backend": "openvino", "precision": "fp32"}, marks=needs_openvino),
        pytest.param({"backend": "openvino", "precision": "bf16"}, marks=needs_openvino),
    ],
    ids=["default", "torch bf16", "openvino fp32", "openvino bf16"],
)
def test_every_faster_way_ranks_the_demo_photos_as_plain_float32(town, plain, options):
    plain_photos, plain_chips, _ = plain
    fast_photos, fast_chips, facts = vectors(town, **options)
    assert (plain_photos * fast_photos).sum(axis=1).min() >= 0.9999, facts
    assert (plain_chips * fast_chips).sum(axis=1).min() >= 0.9999, facts
    near, anywhere = TIES[facts["precision"]]
    before, after = plain_photos @ plain_chips.T, fast_photos @ fast_chips.T
    assert np.ptp(before) > 0.9, "the ties would be wide"
    for row, (old, new) in enumerate(zip(before, after, strict=True)):
        first, second = np.sort(old)[::-1][:2]
        if first - second > near / 2:
            assert new.argmax() == old.argmax(), f"photo {row}: another first place"
        shown = np.union1d(np.argsort(-old)[:10], np.argsort(-new)[:10])
        assert exchanged(old[shown], new[shown]) <= near, f"photo {row}: another order among the first ten"
        assert exchanged(old, new) <= anywhere, f"photo {row}: another order"


def exchanged(old, new):
    """Greatest difference of two old scores whose order is the other way round among the new ones."""
    before, after = old[:, None] - old[None], new[:, None] - new[None]
    return np.where((before > 0) & (after < 0), before, 0).max()
