"""What can be mined: a pair set, or photos in an index; both become `MiningData`."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import DataError
from geolocator_gui.events import Note, Steps
from geolocator_gui.marks import chip_id, pair_id, photo_id, read_marks
from geolocator_gui.mined import MineConfig, Mined
from geolocator_gui.mined_moves import add_moves
from geolocator_gui.ml.datasets import PairData
from geolocator_gui.ml.mining.mine import MiningSummary, mine
from geolocator_gui.ml.mining.parts import MiningData
from geolocator_gui.ml.mining.photos import embed_photos
from geolocator_gui.ml.mining.pictures import PicturedTown
from geolocator_gui.ml.mining.sweep import sweep_headings
from geolocator_gui.ml.pairs.pair_set import Embedded, PairSet, embed_pairs, open_pair_set
from geolocator_gui.ml.pairs.pair_set_town import TownPairSet
from geolocator_gui.ml.ranks import RowLists

if TYPE_CHECKING:
    from geolocator_gui.ml.encoder import Encoder
    from geolocator_gui.ml.index import Index
    from geolocator_gui.ml.localise import Localiser


def run_mining(
    config: MineConfig, folder: Path, *, workspace_models: Path | None = None, must_compare: bool = False
) -> Steps[MiningSummary]:
    """Embed what is not embedded yet and mine it; the whole of a `mine` run.

    Args:
        config: What to mine.
        folder: Gets the mining.
        workspace_models: Where else bundles are looked for.
        must_compare: Refuse before the work an earlier mining that has none of these photos, instead of
            going on without the comparison.
    """
    from geolocator_gui.ml.bundle import find_bundle
    from geolocator_gui.ml.encoder import Encoder

    # Looked for first: a wrong name is not to be told after the work.
    before = None if config.compare is None else Mined.open(Path(config.compare))
    marks = None if config.marks is None else Path(config.marks)
    if config.data is not None:
        pairs = open_pair_set(config.data, split=config.split, limit=config.limit)
        if before is not None and must_compare:
            _refuse_strangers(before, (pair_id(pairs.name, n, pairs.query_view) for n in pairs.query_names))
        if isinstance(pairs, TownPairSet):
            pairs = PicturedTown.beside(pairs, folder)
        bundle = find_bundle(config.model or "demo-town", workspace_models)
        encoder = Encoder(bundle, device=config.device)
        try:
            vectors = yield from embed_pairs(pairs, encoder, folder / "vectors")
            vectors = yield from sweep_headings(pairs, vectors, encoder, folder / "vectors")
        finally:
            encoder.close()
        data = pairs_to_mine(pairs, vectors, side_m=config.side_m or pairs.side_m or bundle.config.side_m)
        about: Mapping[str, Any] = {
            "data": config.data,
            "split": config.split,
            "model": bundle.config.name,
            "fingerprint": bundle.fingerprint,
            "attribution": "",
        }
    else:
        from geolocator_gui.ml.localise import open_localiser

        photos = photos_below(Path(str(config.photos)), config.limit)
        if not photos:
            raise DataError("there is no file here", path=config.photos, hint="Name a folder of photos.")
        if before is not None and must_compare:
            _refuse_strangers(before, (photo_id(path) for path in photos if path.is_file()))
        localiser = open_localiser(
            str(config.index), model=config.model or None, models=workspace_models, device=config.device
        )
        with localiser:
            data = yield from photos_to_mine(localiser, photos, folder / "vectors")
            about = {
                "index": config.index,
                "photos": config.photos,
                "model": localiser.encoder.config.name,
                "fingerprint": localiser.index.fingerprint,
                "attribution": localiser.index.attribution,
            }
    summary = yield from mine(
        data,
        folder,
        neighbours=config.neighbours,
        geographic=config.geographic,
        near_sides=config.near_sides,
        device=torch_device(config.device),
        about=about,
    )
    if before is None:
        return summary
    try:
        moves = add_moves(folder, before.folder, read_marks(marks) if marks is not None else ())
    except DataError as error:
        # The mining itself is done and stands.
        yield Note(f"Not compared with {before.folder}: {error.what}.", "warning")
        return summary
    yield Note(moves.sentence())
    return replace(summary, moves=moves.facts())


def _refuse_strangers(before: Mined, ids: Iterable[str]) -> None:
    """Raise `DataError` unless one of the photos is in the earlier mining; the first one found will do."""
    known = set(before.queries["query"])
    if not any(one in known for one in ids):
        raise DataError(
            "this mining has none of the photos that are to be mined",
            path=before.folder,
            hint="Compare with a mining of the same photos, or leave --compare out.",
        )


def pairs_to_mine(pairs: PairSet, vectors: Embedded, *, side_m: float | None) -> MiningData:
    """A pair set with its vectors; of several references with the right label the first is the positive."""
    label = np.asarray(pairs.query_label)
    label = label if label.ndim == 1 else label[:, 0]
    valid = np.flatnonzero(np.asarray(pairs.reference_label) != -1)
    right = RowLists.same_label(label, np.asarray(pairs.reference_label)[valid])
    sizes = np.diff(right.offsets)
    first = np.where(sizes > 0, right.rows[np.minimum(right.offsets[:-1], max(len(right.rows) - 1, 0))], -1)
    whole = len(valid) == len(vectors.reference)
    names = [pairs.reference_names[int(row)] for row in valid]
    return MiningData(
        query_vectors=vectors.query,
        chip_vectors=vectors.reference if whole else vectors.reference[valid],
        query_ids=np.array([pair_id(pairs.name, name, pairs.query_view) for name in pairs.query_names]),
        chip_ids=np.array([pair_id(pairs.name, name, pairs.reference_view) for name in names]),
        positive=first,
        query_lonlat=pairs.query_lonlat,
        chip_lonlat=None if pairs.reference_lonlat is None else pairs.reference_lonlat[valid],
        side_m=side_m,
        also_right=right if sizes.max(initial=0) > 1 else None,
        query_files=np.array([pairs.query_file(row) for row in range(len(label))]),
        chip_files=np.array([pairs.reference_file(int(row)) for row in valid]),
        query_area=_cities(pairs),
    )


def _cities(pairs: PairSet) -> NDArray[np.str_] | None:
    """The city of each photo where the data are laid out by city, as VIGOR's are."""
    if not isinstance(pairs, PairData) or not pairs.name.startswith("vigor"):
        return None
    return np.array([name.partition("/")[0] for name in pairs.query_names])


def photos_to_mine(localiser: Localiser, photos: list[Path], folder: Path) -> Steps[MiningData]:
    """Geotagged photos in an index: the chip whose centre is nearest to a photo is its positive.

    A photo without a position, or outside the index, has no positive; one that cannot be read is left out.
    Where the heading is unknown, the step of the sweep that fits any chip best is taken. The folder keeps
    the vectors.
    """
    chip_ids = index_chip_ids(localiser.index)
    new = not folder.exists()
    seen, vectors = yield from embed_photos(localiser, photos, chip_ids, folder)
    if not seen:
        if new:  # what was refused leaves nothing behind
            shutil.rmtree(folder)
        raise DataError("there is no photo that can be mined", hint="Name a folder of photos.")
    lonlat = np.array([(one.lon, one.lat) for one in seen], np.float64)  # None becomes NaN
    chips = localiser.index.chips
    return MiningData(
        query_vectors=vectors,
        # On disk, and read by slices like an array.
        chip_vectors=cast("NDArray[np.floating]", localiser.index.vectors),
        query_ids=_distinct([one.id for one in seen]),
        chip_ids=chip_ids,
        positive=holding_chip(lonlat, localiser.index),
        query_lonlat=lonlat,
        chip_lonlat=np.stack([chips.lon, chips.lat], axis=1),
        side_m=chips.side_m,
        query_files=np.array([one.path for one in seen]),
    )


def holding_chip(lonlat: NDArray[np.float64], index: Index) -> NDArray[np.int64]:
    """(Q,) row of the chip that holds a position and whose centre is nearest to it; -1 where none does."""
    from geolocator_gui.ml.distances import ground_metres

    found = np.full(len(lonlat), -1, np.int64)
    chips = index.chips
    for row in np.flatnonzero(np.isfinite(lonlat).all(1)):
        holding = chips.containing(*lonlat[row])
        if len(holding):
            centres = np.stack([chips.lon[holding], chips.lat[holding]], axis=1)
            # Of several levels of detail the finest, there the nearest.
            order = np.lexsort((ground_metres(lonlat[row], centres), chips.side_m[holding]))
            found[row] = holding[order[0]]
    return found


def index_chip_ids(index: Index) -> NDArray[np.str_]:
    """(N,) stable ids of an index's chips: imagery, side and centre."""
    chips = index.chips
    names = [record.name for record in index.manifest.imagery]
    return np.array(
        [
            chip_id(names[source], side, lon, lat)
            for source, side, lon, lat in zip(
                chips.source.tolist(),
                chips.side_m.tolist(),
                chips.lon.tolist(),
                chips.lat.tolist(),
                strict=True,
            )
        ]
    )


def photos_below(folder: Path, limit: int | None = None) -> list[Path]:
    """Files of a folder and its subfolders in order, hidden ones left out; or those a `.txt` file lists."""
    if folder.suffix == ".txt" and folder.is_file():
        lines = (line.strip() for line in folder.read_text("utf-8").splitlines())
        return [Path(line) for line in lines if line][:limit]
    if not folder.is_dir():
        raise DataError("there is no such folder", path=folder, hint="Name a folder of geotagged photos.")
    inside = (path for path in sorted(folder.rglob("*")) if path.is_file())
    found = [
        path for path in inside if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    return found[:limit]


def _distinct(ids: list[str]) -> NDArray[np.str_]:
    """The same content twice gets a number, so that rows stay apart."""
    seen: dict[str, int] = {}
    result = []
    for one in ids:
        seen[one] = seen.get(one, 0) + 1
        result.append(one if seen[one] == 1 else f"{one}~{seen[one]}")
    return np.array(result)


def torch_device(device: str) -> str:
    """A device that torch knows, for "auto" too."""
    if device == "auto":
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def open_encoder(model: str, device: str, workspace_models: Path | None = None) -> Encoder:
    """The encoder of a bundle by name or path."""
    from geolocator_gui.ml.bundle import find_bundle
    from geolocator_gui.ml.encoder import Encoder

    return Encoder(find_bundle(model, workspace_models), device=device)
