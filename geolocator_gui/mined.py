"""What mining and evaluation are told, and what a mining leaves on disk; no torch, so the window reads it.

A mining folder holds `negatives.parquet` (a row per query and candidate, queries in order), `queries.parquet`
and `chips.parquet` (a row each, with the 2-d projection) and `mining.json`, which is written last: a folder
without it is not finished.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from geolocator_gui.configs import Config
from geolocator_gui.errors import DataError

if TYPE_CHECKING:
    import pandas

FLAGS = ("", "same_place", "near_twin", "far_twin")
"""Of a candidate; that a pair is suspect is said of the query (`suspect_pair`)."""
SOURCES = ("visual", "geographic", "both")
"""In which of the two neighbour lists a candidate stands."""
NEGATIVES, QUERIES, CHIPS, SUMMARY = "negatives.parquet", "queries.parquet", "chips.parquet", "mining.json"
PICTURES = "pictures"
"""Folder of the images of pairs that are no files of their own."""


class MineConfig(Config):
    """What a `mine` run does; the run's `config.toml`.

    Attributes:
        data: KIND:PATH of pairs; or else
        index: Folder of an index, and
        photos: Folder of geotagged photos.
        model: Bundle name or path; "" for the bundle of the index.
        neighbours: Visual neighbours per query.
        geographic: Geographic neighbours per query; None for as many.
        near_sides: Chip sides up to which a twin counts as near.
        side_m: Chip side in metres where the data do not say; None for the bundle's.
        split: "train" or "val" of the data.
        limit: Only the first pairs; None for all.
        device: "auto", "cpu", "cuda", "mps".
        compare: An earlier mining of the same photos; the run says how they moved.
        marks: A marks.csv; of the confusions kept as hard the run says how many are resolved.
    """

    data: str | None = None
    index: str | None = None
    photos: str | None = None
    model: str = ""
    neighbours: int = Field(default=128, ge=1, le=4096)
    geographic: int | None = Field(default=None, ge=0, le=4096)
    near_sides: float = Field(default=3.0, ge=1)
    side_m: float | None = Field(default=None, gt=0)
    split: Literal["train", "val"] = "train"
    limit: int | None = Field(default=None, ge=1)
    device: str = "auto"
    compare: str | None = None
    marks: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> MineConfig:
        if (self.data is None) == (self.index is None) or (self.index is None) != (self.photos is None):
            raise ValueError("give either data, or index and photos")
        return self


class EvaluateConfig(Config):
    """What an `evaluate` run does; the run's `config.toml`.

    Attributes:
        data: KIND:PATH.
        models: One bundle, or several to compare on the same queries.
        split: "train" or "val".
        limit: Only the first pairs; None for all.
        views: Also by field of view, with known and unknown heading.
        device: "auto", "cpu", "cuda", "mps".
        draws: Of the paired bootstrap.
    """

    data: str
    models: tuple[str, ...] = Field(min_length=1)
    split: str = "val"
    limit: int | None = Field(default=None, ge=1)
    views: bool = False
    device: str = "auto"
    draws: int = Field(default=10_000, ge=100)


@dataclass(frozen=True)
class Mined:
    """A finished mining on disk.

    Attributes:
        folder: Where it lies.
        summary: `mining.json`: settings, counts per flag, thresholds.
    """

    folder: Path
    summary: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Mined:
        """Open a mining; raises `DataError` if it is missing, unfinished or unreadable."""
        try:
            summary = json.loads((folder / SUMMARY).read_text("utf-8"))
        except FileNotFoundError as error:
            raise DataError(
                "there is no finished mining here",
                path=folder,
                hint="Run the same `geolocator mine` command again: it goes on where it stopped.",
            ) from error
        except (OSError, ValueError) as error:
            raise DataError(f"the mining cannot be read ({error})", path=folder / SUMMARY) from error
        return cls(folder, summary)

    @cached_property
    def queries(self) -> pandas.DataFrame:
        """A row per query: id, file, area, position, positive, cosine, rank, margin, hardest, x, y."""
        return self._read(QUERIES)

    @cached_property
    def chips(self) -> pandas.DataFrame:
        """A row per chip: id, file, lon, lat, side_m, x, y."""
        return self._read(CHIPS)

    def candidates(self, query_row: int) -> pandas.DataFrame:
        """The rows of `negatives.parquet` of one query; only its row group is read."""
        import pyarrow.parquet as pq

        from geolocator_gui.errors import GeolocatorError

        file = pq.ParquetFile(self.folder / NEGATIVES)
        group = query_row // int(self.summary["queries_per_group"])
        if not 0 <= group < file.num_row_groups:
            raise GeolocatorError(f"the mining has no query {query_row}", path=self.folder / NEGATIVES)
        table = file.read_row_group(group)
        # The rows of a query lie together, in the order of the queries.
        first, last = table["query_row"].to_numpy().searchsorted([query_row, query_row + 1])
        return table.slice(first, last - first).to_pandas()

    def _read(self, name: str) -> pandas.DataFrame:
        import pyarrow.parquet as pq

        try:
            return pq.read_table(self.folder / name).to_pandas()
        except (OSError, ValueError) as error:
            raise DataError(f"the mining is damaged ({error})", path=self.folder / name) from error
