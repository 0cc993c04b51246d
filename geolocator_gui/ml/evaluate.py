"""Evaluation: published figures of a model on pairs, and two models on the same queries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import DataError
from geolocator_gui.events import Metric, Note, Progress, Steps
from geolocator_gui.mined import EvaluateConfig
from geolocator_gui.ml.encoder import Encoder
from geolocator_gui.ml.metrics import RECALLS, Retrieval, retrieve, summarise, summarise_positions
from geolocator_gui.ml.pairs.pair_set import PairSet, embed_pairs, embed_queries, open_pair_set
from geolocator_gui.ml.views import PartialView, standard_views
from geolocator_gui.workspace import write_atomically

_LISTS = 100
RESULT = "evaluation.json"


@dataclass(frozen=True)
class Evaluation:
    """Figures of one model.

    Attributes:
        model: Name of the bundle.
        data: Name of the pairs.
        queries: Number of queries.
        references: Number of references.
        figures: By name, percent or metres, each with its chance level.
        views: Figures by name of the view.
        rank: (Q,) int32 of every query, for comparisons; -1 without a positive.
    """

    model: str
    data: str
    queries: int
    references: int
    figures: dict[str, float]
    views: dict[str, dict[str, float]] = field(default_factory=dict)
    rank: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))

    def to_dict(self) -> dict[str, object]:
        """All but the ranks, for JSON."""
        return {
            "model": self.model,
            "data": self.data,
            "queries": self.queries,
            "references": self.references,
            "figures": _finite(self.figures),
            "views": {name: _finite(figures) for name, figures in self.views.items()},
        }


@dataclass(frozen=True)
class Difference:
    """Second model minus first on the same queries.

    Attributes:
        mean: Percentage points.
        low: 2.5th percentile of the bootstrap.
        high: 97.5th percentile of the bootstrap.
    """

    mean: float
    low: float
    high: float


def run_evaluation(
    config: EvaluateConfig, folder: Path, *, workspace_models: Path | None = None
) -> Steps[list[Evaluation]]:
    """Evaluate every model of a configuration on the same queries; the whole of an `evaluate` run."""
    from geolocator_gui.ml.mining.sources import open_encoder, torch_device

    pairs = open_pair_set(config.data, split=config.split, limit=config.limit)
    found = []
    for name in config.models:
        encoder = open_encoder(name, config.device, workspace_models)
        try:
            if len(config.models) > 1:
                yield Note(f"Evaluating {encoder.config.name}.")
            views = standard_views(encoder.config.mean) if config.views else ()
            place = folder / encoder.bundle.fingerprint[:12]
            device = torch_device(config.device)
            found.append((yield from evaluate(pairs, encoder, place, views=views, device=device)))
        finally:
            encoder.close()
    return found


def evaluate(
    pairs: PairSet,
    encoder: Encoder,
    folder: Path,
    *,
    views: Sequence[PartialView] = (),
    device: str = "cpu",
) -> Steps[Evaluation]:
    """Embed the pairs, rank every query and compute the figures.

    Args:
        pairs: Queries and references.
        encoder: The model.
        folder: Keeps the vectors, so that a stopped evaluation goes on, and gets `evaluation.json`.
        views: Partial views of the queries to test as well (panoramas only).
        device: A torch device for the ranking.
    """
    if views and pairs.query_view != "ground":
        raise DataError("fields of view can be tested on panoramas only", path=pairs.name)
    vectors = yield from embed_pairs(pairs, encoder, folder)
    yield Progress("Ranking", 0, 1)
    result, figures = score(vectors.query, vectors.reference, pairs, device=device)
    yield Progress("Ranking", 1, 1)
    yield Metric(0, figures)
    by_view: dict[str, dict[str, float]] = {}
    for number, view in enumerate(views):
        if view.is_whole:
            by_view[view.name] = figures
            continue
        name = f"-{view.fov:g}-{'known' if view.known_heading else 'unknown'}-{view.seed}"
        partial = yield from embed_queries(pairs, encoder, folder, view=view, view_name=name, title=view.name)
        by_view[view.name] = score(partial, vectors.reference, pairs, device=device)[1]
        yield Metric(number + 1, by_view[view.name])
    evaluation = Evaluation(
        model=encoder.config.name,
        data=pairs.name,
        queries=len(pairs.query_names),
        references=len(pairs.reference_names),
        figures=figures,
        views=by_view,
        rank=result.rank,
    )
    write_atomically(folder / RESULT, json.dumps({"schema": 1, **evaluation.to_dict()}, indent=2) + "\n")
    return evaluation


def score(
    query: NDArray[np.floating], reference: NDArray[np.floating], pairs: PairSet, *, device: str = "cpu"
) -> tuple[Retrieval, dict[str, float]]:
    """Ranks and figures of vectors: the published ones, and those by distance where positions are known."""
    result = retrieve(query, reference, pairs.query_label, pairs.reference_label, k=_LISTS, device=device)
    figures = summarise(result)
    if pairs.query_lonlat is not None and pairs.reference_lonlat is not None:
        known = bool(np.isfinite(pairs.reference_lonlat).all())
        if known:
            figures |= summarise_positions(
                result.top, pairs.reference_lonlat, pairs.query_lonlat, recalls=(*RECALLS, _LISTS)
            )
    return result, figures


def compare(first: Evaluation, second: Evaluation, *, draws: int = 10_000) -> dict[str, Difference]:
    """Recall of two models on the same queries, with paired bootstrap intervals.

    Raises:
        DataError: They were not evaluated on the same queries.
    """
    if first.data != second.data or len(first.rank) != len(second.rank):
        raise DataError(
            f"{first.model} was evaluated on {len(first.rank):,} queries of {first.data}, {second.model} on "
            f"{len(second.rank):,} of {second.data}",
            hint="Evaluate both on the same data.",
        )
    return {
        f"R@{k}": paired_bootstrap(
            100.0 * ((first.rank >= 0) & (first.rank < k)),
            100.0 * ((second.rank >= 0) & (second.rank < k)),
            draws=draws,
        )
        for k in RECALLS
    }


def paired_bootstrap(
    first: NDArray[np.floating], second: NDArray[np.floating], *, draws: int = 10_000, seed: int = 0
) -> Difference:
    """Mean difference of two models and its 95 % interval over resampled queries (percentile bootstrap).

    Args:
        first: (Q,) one figure per query.
        second: (Q,) the other model's, same queries.
        draws: Number of resamples.
        seed: Of the draws.
    """
    difference = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    count = len(difference)
    if count == 0:
        return Difference(float("nan"), float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    values, often = np.unique(difference, return_counts=True)
    if len(values) <= 64:
        # Drawing queries with replacement is drawing how often each value comes up.
        means = rng.multinomial(count, often / count, size=draws) @ values / count
    else:
        means = np.array([difference[rng.integers(0, count, count)].mean() for _ in range(draws)])
    low, high = np.percentile(means, [2.5, 97.5])
    return Difference(float(difference.mean()), float(low), float(high))


def _finite(figures: dict[str, float]) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in figures.items()}
