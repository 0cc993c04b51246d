"""When an answer may be said to stand out: `python -m benchmarks.stands_out [--model NAME|DIR] [--photos N]`.

The model's belief in the neighbourhood of the best chip (`ml.fuse.belief`) decides, against one threshold,
`STANDS_OUT_AT`. Measured here as the program works: photo files of the shipped town at positions that
training left out, and as many of towns that neither training nor the index holds, all localised in the index
of the shipped imagery. Printed for panoramas, photos of 60–90° and both: how well the belief, the bare score
and the lead over the second place tell a right answer from a photo taken elsewhere, and how many of those
taken elsewhere, of the wrong and of the right answers stand out at thresholds around the present one. The
threshold is honest where at most one in twenty of those taken elsewhere stands out.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.demo_model import CROSS_SEEDS, GAP_M, OVERLAP, interval, take
from geolocator_gui.configs import IndexConfig, LocaliseConfig
from geolocator_gui.events import finish
from geolocator_gui.ml.bundle import find_bundle
from geolocator_gui.ml.encoder import Encoder
from geolocator_gui.ml.fuse import STANDS_OUT_AT, belief, weights
from geolocator_gui.ml.index import Index, build_index
from geolocator_gui.ml.localise import Localiser
from geolocator_gui.ml.pairs.sampling import spaced_positions
from geolocator_gui.paths import demo_dir
from geolocator_gui.records import LonLat
from geolocator_gui.town.demo import DEMO_SEED, in_reserved_square, photo_positions
from geolocator_gui.town.geometry import generate_town
from geolocator_gui.town.photos import encode
from geolocator_gui.town.scene import Scene

FALSE_ALARMS = 0.05
THRESHOLDS = (0.1, 0.15, 0.2, 0.25, 0.3, 1 / 3, 0.4, 0.5, 0.6, 0.7, 0.8)


@dataclass(frozen=True)
class Sample:
    """One photo's answer.

    Attributes:
        inside: Taken in the indexed town.
        right: The first chip contains the position.
        panorama: Kind of the photo.
        belief: Of the best place, 0 to 1.
        score: Of the best chip.
        margin: Over the second place.
    """

    inside: bool
    right: bool
    panorama: bool
    belief: float
    score: float
    margin: float


def samples(localiser: Localiser, count: int, folder: Path) -> list[Sample]:
    """Localise `count` panoramas and as many photos inside, and the same elsewhere."""
    rng = np.random.default_rng(20_003)
    home = Scene(generate_town(DEMO_SEED))
    candidates = home.street_positions(40 * count, rng, avoid_xy=photo_positions(), avoid_m=5.0)
    found = _answers(localiser, home, candidates[in_reserved_square(candidates)][:count], True, rng, folder)
    share = -(-count // len(CROSS_SEEDS))
    for seed in CROSS_SEEDS:
        scene = Scene(generate_town(seed))
        positions = spaced_positions(scene.street_positions(8000, rng), share, GAP_M, rng)
        found += _answers(localiser, scene, positions, False, rng, folder)
    return found


def _answers(
    localiser: Localiser,
    scene: Scene,
    positions: NDArray[np.float64],
    inside: bool,
    rng: np.random.Generator,
    folder: Path,
) -> list[Sample]:
    found = []
    for xy in positions:
        lon, lat = (float(value) for value in scene.town.to_lonlat(xy[None])[0])
        for panorama in (True, False):
            shot, image = take(scene, xy, panorama, rng)
            file = folder / "photo.jpg"
            file.write_bytes(encode(image, shot, (lon, lat)))
            found.append(_sample(localiser, file, LonLat(lon, lat) if inside else None, panorama))
    return found


def _sample(localiser: Localiser, file: Path, truth: LonLat | None, panorama: bool) -> Sample:
    query = localiser.embed(file, LocaliseConfig())
    answer = localiser.answer(query, LocaliseConfig())
    chips, scores = localiser.index.chips, localiser.scores(query)
    order = np.argsort(-scores, kind="stable")
    sharpness = math.exp(min(localiser.encoder.config.logit_scale or math.log(1 / 0.07), math.log(100.0)))
    total = float(weights(scores, float(scores.max()), sharpness).sum())
    side = float(chips.side_m.min())
    share = belief(chips.lon[order], chips.lat[order], scores[order], side, sharpness, total)
    if answer.stands_out != (share >= STANDS_OUT_AT):
        raise SystemExit(f"the program says {answer.stands_out} of a belief of {share}: mend this benchmark")
    right = truth is not None and localiser.rank_of(query, truth) == 1
    return Sample(truth is not None, right, panorama, share, float(scores.max()), answer.margin or 0.0)


def area_under_curve(above: NDArray[np.float64], below: NDArray[np.float64]) -> float:
    """How often a value of the first is greater than one of the second; ties count half."""
    more = (above[:, None] > below).mean() + 0.5 * (above[:, None] == below).mean()
    return float(more)


def tell(name: str, found: Sequence[Sample]) -> dict[str, float]:
    """Print one table; returns its figures."""
    elsewhere = [item for item in found if not item.inside]
    right = [item for item in found if item.right]
    wrong = [item for item in found if item.inside and not item.right]
    print(f"{name}: {len(right)} right and {len(wrong)} wrong answers inside, {len(elsewhere)} elsewhere")
    figures = {"right": float(len(right)), "wrong": float(len(wrong)), "elsewhere": float(len(elsewhere))}
    if not right or not elsewhere:
        return figures
    for field in ("belief", "score", "margin"):
        here, away = (np.array([getattr(item, field) for item in group]) for group in (right, elsewhere))
        limit = float(np.sort(away)[math.ceil((1 - FALSE_ALARMS) * len(away)) - 1])
        figures[f"auc_{field}"] = area_under_curve(here, away)
        figures[f"honest_{field}"] = limit
        figures[f"honest_{field}_right"] = float((here > limit).mean())
        print(
            f"  {field:<7} area under the curve {figures[f'auc_{field}']:.3f}; {FALSE_ALARMS:.0%} of those "
            f"taken elsewhere lie above {limit:.3f}, and {(here > limit).mean():.0%} of the right answers"
        )
    print(f"  {'threshold':<11}{'elsewhere':>10}  {'95 %':<16}{'wrong':>7}{'right':>8}")
    for threshold in sorted({*THRESHOLDS, STANDS_OUT_AT}):
        clear = [sum(item.belief >= threshold for item in group) for group in (elsewhere, wrong, right)]
        low, high = interval(clear[0], len(elsewhere))
        mark = " <- STANDS_OUT_AT" if threshold == STANDS_OUT_AT else ""
        print(
            f"  {threshold:<11.3f}{clear[0] / len(elsewhere):>10.1%}  [{low:.1%}, {high:.1%}]".ljust(39)
            + f"{clear[1] / max(len(wrong), 1):>7.1%}{clear[2] / len(right):>8.1%}{mark}"
        )
        if threshold == STANDS_OUT_AT:
            figures["false_alarms"] = clear[0] / len(elsewhere)
            figures["right_that_stand_out"] = clear[2] / len(right)
    return figures


def main() -> None:
    """Parse the command line and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="demo-town", help="bundle (default demo-town)")
    parser.add_argument("--photos", type=int, default=200, help="of each kind, inside and elsewhere")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    arguments = parser.parse_args()
    bundle = find_bundle(arguments.model)
    with Encoder(bundle) as encoder, tempfile.TemporaryDirectory() as folder:
        config = IndexConfig(
            imagery=(str(demo_dir() / "town.mbtiles"),), model=str(bundle.folder), overlap=OVERLAP
        )
        finish(build_index(config, Path(folder) / "index"))
        index = Index.open(Path(folder) / "index")
        print(f"{bundle.name}, {index.count} chips, a belief of {STANDS_OUT_AT:.3f} stands out now")
        found = samples(Localiser(index, encoder), arguments.photos, Path(folder))
    figures: dict[str, dict[str, float]] = {}
    for name, kinds in (("panoramas", (True,)), ("photos 60–90°", (False,)), ("both", (True, False))):
        figures[name] = tell(name, [item for item in found if item.panorama in kinds])
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
