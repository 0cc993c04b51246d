"""What training costs beside the published way: `python -m benchmarks.training` (--help lists parts, sizes).

Printed: the batch plan against the published shuffle (dicts of lists, a queue, list.remove), neighbours by
position against the whole distance matrix, the loader's rate, and the training step against the published
form of it (torch DataLoader, augmentation in floating point, NCHW, no own gradient). What is compared runs in
one process and in turn; seconds are the best of the rounds, on the wall clock and on the processor's (all
threads of the process together), which says more on a loaded machine. Mining and ranks: `benchmarks.mining`.

    python -m benchmarks.training --parts neighbours plan             # 10,000 and 100,000 pairs
    python -m benchmarks.training --parts plan --sizes 1000000 --largest-shuffle 0
    python -m benchmarks.training --parts loader step --threads 1
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from geolocator_gui.configs import ModelConfig
from geolocator_gui.events import finish
from geolocator_gui.ml.bundle import find_bundle
from geolocator_gui.ml.datasets import TrainingSamples
from geolocator_gui.ml.datasets.common import Report
from geolocator_gui.ml.datasets.pair_data import PairData
from geolocator_gui.ml.loss import InfoNCE
from geolocator_gui.ml.model import create_encoder, to_input
from geolocator_gui.ml.neighbours import neighbours_by_position
from geolocator_gui.ml.pairs.augment import jpeg
from geolocator_gui.ml.pairs.files import FeedSettings, FileFeed
from geolocator_gui.ml.pairs.sampling import plan_batches
from geolocator_gui.ml.train import depthwise
from geolocator_gui.training import AugmentConfig, SamplingConfig, ViewTrainingConfig

POOL, NEAREST, BATCH = 128, 32, 128
PARTS = ("neighbours", "plan", "loader", "step")


def positions(count: int) -> NDArray[np.float64]:
    """Clustered as towns are, degrees."""
    rng = np.random.default_rng(0)
    centres = rng.uniform((-100, 30), (-70, 45), (max(1, count // 2000), 2))
    return centres[rng.integers(len(centres), size=count)] + rng.normal(0, 0.05, (count, 2))


@dataclass(frozen=True)
class Seconds:
    """Least of some rounds.

    Attributes:
        wall: On the wall clock.
        processor: On the processor's, all threads together.
    """

    wall: float
    processor: float

    def __str__(self) -> str:
        """`1.23 s (processor 0.98 s)`."""
        return f"{self.wall:.2f} s (processor {self.processor:.2f} s)"

    def ratio(self, other: Seconds) -> str:
        """How many times as long the other one took, on the processor's clock."""
        return f"{other.processor / max(self.processor, 1e-9):.1f}"


def best_of(work: Callable[[], Any], rounds: int) -> Seconds:
    """Least seconds of some rounds."""
    wall, processor = [], []
    for _ in range(rounds):
        began, ticked = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - began)
        processor.append(time.process_time() - ticked)
    return Seconds(min(wall), min(processor))


def published_shuffle(near: dict[int, list[int]], batch_size: int, seed: int) -> list[list[int]]:
    """The published batch plan as UPSTREAM.md describes it: one satellite id per pair, lists and sets."""
    rng = np.random.default_rng(seed)
    pool = deque(rng.permutation(len(near)).tolist())
    used: set[int] = set()
    batches: list[list[int]] = []
    batch: list[int] = []
    held: set[int] = set()
    misses = 0
    while pool and misses < 1024:
        anchor = pool.popleft()
        if anchor in used or anchor in held:
            if anchor not in used:
                pool.append(anchor)
            misses += 1
            continue
        misses = 0
        batch.append(anchor)
        held.add(anchor)
        used.add(anchor)
        if len(batch) < batch_size:
            listed = list(near[anchor][:POOL])
            rest = listed[NEAREST:]
            rng.shuffle(rest)
            for other in listed[:NEAREST] + rest[:NEAREST]:
                if len(batch) >= batch_size:
                    break
                if other in used or other in held:
                    continue
                batch.append(other)
                held.add(other)
                used.add(other)
                pool.remove(other)
        if len(batch) >= batch_size:
            batches.append(batch)
            batch, held = [], set()
    return batches


def compare_plans(sizes: list[int], largest_published: int) -> None:
    """Batch plan; the published one up to a size that takes minutes."""
    for count in sizes:
        near = neighbours_by_position(positions(count), k=POOL)
        labels = np.arange(count)
        seconds = best_of(lambda: plan_batches(labels, near, BATCH, np.random.default_rng(0)), 3)  # noqa: B023
        line = f"batch plan, {count:,} pairs: {seconds}"
        if count <= largest_published:
            lists = {row: near[row].tolist() for row in range(count)}
            theirs = best_of(lambda: published_shuffle(lists, BATCH, 0), 1)  # noqa: B023
            line += f"; published shuffle {theirs}, ratio {seconds.ratio(theirs)}"
        print(f"{line}; lists {near.nbytes / 1e6:.0f} MB", flush=True)


def full_matrix(lonlat: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """Neighbours from the whole haversine matrix."""
    lon, lat = np.radians(lonlat).T
    half = np.sin((lat[:, None] - lat) / 2) ** 2
    half += np.cos(lat)[:, None] * np.cos(lat) * np.sin((lon[:, None] - lon) / 2) ** 2
    np.fill_diagonal(half, np.inf)
    near = np.argpartition(half, k, axis=1)[:, :k]
    order = np.argsort(np.take_along_axis(half, near, axis=1), axis=1)
    return np.take_along_axis(near, order, axis=1)


def compare_neighbours(sizes: list[int], largest_matrix: int) -> None:
    """Neighbours by position."""
    for count in sizes:
        places = positions(count)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seconds = best_of(lambda: neighbours_by_position(places, k=POOL), 2)  # noqa: B023
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        line = f"neighbours by position, {count:,}: {seconds}, {grown:.0f} MB more at the peak"
        if count <= largest_matrix:
            theirs = best_of(lambda: full_matrix(places, POOL), 1)  # noqa: B023
            line += f"; whole matrix {theirs}, ratio {seconds.ratio(theirs)}"
        print(line, flush=True)


def stand_in(root: Path, count: int) -> PairData:
    """Image files in VIGOR's sizes; a few of them, listed many times."""
    rng = np.random.default_rng(0)
    for number in range(16):
        for name, height, width in (("ground", 512, 1024), ("satellite", 640, 640)):
            small = rng.integers(0, 256, (height // 8, width // 8, 3)).astype(np.uint8)
            image = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(root / f"{name}{number}.jpg"), image)
    label = np.arange(count, dtype=np.int64)
    return PairData(
        name="stand-in",
        split="train",
        root=root,
        query_paths=[f"ground{n % 16}.jpg" for n in range(count)],
        reference_paths=[f"satellite{n % 16}.jpg" for n in range(count)],
        query_names=[str(n) for n in range(count)],
        reference_names=[str(n) for n in range(count)],
        query_label=label,
        reference_label=label,
        report=Report(count, count),
    )


class PublishedSet(torch.utils.data.Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Pairs loaded as usual: transforms in floating point, one image at a time, NCHW."""

    def __init__(self, data: PairData, model: ModelConfig) -> None:
        self.data, self.model = data, model

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.data.query_paths)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Ground and satellite image, normalised."""
        rng = np.random.default_rng(row)
        views = []
        size = self.model.satellite_size
        for image, height, width in (
            (self.data.query_image(row), *self.model.ground_size),
            (self.data.reference_image(row), size, size),
        ):
            if rng.random() < 0.5:
                image = jpeg(image, int(rng.integers(90, 101)))
            small = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)
            pixels = small.astype(np.float32) / 255.0
            if rng.random() < 0.5:
                for _ in range(3):
                    factor = 1.0 + rng.uniform(-0.15, 0.15)
                    pixels = np.clip(factor * pixels + (1.0 - factor) * pixels.mean(), 0.0, 1.0)
                hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
                hsv[..., 0] = (hsv[..., 0] + 360 * rng.uniform(-0.15, 0.15)) % 360
                pixels = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
            if rng.random() < 0.3:
                pixels = cv2.GaussianBlur(pixels, (5, 5), 0.7)
            pixels = (pixels - self.model.mean) / self.model.std
            views.append(torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32)))
        return views[0], views[1]


def compare_loaders(model: ModelConfig, batch: int, rounds: int, threads: int) -> None:
    """Loader of batches, ours in threads and torch's in processes."""
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        data = stand_in(Path(folder), 64 * batch)
        settings = FeedSettings(
            model,
            SamplingConfig(neighbours="random"),
            AugmentConfig(),
            ViewTrainingConfig(),
            batch,
            100,
            0,
            threads=threads,
        )
        feed = FileFeed(TrainingSamples.of(data), settings)
        finish(feed.begin(0, lambda *_: iter(())))  # type: ignore[arg-type,return-value]
        loader = torch.utils.data.DataLoader(PublishedSet(data, model), batch, num_workers=threads)
        feed.batch(0)
        ours = batch / best_of(lambda: feed.batch(1), rounds).wall
        stream = iter(loader)
        next(stream)
        began = time.perf_counter()
        for _ in range(rounds):
            next(stream)
        theirs = batch * rounds / (time.perf_counter() - began)
        del stream
        print(
            f"loader, {threads} threads: {ours:.0f} pairs/s; "
            f"DataLoader {theirs:.0f}, ratio {ours / theirs:.2f} (wall clock)",
            flush=True,
        )
        feed.close()


def compare_steps(model: ModelConfig, batch: int, rounds: int, threads: int) -> None:
    """Training step, ours and the published form, in turn."""
    torch.set_num_threads(threads)
    ground = torch.randint(0, 256, (batch, *model.ground_size, 3), dtype=torch.uint8)
    satellite = torch.randint(
        0, 256, (batch, model.satellite_size, model.satellite_size, 3), dtype=torch.uint8
    )
    steps = {}
    for name, fast, channels_last in (("published", False, False), ("ours", depthwise.available(), True)):
        encoder = create_encoder(model.architecture, 0.07, 0).train()
        if channels_last:
            encoder = encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if fast:
            depthwise.use_fast_depthwise(encoder.backbone)
        steps[name] = _step(encoder, ground, satellite, model, channels_last)
    taken: dict[str, list[Seconds]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            taken[name].append(best_of(step, 1))
    ours, theirs = (
        Seconds(min(one.wall for one in taken[name]), min(one.processor for one in taken[name]))
        for name in ("ours", "published")
    )
    print(
        f"step of {model.architecture}, batch {batch}, bf16: {ours}; NCHW with torch's gradient "
        f"{theirs}, ratio {ours.ratio(theirs)}"
    )


def _step(
    encoder: nn.Module, ground: torch.Tensor, satellite: torch.Tensor, model: ModelConfig, channels_last: bool
) -> Callable[[], None]:
    optimiser = torch.optim.AdamW(encoder.parameters(), 1e-4)
    loss_of = InfoNCE(0.1)

    def step() -> None:
        views = [to_input(view, model.mean, model.std) for view in (ground, satellite)]
        if not channels_last:
            views = [view.contiguous() for view in views]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            features = [encoder(view) for view in views]
        loss = loss_of(features[0], features[1], 14.0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def main() -> None:
    """Parse the command line and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000], help="pairs")
    parser.add_argument(
        "--largest-matrix", type=int, default=10_000, help="pairs of the whole distance matrix"
    )
    parser.add_argument("--largest-shuffle", type=int, default=100_000, help="pairs of the published shuffle")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default="demo-town")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    arguments = parser.parse_args()
    parts = set(arguments.parts)
    if "neighbours" in parts:
        compare_neighbours(arguments.sizes, arguments.largest_matrix)
    if "plan" in parts:
        compare_plans(arguments.sizes, arguments.largest_shuffle)
    for part, compare in (("loader", compare_loaders), ("step", compare_steps)):
        if part in parts:
            config = find_bundle(arguments.model).config
            compare(config, arguments.batch, arguments.rounds, arguments.threads)


if __name__ == "__main__":
    main()
