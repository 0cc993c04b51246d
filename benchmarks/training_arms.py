"""Equal budgets, four ways to make batches: `python -m benchmarks.training_arms --out DIR`.

Every arm trains the same model (by default the demo model, as a user who fine-tunes would) on the same pairs
of towns it has not seen (rendered once, written as files) with the same schedule: random batches; neighbours
by position; by position, then similarity; the last with training for ordinary photos. Measured on pairs of
other towns: panoramas with known heading, and parts of 90° with unknown heading. A run that is there already
is not made again, so that the table can be filled in several sittings. Means, spread over the seeds, and
bootstrap intervals of the differences between arms on the same queries (95 %, queries resampled, hits of all
seeds kept together). The first row is the model before.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from geolocator_gui.configs import ModelConfig
from geolocator_gui.events import Metric, finish
from geolocator_gui.ml.bundle import find_bundle
from geolocator_gui.ml.datasets import TrainingSamples
from geolocator_gui.ml.datasets.common import Report
from geolocator_gui.ml.datasets.pair_data import PairData
from geolocator_gui.ml.model import SharedEncoder
from geolocator_gui.ml.pairs.files import FeedSettings, FileFeed
from geolocator_gui.ml.pairs.sampling import spaced_positions
from geolocator_gui.ml.pairs.town import make_town, render_pairs
from geolocator_gui.ml.train.loop import embed_images, train
from geolocator_gui.ml.train.run import start_model
from geolocator_gui.ml.train.view_training import partial_view
from geolocator_gui.training import (
    AugmentConfig,
    SamplingConfig,
    TownPairsConfig,
    TrainConfig,
    TrainRun,
    ViewTrainingConfig,
)

ARMS = {
    "random": (SamplingConfig(neighbours="random"), ViewTrainingConfig()),
    "position": (SamplingConfig(neighbours="position"), ViewTrainingConfig()),
    "similarity": (SamplingConfig(neighbours="similarity", mine_every=1), ViewTrainingConfig()),
    "views": (SamplingConfig(neighbours="similarity", mine_every=1), ViewTrainingConfig(enabled=True)),
}
BEFORE = "before"
TRAIN_SEEDS, VAL_SEEDS = range(3000, 3012), range(3100, 3104)
PER_TOWN = {"train": 400, "val": 200}
GAP_M = 16.0


def make_pairs(root: Path, split: str, town: TownPairsConfig) -> PairData:
    """Render the pairs of a split once, and list them."""
    seeds = TRAIN_SEEDS if split == "train" else VAL_SEEDS
    share = PER_TOWN[split]
    places = root / f"{split}.npy"
    if not places.exists():
        rng = np.random.default_rng([7, split == "train"])
        lonlat = []
        (root / split).mkdir(parents=True, exist_ok=True)
        for block, seed in enumerate(seeds):
            made = make_town(seed, town.size_m, None)
            xy = spaced_positions(made.positions, share, GAP_M, rng)
            pairs = render_pairs(made.scene, xy, rng, town, headings=np.zeros(share), offset_m=10.0)
            for row in range(share):
                number = block * share + row
                cv2.imwrite(str(root / split / f"g{number}.png"), pairs.ground[row][..., ::-1])
                cv2.imwrite(str(root / split / f"s{number}.png"), pairs.satellite[row][..., ::-1])
            # Towns lie apart, as places do; neighbours are of one town.
            lonlat.append(made.scene.town.to_lonlat(xy) + np.array([[0.5 * block, 0.0]]))
        np.save(places, np.concatenate(lonlat))
    lonlat_all = np.load(places)
    count = len(lonlat_all)
    label = np.arange(count, dtype=np.int64)
    return PairData(
        name="town-arms",
        split=split,
        root=root,
        query_paths=[f"{split}/g{n}.png" for n in range(count)],
        reference_paths=[f"{split}/s{n}.png" for n in range(count)],
        query_names=[str(n) for n in range(count)],
        reference_names=[str(n) for n in range(count)],
        query_label=label,
        reference_label=label,
        report=Report(count, count),
        query_lonlat=lonlat_all,
        reference_lonlat=lonlat_all,
        side_m=town.side_m,
    )


def ranks(model: SharedEncoder, bundle: ModelConfig, val: PairData) -> dict[str, list[int]]:
    """Rank of every validation query: panoramas, and parts of 90° that look anywhere."""
    model = model.eval()
    count = len(val.query_paths)
    reference = finish(embed_images(model, bundle, val.reference_image, count, "satellite"))
    headings = np.random.default_rng(3).uniform(0, 360, count)
    fill = tuple(round(255 * value) for value in bundle.mean)
    loaders = {
        "panorama": val.query_image,
        "90 unknown": lambda row: partial_view(
            val.query_image(row), 90.0, float(headings[row]), (fill[0], fill[1], fill[2])
        ),
    }
    found = {}
    for name, load in loaders.items():
        query = finish(embed_images(model, bundle, load, count, "ground"))
        scores = query @ reference.T
        found[name] = (scores > np.diag(scores)[:, None]).sum(axis=1).tolist()
    return found


def start_from(options: argparse.Namespace, config: TrainConfig) -> TrainRun:
    """What the program's own trainer would start from."""
    return TrainRun(data="town:", start="scratch" if options.scratch else "bundle", train=config)


def run_arm(
    arm: str, seed: int, data: PairData, val: PairData, bundle: ModelConfig, options: argparse.Namespace
) -> None:
    """Train one arm with one seed and keep its ranks."""
    result = options.out / f"{arm}-{seed}.json"
    if result.exists():
        return
    sampling, views = ARMS[arm]
    config = TrainConfig(
        pairs=options.pairs,
        learning_rate=options.rate,
        warmup_pairs=options.pairs // 20,
        threads=options.threads,
        compile=options.compile,
        fast_depthwise=True,
        device=options.device,
        evaluate_every_pairs=0,
        seed=seed,
    )
    # Panoramas are rolled with the chip's turns; the published dropouts would hide most of so small an image.
    augment = AugmentConfig(jpeg=0.0, dropout=0.0)
    settings = FeedSettings(bundle, sampling, augment, views, config.batch_size, config.steps, seed)
    feed = FileFeed(TrainingSamples.of(data), settings)
    seconds = 0.0
    model = start_model(start_from(options, config), options.bundle)
    try:
        steps = train(
            config,
            model,
            bundle,
            feed,
            options.out / f"{arm}-{seed}",
        )
        while True:
            try:
                event = next(steps)
            except StopIteration as stop:
                trained = stop.value
                break
            if isinstance(event, Metric) and event.step % 100 == 0:
                print(f"{arm} {seed}: step {event.step}, loss {event.values['loss']:.3f}", flush=True)
        seconds = trained.seconds
    finally:
        feed.close()
    found = ranks(trained.model, bundle, val)
    result.write_text(json.dumps({"seconds": seconds, "pairs": options.pairs, "ranks": found}), "utf-8")


def table(folder: Path, seeds: int) -> None:
    """What is there: means, spread, and differences to the row above."""
    right: dict[str, dict[str, NDArray[np.float64]]] = {}
    for arm in (BEFORE, *ARMS):
        files = [folder / f"{arm}-{seed}.json" for seed in range(seeds)]
        found = [json.loads(file.read_text("utf-8"))["ranks"] for file in files if file.exists()]
        if found:
            right[arm] = {
                name: np.array([np.array(one[name]) == 0 for one in found], dtype=np.float64)
                for name in found[0]
            }
    rng = np.random.default_rng(0)
    before: str | None = None
    for arm, views in right.items():
        for name, hits in views.items():
            per_seed = 100 * hits.mean(axis=1)
            line = f"{arm:<11} {name:<11} R@1 {per_seed.mean():5.1f} %, "
            line += f"seeds {per_seed.min():.1f}–{per_seed.max():.1f}"
            if before is not None and right[before][name].shape == hits.shape:
                change = 100 * (hits - right[before][name]).mean(axis=0)
                draws = [change[rng.integers(0, len(change), len(change))].mean() for _ in range(2000)]
                low, high = np.percentile(draws, [2.5, 97.5])
                line += f"; against {before} {change.mean():+.1f} [{low:+.1f}, {high:+.1f}]"
            print(line)
        before = arm


def main() -> None:
    """Parse the command line, run what is missing, print the table."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--out", type=Path, required=True, help="folder of pairs and results")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--start", default="demo-town", help="bundle to go on from (default demo-town)")
    parser.add_argument("--scratch", action="store_true", help="random weights instead of the bundle's")
    parser.add_argument(
        "--pairs", type=int, default=19_200, help="of a run (default 19200: 3 minutes of a core)"
    )
    parser.add_argument("--rate", type=float, default=5e-4, help="peak learning rate (default 5e-4)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    options.bundle = find_bundle(options.start)
    bundle = options.bundle.config
    town = TownPairsConfig(chip_px=bundle.satellite_size, panorama_px=bundle.ground_size)
    data, val = (make_pairs(options.out, split, town) for split in ("train", "val"))
    for seed in range(options.seeds):
        before = options.out / f"{BEFORE}-{seed}.json"
        if not before.exists():
            model = start_model(start_from(options, TrainConfig(seed=seed)), options.bundle)
            before.write_text(json.dumps({"ranks": ranks(model, bundle, val)}), "utf-8")
        for arm in options.arms:
            run_arm(arm, seed, data, val, bundle, options)
    table(options.out, options.seeds)


if __name__ == "__main__":
    main()
