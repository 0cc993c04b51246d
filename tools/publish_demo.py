# ruff: noqa: E501 - the paragraphs of the card are kept whole
"""Write the trained demo model into a bundle: `python -m tools.publish_demo --run FIRST SECOND THIRD [--figures FILE]`.

Without figures the card says that none were measured; `python -m benchmarks.demo_model --json FILE` makes them,
then the same command with `--figures FILE` writes them on the card.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

from benchmarks.demo_model import interval
from geolocator_gui.ml.bundle import write_bundle
from geolocator_gui.ml.train.loop import LAST
from geolocator_gui.ml.train.state import read_state
from geolocator_gui.paths import models_dir
from geolocator_gui.training import TownPairsConfig, TrainConfig
from tools.train_demo import ARCHITECTURE, demo_config


@dataclass(frozen=True)
class Leg:
    """One part of the training, in the order it was done.

    Attributes:
        train: Its optimisation.
        town: Its pairs.
        step: Steps done.
        seconds: Time in steps.
    """

    train: TrainConfig
    town: TownPairsConfig
    step: int
    seconds: float


ROWS = {
    "a_panorama_recall_at_1": "(a) shipped town, panoramas, R@1",
    "a_panorama_recall_at_5": "(a) shipped town, panoramas, R@5",
    "a_photo_recall_at_1": "(a) shipped town, photos of 60–90°, R@1",
    "a_photo_recall_at_5": "(a) shipped town, photos of 60–90°, R@5",
    "b_panorama_recall_at_1": "(b) unseen towns, panoramas, R@1",
    "b_panorama_recall_at_5": "(b) unseen towns, panoramas, R@5",
    "b_photo_recall_at_1": "(b) unseen towns, photos of 60–90°, R@1",
    "b_photo_recall_at_5": "(b) unseen towns, photos of 60–90°, R@5",
}


def card(legs: list[Leg], figures: dict[str, float], notes: str) -> str:
    """Text of the model card."""
    town = legs[-1].town
    minutes = sum(leg.seconds for leg in legs) / 60
    rows = "\n".join(figure_line(key, title, figures) for key, title in ROWS.items() if key in figures)
    measured = (
        f"""| measure | result | 95 % interval |
|---|---|---|
{rows}

(a): {figures["a_positions"]:.0f} camera positions of the shipped town that training left out, each written as a photo file and
localised in the index of the shipped imagery ({figures["a_chips"]:.0f} chips of 80 m, overlap 0.625). Right means that the first (or
one of the first five) chips contains the true position; about seven do. Median distance of the fused position:
{figures["a_panorama_median_error_m"]:.1f} m for panoramas.
(b): each of 1000 panoramas of ten unseen towns against the chips of all 1000; the chip's centre lies up to 10 m
from the camera in each axis, cameras are at least 16 m apart, exactly one chip is right.
The heading was known everywhere. `python -m benchmarks.demo_model` prints these with intervals and chance levels.
Nothing was chosen or tuned by the photos that ship with the program."""
        if figures
        else "Not measured yet."
    )
    return f"""# demo-town

A small ConvNeXt ({ARCHITECTURE}, 3.4 million parameters, both views share the weights) for the generated demo town
only. It has never seen a real photo: on real imagery its rankings mean nothing.

## Trained on
Pairs rendered from {town.towns} generated towns (seeds {town.first_seed}–{town.first_seed + town.towns - 1}) and from the shipped town (seed {town.shipped_seed}):
an 80 m chip of 96 px and a panorama of 192×48 px (±45° about the horizon), both with the same heading up and in
the middle: north, or a random one; the chip's centre lies up to {town.offset_m:.0f} m from the camera in each axis. Of the
shipped town, squares of {town.reserve_m:.0f} m, one in four of a chequerboard, and 5 m around them were left out; the shipped
photos and the positions of (a) lie inside. {town.perspective:.0%} of the panoramas were cut to the window of an
ordinary photo (60–100°), the rest of the strip filled with the mean colour. Some pairs were mirrored, views
softened, some chips JPEG-compressed; light, exposure and noise differ from view to view.

## How
By this project's trainer (`python -m tools.train_demo`) from random weights, batches of {legs[0].train.batch_size}, AdamW, one cosine
with warm-up per leg, symmetric InfoNCE with learned temperature, bfloat16, averaged weights (decay {town_ema(legs):g}).

{"".join(leg_line(number, leg) for number, leg in enumerate(legs, 1))}
{minutes:.0f} minutes of computation on one to two cores of an AMD EPYC (Zen 5) that other work shared. {notes}

## Reaches
{measured}

## Licence
Apache-2.0, as the program. The towns are generated; there is no third party's data in it.
"""


def figure_line(key: str, title: str, figures: dict[str, float]) -> str:
    """One row of the table of results."""
    count = round(figures["a_positions" if key.startswith("a_") else "b_chips"])
    low, high = interval(round(figures[key] * count), count)
    return f"| {title} | {figures[key]:.1%} | {low:.1%}–{high:.1%} |"


def town_ema(legs: list[Leg]) -> float:
    """Decay of the averaged weights, the same in every leg."""
    return legs[-1].train.ema


def leg_line(number: int, leg: Leg) -> str:
    """One leg in a list."""
    train, town = leg.train, leg.town
    return (
        f"{number}. {leg.step * train.batch_size:,} pairs, peak rate {train.learning_rate:g}, label smoothing "
        f"{train.label_smoothing:g}, {town.towns_per_batch} towns per batch, the shipped one among them in "
        f"{town.shipped_share:.0%} of the batches{weight(town)}; up to {town.local_share:.0%} of a batch's towns drawn "
        f"within {town.local_radius_m:.0f} m of one spot{look_alikes(town)}; {town.turned:.0%} of the parts turned to a "
        f"random heading, {town.mirror:.0%} mirrored{finer(town)}.\n"
    )


def weight(town: TownPairsConfig) -> str:
    """How much of a batch the shipped town gives, where that is not its equal share."""
    if town.shipped_weight == 1.0:
        return ""
    share = town.shipped_weight / (town.shipped_weight + town.towns_per_batch - 1)
    return f" and giving {share:.0%} of their pairs"


def finer(town: TownPairsConfig) -> str:
    """How panoramas were rendered, where that is not in their own size."""
    return f"; panoramas rendered {town.finer} times finer and averaged down" if town.finer > 1 else ""


def look_alikes(town: TownPairsConfig) -> str:
    """How places that the model confuses came together, for the list of legs."""
    if not town.look_alikes:
        return ""
    return (
        f"; {town.look_alike_share:.0%} of the parts that come from the shipped town and from {town.look_alike_towns} "
        f"others made of places that the model took for each other, searched anew every {town.mine_every} steps "
        f"among {town.look_alikes:,} places of each"
    )


def main() -> None:
    """Parse the command line and publish."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--run", type=Path, required=True, nargs="+", help="folders of the legs, the last one is published"
    )
    parser.add_argument("--out", type=Path, default=models_dir() / "demo-town", help="folder of the bundle")
    parser.add_argument("--figures", type=Path, help="JSON written by benchmarks.demo_model")
    parser.add_argument("--notes", default="", help="further sentences for the card")
    arguments = parser.parse_args()
    legs = []
    for run in arguments.run:
        content = read_state(run / "checkpoints" / LAST)
        train, town = TrainConfig.read_toml(run / "train.toml"), TownPairsConfig.read_toml(run / "town.toml")
        legs.append(Leg(train, town, int(content["step"]), float(content["seconds"])))
    figures = json.loads(arguments.figures.read_text("utf-8")) if arguments.figures else {}
    weights = content["averaged" if train.ema else "model"]
    state = {
        key.removeprefix("backbone."): value.half()
        for key, value in weights.items()
        if key.startswith("backbone.")
    }
    config = demo_config(town).model_copy(
        update={
            "scores": {title: round(100 * figures[key], 1) for key, title in ROWS.items() if key in figures},
            "logit_scale": float(weights["logit_scale"]),
        }
    )
    text = card(legs, figures, arguments.notes)
    bundle = write_bundle(arguments.out, config, state, text)
    for file in bundle.folder.iterdir():
        file.chmod(0o644)
    size = bundle.weights_path.stat().st_size / 1e6
    print(
        f"{bundle.folder}: step {content['step']}, {size:.1f} MB, sha256 {bundle.config.weights_sha256[:12]}…"
    )


if __name__ == "__main__":
    main()
