"""Own pairs read back: photos placed as a model takes them, chips with room for offsets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, cast

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.configs import LocaliseConfig, ModelConfig
from geolocator_gui.errors import ConfigError, DataError, PhotoError
from geolocator_gui.ml.datasets.common import Listing, ReportBuilder, number_or_nan, read_image
from geolocator_gui.ml.datasets.pair_data import PairData
from geolocator_gui.ml.placement import loading_side, mean_colour, place
from geolocator_gui.ml.transforms import Pixels, resize
from geolocator_gui.pairs_folder import SUMMARY, PairsFolder
from geolocator_gui.records import PhotoFacts, PhotoMode

_MODES = ("panorama", "perspective", "drone")


@dataclass(frozen=True)
class OwnPhotos:
    """What is known of the ground images; (Q,) each.

    Attributes:
        heading: Degrees, NaN where unknown.
        fov: Degrees across, NaN where unknown.
        vertical_fov: Degrees down, NaN where unknown.
        mode: How each is placed.
    """

    heading: NDArray[np.float64]
    fov: NDArray[np.float64]
    vertical_fov: NDArray[np.float64]
    mode: Sequence[PhotoMode]


@dataclass(frozen=True)
class OwnPairs(PairData):
    """A pairs folder; `query_image` gives what a model's encoder takes.

    Attributes:
        photos: Headings, fields of view and modes.
        model: What the photos are placed for: that of the folder, until `for_model` says another.
    """

    photos: OwnPhotos | None = None
    model: ModelConfig | None = None

    def for_model(self, config: ModelConfig) -> Self:
        """The same pairs as another model takes them."""
        return replace(self, model=config)

    def taken(self, queries: NDArray[np.int64], references: NDArray[np.int64]) -> Self:
        """Some of the queries and references, by row."""
        assert self.photos is not None  # `read_own_pairs` gives them
        some = OwnPhotos(
            self.photos.heading[queries],
            self.photos.fov[queries],
            self.photos.vertical_fov[queries],
            [self.photos.mode[row] for row in queries],
        )
        return replace(super().taken(queries, references), photos=some)

    def read_photo(self, row: int) -> Pixels:
        """uint8 (h, w, 3): the photo itself, upright, not placed; raises `DataError`."""
        return read_image(self.root / self.query_paths[row])

    def facts(self, row: int, image: Pixels) -> PhotoFacts:
        """What is known of a photo, for `place`."""
        assert self.photos is not None
        return PhotoFacts(
            width=image.shape[1],
            height=image.shape[0],
            heading=_known(self.photos.heading[row]),
            horizontal_fov=_known(self.photos.fov[row]),
            vertical_fov=_known(self.photos.vertical_fov[row]),
            is_panorama=self.photos.mode[row] == "panorama",
        )

    def read_query(self, row: int) -> Pixels:
        """The photo placed, uint8 at twice the model's ground size; an unknown heading counts as north.

        Panoramas are rolled to north and cut to the model's band, ordinary photos drawn on a blank panorama,
        photos from above turned to north and, for a model of street views, put in the middle of a blank one.
        """
        assert self.photos is not None
        assert self.model is not None
        image = self.read_photo(row)
        facts, mode = self.facts(row, image), self.photos.mode[row]
        longest = loading_side(facts, self.model, mode)
        if longest is not None and max(image.shape[:2]) > longest:
            image = _shrunk(image, longest)
        height, width = 2 * self.model.ground_size[0], 2 * self.model.ground_size[1]
        # The cut of rows is left to the evaluation transform, which comes after.
        larger = self.model.model_copy(update={"ground_size": (height, width), "ground_cutting": 0})
        options = LocaliseConfig(mode=mode, heading=0.0 if facts.heading is None else facts.heading)
        if mode == "drone" and self.model.ground_view != "drone":
            as_drone = larger.model_copy(update={"ground_view": "drone", "ground_size": (height, height)})
            canvas = np.empty((height, width, 3), np.uint8)
            canvas[:] = mean_colour(self.model)
            seen = place(image, facts, as_drone, options).images[0]
            left = (width - min(height, width)) // 2
            side = min(height, width)
            canvas[(height - side) // 2 :][:side, left : left + side] = resize(seen, side, side)
            return canvas
        try:
            return np.asarray(place(image, facts, larger, options).images[0])
        except PhotoError as error:
            photo = self.root / self.query_paths[row]
            raise DataError(error.what, path=photo, hint=error.hint) from error


def read_own_pairs(root: Path, split: str) -> OwnPairs:
    """Read a split of a pairs folder.

    Args:
        root: Made by `geolocator pairs`.
        split: "train" or "val".

    Raises:
        DataError: It is not a finished pairs folder, or the split holds no pair; anything less is in the
            report.
    """
    if not root.is_dir():
        raise DataError(
            "there is no such folder", path=root, hint="Name a folder made by `geolocator pairs`."
        )
    folder = PairsFolder.open(root)
    try:
        side_m, margin = float(folder.summary["side_m"]), float(folder.summary["margin"])
        model = ModelConfig.from_mapping(folder.summary["placed_for"], path=root / SUMMARY)
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise DataError(f"the summary of the pairs is damaged ({error})", path=root / SUMMARY) from error
    report, listing = ReportBuilder(), Listing(root)
    rows: list[dict[str, str]] = []
    seen: set[str] = set()
    for row in folder.rows():
        if row["split"] != split:
            continue
        lonlat = np.array([number_or_nan(row["lon"] or ""), number_or_nan(row["lat"] or "")])
        if not np.isfinite(lonlat).all():
            report.drop("a row of pairs.csv has no position", [row["id"]])
        elif row["id"] in seen:
            report.drop("an id stands twice in pairs.csv", [row["id"]])
        elif not _there(listing, row["ground"] or ""):
            report.drop("the photo is not on disk", [row["ground"] or row["id"]])
        elif not _there(listing, row["satellite"] or ""):
            report.drop("the satellite image is not on disk", [row["satellite"] or row["id"]])
        else:
            seen.add(row["id"])
            rows.append(row)
    if not rows:
        raise report.nothing_left(root, f'No usable row of pairs.csv is in the split "{split}".')
    lonlat = np.array([(float(row["lon"]), float(row["lat"])) for row in rows])
    names = [row["id"] for row in rows]
    label = np.arange(len(rows), dtype=np.int64)
    heading, fov, vertical = (
        np.array([number_or_nan(row.get(column) or "") for row in rows])
        for column in ("heading", "fov", "vertical_fov")
    )
    modes = [row.get("mode") if row.get("mode") in _MODES else "perspective" for row in rows]
    return OwnPairs(
        name=root.resolve().name,
        split=split,
        root=root,
        query_paths=[row["ground"] for row in rows],
        reference_paths=[row["satellite"] for row in rows],
        query_names=names,
        reference_names=names,
        query_label=label,
        reference_label=label,
        report=report.done(len(rows), len(rows)),
        query_lonlat=lonlat,
        reference_lonlat=lonlat,
        side_m=side_m,
        reference_margin=margin,
        heading_known=np.isfinite(heading),
        placed=True,
        photos=OwnPhotos(heading, fov, vertical, cast("list[PhotoMode]", modes)),
        model=model,
    )


def _there(listing: Listing, path: str) -> bool:
    folder, _, name = path.rpartition("/")
    return folder in ("ground", "satellite") and name in listing.names(folder)


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _shrunk(image: Pixels, longest: int) -> Pixels:
    import cv2

    scale = longest / max(image.shape[:2])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
