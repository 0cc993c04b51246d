"""Train the demo model on generated towns; the same command continues: `python -m tools.train_demo --out DIR`."""

from __future__ import annotations

import argparse
import json
import signal
import time
from pathlib import Path

import numpy as np
import torch

from geolocator_gui.events import Metric, Note
from geolocator_gui.ml.model import SharedEncoder, create_encoder, to_input
from geolocator_gui.ml.pairs_town import TownPairs, make_town, render_pairs
from geolocator_gui.ml.sampling import spaced_positions
from geolocator_gui.ml.train import IMAGENET_MEAN, IMAGENET_STD, train
from geolocator_gui.ml.train_config import TownPairsConfig, TrainConfig

ARCHITECTURE = "convnext_atto"
VALIDATION_SEEDS = (900, 901, 902, 903)


class Validation:
    """Cross-area recall on a few hundred pairs of towns that training does not see."""

    def __init__(self, town: TownPairsConfig, per_town: int = 150) -> None:
        rng = np.random.default_rng(5)
        ground, satellite = [], []
        for seed in VALIDATION_SEEDS:
            made = make_town(seed, town.size_m, None)
            positions = spaced_positions(made.positions, per_town, 16.0, rng)
            pairs = render_pairs(made.scene, positions, rng, town, headings=np.zeros(per_town), offset_m=10.0)
            ground.append(pairs.ground)
            satellite.append(pairs.satellite)
        self.ground, self.satellite = np.concatenate(ground), np.concatenate(satellite)

    @torch.inference_mode()
    def __call__(self, model: SharedEncoder) -> dict[str, float]:
        """Recalls of panoramas among all validation chips."""
        vectors = []
        for images in (self.ground, self.satellite):
            parts = []
            for start in range(0, len(images), 100):
                batch = to_input(torch.from_numpy(images[start : start + 100]), IMAGENET_MEAN, IMAGENET_STD)
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    parts.append(model(batch).float())
            vectors.append(torch.nn.functional.normalize(torch.cat(parts), dim=-1))
        scores = vectors[0] @ vectors[1].T
        rank = (scores > scores.diagonal()[:, None]).sum(1)
        return {f"cross_recall_at_{k}": float((rank < k).float().mean()) for k in (1, 5)}


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--pairs", type=int, default=600_000, help="pairs in the whole run (default 600000)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--eager", action="store_true", help="without torch.compile (no C++ compiler needed)")
    parser.add_argument("--shipped-seed", type=int, default=None)
    parser.add_argument("--shipped-share", type=float, default=0.0)
    arguments = parser.parse_args()
    config = TrainConfig(
        pairs=arguments.pairs,
        threads=arguments.threads,
        compile=not arguments.eager,
        fast_depthwise=True,
        seed=1,
    )
    town = TownPairsConfig(shipped_seed=arguments.shipped_seed, shipped_share=arguments.shipped_share)
    arguments.out.mkdir(parents=True, exist_ok=True)
    config.write_toml(arguments.out / "train.toml")
    town.write_toml(arguments.out / "town.toml")
    feed = TownPairs(town, batch_size=config.batch_size, steps=config.steps, seed=config.seed)
    stop: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _frame: stop.append(received))
    try:
        steps = train(
            config,
            create_encoder(ARCHITECTURE, config.temperature, config.seed),
            feed,
            arguments.out / "checkpoints" / "last.pt",
            evaluate=Validation(town),
        )
        for event in steps:
            if stop:
                steps.close()
                print(time.strftime("%H:%M:%S"), "Stopped; the same command continues.", flush=True)
                break
            if isinstance(event, Metric):
                values = {key: round(value, 5) for key, value in event.values.items()}
                print(time.strftime("%H:%M:%S"), event.step, json.dumps(values), flush=True)
            elif isinstance(event, Note):
                print(time.strftime("%H:%M:%S"), event.text, flush=True)
    finally:
        feed.close()


if __name__ == "__main__":
    main()
