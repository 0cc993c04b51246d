"""A training run as one file for another machine: settings, start weights, every pair as images, the program.

There: unpack, `pip install -r requirements.txt`, `python train.py`. Beside torch and timm that installs
scipy, OpenCV, pydantic and tomlkit, nothing of maps or windows. Started again it continues itself. The folder
(or a zip of it) comes back through `publish`.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from geolocator_gui import __version__
from geolocator_gui.errors import DataError, FaultError
from geolocator_gui.events import Note, Pace, Steps
from geolocator_gui.marks import Mark, marks_text
from geolocator_gui.ml.bundle import Bundle
from geolocator_gui.ml.datasets import KINDS, PairData, TrainingSamples, read_pairs
from geolocator_gui.ml.datasets.common import Report
from geolocator_gui.ml.datasets.pair_data import without_empty
from geolocator_gui.ml.pairs.batches import Pixels
from geolocator_gui.ml.pairs.marked import FROZEN
from geolocator_gui.training import TrainRun

PACKED = "packed"
_LIST = "pairs.json"
# What training needs of the program; no window, no reports.
_PARTS = ("", "ml", "ml/datasets", "ml/pairs", "ml/train", "ml/weights", "town", "geo", "geo/imagery")
_REQUIREMENTS = """# What computes.
torch
timm>=1.0
# These come with torch and timm anyway.
numpy
pillow
safetensors
# Four small ones beside them: neighbours, images, settings.
scipy
opencv-python-headless
pydantic>=2.9
tomlkit
"""
_START = '''"""Trains this folder's run, or continues it: python train.py"""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "program"))
from geolocator_gui.events import Metric, Note  # noqa: E402
from geolocator_gui.ml.train.run import run_training  # noqa: E402
from geolocator_gui.training import TrainRun  # noqa: E402

if __name__ == "__main__":
    folder = Path(__file__).resolve().parent
    run = TrainRun.read_json(folder / "run.json")
    steps = run_training(run, folder)
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            print(json.dumps(end.value.to_dict()))
            break
        if isinstance(event, Metric):
            values = {key: round(value, 5) for key, value in event.values.items()}
            print(time.strftime("%H:%M:%S"), event.step, json.dumps(values), flush=True)
        elif isinstance(event, Note):
            print(time.strftime("%H:%M:%S"), event.text, flush=True)
'''
_README = """# A training run of Geolocator

    pip install -r requirements.txt
    python train.py            # on several GPUs: torchrun --nproc-per-node N train.py

Started again, it continues. Afterwards bring this folder (or a zip of it) back:

    geolocator publish FOLDER --name NAME

It needs Python 3.11 or newer, torch and timm, and four small packages beside them: scipy,
opencv-python-headless, pydantic and tomlkit. Geolocator itself need not be installed: the part of it that
trains is in `program/`. Start weights and images are all here; nothing is fetched while it runs.
"""


def pack(run: TrainRun, bundle: Bundle, file: Path, marks: Sequence[Mark] = ()) -> Steps[int]:
    """Write a run as a zip; returns its size in bytes.

    Args:
        run: The configuration.
        bundle: What it starts from; its weights go along.
        file: The zip; replaced whole if it is there.
        marks: The verdicts that the run heeds; they go along.

    Raises:
        DataError: The pairs cannot be used.
        FaultError: The file cannot be written.
    """
    kind, _, place = run.data.partition(":")
    scratch = file.with_name(file.name + ".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as archive:
            _add_program(archive)
            archive.writestr("start/model.json", (bundle.folder / "model.json").read_bytes())
            if run.start == "bundle":
                bundle.verify()
                archive.write(bundle.weights_path, f"start/{bundle.config.weights_file}", zipfile.ZIP_STORED)
            packed = run.model_copy(
                update={"model": "start", "train": run.train.model_copy(update={"device": "auto"})}
            )
            if kind != "town":
                if kind not in KINDS:
                    raise DataError(f"'{kind}' is not a kind of data", path=run.data)
                packed = packed.model_copy(update={"data": f"{PACKED}:{PACKED}", "limit": None})
                yield from _add_pairs(archive, kind, Path(place), run, bundle)
            archive.writestr(FROZEN, marks_text(marks))
            archive.writestr("run.json", packed.model_dump_json(indent=1))
            archive.writestr("train.py", _START)
            archive.writestr("requirements.txt", _REQUIREMENTS)
            archive.writestr("README.md", _README)
        scratch.replace(file)
    except OSError as error:
        raise FaultError(f"the run cannot be packed ({error.strerror or error})", path=file) from error
    finally:
        scratch.unlink(missing_ok=True)
    return file.stat().st_size


def _add_program(archive: zipfile.ZipFile) -> None:
    package = Path(__file__).resolve().parents[2]
    for part in _PARTS:
        for source in sorted((package / part).glob("*.py")):
            archive.write(source, f"program/geolocator_gui/{source.relative_to(package).as_posix()}")


def _add_pairs(archive: zipfile.ZipFile, kind: str, root: Path, run: TrainRun, bundle: Bundle) -> Steps[None]:
    """Every image that training and validation use, once."""
    table: dict[str, object] = {"version": __version__, "splits": {}}
    splits: dict[str, object] = {}
    for split in ("train", "val"):
        try:
            data = read_pairs(kind, root, split, run.limit if split == "train" else None).for_model(
                bundle.config
            )
        except DataError:
            if split == "train":
                raise
            continue  # without validation pairs the run goes on, as it would here
        if data.query_view != "ground":
            data = _turned(data)
        count = len(data.query_paths) + len(data.reference_paths)
        pace = Pace(f"Packing {split} pairs", count, "images")
        loaders: tuple[tuple[str, int, Callable[[int], Pixels], str], ...] = (
            ("ground", len(data.query_paths), data.read_query, ".jpg"),
            ("satellite", len(data.reference_paths), data.wide_reference, ".png"),
        )
        done = 0
        for view, number, load, ending in loaders:
            for row in range(number):
                options = [cv2.IMWRITE_JPEG_QUALITY, 95] if ending == ".jpg" else []
                try:
                    image = np.ascontiguousarray(load(row)[..., ::-1])
                    encoded = cv2.imencode(ending, image, options)[1].tobytes()
                except DataError as error:
                    # An empty file keeps the rows in step; it is left out where it is read.
                    yield Note(f"{error.path or data.root}: {error.what}; its pair is left out.", "warning")
                    encoded = b""
                archive.writestr(f"{PACKED}/{split}/{view}/{row:07d}{ending}", encoded, zipfile.ZIP_STORED)
                done += 1
                yield from pace.at(done)
        splits[split] = {
            "query_label": data.query_label.tolist(),
            "reference_label": data.reference_label.tolist(),
            "query_lonlat": None if data.query_lonlat is None else data.query_lonlat.tolist(),
            "reference_lonlat": None if data.reference_lonlat is None else data.reference_lonlat.tolist(),
            "side_m": data.side_m,
            "margin": data.reference_margin,
            "heading_known": None if data.heading_known is None else data.heading_known.tolist(),
            "placed": data.placed,
            "name": data.name,
            "query_names": list(data.query_names),
            "reference_names": list(data.reference_names),
        }
    table["splits"] = splits
    archive.writestr(f"{PACKED}/{_LIST}", json.dumps(table))


def _turned(data: PairData) -> PairData:
    """Pairs whose queries are satellite images, as ground queries: training has no direction."""
    samples = TrainingSamples.of(data)
    return PairData(
        name=data.name,
        split=data.split,
        root=data.root,
        query_paths=data.reference_paths,
        reference_paths=data.query_paths,
        query_names=data.reference_names,
        reference_names=data.query_names,
        query_label=data.reference_label,
        reference_label=data.query_label if data.query_label.ndim == 1 else data.query_label[:, 0],
        report=Report(len(samples), len(data.query_paths)),
        query_lonlat=data.reference_lonlat,
        reference_lonlat=data.query_lonlat,
        side_m=data.side_m,
    )


def read_packed(folder: Path, split: str) -> PairData:
    """Pairs of an unpacked run; raises `DataError`."""
    try:
        about = json.loads((folder / _LIST).read_text("utf-8"))["splits"][split]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"there are no {split} pairs in this packed run", path=folder) from error

    def places(key: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None:
        return None if about[key] is None else np.array(about[key], dtype=np.float64)

    query_label = np.array(about["query_label"], dtype=np.int64)
    reference_label = np.array(about["reference_label"], dtype=np.int64)
    found = PairData(
        name=about["name"],
        split=split,
        root=folder,
        query_paths=[f"{split}/ground/{row:07d}.jpg" for row in range(len(query_label))],
        reference_paths=[f"{split}/satellite/{row:07d}.png" for row in range(len(reference_label))],
        query_names=about.get("query_names") or [str(row) for row in range(len(query_label))],
        reference_names=about.get("reference_names") or [str(row) for row in range(len(reference_label))],
        query_label=query_label,
        reference_label=reference_label,
        report=Report(len(query_label), len(reference_label)),
        query_lonlat=places("query_lonlat"),
        reference_lonlat=places("reference_lonlat"),
        side_m=about["side_m"],
        reference_margin=about["margin"],
        heading_known=None
        if about["heading_known"] is None
        else np.array(about["heading_known"], dtype=bool),
        placed=about["placed"],
    )
    return without_empty(found)
