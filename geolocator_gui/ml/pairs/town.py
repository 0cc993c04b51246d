"""Pairs from generated towns, rendered while training runs."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from geolocator_gui.events import Note, Progress, Steps
from geolocator_gui.ml.pairs.batches import Batch, EmbedImages, Pixels
from geolocator_gui.ml.pairs.look_alikes import LookAlikes, find_look_alikes
from geolocator_gui.ml.pairs.sampling import spaced_positions
from geolocator_gui.town.geometry import generate_town
from geolocator_gui.town.scene import Scene
from geolocator_gui.training import TownPairsConfig

_LOOK_AHEAD = 40  # batches whose towns are made ahead of time
_FEW, _SMALL_M = 4, 500.0  # so few small towns are made faster than a process is started
_POSITIONS = 20_000  # candidates per town; about one on every second square metre of street


@dataclass(frozen=True)
class TrainingTown:
    """A town ready for drawing pairs.

    Attributes:
        scene: What renders it.
        positions: Where cameras may stand, float64 (n, 2) metres.
    """

    scene: Scene
    positions: NDArray[np.float64]


def is_reserved(xy: NDArray[np.float64], reserve_m: float, margin_m: float = 0.0) -> NDArray[np.bool_]:
    """Whether positions (n, 2) lie in the squares that are kept from training, one in four.

    Args:
        xy: Metres.
        reserve_m: Side of a square.
        margin_m: How far inside the square; negative counts a strip outside of it too.
    """
    inside = (xy / (2 * reserve_m)) % 1.0 * 2 * reserve_m  # 0 … 2·reserve: the first half is reserved
    low = (inside >= margin_m) & (inside <= reserve_m - margin_m)
    if margin_m < 0:
        low |= inside >= 2 * reserve_m + margin_m
    return np.asarray(low.all(axis=1))


def make_town(seed: int, size_m: float, reserve_m: float | None) -> TrainingTown:
    """A town and its camera positions; with `reserve_m` without the reserved squares and 5 m around them."""
    scene = Scene(generate_town(seed, size_m=size_m))
    positions = np.asarray(scene.street_positions(_POSITIONS, np.random.default_rng([seed, 77])), np.float64)
    if reserve_m is not None:
        positions = positions[~is_reserved(positions, reserve_m, -5.0)]
    return TrainingTown(scene, positions)


class TownPairs:
    """A feed of rendered pairs; towns are made in processes of their own while training runs."""

    def __init__(
        self,
        config: TownPairsConfig,
        *,
        batch_size: int,
        steps: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.config = config
        self._batch_size, self._steps, self._seed = batch_size, steps, seed
        self._rank, self._world = rank, world
        self._lock = threading.Lock()
        self._maker: Executor
        if config.towns <= _FEW and config.size_m <= _SMALL_M:
            self._maker = ThreadPoolExecutor(1, thread_name_prefix="town")
        else:
            self._maker = ProcessPoolExecutor(
                2, mp_context=multiprocessing.get_context("spawn"), initializer=os.nice, initargs=(15,)
            )
        self._towns: dict[int, Future[TrainingTown]] = {}
        self._look_alikes: dict[int, LookAlikes] = {}
        self._fixed = 0  # the step that what is known of look-alikes holds before

    def close(self) -> None:
        """Stop making towns."""
        self._maker.shutdown(wait=False, cancel_futures=True)

    def begin(self, step: int, embed: EmbedImages) -> Steps[int]:
        """Search some towns for look-alikes if it is time; without them nothing but the step matters."""
        yield from self._first_towns(step)
        if not self.config.look_alikes:
            return self._steps
        if step >= self._fixed:
            yield Note("Looking for look-alikes.")
            rng = np.random.default_rng([self._seed, 5, step])
            known = self._known(step)
            seeds = self.config.first_seed + rng.permutation(known)[: self.config.look_alike_towns]
            shipped = [] if self.config.shipped_seed is None else [self.config.shipped_seed]
            found: dict[int, LookAlikes] = {}
            for seed in (*shipped, *seeds.tolist()):
                found[seed] = yield from self._search(seed, rng, embed)
            self._look_alikes = found
            self._fixed = min(self._steps, step + self.config.mine_every)
        return self._fixed

    def _first_towns(self, step: int) -> Steps[None]:
        """Wait for the towns of the next batches, saying how far it is; can be stopped meanwhile."""
        soon = range(step, min(self._steps, step + 4))
        needed = [self._request(seed) for seed in dict.fromkeys(s for one in soon for s in self._seeds(one))]
        waiting = set(needed)
        while waiting:
            yield Progress("Making towns", len(needed) - len(waiting), len(needed), "towns")
            waiting = wait(waiting, timeout=1.0).not_done
        yield Progress("Making towns", len(needed), len(needed), "towns")

    def _search(self, seed: int, rng: np.random.Generator, embed: EmbedImages) -> Steps[LookAlikes]:
        config, town = self.config, self._town(seed)
        rows = rng.permutation(len(town.positions))[: config.look_alikes]
        places = town.positions[rows]
        north = np.zeros(len(places))
        views = render_pairs(town.scene, places, rng, config, headings=north, offset_m=0.5 * config.offset_m)
        return (
            yield from find_look_alikes(places, views.ground, views.satellite, 0.5 * config.side_m, embed)
        )

    def state(self) -> dict[str, torch.Tensor]:
        """The look-alikes that are known."""
        state = {"fixed": torch.tensor([self._fixed])}
        for seed, found in self._look_alikes.items():
            state[f"places {seed}"] = torch.from_numpy(found.places)
            state[f"lists {seed}"] = torch.from_numpy(found.lists)
        return state

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Go on in the middle of what `begin` fixed."""
        self._fixed = int(state["fixed"][0])
        seeds = [int(name.removeprefix("places ")) for name in state if name.startswith("places ")]
        self._look_alikes = {
            seed: LookAlikes(state[f"places {seed}"].numpy(), state[f"lists {seed}"].numpy())
            for seed in seeds
        }

    def batch(self, step: int) -> Batch:
        """The pairs of a step."""
        config = self.config
        # After a continuation the towns of the next batches come first, in the order of need.
        for soon in range(step, min(self._steps, step + _LOOK_AHEAD)):
            for seed in self._seeds(soon):
                self._request(seed)
        seeds = self._seeds(step)
        rng = np.random.default_rng([self._seed, 3, step])
        rise = (step / self._steps - config.local_from) / max(1e-6, 1.0 - config.local_from)
        local = config.local_share * min(1.0, max(0.0, 2.0 * rise))
        counts = self._counts(seeds)
        parts = [
            self._render(seed, count, config.local_radius_m if rng.random() < local else None, rng)
            for seed, count in zip(seeds, counts, strict=True)
        ]
        ground = np.concatenate([part.ground for part in parts])
        satellite = np.concatenate([part.satellite for part in parts])
        mirrored = np.repeat(rng.random(len(seeds)) < config.mirror, counts)
        whole = augment(Batch(ground, satellite), config, rng, mirrored)
        if self._world == 1:
            return whole
        return Batch(whole.ground[self._rank :: self._world], whole.satellite[self._rank :: self._world])

    def _seeds(self, step: int) -> list[int]:
        """Seeds of the towns that a batch is drawn from."""
        config = self.config
        rng = np.random.default_rng([self._seed, 4, step])
        known = self._known(step)
        seeds = config.first_seed + rng.choice(known, min(known, config.towns_per_batch), replace=False)
        searched = [seed for seed in self._look_alikes if seed != config.shipped_seed and seed not in seeds]
        if searched and rng.random() < config.look_alike_share:
            seeds[-1] = searched[int(rng.integers(len(searched)))]
        if config.shipped_seed is not None and rng.random() < config.shipped_share:
            seeds[0] = config.shipped_seed
        return [int(seed) for seed in seeds]

    def _counts(self, seeds: list[int]) -> list[int]:
        """Pairs that each town of a batch gives."""
        weights = [self.config.shipped_weight if seed == self.config.shipped_seed else 1.0 for seed in seeds]
        ends = np.rint(self._batch_size * np.cumsum(weights) / sum(weights)).astype(int)
        return [int(count) for count in np.diff(ends, prepend=0)]

    def _known(self, step: int) -> int:
        """Towns that have joined by a step."""
        return min(self.config.towns, self.config.start_with + step // self.config.steps_per_town)

    def _request(self, seed: int) -> Future[TrainingTown]:
        with self._lock:
            if seed not in self._towns:
                reserve = self.config.reserve_m if seed == self.config.shipped_seed else None
                self._towns[seed] = self._maker.submit(make_town, seed, self.config.size_m, reserve)
            return self._towns[seed]

    def _town(self, seed: int) -> TrainingTown:
        return self._request(seed).result()

    def _render(self, seed: int, count: int, radius_m: float | None, rng: np.random.Generator) -> Batch:
        config, town = self.config, self._town(seed)
        look_alikes = self._look_alikes.get(seed)
        if look_alikes is not None and rng.random() < config.look_alike_share:
            positions = look_alikes.draw(count, config.gap_m, rng)
        else:
            positions = spaced_positions(town.positions, count, config.gap_m, rng, radius_m=radius_m)
        heading = rng.uniform(0.0, 360.0) if rng.random() < config.turned else 0.0
        return render_pairs(town.scene, positions, rng, config, headings=np.full(count, heading))


def render_pairs(
    scene: Scene,
    positions: NDArray[np.float64],
    rng: np.random.Generator,
    config: TownPairsConfig,
    *,
    headings: NDArray[np.float64],
    offset_m: float | None = None,
) -> Batch:
    """Chip and panorama of camera positions (n, 2), both seen along the headings (n,) in degrees."""
    count = len(positions)
    reach = config.offset_m if offset_m is None else offset_m
    centres = positions + rng.uniform(-reach, reach, (count, 2))
    satellite = scene.chips(centres, headings, side_m=config.side_m, size=config.chip_px, variation=rng)
    height, width = config.panorama_px
    ground = scene.panoramas(
        positions,
        headings,
        height=config.finer * height,
        width=config.finer * width,
        eye_m=rng.uniform(1.5, 2.4, count),
        variation=rng,
    )
    if config.finer > 1:
        ground = np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_AREA) for one in ground])
    return Batch(ground, satellite)


def augment(
    batch: Batch, config: TownPairsConfig, rng: np.random.Generator, mirrored: NDArray[np.bool_]
) -> Batch:
    """Mirror the pairs `mirrored` (n,); blur, JPEG on chips, windows of ordinary photos on panoramas."""
    ground, satellite = batch.ground, batch.satellite
    for index in range(len(ground)):
        if mirrored[index]:
            ground[index] = ground[index, :, ::-1].copy()
            satellite[index] = satellite[index, :, ::-1].copy()
        if rng.random() < config.blur:
            ground[index] = cv2.GaussianBlur(ground[index], (3, 3), rng.uniform(0.3, 0.9))
        if rng.random() < config.blur:
            satellite[index] = cv2.GaussianBlur(satellite[index], (3, 3), rng.uniform(0.3, 0.7))
        if rng.random() < config.jpeg:
            quality = int(rng.integers(70, 96))
            data = cv2.imencode(".jpg", satellite[index], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            satellite[index] = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)
        if rng.random() < config.perspective:
            centre, fov, tall = rng.uniform(-180.0, 180.0), rng.uniform(60.0, 100.0), rng.choice([0.75, 1.33])
            ground[index] = window(ground[index], centre, fov, tall, config.fill)
    return batch


def window(
    panorama: Pixels, centre_deg: float, fov_deg: float, tall: float, fill: tuple[int, int, int]
) -> Pixels:
    """A panorama (h, w, 3) of which only what an ordinary photo shows is left, the rest filled.

    Args:
        panorama: Equirectangular, a pixel as many degrees high as wide, the horizon in the middle.
        centre_deg: Where the photo looks, degrees from the panorama's centre.
        fov_deg: Of the photo's width.
        tall: Height of the photo over its width.
        fill: RGB of the rest.
    """
    height, width = panorama.shape[:2]
    degrees = 360.0 / width
    azimuth = ((np.arange(width) + 0.5) * degrees - 180.0 - centre_deg + 180.0) % 360.0 - 180.0
    elevation = (0.5 * height - np.arange(height) - 0.5) * degrees
    half = np.radians(0.5 * fov_deg)
    # A straight edge of a photo at the tangent t lies at the elevation arctan(t · cos azimuth).
    edge = np.degrees(np.arctan(np.tan(half) * tall * np.cos(np.radians(azimuth))))
    seen = (np.abs(azimuth) <= 0.5 * fov_deg)[None, :] & (np.abs(elevation)[:, None] <= edge[None, :])
    return np.where(seen[..., None], panorama, np.array(fill, dtype=np.uint8)).astype(np.uint8)
