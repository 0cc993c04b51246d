"""CVACT (Liu, Li: "Lending Orientation to Neural Networks for Cross-view Geo-localization", CVPR 2019)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import DataError
from geolocator_gui.ml.datasets.common import Listing, ReportBuilder, wrong_folder
from geolocator_gui.ml.datasets.pair_data import PairData

LAYOUT = "ACT_data.mat, ANU_data_small/streetview/ and ANU_data_small/satview_polish/."
LAYOUT_TEST = "ANU_data_test/streetview/ and ANU_data_test/satview_polish/ (ACT_data.mat gives positions)."
SIDE_M = 72.0  # 1200 px of 0.06 m
_GROUND, _SATELLITE = "_grdView.jpg", "_satView_polish.jpg"
_UTM = "EPSG:32755"  # the whole of Canberra lies in zone 55, southern half


def read_cvact(root: Path, split: str) -> PairData:
    """Read a split of CVACT.

    Args:
        root: The data set's folder.
        split: "train", "val", or "test" (what lies in `ANU_data_test`).

    Raises:
        DataError: The folder is not CVACT's, or holds no pair; anything less is in the report.
    """
    report, listing = ReportBuilder(), Listing(root)
    table = root / "ACT_data.mat"
    if split == "test":
        images = "ANU_data_test"
        if not listing.names(f"{images}/streetview"):
            raise wrong_folder(root, "CVACT's test set", LAYOUT_TEST)
        ids = sorted(
            name.removesuffix(_GROUND)
            for name in listing.names(f"{images}/streetview")
            if name.endswith(_GROUND)
        )
        index = _Table.read(table) if table.is_file() else None
        if index is None:
            report.note("ACT_data.mat is missing: the test pairs have no positions.")
    else:
        images = "ANU_data_small"
        if not table.is_file():
            raise wrong_folder(root, "CVACT", LAYOUT)
        index = _Table.read(table)
        ids = index.split(split, report)
    kept = _on_disk(listing, images, ids, report)
    if not kept:
        raise report.nothing_left(root, f"Expected: {LAYOUT_TEST if split == 'test' else LAYOUT}")
    lonlat = None if index is None else index.positions(kept, report)
    label = np.arange(len(kept), dtype=np.int64)
    return PairData(
        name="cvact-test" if split == "test" else "cvact",
        split="val" if split == "test" else split,
        root=root,
        query_paths=[f"{images}/streetview/{name}{_GROUND}" for name in kept],
        reference_paths=[f"{images}/satview_polish/{name}{_SATELLITE}" for name in kept],
        query_names=kept,
        reference_names=kept,
        query_label=label,
        reference_label=label,
        report=report.done(len(kept), len(kept)),
        query_lonlat=lonlat,
        reference_lonlat=lonlat,
        side_m=SIDE_M,
    )


def _on_disk(listing: Listing, images: str, ids: list[str], report: ReportBuilder) -> list[str]:
    ground, satellite = listing.names(f"{images}/streetview"), listing.names(f"{images}/satview_polish")
    kept = []
    for name in ids:
        if f"{name}{_GROUND}" not in ground:
            report.drop("the panorama is not on disk", [name])
        elif f"{name}{_SATELLITE}" not in satellite:
            report.drop("the satellite image is not on disk", [name])
        else:
            kept.append(name)
    return kept


class _Table:
    """`ACT_data.mat`: ids, positions, splits."""

    def __init__(self, path: Path, fields: dict[str, Any]) -> None:
        self._path, self._fields = path, fields
        self.ids = [_text(one) for one in np.asarray(fields["panoIds"]).ravel()]

    @classmethod
    def read(cls, path: Path) -> _Table:
        """Raises `DataError` if it is damaged or something else."""
        from scipy.io import loadmat

        try:
            fields = loadmat(path, variable_names=["panoIds", "utm", "trainSet", "valSet"])
            return cls(path, fields)
        # scipy raises whatever its parser trips over in a damaged file.
        except Exception as error:
            raise DataError(
                f"this is not CVACT's ACT_data.mat ({type(error).__name__}: {error})",
                path=path,
                hint="Fetch it again: a MATLAB file (version 5) with panoIds, utm, trainSet and valSet.",
            ) from error

    def split(self, split: str, report: ReportBuilder) -> list[str]:
        """Ids of a split, each once; of training, those of validation are left out."""
        rows = self._rows(split)
        outside = (rows < 0) | (rows >= len(self.ids))
        report.drop("the list points beyond the ids", [str(row + 1) for row in rows[outside]])
        rows = rows[~outside]
        _, first = np.unique(rows, return_index=True)
        report.drop("an id stands twice in the list", [self.ids[row] for row in np.delete(rows, first)])
        rows = rows[np.sort(first)]
        if split == "train":
            leak = np.isin(rows, self._rows("val"))
            report.drop(
                "the pair also stands in the validation list (leak)", [self.ids[r] for r in rows[leak]]
            )
            rows = rows[~leak]
        return [self.ids[row] for row in rows]

    def _rows(self, split: str) -> NDArray[np.int64]:
        try:
            found = self._fields[f"{split}Set"][0][0][1]
            return np.asarray(found, np.float64).ravel().astype(np.int64) - 1
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise DataError(
                f"{split}Set is missing or no list of numbers ({error})",
                path=self._path,
                hint="Fetch it again.",
            ) from error

    def positions(self, kept: list[str], report: ReportBuilder) -> NDArray[np.float64] | None:
        """(N, 2) degrees of ids, NaN where unknown."""
        from pyproj import Transformer

        metres = np.asarray(self._fields.get("utm", ()), np.float64)
        if metres.ndim == 2 and metres.shape[0] == 2 != metres.shape[1]:
            metres = metres.T
        if metres.ndim != 2 or metres.shape[1] != 2 or len(metres) != len(self.ids):
            report.note("ACT_data.mat has no position for every id: neighbours by position cannot be used.")
            return None
        row_of = {name: row for row, name in enumerate(self.ids)}
        rows = np.array([row_of.get(name, -1) for name in kept])
        found = np.where((rows >= 0)[:, None], metres[rows], np.nan)
        lon, lat = Transformer.from_crs(_UTM, "EPSG:4326", always_xy=True).transform(found[:, 0], found[:, 1])
        lonlat = np.stack([lon, lat], axis=1)
        lonlat[~np.isfinite(lonlat).all(axis=1)] = np.nan
        unknown = int(np.isnan(lonlat[:, 0]).sum())
        if unknown:
            report.note(f"{unknown:,} pairs have no position in ACT_data.mat.")
        return lonlat if unknown < len(kept) else None


def _text(value: Any) -> str:
    """A MATLAB string, alone or in a cell."""
    while isinstance(value, np.ndarray) and value.size:
        value = value.ravel()[0]
    return str(value).strip()
