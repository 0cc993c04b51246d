"""A mining and its marks as the plain records that `report/` writes. No Qt."""

from __future__ import annotations

from collections.abc import Iterable

from geolocator_gui.gui.negatives.result import MiningResult
from geolocator_gui.marks import Marks
from geolocator_gui.report.confusions import Confusion, SeenChip

MOST = 16
"""Impostors per photo that are exported."""


def gather(result: MiningResult, rows: Iterable[int], marks: Marks, most: int = MOST) -> list[Confusion]:
    """The records of some queries, with their first impostors by rank; judged ones always come along."""
    found = []
    for row in rows:
        query = str(result.ids[row])

        def said(chip: str, query: str = query) -> tuple[str, str]:
            mark = marks.get(query, chip)
            return ("", "") if mark is None else (mark.verdict, mark.note)

        candidates = result.candidates(row)
        shown = [c for c in candidates if c.place < most or said(c.id)[0]]
        own = int(result.positive[row])
        own_id = str(result.chips.ids[own]) if own >= 0 else ""
        found.append(
            Confusion(
                id=query,
                name=str(result.names[row]),
                file=str(result.files[row]),
                area=str(result.areas[row]),
                position=result.place(row),
                suspect=bool(result.suspect[row]),
                own=None
                if own < 0
                else SeenChip(
                    own_id,
                    float(result.cosine[row]),
                    int(result.rank[row]),
                    position=result.chips.place(own),
                    bounds=result.chips.bounds(own),
                    file=str(result.chips.files[own]),
                    verdict=said(own_id)[0],
                    note=said(own_id)[1],
                ),
                impostors=tuple(
                    SeenChip(
                        c.id,
                        c.cosine,
                        c.rank,
                        c.margin,
                        c.distance_m,
                        c.flag,
                        result.chips.place(c.chip),
                        result.chips.bounds(c.chip),
                        str(result.chips.files[c.chip]),
                        *said(c.id),
                    )
                    for c in shown
                ),
            )
        )
    return found
