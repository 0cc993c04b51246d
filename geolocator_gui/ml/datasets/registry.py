"""KIND:PATH: which reader reads which kind of pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from geolocator_gui.errors import DataError
from geolocator_gui.ml.datasets.cvact import read_cvact
from geolocator_gui.ml.datasets.cvusa import read_cvusa
from geolocator_gui.ml.datasets.own_photos import read_own_pairs
from geolocator_gui.ml.datasets.pair_data import PairData, without_empty
from geolocator_gui.ml.datasets.samples import TrainingSamples
from geolocator_gui.ml.datasets.university import read_university
from geolocator_gui.ml.datasets.vigor import read_vigor

if TYPE_CHECKING:
    from geolocator_gui.ml.pairs.pair_set import PairSet


@dataclass(frozen=True)
class Kind:
    """A kind of pairs on disk.

    Attributes:
        title: For people.
        read: Folder and split to pairs.
        trains: Whether it has a part to train on.
    """

    title: str
    read: Callable[[Path, str], PairData]
    trains: bool = True


KINDS = {
    "cvusa": Kind("CVUSA", read_cvusa),
    "cvact": Kind("CVACT", read_cvact),
    "cvact-test": Kind("CVACT, test set", lambda root, split: read_cvact(root, "test"), trains=False),
    "vigor-same": Kind("VIGOR, same area", lambda root, split: read_vigor(root, split, cross=False)),
    "vigor-cross": Kind("VIGOR, cross area", lambda root, split: read_vigor(root, split, cross=True)),
    "u1652-d2s": Kind(
        "University-1652, drone to satellite",
        lambda root, split: read_university(root, split, drone_query=True),
    ),
    "u1652-s2d": Kind(
        "University-1652, satellite to drone",
        lambda root, split: read_university(root, split, drone_query=False),
    ),
    "pairs": Kind("own photos", read_own_pairs),
}
"""Pairs that are files; `town` (a number, not a folder) is the one kind beside them."""


def read_pairs(kind: str, root: Path | str, split: str = "val", limit: int | None = None) -> PairData:
    """Pairs of a folder.

    Args:
        kind: One of `KINDS`.
        root: The folder.
        split: "train" or "val"; a test set has its own part whatever is asked for.
        limit: Only the first queries and their references.

    Raises:
        DataError: The kind is unknown, or the folder is not what it says.
    """
    if kind == "town":
        raise DataError(
            "the town's pairs are rendered when they are needed; there is no folder to read", path="town:"
        )
    if kind not in KINDS:
        raise DataError(
            f'"{kind}" is not a kind of data', path=root, hint=f"Kinds: {', '.join([*KINDS, 'town'])}."
        )
    if split not in ("train", "val"):
        raise DataError(f'"{split}" is not a split', path=root, hint="Splits are train and val.")
    if str(root) == "":
        raise DataError(f"{kind}: names no folder", hint=f"Write {kind}:PATH.")
    return without_empty(KINDS[kind].read(Path(root).expanduser(), split)).limited(limit)


def open_pairs(kind: str, path: Path | str, *, split: str = "val", limit: int | None = None) -> PairSet:
    """Any pairs to evaluate or mine, the generated town's included; raises `DataError`."""
    if kind == "town":
        from geolocator_gui.ml.pairs.pair_set_town import TownPairSet

        return TownPairSet.of(str(path), split=split, count=limit or 500)
    return read_pairs(kind, path, split, limit)


def training_samples(
    kind: str, path: Path | str, *, split: str = "train", limit: int | None = None
) -> TrainingSamples:
    """Pairs to train on; raises `DataError` if the kind has none."""
    if kind in KINDS and split == "train" and not KINDS[kind].trains:
        raise DataError(
            f"{kind} is a test set; nothing may be trained on it", path=path, hint="Train on cvact."
        )
    return TrainingSamples.of(read_pairs(kind, path, split, limit))
