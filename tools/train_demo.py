"""Train the demo model on generated towns: `python -m tools.train_demo --out DIR`; again, it continues."""

from __future__ import annotations

import argparse
import json
import signal
import time
from pathlib import Path

from geolocator_gui.configs import ModelConfig
from geolocator_gui.events import Metric, Note
from geolocator_gui.ml.model import create_encoder
from geolocator_gui.ml.pairs_town import TownPairs
from geolocator_gui.ml.train import train
from geolocator_gui.ml.train_validation import TownValidation
from geolocator_gui.training import TownPairsConfig, TrainConfig

ARCHITECTURE = "convnext_atto"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def demo_config(town: TownPairsConfig) -> ModelConfig:
    """The demo model's `model.json`, all but its weights and scores."""
    return ModelConfig(
        name="demo-town",
        title="Demo town",
        architecture=ARCHITECTURE,
        embedding_size=320,
        satellite_size=town.chip_px,
        ground_size=town.panorama_px,
        ground_view="panorama",
        ground_band_deg=360.0 * town.panorama_px[0] / town.panorama_px[1],
        mean=MEAN,
        std=STD,
        side_m=town.side_m,
        side_m_origin="published",
        satellite_source_px=town.chip_px,
        recommended_overlap=0.625,
        source="trained by this project on generated towns (tools/train_demo.py)",
        licence="Apache-2.0",
        trained_on=f"{town.towns} generated towns",
    )


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
            demo_config(town),
            feed,
            arguments.out / "checkpoints",
            evaluate=TownValidation(town, demo_config(town)),
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
