"""Train the demo model on generated towns; the same command continues.

    python -m tools.train_demo --out DIR/first
    python -m tools.train_demo --out DIR/second --leg second --start DIR/first
    python -m tools.train_demo --out DIR/third --leg third --start DIR/second
    python -m tools.publish_demo --run DIR/first DIR/second DIR/third

The first leg begins with random weights; towns join as it goes on. The second goes on from the first's
averaged weights with a fresh optimiser, all towns, the shipped town (but for its reserved squares) in every
batch, and places that the model takes for each other side by side. The third goes on from the second's at a
lower rate, with two thirds of every batch from the shipped town and panoramas averaged down as photos are.
"""

from __future__ import annotations

import argparse
import json
import signal
import time
from pathlib import Path

from geolocator_gui.configs import ModelConfig
from geolocator_gui.events import Metric, Note
from geolocator_gui.ml.model import create_encoder
from geolocator_gui.ml.pairs.town import TownPairs
from geolocator_gui.ml.train.loop import LAST, train
from geolocator_gui.ml.train.state import read_state
from geolocator_gui.ml.train.validation import TownValidation
from geolocator_gui.town.demo import DEMO_SEED
from geolocator_gui.training import TownPairsConfig, TrainConfig

ARCHITECTURE = "convnext_atto"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_FIRST = (
    TrainConfig(pairs=512_000, fast_depthwise=True, seed=1),
    TownPairsConfig(shipped_seed=DEMO_SEED, shipped_share=0.33),
)
_SECOND = (
    TrainConfig(
        pairs=640_000,
        learning_rate=1.5e-3,
        warmup_pairs=12_800,
        label_smoothing=0.0,
        fast_depthwise=True,
        seed=2,
    ),
    TownPairsConfig(
        shipped_seed=DEMO_SEED,
        shipped_share=1.0,
        start_with=64,
        towns_per_batch=2,
        local_from=0.0,
        local_radius_m=200.0,
        look_alikes=1500,
        mine_every=750,
    ),
)
_THIRD = (
    _SECOND[0].model_copy(update={"pairs": 780_000, "learning_rate": 1e-3, "warmup_pairs": 6_400, "seed": 3}),
    _SECOND[1].model_copy(update={"shipped_weight": 2.0, "finer": 2, "turned": 0.25, "mirror": 0.25}),
)
LEGS = {"first": _FIRST, "second": _SECOND, "third": _THIRD}


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
        synthetic=True,
    )


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--leg", choices=tuple(LEGS), default="first", help="see above; default first")
    parser.add_argument("--start", type=Path, help="folder of the run of the leg before")
    parser.add_argument("--pairs", type=int, help="pairs in the leg, in place of its own number")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--eager", action="store_true", help="without torch.compile (no C++ compiler needed)")
    arguments = parser.parse_args()
    if (arguments.leg != "first") != (arguments.start is not None):
        parser.error("the later legs need --start, the first has none")
    config, town = LEGS[arguments.leg]
    config = config.model_copy(
        update={
            "pairs": arguments.pairs or config.pairs,
            "threads": arguments.threads,
            "compile": not arguments.eager,
        }
    )
    model = create_encoder(ARCHITECTURE, config.temperature, config.seed)
    if arguments.start is not None:
        model.load_state_dict(read_state(arguments.start / "checkpoints" / LAST)["averaged"])
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
            model,
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
