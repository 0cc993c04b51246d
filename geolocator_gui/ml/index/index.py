"""An index that is open for search."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import IndexFolderError
from geolocator_gui.ml.bundle import Bundle
from geolocator_gui.ml.index.manifest import SEARCH_FILE, Manifest, read_manifest, under_way
from geolocator_gui.ml.index.plan import check_fingerprint
from geolocator_gui.ml.index.quick import QuickSearch, wants_structure
from geolocator_gui.ml.index.search import exact_best, exact_scores, exact_search
from geolocator_gui.ml.index.segments import Floats, Rows, Vectors
from geolocator_gui.ml.index.table import ChipTable, derived_path, read_chips
from geolocator_gui.records import BoundingBox, LonLat


class Index:
    """Chips and vectors of one area for one model.

    Opening reads the manifest only; vectors stay on disk, the chips' table is read when it is asked for.

    Attributes:
        folder: Where it lies.
        manifest: What it is.
        vectors: (N, D) float16, on disk.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest
        self.vectors = Vectors(folder, manifest.segments, manifest.dimension)

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """Open an index folder.

        Raises:
            IndexFolderError: There is none, it is damaged, or its first build is not whole yet.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        if manifest.state == "building":
            raise under_way(folder, manifest)
        return cls(folder, manifest)

    @staticmethod
    def is_finished(folder: Path) -> bool:
        """Whether a folder holds an index that can be opened."""
        try:
            return read_manifest(folder).state != "building"
        except IndexFolderError:
            return False

    @property
    def attribution(self) -> str:
        """Of all its imagery, to be shown with whatever leaves the program."""
        return self.manifest.attribution

    @cached_property
    def bounds(self) -> BoundingBox:
        """Extent of its chips in degrees; west > east across the antimeridian."""
        outlines = self.chips.bounds()
        west, east = outlines[:, 0], outlines[:, 2]
        south, north = float(outlines[:, 1].min()), float(outlines[:, 3].max())
        if float(west.max() - west.min()) > 180.0:  # some lie on either side of the antimeridian
            west, east = np.where(west < 0, west + 360.0, west), np.where(east < 0, east + 360.0, east)
        left, right = float(west.min()), float(east.max())
        return BoundingBox((left + 180) % 360 - 180, south, (right + 180) % 360 - 180, north)

    def containing(self, position: LonLat) -> Rows:
        """Rows of the chips whose square holds a position."""
        return self.chips.containing(*position)

    @property
    def count(self) -> int:
        """Number of chips."""
        return self.manifest.count

    @property
    def fingerprint(self) -> str:
        """Of the bundle that embedded it."""
        return self.manifest.fingerprint

    @cached_property
    def chips(self) -> ChipTable:
        """Positions, sizes and outlines of all chips in row order."""
        return read_chips(self.folder, self.count)

    def check(self, bundle: Bundle) -> None:
        """Refuse photos embedded by another model; raises `IndexFolderError` that names both."""
        check_fingerprint(self.manifest, bundle)

    def search(self, queries: Floats, k: int, mask: NDArray[np.bool_] | None = None) -> tuple[Floats, Rows]:
        """The best chips of every query, best first, with their exact cosines.

        Args:
            queries: float32 (Q, D), unit.
            k: At most this many per query.
            mask: (N,) which chips may be found; None for all. It costs no recall.

        Returns:
            Scores float32 (Q, K) and rows int64 (Q, K), K = min(k, chips that may be found).
        """
        queries = self._checked(queries)
        if self._quick is not None:
            return self._quick.search(queries, k, mask)
        return exact_search(self.vectors, queries, k, mask)

    @cached_property
    def _quick(self) -> QuickSearch | None:
        """The search structure; None where the index is small, or while it is being extended."""
        if SEARCH_FILE not in self.manifest.files or not wants_structure(self.count):
            return None
        if self.manifest.state == "extending":
            return None  # the file may already hold chips that do not count yet
        return QuickSearch(derived_path(self.folder, SEARCH_FILE), self.vectors)

    def all_scores(self, queries: Floats) -> Floats:
        """Cosines of every chip: (N,) for a query (D,), (Q, N) for (Q, D)."""
        scores = exact_scores(self.vectors, self._checked(np.atleast_2d(queries)))
        return scores[0] if queries.ndim == 1 else scores

    def best_scores(self, queries: Floats) -> tuple[Floats, Rows]:
        """The best of all queries (Q, D) for every chip: cosines float32 (N,), and which query it was."""
        return exact_best(self.vectors, self._checked(queries))

    def within(self, geometries: Sequence[object]) -> NDArray[np.bool_]:
        """(N,) chips whose centre lies in any of these shapely geometries (degrees)."""
        import shapely

        inside = np.zeros(self.count, dtype=bool)
        for geometry in geometries:
            inside |= shapely.intersects_xy(geometry, self.chips.lon, self.chips.lat)
        return inside

    def _checked(self, queries: Floats) -> Floats:
        if queries.ndim != 2 or queries.shape[1] != self.manifest.dimension:
            raise IndexFolderError(
                f"a query of shape {queries.shape} does not fit vectors of length {self.manifest.dimension}",
                path=self.folder,
            )
        return np.ascontiguousarray(queries, dtype=np.float32)
