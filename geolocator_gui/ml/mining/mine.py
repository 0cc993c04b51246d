"""Mining: which chips the model confuses with the right one, and what kind of confusion each is.

`mine` runs in two halves. The first finds neighbours and ranks in one pass over the similarities, in parts
that survive a stop (`mining_parts`). The second fits the thresholds to all pairs (`flags`), flags the
candidates part by part and writes the tables; memory does not grow with the number of queries times lists.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.events import Note, Pace, Progress, Steps
from geolocator_gui.mined import FLAGS, NEGATIVES, SUMMARY
from geolocator_gui.ml.distances import arc_metres, earth_centred
from geolocator_gui.ml.mining.flags import (
    NEAR_SIDES,
    SAME_PLACE,
    Strangers,
    Thresholds,
    fit_thresholds,
    flag_candidates,
    suspect_pairs,
)
from geolocator_gui.ml.mining.parts import MiningData, Part, Parts, make_parts
from geolocator_gui.ml.mining.projection2d import Plane
from geolocator_gui.ml.mining.tables import (
    GROUP_QUERIES,
    Candidates,
    NegativesWriter,
    QueryColumns,
    write_chips,
    write_queries,
)
from geolocator_gui.ml.ranks import BLOCK_BYTES
from geolocator_gui.workspace import write_atomically


@dataclass(frozen=True)
class MiningSummary:
    """What a mining found; also the content of `mining.json`.

    Attributes:
        queries: Photos mined.
        chips: Chips they were compared with.
        candidates: Rows of `negatives.parquet`.
        same_place: Candidates so flagged.
        near_twin: Candidates so flagged.
        far_twin: Candidates so flagged.
        suspect_pairs: Queries whose own chip looks wrong.
        recall_at_1: Percent of the queries with a chip that rank it first.
        neighbours: Length of the visual lists.
        geographic: Length of the geographic lists.
        near_sides: Chip sides up to which a twin is near.
        thresholds: Fitted, see `flags.Thresholds`.
        explained: Share of the variance along the two axes of the projection.
        queries_per_group: Queries per row group of `negatives.parquet`.
        seconds: Of this sitting.
        about: What was mined with what, as given by the caller.
        moves: Against an earlier mining, see `mined_moves`; None when none was named.
    """

    queries: int
    chips: int
    candidates: int
    same_place: int
    near_twin: int
    far_twin: int
    suspect_pairs: int
    recall_at_1: float
    neighbours: int
    geographic: int
    near_sides: float
    thresholds: dict[str, float | int | None]
    explained: tuple[float, float]
    queries_per_group: int
    seconds: float
    about: Mapping[str, Any]
    moves: Mapping[str, Any] | None = None


def mine(
    data: MiningData,
    folder: Path,
    *,
    neighbours: int = 128,
    geographic: int | None = None,
    near_sides: float = NEAR_SIDES,
    device: str = "cpu",
    block_bytes: int = BLOCK_BYTES,
    about: Mapping[str, Any] | None = None,
) -> Steps[MiningSummary]:
    """Mine hard negatives into a folder; called again after a stop it goes on where it was.

    Args:
        data: Vectors, ids, positives and positions.
        folder: Gets `negatives.parquet`, `queries.parquet`, `chips.parquet` and, last, `mining.json`.
        neighbours: Visual neighbours per query.
        geographic: Geographic neighbours per query; None for as many.
        near_sides: Chip sides up to which a twin counts as near.
        device: A torch device for the similarities.
        block_bytes: Size of the similarity buffer.
        about: Kept in the summary (data, model, fingerprint).
    """
    began = time.monotonic()
    data.refuse_no_numbers()
    chips = len(data.chip_vectors)
    neighbours = min(neighbours, chips)
    geographic = min(neighbours if geographic is None else geographic, chips)
    if data.chip_lonlat is None:
        geographic = 0
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SUMMARY).unlink(missing_ok=True)
    parts = Parts(folder / "parts", len(data.query_vectors))
    parts.prepare(data.fingerprint(neighbours, geographic))
    yield from make_parts(
        data, parts, neighbours=neighbours, geographic=geographic, device=device, block_bytes=block_bytes
    )

    yield Progress("Fitting thresholds", 0, 1)
    world = _World.of(data, near_sides)
    queries = QueryColumns.empty(parts.queries)
    for part in parts.all():
        where = slice(part.start, part.start + len(part.rank))
        mean, deviation = world.strangers.mean_and_deviation(data.query_vectors[where])
        queries.cosine[where], queries.rank[where] = part.score, part.rank
        queries.deviation[where], queries.z[where] = deviation, (part.score - mean) / deviation
    thresholds = fit_thresholds(queries.z, queries.cosine, chips)
    queries.suspect[:] = suspect_pairs(
        thresholds, queries.z, queries.rank, world.positive_distance, world.positive_side
    )
    yield Progress("Fitting thresholds", 1, 1)

    pace = Pace("Flagging candidates", parts.queries, "photos")
    counts = np.zeros(len(FLAGS), np.int64)
    with NegativesWriter(folder / NEGATIVES, data) as writer:
        for part in parts.all():
            rows = _candidates(part, world, thresholds, queries)
            counts += np.bincount(rows.flag[rows.valid], minlength=len(FLAGS))
            _note_hardest(part, rows, queries)
            writer.write(rows, queries.suspect[part.start : part.start + len(part.rank)])
            yield from pace.at(part.start + len(part.rank))

    yield Progress("Projecting", 0, 1)
    plane = Plane.fit((data.query_vectors, data.chip_vectors))
    write_queries(folder, data, queries, plane.place(data.query_vectors))
    write_chips(folder, data, plane.place(data.chip_vectors), world.side)
    yield Progress("Projecting", 1, 1)

    has = queries.rank >= 0
    summary = MiningSummary(
        queries=parts.queries,
        chips=chips,
        candidates=int(counts.sum()),
        same_place=int(counts[1]),
        near_twin=int(counts[2]),
        far_twin=int(counts[3]),
        suspect_pairs=int(queries.suspect.sum()),
        recall_at_1=100.0 * float(np.mean(queries.rank[has] == 0)) if has.any() else 0.0,
        neighbours=neighbours,
        geographic=geographic,
        near_sides=near_sides,
        thresholds={name: _plain(value) for name, value in asdict(thresholds).items()},
        explained=plane.explained,
        queries_per_group=GROUP_QUERIES,
        seconds=round(time.monotonic() - began, 3),
        about=dict(about or {}),
    )
    write_atomically(folder / SUMMARY, json.dumps({"schema": 1, **asdict(summary)}, indent=2) + "\n")
    parts.remove()
    yield Note(
        f"{summary.far_twin:,} far twins, {summary.near_twin:,} near twins, {summary.same_place:,} at the "
        f"same place, {summary.suspect_pairs:,} suspect pairs among {summary.queries:,} photos."
    )
    return summary


@dataclass(frozen=True)
class _World:
    """What every part needs: positions as points, chip sides, the strangers' distribution."""

    strangers: Strangers
    truth: NDArray[np.float64]
    chips: NDArray[np.float64]
    side: NDArray[np.float32]
    positive_distance: NDArray[np.float64]
    positive_side: NDArray[np.float32]
    near_sides: float

    @classmethod
    def of(cls, data: MiningData, near_sides: float) -> _World:
        count = len(data.chip_vectors)
        side = np.full(count, np.nan, np.float32)
        if data.side_m is not None:
            side[:] = data.side_m
        unknown = np.full((count, 2), np.nan)
        chips = earth_centred(unknown if data.chip_lonlat is None else data.chip_lonlat)
        truth = earth_centred(data.truth)
        own = np.maximum(data.positive, 0)
        return cls(
            strangers=Strangers.of(data.chip_vectors),
            truth=truth,
            chips=chips,
            side=side,
            positive_distance=np.where(data.positive >= 0, arc_metres(truth, chips[own]), np.nan),
            positive_side=side[own],
            near_sides=near_sides,
        )


def _candidates(part: Part, world: _World, thresholds: Thresholds, queries: QueryColumns) -> Candidates:
    """Both lists of a part side by side; what stands in both is kept in the visual one."""
    where = slice(part.start, part.start + len(part.rank))
    shared = (part.ground[:, :, None] == part.top[:, None, :]) & (part.ground >= 0)[:, :, None]
    chip = np.concatenate([part.top, np.where(shared.any(2), -1, part.ground)], axis=1)
    cosine = np.concatenate([part.top_score, part.ground_score], axis=1)
    cosine = np.where(chip >= 0, cosine, np.float32(np.nan))
    with np.errstate(invalid="ignore"):
        # Above a visual neighbour are those before it in the list and the positive if it is more similar.
        above = np.arange(part.top.shape[1])[None, :] + (part.score[:, None] > part.top_score)
    source = np.concatenate([np.where(shared.any(1), 2, 0), np.ones(part.ground.shape, int)], axis=1)
    distance = np.where(chip >= 0, arc_metres(world.truth[where, None, :], world.chips[chip]), np.nan)
    flag = flag_candidates(
        thresholds,
        cosine=cosine,
        distance_m=distance,
        positive_cosine=part.score,
        stranger_deviation=queries.deviation[where],
        suspect=queries.suspect[where],
        side_m=world.side[chip],
        near_sides=world.near_sides,
    )
    return Candidates(
        start=part.start,
        valid=chip >= 0,
        chip=chip.astype(np.int32),
        source=source.astype(np.int8),
        cosine=cosine,
        rank=np.concatenate([above, part.ground_rank], axis=1).astype(np.int32) + 1,
        distance_m=distance.astype(np.float32),
        margin=part.score[:, None] - cosine,
        flag=flag,
    )


def _note_hardest(part: Part, rows: Candidates, queries: QueryColumns) -> None:
    """Per query the most similar visual neighbour that is not the same place."""
    where = slice(part.start, part.start + len(part.rank))
    width = part.top.shape[1]
    usable = rows.valid[:, :width] & (rows.flag[:, :width] != SAME_PLACE)
    first, any_usable = usable.argmax(1), usable.any(1)
    line = np.arange(len(first))
    queries.hardest[where] = np.where(any_usable, rows.chip[line, first], -1)
    queries.margin[where] = np.where(any_usable, rows.margin[line, first], np.nan)
    queries.hardest_distance[where] = np.where(any_usable, rows.distance_m[line, first], np.nan)
    queries.hardest_flag[where] = np.where(any_usable, rows.flag[line, first], 0)


def _plain(value: float) -> float | int | None:
    return value if isinstance(value, int) or np.isfinite(value) else None
