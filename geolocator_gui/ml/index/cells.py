"""Which chips a batch holds: grid cells without those that were removed or are already indexed."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.geo.grid import ChipGrid, Chips
from geolocator_gui.ml.index import journal
from geolocator_gui.ml.index.manifest import Manifest, PartRecord
from geolocator_gui.ml.index.plan import grid_of
from geolocator_gui.ml.index.segments import CELL, batch_bytes, journal_path

REMOVED = "removed"
DUPLICATE = "already indexed"


class Cells:
    """The batches of an index, in order over all parts.

    Args:
        folder: Of the index.
        manifest: Its manifest.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder, self._manifest = folder, manifest
        self._grids: dict[int, ChipGrid] = {}
        self._known: dict[int, NDArray[np.int64]] = {}
        self._starts = np.concatenate([[0], np.cumsum([part.batches for part in manifest.parts])])

    @property
    def batches(self) -> int:
        """Number of batches."""
        return int(self._starts[-1])

    @property
    def candidates(self) -> int:
        """Number of cells."""
        return sum(part.candidates for part in self._manifest.parts)

    def first_batch(self, part: int) -> int:
        """The first batch of a part."""
        return int(self._starts[part])

    def part_of(self, batch: int) -> int:
        """The part that a batch belongs to."""
        return int(np.searchsorted(self._starts, batch, side="right")) - 1

    def span(self, batch: int) -> tuple[PartRecord, int, int]:
        """The part, the first cell and one past the last cell of a batch."""
        number = self.part_of(batch)
        part = self._manifest.parts[number]
        start = (batch - int(self._starts[number])) * part.batch_size
        return part, start, min(start + part.batch_size, part.candidates)

    def grid(self, part: int) -> ChipGrid:
        """The grid of a part."""
        if part not in self._grids:
            self._grids[part] = grid_of(self._manifest.parts[part])
        return self._grids[part]

    def chips(self, batch: int) -> tuple[Chips, dict[str, int]]:
        """The chips to embed, and how many were left out by reason before looking at the imagery."""
        number = self.part_of(batch)
        _, start, stop = self.span(batch)
        chips = self.grid(number).rows(start, stop)
        keep = np.ones(len(chips), dtype=bool)
        skipped: dict[str, int] = {}
        known = self._already(number)
        if len(known):
            keep &= ~np.isin(_keys(chips), known)
            if not keep.all():
                skipped[DUPLICATE] = int((~keep).sum())
        gone = self._removed(number, chips) & keep
        if gone.any():
            skipped[REMOVED] = int(gone.sum())
            keep &= ~gone
        return chips.take(keep), skipped

    def kept(self, batch: int, records: NDArray[np.void]) -> Chips:
        """The chips that the cell records of a batch name, in their order."""
        number = self.part_of(batch)
        _, start, stop = self.span(batch)
        chips = self.grid(number).rows(start, stop)
        return chips.take(records["cell"].astype(np.int64) - start)

    def _removed(self, part: int, chips: Chips) -> NDArray[np.bool_]:
        import shapely
        from shapely.geometry import shape

        gone = np.zeros(len(chips), dtype=bool)
        for removal in self._manifest.removed:
            if removal.first <= part < removal.stop:
                gone |= shapely.intersects_xy(shape(removal.geometry), chips.lon, chips.lat)
        return gone

    def _already(self, part: int) -> NDArray[np.int64]:
        """Keys of embedded cells of the same grid in earlier parts."""
        if part not in self._known:
            earlier = [n for n in range(part) if self._same_grid(n, part)]
            found: list[NDArray[np.int64]] = []
            if earlier:
                commits, _ = journal.read_all(journal_path(self._folder, self._manifest.generation))
                for batch, commit in commits.items():
                    if commit.rows and self.part_of(batch) in earlier:
                        _, records = batch_bytes(
                            self._folder, self._manifest.generation, self._manifest.dimension, commit
                        )
                        if zlib.crc32(records) == commit.cells:
                            found.append(_keys(self.kept(batch, np.frombuffer(records, dtype=CELL))))
                        else:  # damaged: what it may have held is made anew in its own place
                            found.append(_keys(self.chips(batch)[0]))
            self._known[part] = np.concatenate(found) if found else np.empty(0, dtype=np.int64)
        return self._known[part]

    def _same_grid(self, one: int, other: int) -> bool:
        a, b = self._manifest.parts[one], self._manifest.parts[other]
        if (a.side_m, a.overlap, a.level) != (b.side_m, b.overlap, b.level):
            return False
        return self.grid(one).phase == self.grid(other).phase


def _keys(chips: Chips) -> NDArray[np.int64]:
    return (chips.row.astype(np.int64) << 32) + chips.col.astype(np.int64)
