"""Two minings of the same photos: how ranks and margins moved, and which judged confusions are resolved."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from geolocator_gui.errors import DataError
from geolocator_gui.marks import Key, Mark, Marks
from geolocator_gui.mined import NEGATIVES, SUMMARY, Mined

if TYPE_CHECKING:
    import pandas

MOVES = "moves.parquet"
Resolution = Literal["resolved", "still confused", "new", "never confused", "unknown"]


@dataclass(frozen=True)
class MiningMoves:
    """The second mining against the first.

    Attributes:
        pairs: A row per query in both: query, rank_old, rank_new, margin_old, margin_new, rank_move
            (negative: nearer to the top), margin_move (positive: better apart).
        judged: A row per verdict "hard": query, candidate, margin_old, margin_new, state.
        better: Queries whose positive moved up.
        worse: Queries whose positive moved down.
        first_old: Queries ranked first before.
        first_new: Queries ranked first now.
        resolved: Judged confusions whose candidate outranked the positive before and does not now.
        still: Judged confusions whose candidate still outranks it.
    """

    pairs: pandas.DataFrame
    judged: pandas.DataFrame
    better: int
    worse: int
    first_old: int
    first_new: int
    resolved: int
    still: int

    def sentence(self) -> str:
        """The comparison in words, for a run's report."""
        return in_words(self.facts())

    def facts(self) -> dict[str, int]:
        """The counts, JSON-able."""
        names = ("better", "worse", "first_old", "first_new", "resolved", "still")
        return {
            "photos": len(self.pairs),
            "judged": len(self.judged),
            **{name: getattr(self, name) for name in names},
        }

    def write(self, folder: Path) -> None:
        """Keep the pairs' moves beside the newer mining, as `moves.parquet`."""
        self.pairs.to_parquet(folder / MOVES, index=False)


def in_words(facts: Mapping[str, int]) -> str:
    """`MiningMoves.facts` as a sentence or two."""
    text = (
        f"{facts['first_new']:,} of {facts['photos']:,} photos rank their own chip first, "
        f"{facts['first_old']:,} did before; {facts['better']:,} moved up, {facts['worse']:,} moved down."
    )
    if facts["judged"]:
        followed = facts["resolved"] + facts["still"]
        text += f" {facts['resolved']:,} of {followed:,} judged confusions are resolved."
    return text


def add_moves(folder: Path, old: Path, marks: Iterable[Mark] = ()) -> MiningMoves:
    """Compare a finished mining with an older one; the result lies beside it and in its `mining.json`."""
    moves = compare_minings(old, folder, marks)
    moves.write(folder)
    # A neighbour is named as such: the workspace may be moved.
    name = old.name if old.resolve().parent == folder.resolve().parent else str(old.resolve())
    summary = {**Mined.open(folder).summary, "moves": {"with": name, **moves.facts()}}
    working = folder / f".{SUMMARY}"
    working.write_text(json.dumps(summary, indent=2) + "\n", "utf-8")
    working.replace(folder / SUMMARY)
    return moves


def compare_minings(old: Path | Mined, new: Path | Mined, marks: Iterable[Mark] = ()) -> MiningMoves:
    """Compare two minings, matched by stable ids.

    Args:
        old: Mining with the older model.
        new: Mining with the newer model.
        marks: Rows of a marks file; the verdicts that stand and say "hard" are followed.

    Raises:
        DataError: They have no photo in common, or one is unfinished.
    """
    before = old if isinstance(old, Mined) else Mined.open(old)
    after = new if isinstance(new, Mined) else Mined.open(new)
    columns = ["query", "rank", "margin"]
    both = before.queries[columns].merge(after.queries[columns], on="query", suffixes=("_old", "_new"))
    if not len(both):
        raise DataError(
            "the two minings have no photo in common",
            path=after.folder,
            hint=f"Mine the photos of {before.folder} again with the newer model.",
        )
    ranked = (both["rank_old"] > 0) & (both["rank_new"] > 0)
    both["rank_move"] = (both["rank_new"] - both["rank_old"]).where(ranked)
    both["margin_move"] = both["margin_new"] - both["margin_old"]
    judged = _judged(before, after, [mark for mark in Marks(marks).all() if mark.verdict == "hard"])
    states = judged["state"].value_counts()
    return MiningMoves(
        pairs=both,
        judged=judged,
        better=int((both["rank_move"] < 0).sum()),
        worse=int((both["rank_move"] > 0).sum()),
        first_old=int((both["rank_old"] == 1).sum()),
        first_new=int((both["rank_new"] == 1).sum()),
        resolved=int(states.get("resolved", 0)),
        still=int(states.get("still confused", 0)),
    )


def _judged(before: Mined, after: Mined, marks: list[Mark]) -> pandas.DataFrame:
    import pandas

    keys = {mark.key for mark in marks}
    old, new = _margins(before, keys), _margins(after, keys)
    rows: list[tuple[str, str, float, float, Resolution]] = []
    for key in sorted(keys):
        rows.append((*key, old.get(key, np.nan), new.get(key, np.nan), _state(old.get(key), new.get(key))))
    names = ["query", "candidate", "margin_old", "margin_new", "state"]
    return pandas.DataFrame(rows, columns=names)


def _state(old: float | None, new: float | None) -> Resolution:
    if old is None or new is None or np.isnan(old) or np.isnan(new):
        return "unknown"
    if old <= 0:
        return "still confused" if new <= 0 else "resolved"
    return "new" if new <= 0 else "never confused"


def _margins(mined: Mined, keys: set[Key]) -> dict[Key, float]:
    """Margins of some candidates; infinite where the candidate fell below a list that the positive leads.

    A candidate that is in no list any more is less similar than the last of the visual neighbours. If the
    positive is above that one, it is above the candidate too; otherwise nothing is known.
    """
    import pyarrow.parquet as pq

    table = mined.queries
    row_of = {name: row for row, name in enumerate(table["query"])}
    wanted: dict[int, set[str]] = {}
    for query, candidate in keys:
        if query in row_of:
            wanted.setdefault(row_of[query], set()).add(candidate)
    found: dict[Key, float] = {}
    known_chips = set(mined.chips["chip"]) if wanted else set()
    size = int(mined.summary["queries_per_group"])
    file = pq.ParquetFile(mined.folder / NEGATIVES)
    columns = ["query_row", "query", "candidate", "margin", "source"]
    for group in sorted({row // size for row in wanted}):
        part = file.read_row_group(group, columns=columns).to_pandas()
        part = part[part["query_row"].isin(list(wanted))]
        for row, rows in part.groupby("query_row"):
            query = str(table["query"][row])
            listed = dict(zip(rows["candidate"].astype(str), rows["margin"], strict=True))
            last = rows.loc[rows["source"] != "geographic", "margin"].max()
            for candidate in wanted[int(row)]:
                if candidate in listed:
                    found[query, candidate] = float(listed[candidate])
                elif candidate in known_chips and last > 0:
                    found[query, candidate] = float("inf")
    return found
