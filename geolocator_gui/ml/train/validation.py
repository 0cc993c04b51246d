"""Validation while training runs: recalls on held-out pairs, and which photos are hardest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from geolocator_gui.configs import ModelConfig
from geolocator_gui.errors import DataError
from geolocator_gui.events import Progress, Steps, finish
from geolocator_gui.ml.datasets import PairData
from geolocator_gui.ml.metrics import retrieve
from geolocator_gui.ml.model import SharedEncoder, to_input
from geolocator_gui.ml.pairs.batches import Pixels
from geolocator_gui.ml.pairs.sampling import spaced_positions
from geolocator_gui.ml.pairs.town import make_town, render_pairs
from geolocator_gui.ml.train.loop import embed_images
from geolocator_gui.training import TownPairsConfig
from geolocator_gui.workspace import write_atomically

HARDEST = "hardest.json"
_HARDEST = 24
TOWN_SEEDS = (900, 901, 902, 903)


class TownValidation:
    """Cross-area recall on pairs of towns that training does not see.

    Panoramas and chips with north up; the chip's centre lies up to 10 m from the camera in each axis.

    Args:
        town: How towns and pairs are made.
        bundle: Input sizes.
        per_town: Pairs of each town.
        seeds: Of the towns.
    """

    def __init__(
        self,
        town: TownPairsConfig,
        bundle: ModelConfig,
        per_town: int = 150,
        seeds: Sequence[int] = TOWN_SEEDS,
    ) -> None:
        self._bundle = bundle
        self.ground, self.satellite = finish(self._pairs(town, per_town, seeds))

    @classmethod
    def steps(
        cls,
        town: TownPairsConfig,
        bundle: ModelConfig,
        per_town: int = 150,
        seeds: Sequence[int] = TOWN_SEEDS,
    ) -> Steps[Self]:
        """The same, saying how far it is; making a large town takes seconds."""
        made = cls.__new__(cls)
        made._bundle = bundle
        made.ground, made.satellite = yield from cls._pairs(town, per_town, seeds)
        return made

    @staticmethod
    def _pairs(town: TownPairsConfig, per_town: int, seeds: Sequence[int]) -> Steps[tuple[Pixels, Pixels]]:
        rng = np.random.default_rng(5)
        ground, satellite = [], []
        for done, seed in enumerate(seeds):
            yield Progress("Making towns to validate on", done, len(seeds), "towns")
            made = make_town(seed, town.size_m, None)
            positions = spaced_positions(made.positions, per_town, 16.0, rng)
            pairs = render_pairs(made.scene, positions, rng, town, headings=np.zeros(per_town), offset_m=10.0)
            ground.append(pairs.ground)
            satellite.append(pairs.satellite)
        yield Progress("Making towns to validate on", len(seeds), len(seeds), "towns")
        return np.concatenate(ground), np.concatenate(satellite)

    def __call__(self, model: SharedEncoder) -> dict[str, float]:
        """Recalls (0..1) of panoramas among all validation chips, and the chance of the first."""
        query, reference = (_vectors(model, self._bundle, images) for images in (self.ground, self.satellite))
        scores = query @ reference.T
        rank = (scores > np.diag(scores)[:, None]).sum(axis=1)
        figures = {f"recall_at_{k}": float((rank < k).mean()) for k in (1, 5, 10)}
        return {**figures, "chance_recall_at_1": 1.0 / len(reference)}


@torch.inference_mode()
def _vectors(model: SharedEncoder, bundle: ModelConfig, images: Pixels) -> NDArray[np.float32]:
    parts = []
    for start in range(0, len(images), 100):
        batch = to_input(torch.from_numpy(images[start : start + 100]), bundle.mean, bundle.std)
        batch = batch.to(model.logit_scale.device)
        parts.append(functional.normalize(model(batch).float(), dim=-1).cpu().numpy())
    return np.concatenate(parts)


class FileValidation:
    """Recalls on a validation split; writes the photos that rank worst beside what was ranked first.

    Args:
        pairs: The split.
        bundle: Input sizes.
        limit: Queries of an evaluation, drawn once; None for all.
        folder: Where `hardest.json` is written.
    """

    def __init__(self, pairs: PairData, bundle: ModelConfig, limit: int | None, folder: Path) -> None:
        self._pairs, self._bundle, self._folder = pairs, bundle, folder
        count = len(pairs.query_paths)
        chosen = np.arange(count)
        if limit is not None and limit < count:
            chosen = np.sort(np.random.default_rng(17).choice(count, limit, replace=False))
        self._chosen = chosen

    def __call__(self, model: SharedEncoder) -> Steps[dict[str, float]]:
        """Recalls (0..1) of the chosen queries among all references, and the chance of the first."""
        pairs, bundle = self._pairs, self._bundle
        query = yield from embed_images(
            model,
            bundle,
            lambda row: pairs.query_image(int(self._chosen[row])),
            len(self._chosen),
            pairs.query_view,
            what="Evaluating: photos",
        )
        reference = yield from embed_images(
            model,
            bundle,
            pairs.reference_image,
            len(pairs.reference_paths),
            pairs.reference_view,
            what="Evaluating: chips",
        )
        result = retrieve(query, reference, pairs.query_label[self._chosen], pairs.reference_label)
        found = result.rank[result.rank >= 0]
        if not len(found):
            raise DataError("no validation photo has its satellite image on disk", path=pairs.root)
        figures = {f"recall_at_{k}": float((found < k).mean()) for k in (1, 5, 10)}
        figures["chance_recall_at_1"] = 1.0 / len(reference)
        self._write_hardest(result.rank, result.top[:, 0])
        return figures

    def _write_hardest(self, rank: NDArray[np.int32], first: NDArray[np.int32]) -> None:
        pairs = self._pairs
        own = pairs.pair_reference
        rows = []
        for place in np.argsort(-rank, kind="stable")[:_HARDEST]:
            query = int(self._chosen[place])
            rows.append(
                {
                    "query": pairs.query_file(query),
                    "right": pairs.reference_file(int(own[query])) if own[query] >= 0 else "",
                    "first": pairs.reference_file(int(first[place])),
                    "rank": int(rank[place]) + 1,
                }
            )
        write_atomically(self._folder / HARDEST, json.dumps(rows, indent=1))
