"""What the renderers read: a town's rasters and its table of solid objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Columns of the object table (float64). Row 0 is nothing.
KIND = 0  # 1 building, 2 tree
CENTRE_X, CENTRE_Y, COS, SIN, HALF_LENGTH, HALF_WIDTH = 1, 2, 3, 4, 5, 6
EAVE = 7  # of a tree: the crown's base
GABLE = 8  # 1 where the walls at the ends of the axis reach the ridge
WALL, WINDOW, LOWER = 9, 12, 15  # three columns each; a tree's crown, unused, trunk
LOWER_HEIGHT = 18  # of a tree: the trunk's radius
FLOOR, SPACING, SHARE = 19, 20, 21
SHADE = 22  # four columns: light on the faces +axis, -axis, +across, -across
COLUMNS = 26

BUILDING, TREE = 1.0, 2.0


@dataclass(frozen=True, eq=False)
class Layers:
    """A rasterised town. Row 0 is the north edge, column 0 the west edge.

    Attributes:
        west, north: town metres of the outer corner of pixel (0, 0).
        height: float32 (h, w), metres above the ground, crowns and roofs included.
        ids: int32 (h, w), row of the object table, 0 on open ground.
        aerial: uint8 (h, w, 3), what is seen from above, with shade and shadow.
        ground: uint8 (h, w, 3), what lies under the trees.
        walkable: bool (h, w), where a photographer may stand.
        objects: float64 (n, COLUMNS).
    """

    west: float
    north: float
    metres_per_pixel: float
    height: npt.NDArray[np.float32]
    ids: npt.NDArray[np.int32]
    aerial: npt.NDArray[np.uint8]
    ground: npt.NDArray[np.uint8]
    walkable: npt.NDArray[np.bool_]
    objects: npt.NDArray[np.float64]
