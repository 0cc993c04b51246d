"""Which queries are listed, and in which order: masks and argsorts over the arrays of a mining. No Qt.

100 000 queries are filtered and sorted in a few milliseconds, so that the table needs no proxy model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.gui.negatives.result import FLAG_NAMES, MiningResult

Column = Literal["verdict", "photo", "rank", "margin", "metres", "flag", "moved"]
Judged = Literal["all", "open", "judged"]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Filter:
    """What is listed.

    Attributes:
        text: Part of the file name, the id or the area; words are all needed.
        flags: Names of flags ("suspect_pair" too), empty for all.
        judged: By whether something was said of it.
        margin: Lowest and highest margin, None for open ends.
        rank: Lowest and highest rank of the right chip.
        metres: Lowest and highest distance to the hardest negative.
        rows: Only these rows (a selection in the plot), None for all.
    """

    text: str = ""
    flags: frozenset[str] = frozenset()
    judged: Judged = "all"
    margin: tuple[float | None, float | None] = (None, None)
    rank: tuple[float | None, float | None] = (None, None)
    metres: tuple[float | None, float | None] = (None, None)
    rows: frozenset[int] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether everything is listed."""
        return self == Filter()


class Lister:
    """Filters and sorts one mining; keeps the searchable texts and sort keys that are dear to make.

    Args:
        result: The mining.
    """

    def __init__(self, result: MiningResult) -> None:
        self.result = result
        self._texts: list[str] | None = None
        self._name_ranks: NDArray[np.int64] | None = None

    def mask(self, wanted: Filter, judged: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(Q,) which queries are listed; `judged` (Q,) says of which something was said."""
        result = self.result
        mask = np.ones(len(result), bool)
        if wanted.flags:
            codes = [FLAG_NAMES.index(name) for name in wanted.flags if name in FLAG_NAMES]
            mask &= np.isin(result.flag, codes)
        if wanted.judged != "all":
            mask &= judged if wanted.judged == "judged" else ~judged
        for values, (low, high) in (
            (result.margin, wanted.margin),
            (result.rank, wanted.rank),
            (result.distance_m, wanted.metres),
        ):
            with np.errstate(invalid="ignore"):
                if low is not None:
                    mask &= values >= low
                if high is not None:
                    mask &= values <= high
        if wanted.rows is not None:
            inside = np.zeros(len(result), bool)
            inside[[row for row in wanted.rows if 0 <= row < len(result)]] = True
            mask &= inside
        words = wanted.text.casefold().split()
        if words:
            texts = self._searchable()
            where = np.flatnonzero(mask)
            found = [row for row in where.tolist() if all(word in texts[row] for word in words)]
            mask = np.zeros(len(result), bool)
            mask[found] = True
        return mask

    def rows(
        self,
        mask: NDArray[np.bool_],
        column: Column,
        *,
        descending: bool = False,
        verdicts: NDArray[np.int8] | None = None,
        moved: NDArray[np.float32] | None = None,
    ) -> Rows:
        """Listed rows in order; what has no value comes last either way, ties keep the mining's order.

        Args:
            mask: (Q,) which are listed.
            column: What to sort by.
            descending: Highest first.
            verdicts: (Q,) codes of what was said, for "verdict".
            moved: (Q,) moves of the rank against another mining, for "moved".
        """
        result, where = self.result, np.flatnonzero(mask)
        keys = {
            "verdict": verdicts,
            "photo": self._names() if column == "photo" else None,
            "rank": np.where(result.rank > 0, result.rank, np.nan).astype(np.float64),
            "margin": result.margin,
            "metres": result.distance_m,
            "flag": result.flag,
            "moved": moved,
        }[column]
        if keys is None:
            return where
        values = np.asarray(keys, np.float64)[where]
        order = np.argsort(-values if descending else values, kind="stable")  # NaN sorts last
        return where[order]

    def _searchable(self) -> list[str]:
        if self._texts is None:
            r = self.result
            together = zip(r.names.tolist(), r.ids.tolist(), r.areas.tolist(), strict=True)
            self._texts = [f"{name}\n{key}\n{area}".casefold() for name, key, area in together]
        return self._texts

    def _names(self) -> NDArray[np.int64]:
        if self._name_ranks is None:
            names = self.result.names.tolist()
            order = sorted(range(len(names)), key=lambda row: names[row].casefold())
            ranks = np.empty(len(names), np.int64)
            ranks[order] = np.arange(len(names))
            self._name_ranks = ranks
        return self._name_ranks
