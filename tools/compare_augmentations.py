"""Our augmentations beside albumentations 2.0.8, in distribution: development only, never a dependency.

    python -m venv /tmp/albumentations
    /tmp/albumentations/bin/pip install albumentations==2.0.8 pydantic tomlkit
    /tmp/albumentations/bin/python tools/compare_augmentations.py

Needs neither torch nor the rest of this project's packages. The same image goes through both many times; of
every result some figures are taken, and their distributions compared: mean and spread side by side, the
Kolmogorov-Smirnov distance and its 1 % threshold for so many draws. `GridDropout` is compared with
`random_offset=False`, the default of the version that the published recipe used, on an image that whole cells
fill: elsewhere 2.x stretches the cells, where the published version cuts the last ones off.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
ROOT = Path(__file__).resolve().parents[1]
HEIGHT, WIDTH = 96, 384


def our_module() -> types.ModuleType:
    """`ml/pairs/augment.py` without torch: the two modules that it takes names from are stood in for."""
    sys.path.insert(0, str(ROOT))
    for name in ("geolocator_gui.ml.pairs.batches", "geolocator_gui.ml.transforms"):
        stand_in = types.ModuleType(name)
        stand_in.Pixels = Pixels  # type: ignore[attr-defined]
        stand_in.cut = lambda image, rows: image[rows:-rows]  # type: ignore[attr-defined]
        stand_in.resize = lambda image, height, width: cv2.resize(  # type: ignore[attr-defined]
            image, (width, height), interpolation=cv2.INTER_LINEAR_EXACT
        )
        sys.modules[name] = stand_in
    file = ROOT / "geolocator_gui" / "ml" / "pairs" / "augment.py"
    spec = importlib.util.spec_from_file_location("augment", file)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules["augment"] = made
    spec.loader.exec_module(made)
    return made


def picture() -> Pixels:
    """Something with colours, edges and grain, the same every time, nowhere quite black."""
    rng = np.random.default_rng(3)
    small = rng.integers(40, 216, (HEIGHT // 8, WIDTH // 8, 3)).astype(np.uint8)
    large = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.float64)
    return np.clip(large + rng.normal(0, 6, large.shape), 12, 243).astype(np.uint8)


def figures(image: Pixels, before: Pixels) -> dict[str, float]:
    """What is compared of one result."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.float64)
    old = cv2.cvtColor(before, cv2.COLOR_RGB2HSV).astype(np.float64)
    turned = np.exp(2j * np.pi * (hsv[..., 0] - old[..., 0]) / 180) * np.minimum(hsv[..., 1], old[..., 1])
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return {
        "mean": float(image.mean()),
        "contrast": float(grey.std()),
        "saturation": float(hsv[..., 1].mean()),
        "hue shift": float(np.angle(turned.sum()) / (2 * np.pi)),
        "sharpness": float(cv2.Laplacian(grey, cv2.CV_64F).std()),
        "change": float(np.abs(image.astype(np.float64) - before).mean()),
        "black share": float((image == 0).all(axis=2).mean()),
    }


def distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Largest difference of two empirical distribution functions."""
    every = np.sort(np.concatenate([one, other]))
    shares = [np.searchsorted(np.sort(x), every, side="right") / len(x) for x in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


def cases(
    ours: types.ModuleType,
) -> Mapping[str, tuple[Callable[[Pixels, np.random.Generator], Pixels], Any]]:
    """Name → our function and albumentations' transform, each always applied."""
    import albumentations as a  # type: ignore[import-not-found]

    always = 1.0
    coarse = a.CoarseDropout(
        num_holes_range=(10, 25),
        hole_height_range=(int(0.1 * HEIGHT), int(0.2 * HEIGHT)),
        hole_width_range=(int(0.1 * HEIGHT), int(0.2 * HEIGHT)),
        fill=0,
        p=always,
    )
    return {
        "jpeg 90-100": (
            lambda image, rng: ours.jpeg(image, int(rng.integers(90, 101))),
            a.ImageCompression(quality_range=(90, 100), p=always),
        ),
        # albumentations hands RGB to an encoder that takes BGR: the same, done as it does.
        "jpeg, swapped": (
            lambda image, rng: ours.jpeg(image[..., ::-1], int(rng.integers(90, 101)))[..., ::-1],
            a.ImageCompression(quality_range=(90, 100), p=always),
        ),
        "colour jitter": (
            lambda image, rng: ours.jitter(image, 0.15, rng),
            a.ColorJitter(
                brightness=(0.85, 1.15),
                contrast=(0.85, 1.15),
                saturation=(0.85, 1.15),
                hue=(-0.15, 0.15),
                p=always,
            ),
        ),
        "advanced blur": (lambda image, rng: ours.blur(image, rng), a.AdvancedBlur(p=always)),
        "sharpen": (lambda image, rng: ours.sharpen(image, rng), a.Sharpen(p=always)),
        "grid dropout 0.4": (
            lambda image, rng: ours.grid_dropout(image, 0.4),
            a.GridDropout(
                ratio=0.4, unit_size_range=(WIDTH // 10, WIDTH // 10 + 1), random_offset=False, p=always
            ),
        ),
        "grid dropout 0.5": (
            lambda image, rng: ours.grid_dropout(image, 0.5),
            a.GridDropout(
                ratio=0.5, unit_size_range=(WIDTH // 10, WIDTH // 10 + 1), random_offset=False, p=always
            ),
        ),
        "coarse dropout": (lambda image, rng: ours.coarse_dropout(image, rng), coarse),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=1500)
    arguments = parser.parse_args()
    ours, image = our_module(), picture()
    rng = np.random.default_rng(0)
    draws = arguments.draws
    limit = 1.63 * np.sqrt(2 / draws)
    print(
        f"{draws} draws each; two samples of one distribution differ by more than {limit:.3f} in 1 of 100\n"
    )
    print(f"{'':<18}{'':<13}{'ours':>18}{'albumentations':>20}{'KS':>8}")
    for name, (mine, theirs) in cases(ours).items():
        if hasattr(theirs, "set_random_seed"):
            theirs.set_random_seed(1)
        shown = image[: 2 * (WIDTH // 10), : 10 * (WIDTH // 10)] if name.startswith("grid") else image
        found = [
            [figures(np.asarray(make(shown)), shown) for _ in range(draws)]
            for make in (lambda x: mine(x, rng), lambda x: theirs(image=x)["image"])  # noqa: B023
        ]
        for figure in found[0][0]:
            one, other = (np.array([row[figure] for row in side]) for side in found)
            if one.std() == other.std() == 0 and one[0] == other[0] and name.startswith("grid") is False:
                continue  # says nothing about this one
            apart = 0.0 if np.allclose(one, other[0]) and np.allclose(other, one[0]) else distance(one, other)
            print(
                f"{name:<18}{figure:<13}{one.mean():>10.4f} ±{one.std():>6.3f}"
                f"{other.mean():>12.4f} ±{other.std():>6.3f}{apart:>8.3f}{'  !' if apart > limit else ''}"
            )
        print()


if __name__ == "__main__":
    main()
