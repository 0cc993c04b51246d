"""A town is the same for the same seed and lies where it says."""

import numpy as np
import pytest
from pyproj import Geod, Transformer

from geolocator_gui.town.geometry import generate_town
from geolocator_gui.town.occupancy import Occupancy, rect_points


@pytest.fixture(scope="module")
def town():
    return generate_town(4, size_m=384.0)


def test_the_same_seed_gives_the_same_town_and_another_seed_another(town):
    again, other = generate_town(4, size_m=384.0), generate_town(8, size_m=384.0)
    assert again.buildings == town.buildings
    assert again.trees == town.trees
    assert again.patches == town.patches
    assert all(np.array_equal(a.points, b.points) for a, b in zip(again.streets, town.streets, strict=True))
    assert other.buildings != town.buildings


def test_a_square_kilometre_has_all_the_kinds_of_things():
    town = generate_town(5)
    assert len(town.buildings) > 400
    assert len(town.trees) > 2000
    assert len({street.surface for street in town.streets}) >= 6
    assert len({street.species for street in town.streets}) >= 5
    assert any(len(building.parts) == 2 for building in town.buildings)
    assert {"flat", "gable", "hip"} == {building.roof for building in town.buildings}
    assert any(patch.pattern == "rows" for patch in town.patches)
    assert any(patch.water for patch in town.patches)
    assert any(patch.paved for patch in town.patches)
    assert town.river is not None


def test_no_building_stands_on_a_street(town):
    occupancy = Occupancy(town.size_m)
    occupancy.add_streets(town.streets, None)
    for building in town.buildings:
        for part in building.parts:
            middle = np.array([[part.x, part.y]])
            rows, cols, inside = occupancy._cells(middle)
            assert inside.all()
            assert not occupancy.ways[rows, cols].any()
            assert len(rect_points(part, 1.0)) >= 4


def test_coordinates_agree_with_pyproj(town):
    xy = np.array([[0.0, 0.0], [512.0, -300.0], [-512.0, 512.0]])
    lonlat = town.to_lonlat(xy)
    np.testing.assert_allclose(town.from_lonlat(lonlat), xy, atol=1e-6)
    mercator = Transformer.from_crs(4326, 3857, always_xy=True)
    x, y = mercator.transform(lonlat[:, 0], lonlat[:, 1])
    x0, y0 = mercator.transform(*town.origin)
    scale = np.cos(np.radians(town.origin[1]))
    np.testing.assert_allclose(np.stack([x - x0, y - y0], axis=1) * scale, xy, atol=1e-6)


def test_a_metre_is_a_metre_at_the_origin(town):
    lonlat = town.to_lonlat(np.array([[-50.0, 0.0], [50.0, 0.0], [0.0, -50.0], [0.0, 50.0]]))
    geod = Geod(ellps="WGS84")
    _, _, width = geod.inv(*lonlat[0], *lonlat[1])
    _, _, height = geod.inv(*lonlat[2], *lonlat[3])
    # Web-Mercator is conformal on the sphere, not on the ellipsoid: up to 0.5 % at 60° N.
    assert width == pytest.approx(100.0, rel=6e-3)
    assert height == pytest.approx(100.0, rel=6e-3)
