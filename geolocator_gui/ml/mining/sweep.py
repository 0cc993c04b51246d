"""Photos of pairs that do not say where they look: every direction is tried, as when they are located."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.configs import LocaliseConfig
from geolocator_gui.events import Note, Steps
from geolocator_gui.ml.datasets import PairData
from geolocator_gui.ml.encoder import Encoder
from geolocator_gui.ml.pairs.pair_set import Embedded, PairSet, embed_images
from geolocator_gui.ml.placement import roll_to_north
from geolocator_gui.ml.transforms import Pixels

_TOGETHER = 256


def sweep_headings(pairs: PairSet, vectors: Embedded, encoder: Encoder, folder: Path) -> Steps[Embedded]:
    """Take, for photos of unknown heading, the step of a sweep that fits any satellite image best.

    The vectors given are those of the first step, north; the others are embedded into the folder, so that a
    stopped mining goes on. Photos from above are taken as they are.

    Args:
        pairs: The pairs.
        vectors: Theirs, with an unknown heading taken as north.
        encoder: The model.
        folder: Where the vectors of the other steps are kept.
    """
    if not isinstance(pairs, PairData) or pairs.heading_known is None or pairs.query_view != "ground":
        return vectors
    unknown = np.flatnonzero(~pairs.heading_known)
    if not len(unknown) or encoder.config.ground_view not in ("panorama", "panorama_strip"):
        return vectors
    placed = pairs.for_model(encoder.config)
    yield Note(f"{len(unknown):,} photos do not say where they look; every direction is tried.")
    rolls = LocaliseConfig().rolls
    steps = [np.asarray(vectors.query[unknown])]
    for step in range(1, rolls):
        heading = 360.0 * step / rolls

        def turned(place: int, heading: float = heading) -> Pixels:
            return roll_to_north(placed.query_image(int(unknown[place])), heading)

        steps.append(
            (
                yield from embed_images(
                    folder / f"query-{heading:.0f}.f32",
                    len(unknown),
                    turned,
                    "ground",
                    encoder,
                    what=f"Embedding photos turned by {heading:.0f}°",
                    key=(pairs.name, [pairs.query_names[int(row)] for row in unknown]),
                )
            )
        )
    query = np.array(vectors.query)
    query[unknown] = best_step(np.stack(steps), vectors.reference)
    return Embedded(query, vectors.reference)


def best_step(steps: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, D): of each photo's vectors (S, N, D) the one with the highest similarity to any of (R, D)."""
    count = steps.shape[1]
    best = np.empty((len(steps), count), np.float32)
    for number, vectors in enumerate(steps):
        for start in range(0, count, _TOGETHER):
            some = slice(start, start + _TOGETHER)
            best[number, some] = (vectors[some] @ reference.T).max(axis=1)
    found: NDArray[np.float32] = steps[best.argmax(axis=0), np.arange(count)]
    return found
