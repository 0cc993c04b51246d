"""The fast path leaves the demo photos where plain float32 puts them."""

import numpy as np
import pytest

from geolocator_gui.configs import LocaliseConfig
from geolocator_gui.geo.area import area_from_bbox
from geolocator_gui.geo.chips import ChipCutter
from geolocator_gui.geo.grid import build_grid
from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.geo.photo import load_image, read_facts
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


@pytest.mark.slow
def test_the_default_way_ranks_the_demo_photos_as_plain_float32(town):
    plain_photos, plain_chips, _ = vectors(town, backend="torch", precision="fp32")
    fast_photos, fast_chips, facts = vectors(town)
    assert (plain_photos * fast_photos).sum(axis=1).min() >= 0.9999, facts
    assert (plain_chips * fast_chips).sum(axis=1).min() >= 0.9999, facts
    plain, fast = plain_photos @ plain_chips.T, fast_photos @ fast_chips.T
    moved = float(np.abs(plain - fast).max())
    assert moved < 5e-3, facts
    for row, (before, after) in enumerate(zip(plain, fast, strict=True)):
        first, second = np.sort(before)[::-1][:2]
        # Below the first place, chips whose scores differ by less than what bfloat16 moves may change places.
        if first - second > 2e-4:
            assert after.argmax() == before.argmax(), f"photo {row}"
        top = np.argsort(-before, kind="stable")[:5]
        assert after[top].min() >= np.sort(after)[::-1][4] - 2 * moved, f"photo {row}"
