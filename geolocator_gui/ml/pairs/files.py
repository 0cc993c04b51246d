"""Batches from image files: planned by epoch, loaded and augmented in threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed

from geolocator_gui.configs import ModelConfig
from geolocator_gui.errors import DataError
from geolocator_gui.events import Note, Steps
from geolocator_gui.ml.datasets import TrainingSamples
from geolocator_gui.ml.neighbours import neighbours_by_position, neighbours_by_similarity, unit_sphere
from geolocator_gui.ml.pairs.augment import Target, augment_pair
from geolocator_gui.ml.pairs.batches import Batch, EmbedImages, Pixels
from geolocator_gui.ml.pairs.marked import MarkedPairs
from geolocator_gui.ml.pairs.sampling import BatchPlan, plan_batches
from geolocator_gui.ml.train.view_training import train_view
from geolocator_gui.ml.transforms import input_size
from geolocator_gui.training import AugmentConfig, SamplingConfig, ViewTrainingConfig

EARTH_M = 6_371_008.8
_ROWS_AT_ONCE = 8_192
_TOLD_FILES = 20


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
    """A feed of pairs on disk, planned epoch by epoch.

    Attributes:
        samples: What it loads.
        neighbours: int32 (N, pool) rows of samples, or None for random batches.
        failed: Images that could not be read, with the reason.
    """

    def __init__(
        self, samples: TrainingSamples, settings: FeedSettings, marked: MarkedPairs | None = None
    ) -> None:
        self.samples, self.settings = samples, settings
        self.marked = marked or MarkedPairs()
        self._labels = np.unique(samples.label, return_inverse=True)[1].ravel()
        different = int(self._labels.max()) + 1
        if different < settings.batch_size:
            raise DataError(
                f"there are {different} satellite images, fewer than a batch of {settings.batch_size} needs",
                path=samples.data.root,
                hint="Choose a smaller batch, or add pairs.",
            )
        self.failed: dict[str, str] = {}
        self._damaged: set[int] = set()  # rows of samples with an image that could not be read
        self._left_out = np.zeros(0, np.int64)  # those that the present epoch was planned without
        self._news: list[str] = []
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="load")
        self._plan: BatchPlan | None = None
        self._epoch = self._first = 0
        # Marked as the same place; photo and satellite image may be met either way round.
        both = np.concatenate([self.marked.not_negative, self.marked.not_negative[:, ::-1]])
        self._never = {int(row): self._labels[both[both[:, 0] == row, 1]] for row in np.unique(both[:, 0])}
        self._places = None if samples.lonlat is None else unit_sphere(samples.lonlat) * EARTH_M
        self._notes: list[str] = []
        self.neighbours = self._position_neighbours()

    def close(self) -> None:
        """Stop the loading threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def begin(self, step: int, embed: EmbedImages) -> Steps[int]:
        """Plan the epoch that begins at a step, after mining neighbours by similarity if it is time."""
        while self._notes:
            yield Note(self._notes.pop(0), "warning")
        if self._plan is None or step >= self._first + len(self._plan.batches):
            epoch = 0 if self._plan is None else self._epoch + 1
            sampling = self.settings.sampling
            if sampling.neighbours == "similarity" and epoch and epoch % sampling.mine_every == 0:
                self.neighbours = yield from self._mine(embed)
                for text in self._take_news():
                    yield Note(text, "warning")
            self._epoch, self._first = epoch, step
            self._left_out = self._all_damaged()
            self._plan = self._planned()
            if len(self._left_out):
                yield Note(
                    f"Epoch {epoch + 1}: {len(self._left_out):,} pairs with damaged images are left out."
                )
            if self._plan.dropped:
                yield Note(f"Epoch {epoch + 1}: {self._plan.dropped:,} pairs found no place in a batch.")
        return self._first + len(self._plan.batches)

    def _planned(self) -> BatchPlan:
        settings = self.settings
        plan = plan_batches(
            self._labels,
            self.neighbours,
            settings.batch_size,
            np.random.default_rng([settings.seed, 11, self._epoch]),
            nearest=max(settings.sampling.nearest, self._most_hard()),
            others=settings.sampling.others,
            first=self.marked.hard.ravel(),
            without=self._left_out,
        )
        if not len(plan.batches):
            raise DataError(
                "no batch can be made of these pairs",
                path=self.samples.data.root,
                hint=f"{len(self._left_out):,} of them have images that cannot be read: mend these first."
                if len(self._left_out)
                else "Choose a smaller batch.",
            )
        return plan

    def _mine(self, embed: EmbedImages) -> Steps[NDArray[np.int32]]:
        """The most similar satellite images of each ground image, as rows of samples."""
        samples = self.samples
        query = yield from embed(
            self._readable(samples.load_ground, samples.ground_path), len(samples), "ground"
        )
        labels, first = np.unique(self._labels, return_index=True)
        load = self._readable(samples.load_satellite, samples.satellite_path)
        reference = yield from embed(lambda row: load(int(first[row])), len(labels), "satellite")
        found = neighbours_by_similarity(
            query, reference, k=self._list_length(), query_label=self._labels, reference_label=labels
        )
        return self.allowed(self._hard_first(np.where(found >= 0, first[found], -1).astype(np.int32)))

    def _readable(self, load: Callable[[int], Pixels], path: Callable[[int], str]) -> Callable[[int], Pixels]:
        """A loader that gives grey for a damaged file and notes it: mining goes on, no plan has it."""

        def loaded(row: int) -> Pixels:
            try:
                return load(row)
            except DataError as error:
                self._is_damaged(row, path(row), error.what)
                return np.full((64, 64, 3), 128, dtype=np.uint8)

        return loaded

    def _is_damaged(self, row: int, path: str, reason: str) -> None:
        """Remember a pair that is no use, and say so once per file."""
        with self._lock:
            self._damaged.add(row)
            if path in self.failed:
                return
            self.failed[path] = reason
            if len(self.failed) <= _TOLD_FILES:
                self._news.append(f"{path}: {reason}; its pair is left out from here on.")
            elif len(self.failed) == _TOLD_FILES + 1:
                self._news.append("More images cannot be read; how many is said at the end.")

    def _take_news(self) -> tuple[str, ...]:
        with self._lock:
            news, self._news = tuple(self._news), []
        return news

    def _all_damaged(self) -> NDArray[np.int64]:
        """Rows of all damaged pairs, of several processes everybody's: they must plan alike."""
        with self._lock:
            damaged = set(self._damaged)
        if self.settings.world > 1 and distributed.is_initialized():
            theirs: list[set[int]] = [set()] * self.settings.world
            distributed.all_gather_object(theirs, damaged)
            damaged = set().union(*theirs)
        return np.array(sorted(damaged), dtype=np.int64)

    def state(self) -> dict[str, torch.Tensor]:
        """Epoch, its first step, the neighbour lists, and the damaged pairs."""
        with self._lock:
            damaged = sorted(self._damaged)
        state = {
            "epoch": torch.tensor([self._epoch, self._first]),
            "damaged": torch.tensor(damaged, dtype=torch.int64),
            "left_out": torch.from_numpy(self._left_out),
        }
        if self.neighbours is not None:
            state["neighbours"] = torch.from_numpy(self.neighbours)
        return state

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Go on in the middle of an epoch."""
        self._epoch, self._first = (int(value) for value in state["epoch"])
        self.neighbours = state["neighbours"].numpy() if "neighbours" in state else None
        if "left_out" in state:  # older states know of none
            self._left_out = state["left_out"].numpy()
            self._damaged |= set(state["damaged"].tolist())
        self._plan = self._planned()

    def batch(self, step: int) -> Batch:
        """The pairs of a step; of several processes this one's share."""
        settings = self.settings
        assert self._plan is not None
        whole = self._plan.batches[step - self._first]
        rows = whole[settings.rank :: settings.world]
        looks = 2 if settings.views.enabled and settings.views.inner_contrast else 1
        whole_only = settings.world == 1
        loaded = list(self._pool.map(lambda row: self._looks(int(row), step, looks, whole_only), rows))
        found = [one for one in loaded if one is not None]
        if whole_only and len(found) < len(rows):
            # The batch is smaller. Of several processes each must keep its share: there grey stands in once.
            whole = rows[[one is not None for one in loaded]]
            if len(found) < 2:
                raise DataError(
                    f"{len(self.failed):,} images cannot be read; no batch is left at step {step + 1}",
                    path=self.samples.data.root,
                    hint="Fetch them again, or delete them.",
                )
        first = [one[0] for one in found]
        again = [one[1] for one in found] if looks == 2 else None
        # Gathered from several processes the rows stand process by process.
        order = np.concatenate([whole[rank :: settings.world] for rank in range(settings.world)])
        return Batch(
            ground=np.stack([ground for ground, _ in first]),
            satellite=np.stack([satellite for _, satellite in first]),
            rows=order,
            ignore=self._too_near(order),
            ground_again=None if again is None else np.stack([ground for ground, _ in again]),
            satellite_again=None if again is None else np.stack([satellite for _, satellite in again]),
            notes=self._take_news(),
        )

    def _looks(self, row: int, step: int, looks: int, whole_only: bool) -> list[tuple[Pixels, Pixels]] | None:
        """Looks at a pair; None where one of its images is damaged and only whole pairs are wanted."""
        result = [self._load(row, step, look) for look in range(looks)]
        return None if whole_only and row in self._damaged else result

    def _load(self, row: int, step: int, look: int) -> tuple[Pixels, Pixels]:
        """Both views of a pair, augmented; a satellite image somewhere within its margin."""
        settings, samples = self.settings, self.samples
        rng = np.random.default_rng([settings.seed, 12, step, row, look])
        east, south = (float(value) for value in rng.uniform(-1.0, 1.0, 2) * samples.max_offset)
        ground = self._readable(samples.load_ground, samples.ground_path)(row)
        satellite = self._readable(
            lambda sample: samples.load_satellite(sample, (east, south)), samples.satellite_path
        )(row)
        model = settings.model
        panorama = model.ground_view in ("panorama", "panorama_strip")
        ground_size, satellite_size = input_size("ground", model), input_size("satellite", model)
        placed = samples.data.placed or len(ground) <= 2 * model.ground_cutting
        cutting = 0 if placed else model.ground_cutting
        ground, satellite = augment_pair(
            ground,
            satellite,
            Target(*ground_size, cutting, 0.5),
            Target(*satellite_size, 0, 0.4),
            settings.augment,
            rng,
            panorama=panorama,
        )
        if panorama:
            fill = tuple(round(255 * value) for value in model.mean)
            share = step / max(1, settings.steps)
            ground = train_view(ground, settings.views, share, (fill[0], fill[1], fill[2]), rng)
        return ground, satellite

    def _position_neighbours(self) -> NDArray[np.int32] | None:
        """Lists by position; pairs without one have empty lists and are in nobody's."""
        lonlat, wanted = self.samples.lonlat, self.settings.sampling.neighbours != "random"
        known = np.zeros(0, np.int64) if lonlat is None else np.flatnonzero(np.isfinite(lonlat).all(axis=1))
        lost = len(self.samples) - len(known)
        if wanted and lost:
            until = " until the first mining" if self.settings.sampling.neighbours == "similarity" else ""
            who = "No pair knows its position" if not len(known) else f"{lost:,} pairs know no position"
            self._notes.append(f"{who}: they meet others at random{until}.")
        if not wanted or lonlat is None or not len(known):
            if not len(self.marked.hard):
                return None
            return self.allowed(self._hard_first(np.empty((len(self.samples), 0), np.int32)))
        near = neighbours_by_position(lonlat[known], k=self._list_length(), query_label=self._labels[known])
        found = near
        if lost:
            found = np.full((len(self.samples), near.shape[1]), -1, np.int32)
            found[known] = np.where(near >= 0, known[near], -1)
        return self.allowed(self._hard_first(found))

    def _hard_partners(self) -> dict[int, list[int]]:
        """Per sample those that the user kept as hard with it, either way round."""
        partners: dict[int, list[int]] = {}
        for a, b in self.marked.hard.tolist():
            partners.setdefault(a, []).append(b)
            partners.setdefault(b, []).append(a)
        return {row: list(dict.fromkeys(others)) for row, others in partners.items()}

    def _most_hard(self) -> int:
        return max((len(others) for others in self._hard_partners().values()), default=0)

    def _hard_first(self, neighbours: NDArray[np.int32]) -> NDArray[np.int32]:
        """Neighbour lists that begin with what the user kept as hard."""
        partners = self._hard_partners()
        if not partners:
            return neighbours
        width = max(neighbours.shape[1], self._most_hard())
        result = np.full((len(neighbours), width), -1, np.int32)
        result[:, : neighbours.shape[1]] = neighbours
        for row, others in partners.items():
            listed = [*others, *(one for one in neighbours[row].tolist() if one >= 0 and one not in others)]
            result[row] = -1
            result[row, : len(listed[:width])] = listed[:width]
        return result

    def _list_length(self) -> int:
        return min(self.settings.sampling.pool, max(1, int(self._labels.max())))

    def min_distance_m(self) -> float:
        """Metres within which two pairs are not each other's negatives."""
        asked = self.settings.sampling.min_distance_m
        if asked is not None:
            return asked
        data = self.samples.data
        overlapping = data.placed or data.name.startswith("vigor")
        return 0.5 * (data.side_m or 0.0) if overlapping else 0.0

    def allowed(self, neighbours: NDArray[np.int32]) -> NDArray[np.int32]:
        """Neighbour lists without what is too near, or marked, to be a negative; freed places are -1."""
        least, places = self.min_distance_m(), self._places
        result = neighbours.copy()
        for first in range(0, len(result) if least and places is not None else 0, _ROWS_AT_ONCE):
            assert places is not None
            part = result[first : first + _ROWS_AT_ONCE]
            apart = places[part] - places[first : first + _ROWS_AT_ONCE, None]
            # A place that is not known is not near.
            part[np.einsum("ijk,ijk->ij", apart, apart) < least * least] = -1
            order = np.argsort(part < 0, axis=1, kind="stable")
            part[:] = np.take_along_axis(part, order, 1)
        for row, labels in self._never.items():
            near = result[row][result[row] >= 0]
            near = near[~np.isin(self._labels[near], labels)]
            result[row] = -1
            result[row, : len(near)] = near
        return result

    def _too_near(self, rows: NDArray[np.int32]) -> NDArray[np.bool_] | None:
        """(B, B) pairs of a batch that are not each other's negatives, or None if there are none."""
        near = np.zeros((len(rows), len(rows)), dtype=bool)
        least = self.min_distance_m()
        if least and self._places is not None:
            places = self._places[rows]
            near |= np.linalg.norm(places[:, None] - places[None], axis=2) < least
        label = self.samples.label[rows]
        for semi in self.samples.semi_positive[rows].T:
            near |= semi[:, None] == label[None, :]
        for place, row in enumerate(rows.tolist()):
            if row in self._never:
                near[place] |= np.isin(self._labels[rows], self._never[row])
        near |= near.T
        np.fill_diagonal(near, False)
        return near if near.any() else None
