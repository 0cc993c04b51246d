"""Batches from image files: planned by epoch, loaded and augmented in threads."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from geolocator_gui.configs import Config, ModelConfig
from geolocator_gui.errors import DataError
from geolocator_gui.ml.augment import AugmentConfig, Target, augment_pair
from geolocator_gui.ml.neighbours import neighbours_by_position, unit_sphere
from geolocator_gui.ml.pairs import Batch, Pixels
from geolocator_gui.ml.pairs_files import FilePairs
from geolocator_gui.ml.sampling import BatchPlan, plan_batches
from geolocator_gui.ml.transforms import input_size
from geolocator_gui.ml.view_training import ViewTrainingConfig, train_view

EARTH_M = 6_371_008.8


class SamplingConfig(Config):
    """Which pairs share a batch.

    Attributes:
        neighbours: "random", "position" (nearest on the ground), or "similarity" (position until the first
            mining, then the most similar ones).
        pool: Length of the neighbour lists.
        nearest: Of a list, the nearest that are pulled in.
        others: Drawn from the rest of the list.
        mine_every: Epochs between two minings by similarity.
        min_distance_m: Pairs nearer to each other than this are not each other's negatives; None for half a
            chip side where the imagery overlaps (own pairs, VIGOR), else 0.
    """

    neighbours: str = Field(default="similarity", pattern="^(random|position|similarity)$")
    pool: int = Field(default=128, ge=1, le=4096)
    nearest: int = Field(default=32, ge=0)
    others: int = Field(default=32, ge=0)
    mine_every: int = Field(default=4, ge=1)
    min_distance_m: float | None = Field(default=None, ge=0)


@dataclass(frozen=True)
class FeedSettings:
    """How files become batches.

    Attributes:
        model: Input sizes and fill colour.
        sampling: Which pairs share a batch.
        augment: What is done to them.
        views: Parts of panoramas.
        batch_size: Pairs per batch, of all processes together.
        steps: Of the whole run.
        seed: Of everything drawn.
        threads: That load and augment.
        rank: This process; it loads every `world`-th pair of a batch.
        world: Number of processes.
    """

    model: ModelConfig
    sampling: SamplingConfig
    augment: AugmentConfig
    views: ViewTrainingConfig
    batch_size: int
    steps: int
    seed: int
    threads: int = 2
    rank: int = 0
    world: int = 1


class FileFeed:
    """A feed of file pairs: a batch depends on the settings, the step and the neighbour lists alone.

    Attributes:
        pairs: What it loads.
        usable: Rows of the pairs (queries with a reference).
        neighbours: int32 (N, pool) rows among the usable pairs, or None for random batches.
        failed: Files that could not be read, each named once.
    """

    def __init__(self, pairs: FilePairs, settings: FeedSettings) -> None:
        self.pairs, self.settings = pairs, settings
        reference = pairs.pair_reference
        self.usable = np.flatnonzero(reference >= 0)
        if len(np.unique(reference[self.usable])) < settings.batch_size:
            raise DataError(
                f"there are {len(np.unique(reference[self.usable]))} satellite images, fewer than a batch of "
                f"{settings.batch_size} needs",
                path=pairs.root,
                hint="Choose a smaller batch, or add pairs.",
            )
        self._reference = reference[self.usable]
        self.failed: dict[str, str] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="load")
        self._plans: dict[int, BatchPlan] = {}
        self._places = self._satellite_places()
        self.neighbours = self._position_neighbours()

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) satellite row of each usable pair."""
        return self._reference

    def close(self) -> None:
        """Stop the loading threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def use_neighbours(self, neighbours: NDArray[np.int32]) -> None:
        """Plan the next epochs with these lists."""
        with self._lock:
            self.neighbours = neighbours
            self._plans.clear()

    def epoch_steps(self) -> int:
        """Batches of an epoch, nominally: plans may hold a few less, the next epoch begins that much earlier."""
        return max(1, len(self.usable) // self.settings.batch_size)

    def epoch_of(self, step: int) -> tuple[int, int]:
        """Epoch of a step and its place in it."""
        return divmod(step, self.epoch_steps())

    def plan(self, epoch: int) -> BatchPlan:
        """The batches of an epoch."""
        with self._lock:
            if epoch not in self._plans:
                settings = self.settings
                self._plans = {key: value for key, value in self._plans.items() if key >= epoch - 1}
                self._plans[epoch] = plan_batches(
                    self._reference,
                    self.neighbours,
                    settings.batch_size,
                    np.random.default_rng([settings.seed, 11, epoch]),
                    nearest=settings.sampling.nearest,
                    others=settings.sampling.others,
                )
            return self._plans[epoch]

    def batch(self, step: int) -> Batch:
        """The pairs of a step; of several processes this one's share."""
        settings = self.settings
        epoch, place = self.epoch_of(step)
        batches = self.plan(epoch).batches
        if not len(batches):
            raise DataError(
                "no batch can be made of these pairs", path=self.pairs.root, hint="Choose a smaller batch."
            )
        whole = batches[place % len(batches)]
        rows = whole[settings.rank :: settings.world]
        images = list(self._pool.map(lambda row: self._load(int(row), step), rows))
        return Batch(
            ground=np.stack([ground for ground, _ in images]),
            satellite=np.stack([satellite for _, satellite in images]),
            rows=whole,
            ignore=self._too_near(whole),
        )

    def _load(self, row: int, step: int) -> tuple[Pixels, Pixels]:
        """Both views of a pair, augmented; a file that cannot be read is replaced by grey and counted."""
        settings, pairs = self.settings, self.pairs
        rng = np.random.default_rng([settings.seed, 12, step, row])
        query, reference = int(self.usable[row]), int(self._reference[row])
        try:
            ground = pairs.query_image(query)
            satellite = random_crop(pairs.wide_reference(reference), pairs.reference_margin, rng)
        except DataError as error:
            with self._lock:
                self.failed.setdefault(str(error.path), error.what)
            # The batch keeps its shape; one grey pair does no harm, and the run ends with the list.
            ground = satellite = np.full((64, 64, 3), 128, dtype=np.uint8)
        model = settings.model
        ground_size, satellite_size = input_size("ground", model), input_size("satellite", model)
        cutting = 0 if pairs.placed or len(ground) <= 2 * model.ground_cutting else model.ground_cutting
        ground, satellite = augment_pair(
            ground,
            satellite,
            Target(*ground_size, cutting, 0.5),
            Target(*satellite_size, 0, 0.4),
            settings.augment,
            rng,
            panorama=model.ground_view in ("panorama", "panorama_strip"),
        )
        fill = tuple(round(255 * value) for value in model.mean)
        share = step / max(1, settings.steps)
        if model.ground_view in ("panorama", "panorama_strip"):
            ground = train_view(ground, settings.views, share, (fill[0], fill[1], fill[2]), rng)
        return ground, satellite

    def _satellite_places(self) -> NDArray[np.float64] | None:
        """(N, 3) or (N, 2) coordinates in metres of each usable pair's satellite image."""
        pairs = self.pairs
        if pairs.planar is not None:
            return np.asarray(pairs.planar, dtype=np.float64)[self._reference]
        if pairs.reference_lonlat is None:
            return None
        return unit_sphere(pairs.reference_lonlat[self._reference]) * EARTH_M

    def _position_neighbours(self) -> NDArray[np.int32] | None:
        if self.settings.sampling.neighbours == "random" or self._places is None:
            return None
        pairs = self.pairs
        planar = pairs.planar is not None
        lonlat = pairs.planar if planar else pairs.reference_lonlat
        assert lonlat is not None
        known = np.isfinite(lonlat[self._reference]).all(axis=1)
        if not known.all():
            return None
        found = neighbours_by_position(
            lonlat[self._reference], k=self._list_length(), query_label=self._reference, planar=planar
        )
        return self.allowed(found)

    def _list_length(self) -> int:
        return min(self.settings.sampling.pool, max(1, len(np.unique(self._reference)) - 1))

    def min_distance_m(self) -> float:
        """Metres within which two pairs are not each other's negatives."""
        asked = self.settings.sampling.min_distance_m
        if asked is not None:
            return asked
        overlapping = self.pairs.placed or self.pairs.name.startswith("vigor")
        return 0.5 * (self.pairs.side_m or 0.0) if overlapping else 0.0

    def allowed(self, neighbours: NDArray[np.int32]) -> NDArray[np.int32]:
        """Neighbour lists without what is too near to be a negative; freed places are -1 at the end."""
        least = self.min_distance_m()
        if not least or self._places is None:
            return neighbours
        result = np.full_like(neighbours, -1)
        for row, near in enumerate(neighbours):
            near = near[near >= 0]
            apart = np.linalg.norm(self._places[near] - self._places[row], axis=1)
            kept = near[apart >= least]
            result[row, : len(kept)] = kept
        return result

    def _too_near(self, rows: NDArray[np.int32]) -> NDArray[np.bool_] | None:
        """(B, B) pairs of a batch that are not each other's negatives, or None if there are none."""
        least = self.min_distance_m()
        if not least or self._places is None:
            return None
        places = self._places[rows]
        near = np.linalg.norm(places[:, None] - places[None], axis=2) < least
        np.fill_diagonal(near, False)
        return near if near.any() else None


def random_crop(image: Pixels, margin: float, rng: np.random.Generator) -> Pixels:
    """A chip somewhere in an image that reaches beyond it by a share `margin` of its side on each side."""
    if not margin:
        return image
    side = round(image.shape[0] / (1.0 + 2.0 * margin))
    top, left = rng.integers(0, image.shape[0] - side + 1, 2)
    return image[top : top + side, left : left + side]


def dropped(plans: Sequence[BatchPlan]) -> int:
    """Pairs that found no place in some epochs together."""
    return sum(plan.dropped for plan in plans)
