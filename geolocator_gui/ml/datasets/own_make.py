"""A folder of geotagged photos and imagery become a pairs folder: the whole of a `pairs` run."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.configs import ModelConfig
from geolocator_gui.errors import ConfigError, DataError, ImageryError
from geolocator_gui.events import Note, Progress, Steps
from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.geo.imagery.base import ImagerySource
from geolocator_gui.ml.bundle import find_bundle
from geolocator_gui.ml.datasets.own_cut import Frame, Made, make_files
from geolocator_gui.ml.datasets.own_judge import Aside, judge
from geolocator_gui.ml.datasets.own_scan import Scanned, scan_photos
from geolocator_gui.ml.datasets.split import Split, near_any, split_in_space
from geolocator_gui.pairs_folder import (
    COLUMNS,
    GROUND,
    SATELLITE,
    SET_ASIDE,
    SET_ASIDE_COLUMNS,
    SUMMARY,
    TABLE,
    PairsConfig,
    cell_of_text,
)
from geolocator_gui.records import PhotoMode
from geolocator_gui.workspace import write_atomically

BETWEEN = "between training and validation: its chip would share ground with both"


@dataclass(frozen=True)
class PairsSummary:
    """What was made; most of `pairs.json`.

    Attributes:
        photos: Files looked at.
        train: Pairs to train on.
        validation: Pairs to validate on.
        set_aside: Photos that are no pair, by reason.
        modes: Pairs by what the photo is.
        unknown_heading: Pairs whose photo does not say its heading.
        leaks: Training pairs whose stored chip shares ground, or whose photo shares content, with a
            validation pair; counted afterwards from the table, 0 unless something is wrong.
        side_m: Ground metres per chip side.
        margin: Share of the side stored beyond a chip on each side.
        source_px: Pixels per chip side.
        block_m: Side of the blocks that the split drew.
        imagery: Names of the sources.
        attribution: Theirs.
        model: Bundle the pairs are for.
    """

    photos: int
    train: int
    validation: int
    set_aside: dict[str, int]
    modes: dict[str, int]
    unknown_heading: int
    leaks: int
    side_m: float
    margin: float
    source_px: int
    block_m: float
    imagery: tuple[str, ...]
    attribution: str
    model: str

    def sentences(self) -> list[str]:
        """The result in words."""
        lines = [
            f"{self.train:,} pairs to train on, {self.validation:,} to validate on; {self.photos:,} photos.",
            "No training chip shares ground with a validation chip."
            if self.leaks == 0
            else f"{self.leaks:,} training pairs share ground or content with validation pairs.",
        ]
        return lines + [f"{count:,} set aside: {reason}." for reason, count in self.set_aside.items()]


def make_pairs(
    config: PairsConfig, folder: Path, *, workspace_models: Path | None = None, tiles_dir: Path | None = None
) -> Steps[PairsSummary]:
    """Make a pairs folder; stopped or killed, the same call goes on, and photos added since are added.

    Args:
        config: What from.
        folder: Where; made if missing.
        workspace_models: Bundles of the workspace.
        tiles_dir: Tile cache for imagery from servers.

    Raises:
        DataError: There are no photos, or too few pairs to train and validate; the message has the reasons.
        ImageryError: The imagery cannot be read, or its terms forbid fetching it in bulk.
        ConfigError: The model does not say how large a chip is.
    """
    model = find_bundle(config.model, workspace_models).config
    side_m = config.side_m or model.side_m
    if side_m is None:
        raise ConfigError(
            f"the model {model.name} does not say how many metres a chip has",
            hint="Give it with --side-m METRES.",
        )
    frame = Frame.of(model, side_m, config.margin, config.max_missing)
    with _opened(config.imagery, tiles_dir):
        pass  # imagery that cannot be used is refused before many photos are read
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SUMMARY).unlink(missing_ok=True)
    photos = yield from scan_photos(Path(config.photos), folder / "scan.jsonl", skip=folder)
    usable, aside = judge(photos, unknown_heading=config.unknown_heading, one_spot=config.one_spot)
    with _opened(config.imagery, tiles_dir) as sources:
        made = yield from make_files(usable, Path(config.photos), folder, sources, model, frame)
        infos = [source.info for source in sources]
    yield Progress("Splitting", 0, 1)
    aside += [
        Aside(photo, one.reason, one.detail) for photo, one in zip(usable, made, strict=True) if one.reason
    ]
    pairs = [(photo, one) for photo, one in zip(usable, made, strict=True) if not one.reason]
    lonlat = np.array([(photo.lon, photo.lat) for photo, _ in pairs], np.float64).reshape(-1, 2)
    split = split_in_space(lonlat, frame.wide_m, config.validation, config.seed)
    aside += [Aside(pairs[row][0], BETWEEN) for row in np.flatnonzero(split.between)]
    _write_set_aside(folder / SET_ASIDE, aside)
    reasons = dict(Counter(one.reason for one in aside).most_common())
    if split.validation.sum() < 1 or split.train.sum() < 2:
        raise _too_few(config.photos, folder, len(pairs), len(photos), reasons)
    modes = [_mode(photo, config, model) for photo, _ in pairs]
    names = tuple(info.name for info in infos)
    _write_table(folder / TABLE, pairs, modes, split, names)
    kept = split.train | split.validation
    summary = PairsSummary(
        photos=len(photos),
        train=int(split.train.sum()),
        validation=int(split.validation.sum()),
        set_aside=reasons,
        modes=dict(Counter(str(mode) for mode, keep in zip(modes, kept, strict=True) if keep)),
        unknown_heading=sum(pairs[row][0].heading is None for row in np.flatnonzero(kept)),
        leaks=count_leaks(folder / TABLE, frame.wide_m),
        side_m=side_m,
        margin=frame.margin,
        source_px=frame.px,
        block_m=split.block_m,
        imagery=names,
        attribution=" | ".join(dict.fromkeys(info.attribution for info in infos if info.attribution)),
        model=model.name,
    )
    content = {"schema": 1, **asdict(summary), "placed_for": model.model_dump(mode="json")}
    write_atomically(folder / SUMMARY, json.dumps(content, indent=2) + "\n")
    _remove_others(folder, {name for row in np.flatnonzero(kept) for name in _files(pairs[row][1])})
    yield Progress("Splitting", 1, 1)
    if summary.leaks:
        yield Note("Training and validation are not disjoint: the figures will be too good.", "warning")
    return summary


def count_leaks(table: Path, wide_m: float) -> int:
    """Training rows of a `pairs.csv` that share ground or content with a validation row.

    Read from what is on disk, so that it does not rest on how the split was made.
    """
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    train = [row for row in rows if row["split"] == "train"]
    validation = [row for row in rows if row["split"] == "val"]
    near = near_any(_lonlat(train), _lonlat(validation), wide_m)
    content = {row["id"] for row in validation}
    return int(np.count_nonzero(near | np.array([row["id"] in content for row in train], bool)))


def _lonlat(rows: Sequence[dict[str, str]]) -> NDArray[np.float64]:
    return np.array([(float(row["lon"]), float(row["lat"])) for row in rows], np.float64).reshape(-1, 2)


@contextlib.contextmanager
def _opened(imagery: Sequence[str], tiles_dir: Path | None) -> Iterator[list[ImagerySource]]:
    with contextlib.ExitStack() as stack:
        sources = []
        for item in imagery:
            source = stack.enter_context(open_imagery(item, tiles_dir=tiles_dir))
            if not source.info.bulk:
                raise ImageryError(
                    "the terms of this source forbid fetching imagery in bulk",
                    path=source.info.name,
                    hint="It can be shown on the map. Make pairs of another source, or of your own imagery.",
                )
            sources.append(source)
        yield sources


def _mode(photo: Scanned, config: PairsConfig, model: ModelConfig) -> PhotoMode:
    if config.mode != "auto":
        return config.mode
    if photo.drone or model.ground_view == "drone":
        return "drone"
    return "panorama" if photo.panorama else "perspective"


def _too_few(photos: str, folder: Path, pairs: int, all_photos: int, reasons: dict[str, int]) -> DataError:
    why = "; ".join(f"{count:,}: {reason}" for reason, count in reasons.items())
    what = (
        f"none of the {all_photos:,} photos can become a pair"
        if not pairs
        else f"{pairs:,} pairs are too few, or too close together, to train and validate on"
    )
    return DataError(
        what,
        path=photos,
        hint=(f"Set aside {why}. " if why else "") + f"Every photo and its reason: {folder / SET_ASIDE}",
    )


def _write_table(
    path: Path,
    pairs: Sequence[tuple[Scanned, Made]],
    modes: Sequence[PhotoMode],
    split: Split,
    imagery: Sequence[str],
) -> None:
    lines = [
        (
            photo.id,
            "val" if split.validation[row] else "train",
            made.ground,
            made.satellite,
            f"{photo.lon:.8f}",
            f"{photo.lat:.8f}",
            _text(photo.heading),
            int(photo.magnetic),
            _text(photo.fov),
            _text(photo.vertical_fov),
            modes[row],
            f"{made.missing:.4f}",
            imagery[made.imagery],
            photo.taken,
            photo.path,
        )
        for row, (photo, made) in enumerate(pairs)
        if not split.between[row]
    ]
    _write_csv(path, COLUMNS, lines)


def _write_set_aside(path: Path, aside: Sequence[Aside]) -> None:
    lines = [
        (one.photo.path, one.reason, one.detail, _text(one.photo.lon, 8), _text(one.photo.lat, 8))
        for one in sorted(aside, key=lambda one: one.photo.path)
    ]
    _write_csv(path, SET_ASIDE_COLUMNS, lines)


def _write_csv(path: Path, columns: Sequence[str], lines: Sequence[tuple[Any, ...]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(
        [cell_of_text(cell) if isinstance(cell, str) else cell for cell in line] for line in lines
    )
    write_atomically(path, text.getvalue())


def _text(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _files(made: Made) -> tuple[str, str]:
    return made.ground, made.satellite


def _remove_others(folder: Path, kept: set[str]) -> None:
    """Images of an earlier making that are no pair any more; only files of our own naming."""
    for part in (GROUND, SATELLITE):
        for path in (folder / part).iterdir():
            stem = path.name.lstrip(".").partition(".")[0]
            ours = len(stem) == 20 and all(letter in "0123456789abcdef" for letter in stem)
            if ours and f"{part}/{path.name}" not in kept:
                path.unlink(missing_ok=True)
