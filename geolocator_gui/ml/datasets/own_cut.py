"""Own photos, third look: the two image files of every pair, written block by block and remembered."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.configs import ModelConfig
from geolocator_gui.errors import FaultError, PhotoError
from geolocator_gui.events import Note, Pace, Steps
from geolocator_gui.geo.chips import ChipCutter
from geolocator_gui.geo.grid import Chips
from geolocator_gui.geo.imagery.base import ImagerySource
from geolocator_gui.geo.photo import load_image
from geolocator_gui.ml.datasets.own_scan import Scanned
from geolocator_gui.ml.transforms import Pixels
from geolocator_gui.pairs_folder import GROUND, SATELLITE
from geolocator_gui.records import BoundingBox

_TOGETHER, _THREADS = 16, 2
_QUALITY = 95
_SMALLEST_SIDE = 1024  # a stored photo is not made smaller than this, whatever the model takes


@dataclass(frozen=True)
class Made:
    """What became of a photo.

    Attributes:
        id: Of the photo.
        ground: File, "" if there is no pair.
        satellite: File, "" if there is no pair.
        missing: Share of missing or blank pixels of the chip without its margin.
        imagery: Number of the source.
        bytes: Sizes of the two files, to tell half-written ones.
        reason: Why there is no pair.
        detail: What is special to this one.
    """

    id: str
    ground: str = ""
    satellite: str = ""
    missing: float = 0.0
    imagery: int = 0
    bytes: tuple[int, int] = (0, 0)
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Frame:
    """How large a chip is cut and stored.

    Attributes:
        side_m: Ground metres of the chip.
        px: Pixels of the chip.
        margin: Share of the side that is stored beyond it on each side.
        wide_px: Pixels of the stored image.
        wide_m: Ground metres of the stored image.
        max_missing: Largest share of missing or blank pixels of the chip.
    """

    side_m: float
    px: int
    margin: float
    wide_px: int
    wide_m: float
    max_missing: float

    @classmethod
    def of(cls, model: ModelConfig, side_m: float, margin: float, max_missing: float) -> Frame:
        """For a model; the margin is rounded to whole pixels, so that the chip in the middle is exact."""
        px = model.satellite_source_px
        wide_px = px + 2 * round(margin * px)
        return cls(side_m, px, (wide_px / px - 1) / 2, wide_px, side_m * wide_px / px, max_missing)


def make_files(
    photos: Sequence[Scanned],
    source_folder: Path,
    folder: Path,
    sources: Sequence[ImagerySource],
    model: ModelConfig,
    frame: Frame,
) -> Steps[list[Made]]:
    """Write both images of every photo that is not written yet; closing the generator keeps what is done.

    Args:
        photos: Judged usable.
        source_folder: Where they lie.
        folder: Gets `ground/`, `satellite/` and the journal `cut.jsonl`.
        sources: In order of preference.
        model: Says how large a photo is stored.
        frame: Says how a chip is cut.

    Returns:
        One for each photo, in the order given.

    Raises:
        FaultError: The disk is full or may not be written.
    """
    journal = folder / "cut.jsonl"
    for part in (GROUND, SATELLITE):
        (folder / part).mkdir(exist_ok=True)
    known = {one.id: one for one in _read_journal(journal) if _whole(folder, one)}
    new = [photo for photo in photos if photo.id not in known]
    # In rows of latitude, so that neighbours in the order lie on the same tiles.
    new.sort(key=lambda photo: (round((photo.lat or 0.0) * 500), photo.lon))
    if new and len(new) < len(photos):
        yield Note(f"{len(photos) - len(new):,} of {len(photos):,} pairs were cut before.")
    pace = Pace("Cutting chips and storing photos", len(photos), "photos", done=len(photos) - len(new))
    wide = [ChipCutter(source, source_px=frame.wide_px) for source in sources]
    plain = [ChipCutter(source, source_px=frame.px) for source in sources]
    longest = max(_SMALLEST_SIDE, 3 * max(*model.ground_size, model.satellite_size))
    try:
        with journal.open("a", encoding="utf-8") as file, ThreadPoolExecutor(_THREADS) as pool:
            if journal.stat().st_size:
                file.write("\n")  # ends a line that a killed run left half-written
            for start in range(0, len(new), _TOGETHER):
                block = new[start : start + _TOGETHER]
                images, missing, used = _cut(block, wide, plain, frame)

                def write(
                    row: int,
                    block: list[Scanned] = block,
                    images: NDArray[np.uint8] = images,
                    missing: NDArray[np.float64] = missing,
                    used: NDArray[np.int64] = used,
                ) -> Made:
                    photo = block[row]
                    if missing[row] > frame.max_missing:
                        return _not_covered(photo, sources, float(missing[row]))
                    return _write(
                        photo,
                        source_folder,
                        folder,
                        images[row],
                        float(missing[row]),
                        int(used[row]),
                        longest,
                    )

                done = list(pool.map(write, range(len(block))))
                file.write("".join(json.dumps(asdict(one)) + "\n" for one in done))
                file.flush()
                known |= {one.id: one for one in done}
                yield from pace.at(len(photos) - len(new) + start + len(block))
    except OSError as error:
        raise FaultError(
            f"the pairs cannot be written ({error.strerror or error})",
            path=folder,
            hint="Check free space and permissions; the same command goes on.",
        ) from error
    coarser = max((cutter.coarser for cutter in wide), default=1.0)
    if coarser > 1.3:
        yield Note(
            f"The imagery is {coarser:.1f} times coarser than the model's chips were; finer imagery helps.",
            "warning",
        )
    return [known[photo.id] for photo in photos]


def _cut(
    photos: list[Scanned], wide: Sequence[ChipCutter], plain: Sequence[ChipCutter], frame: Frame
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.int64]]:
    """Stored images, the missing share of the chips in their middle, and the source each was cut from."""
    lon = np.array([photo.lon for photo in photos], np.float64)
    lat = np.array([photo.lat for photo in photos], np.float64)
    images = np.zeros((len(photos), frame.wide_px, frame.wide_px, 3), np.uint8)
    missing, used = np.ones(len(photos)), np.zeros(len(photos), np.int64)
    for number, (cutter, middle) in enumerate(zip(wide, plain, strict=True)):
        open_rows = np.flatnonzero(missing > frame.max_missing)
        if not len(open_rows):
            break
        found, share = cutter.cut(_chips(lon[open_rows], lat[open_rows], frame.wide_m))
        partial = np.flatnonzero((share > 0) & (share < 1))
        if len(partial):
            # What counts is the chip; its margin may run over the edge of the imagery.
            rows = open_rows[partial]
            share[partial] = middle.cut(_chips(lon[rows], lat[rows], frame.side_m))[1]
        better = share < missing[open_rows]
        rows = open_rows[better]
        images[rows], missing[rows], used[rows] = found[better], share[better], number
    return images, missing, used


def _chips(lon: NDArray[np.float64], lat: NDArray[np.float64], side_m: float) -> Chips:
    count = len(lon)
    return Chips(
        ids=np.arange(count, dtype=np.int64),
        lon=lon,
        lat=lat,
        side_m=np.full(count, side_m),
        row=np.zeros(count, np.int32),
        col=np.zeros(count, np.int32),
        level=np.ones(count, np.int8),
    )


def _not_covered(photo: Scanned, sources: Sequence[ImagerySource], missing: float) -> Made:
    assert photo.lon is not None
    assert photo.lat is not None
    if any(_holds(source.info.bounds, photo.lon, photo.lat) for source in sources):
        detail = f"{100 * missing:.0f} % of the chip"
        return Made(photo.id, reason="the imagery is missing or blank at the photo's position", detail=detail)
    return Made(photo.id, reason="the photo's position is outside the imagery")


def _holds(bounds: BoundingBox, lon: float, lat: float) -> bool:
    across = (
        bounds.west <= lon <= bounds.east
        if bounds.west <= bounds.east
        else lon >= bounds.west or lon <= bounds.east
    )
    return across and bounds.south <= lat <= bounds.north


def _write(
    photo: Scanned,
    source_folder: Path,
    folder: Path,
    chip: Pixels,
    missing: float,
    imagery: int,
    longest: int,
) -> Made:
    try:
        image = load_image(source_folder / photo.path, longest_side=longest)
    except PhotoError as error:
        return Made(photo.id, reason="not a readable photo", detail=error.what)
    ground, satellite = f"{GROUND}/{photo.id}.jpg", f"{SATELLITE}/{photo.id}.png"
    sizes = _store(folder / ground, image), _store(folder / satellite, chip)
    return Made(photo.id, ground, satellite, missing, imagery, sizes)


def _store(path: Path, image: Pixels) -> int:
    """Write an image so that a whole one or none is there under its name; returns its bytes."""
    import cv2

    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY] if path.suffix == ".jpg" else []
    encoded = cv2.imencode(path.suffix, np.ascontiguousarray(image[..., ::-1]), options)[1].tobytes()
    scratch = path.with_name(f".{path.name}.{os.getpid()}.part")
    scratch.write_bytes(encoded)
    scratch.replace(path)
    return len(encoded)


def _whole(folder: Path, made: Made) -> bool:
    """Whether the files of a journal's line are there in full (a power cut may have emptied them)."""
    if made.reason:
        return True
    try:
        sizes = tuple((folder / name).stat().st_size for name in (made.ground, made.satellite))
    except OSError:
        return False
    return sizes == tuple(made.bytes)


def _read_journal(journal: Path) -> Iterator[Made]:
    if not journal.exists():
        return
    for line in journal.read_text("utf-8", errors="replace").splitlines():
        try:
            fields = json.loads(line)
            yield Made(**(fields | {"bytes": tuple(fields["bytes"])}))
        except (ValueError, TypeError, KeyError):
            continue  # half a line of a killed run: that pair is cut again
