"""What each precision costs in recall: `python -m benchmarks.encoder_recall [--model NAME|DIR] [--chips N]`.

The cross-area test of `benchmarks.demo_model` (one-to-one, towns that training never saw, panoramas with
known heading), the same images embedded by every back-end and precision that this machine has. Beside the
recalls: how many photos have another first chip than with plain float32, and the least cosine to it.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.demo_model import cross_area
from geolocator_gui.ml.backends.choice import has_openvino, native_precision
from geolocator_gui.ml.bundle import find_bundle
from geolocator_gui.ml.encoder import Encoder
from geolocator_gui.records import View

Vectors = NDArray[np.float32]


class _Keeper(Encoder):
    """Keeps what it was given, so that the others embed the very same images."""

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self.seen: list[tuple[NDArray[np.uint8], View, Vectors]] = []

    def embed(self, images: NDArray[np.uint8], view: View) -> Vectors:
        """Vectors of images, which are kept."""
        vectors = super().embed(images, view)
        self.seen.append((images, view, vectors))
        return vectors


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="demo-town")
    parser.add_argument("--chips", type=int, default=1000)
    options = parser.parse_args()
    bundle = find_bundle(options.model)
    print("torch fp32:")
    with _Keeper(bundle, device="cpu", backend="torch", precision="fp32") as plain:
        cross_area(plain, options.chips)
    (chips, _, reference), (panoramas, _, queries) = plain.seen[:2]
    first = (queries @ reference.T).argmax(axis=1)
    ways = [("torch", "bf16")]
    if has_openvino():
        fast = native_precision("cpu", "openvino")
        ways += [("openvino", name) for name in dict.fromkeys(["fp32", fast, "int8"])]
    print(f"\n  {'way':<16}{'R@1':>7}{'R@5':>7}  other first chip   least cosine")
    for backend, precision in [("torch", "fp32"), *ways]:
        with Encoder(bundle, device="cpu", backend=backend, precision=precision) as encoder:
            rows, columns = encoder.embed(panoramas, "ground"), encoder.embed(chips, "satellite")
        scores = rows @ columns.T
        rank = (scores > np.diag(scores)[:, None]).sum(axis=1)
        moved = int((scores.argmax(axis=1) != first).sum())
        cosine = min(
            float((rows * queries).sum(axis=1).min()), float((columns * reference).sum(axis=1).min())
        )
        print(
            f"  {backend + ' ' + precision:<16}{(rank < 1).mean():>7.1%}{(rank < 5).mean():>7.1%}"
            f"  {moved:>4} of {len(rank)}       {cosine:.6f}"
        )


if __name__ == "__main__":
    main()
