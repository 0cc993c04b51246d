"""What own photos become: the configuration of a `pairs` run and the folder it leaves; no torch, no imaging.

A pairs folder stands alone and can be moved: `pairs.csv` (a row per pair), `set_aside.csv` (a row per photo
that is none, with the reason), `ground/` (upright copies of the photos without their metadata), `satellite/`
(chips with a margin) and `pairs.json`, which is written last: a folder without it is not finished.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from geolocator_gui.configs import Config
from geolocator_gui.errors import DataError

TABLE, SET_ASIDE, SUMMARY = "pairs.csv", "set_aside.csv", "pairs.json"
GROUND, SATELLITE = "ground", "satellite"
COLUMNS = (
    "id", "split", "ground", "satellite", "lon", "lat", "heading", "heading_magnetic", "fov", "vertical_fov",
    "mode", "missing", "imagery", "taken", "photo",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
SET_ASIDE_COLUMNS = ("photo", "reason", "detail", "lon", "lat")


class PairsConfig(Config):
    """How own photos become pairs; the `config.toml` of a `pairs` run.

    Attributes:
        photos: Folder of photos, searched to any depth.
        imagery: Sources in order of preference.
        model: Bundle the pairs are for: the chip's side and resolution are its own.
        side_m: Metres per chip side; None for the bundle's.
        mode: What the photos are; "auto" finds out one by one.
        validation: Share of the pairs kept for validation.
        margin: Room for random offsets on each side of a chip, as a share of its side.
        max_missing: Largest share of missing or blank pixels of a chip.
        unknown_heading: Keep photos that do not say their heading.
        one_spot: Keep photos even where one exact position holds most of them.
        seed: Of the split.
    """

    photos: str
    imagery: tuple[str, ...] = Field(min_length=1)
    model: str = "demo-town"
    side_m: float | None = Field(default=None, gt=0)
    mode: Literal["auto", "panorama", "perspective", "drone"] = "auto"
    validation: float = Field(default=0.2, gt=0, lt=1)
    margin: float = Field(default=0.25, ge=0, le=1)
    max_missing: float = Field(default=0.1, ge=0, le=1)
    unknown_heading: bool = True
    one_spot: bool = False
    seed: int = 0


@dataclass(frozen=True)
class PairsFolder:
    """A finished pairs folder.

    Attributes:
        path: Where it lies.
        summary: `pairs.json`: counts, reasons, settings, the model's view of a photo.
    """

    path: Path
    summary: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> PairsFolder:
        """Open one; raises `DataError` if it is missing, unfinished or of a newer version."""
        try:
            summary = json.loads((path / SUMMARY).read_text("utf-8"))
            schema = summary["schema"]
        except FileNotFoundError as error:
            raise DataError(
                "there is no finished folder of pairs here",
                path=path,
                hint="Make one with `geolocator pairs PHOTOS --imagery SRC --out DIR`; stopped, the same "
                f"command goes on. Expected: {SUMMARY}, {TABLE}, {GROUND}/, {SATELLITE}/.",
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"the summary of the pairs cannot be read ({error})", path=path / SUMMARY
            ) from error
        if schema != 1:
            raise DataError(
                f"these pairs have schema {schema!r}; this version of Geolocator knows 1",
                path=path / SUMMARY,
                hint="Open them with a newer Geolocator.",
            )
        return cls(path, summary)

    def rows(self) -> list[dict[str, str]]:
        """The rows of `pairs.csv`; raises `DataError`."""
        return _read(self.path / TABLE, {"id", "split", GROUND, SATELLITE, "lon", "lat"})

    def set_aside(self) -> list[dict[str, str]]:
        """The rows of `set_aside.csv`; raises `DataError`."""
        return _read(self.path / SET_ASIDE, {"photo", "reason"})


def cell_of_text(text: str) -> str:
    """A text as a cell that no spreadsheet takes for a formula; `text_of_cell` gives the text back."""
    if text[:1] not in _FORMULA and text[:1] != "'":
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text  # a number, such as a negative longitude


def text_of_cell(cell: str) -> str:
    """The text that `cell_of_text` made a cell of."""
    return cell[1:] if cell[:1] == "'" and (cell[1:2] in _FORMULA or cell[1:2] == "'") else cell


def _read(path: Path, needed: set[str]) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [
                {key: text_of_cell(value) if isinstance(value, str) else value for key, value in row.items()}
                for row in csv.DictReader(file)
            ]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"the table cannot be read ({error})", path=path) from error
    if rows and not needed <= rows[0].keys():
        raise DataError(
            f"the table lacks columns: {', '.join(sorted(needed - rows[0].keys()))}",
            path=path,
            hint="Make the pairs again into another folder.",
        )
    return rows
