"""The readers of published data sets and of own pairs, by kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from geolocator_gui.errors import DataError
from geolocator_gui.ml.pairs_cvusa import read_cvact, read_cvusa
from geolocator_gui.ml.pairs_files import FilePairs
from geolocator_gui.ml.pairs_own import read_own
from geolocator_gui.ml.pairs_vigor import read_university, read_vigor

READERS: dict[str, Callable[[Path, str], FilePairs]] = {
    "cvusa": read_cvusa,
    "cvact": read_cvact,
    "cvact-test": lambda root, _split: read_cvact(root, "test"),
    "vigor-same": lambda root, split: read_vigor(root, split, cross=False),
    "vigor-cross": lambda root, split: read_vigor(root, split, cross=True),
    "u1652-d2s": lambda root, split: read_university(root, split, drone_query=True),
    "u1652-s2d": lambda root, split: read_university(root, split, drone_query=False),
    "pairs": read_own,
}


def read_pairs(kind: str, root: Path, split: str, limit: int | None = None) -> FilePairs:
    """Pairs of a data set.

    Args:
        kind: One of `READERS`.
        root: Its folder.
        split: "train" or "val".
        limit: Only the first queries; references stay as they are.

    Raises:
        DataError: The folder is missing or is not what its kind says.
    """
    if not root.is_dir():
        raise DataError("there is no such folder", path=root, hint=f"Give the folder of the {kind} data.")
    pairs = READERS[kind](root, split)
    if limit is None or limit >= len(pairs.query_paths):
        return pairs
    return replace(
        pairs,
        query_paths=pairs.query_paths[:limit],
        query_names=pairs.query_names[:limit],
        query_label=pairs.query_label[:limit],
        query_lonlat=None if pairs.query_lonlat is None else pairs.query_lonlat[:limit],
        heading_known=None if pairs.heading_known is None else pairs.heading_known[:limit],
    )
