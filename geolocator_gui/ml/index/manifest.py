"""`index.json`: what an index is, in one file with its own checksum and a copy beside it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from geolocator_gui.configs import Config
from geolocator_gui.errors import IndexFolderError
from geolocator_gui.ml.index import durable

SCHEMA = 1
MANIFEST_FILE = "index.json"
COPY_FILE = "index.copy.json"
CHIPS_FILE = "chips.parquet"
SEARCH_FILE = "search.faiss"
NEXT = "next."

State = Literal["building", "finished", "extending", "refreshing", "switching"]


class ImageryRecord(Config):
    """An imagery source as an index remembers it; addresses never hold a key.

    Attributes:
        source: File relative to the index folder, or a template.
        name: For people.
        kind: Reader.
        attribution: Shown with every export.
        licence: Of the imagery.
        metres_per_pixel: At its finest level.
        coarser_by: How many times coarser than the model's chips it is; 1 where it is fine enough.
    """

    source: str
    name: str
    kind: str
    attribution: str = ""
    licence: str = ""
    metres_per_pixel: float = 0.0
    coarser_by: float = 1.0


class PartRecord(Config):
    """One grid of an index: an area at one level of detail, cut into batches of fixed boundaries.

    Attributes:
        area_name: For people.
        geometry: GeoJSON geometry of the area, degrees.
        whole_chips: The area is an imagery's extent: chips lie inside with their whole square.
        side_m: Metres per chip side at level 1.
        overlap: Of neighbouring chips.
        level: Chips are this many times the side.
        candidates: Cells of the grid.
        batch_size: Cells per batch: the unit of commit.
        max_missing: Largest fraction of missing pixels that is embedded.
        imagery: Positions in the manifest's list, in order of preference.
    """

    area_name: str
    geometry: dict[str, Any]
    whole_chips: bool
    side_m: float
    overlap: float
    level: int
    candidates: int
    batch_size: int
    max_missing: float
    imagery: tuple[int, ...]

    @property
    def batches(self) -> int:
        """Number of batches."""
        return -(-self.candidates // self.batch_size)


class SegmentRecord(Config):
    """A pair of files, vectors and cells, that only ever grew.

    Attributes:
        name: Their common stem under `vectors/`.
        rows: Rows that are valid.
    """

    name: str
    rows: int


class Removal(Config):
    """An area taken out.

    Attributes:
        geometry: GeoJSON geometry; chips whose centre lies inside are gone.
        first: The first part that it holds for.
        stop: One past the last: an area that is added later is not touched.
    """

    geometry: dict[str, Any]
    first: int
    stop: int


class Manifest(Config):
    """The whole of `index.json`.

    Attributes:
        state: "building" until the first build is whole; in the other states the index can be searched:
            "extending" (parts beyond `whole_parts` are being embedded), "refreshing" (the next generation
            is being written), "switching" (it is whole, its derived files wait under `next.` names).
        fingerprint: Of the bundle; photos of another are refused.
        model: The bundle's `model.json`.
        imagery: Every source.
        parts: Every grid, in row order.
        whole_parts: How many of them were whole when the index was last finished.
        removed: Areas taken out.
        encoder: Device, back-end, precision, threads and library versions.
        generation: Of the files under `vectors/`; a rewrite makes the next one.
        segments: Of this generation.
        count: Rows that are valid.
        skipped: Chips left out, by reason.
        filled: Chips in which a coarser level of detail stands in for missing tiles (after areas were taken
            out or indexes merged: at most so many).
        files: sha256 of derived files, and of imagery that travelled with the index, by name.
        journal_sha256: Of the journal's committed bytes when the index was last finished.
        settings_sha256: Of the settings of the run that built it, see `companions`.
        merged_from: `journal_sha256` of each index that it was merged of.
        changes: What was done to the index later, in words.
        timings: Seconds by name; the only thing two equal builds differ in, with `created`.
        created: ISO date of the start.
    """

    schema_version: int = SCHEMA
    state: State
    fingerprint: str
    model: dict[str, Any]
    imagery: tuple[ImageryRecord, ...]
    parts: tuple[PartRecord, ...]
    whole_parts: int = 0
    removed: tuple[Removal, ...] = ()
    encoder: dict[str, str] = Field(default_factory=dict)
    generation: int = 0
    segments: tuple[SegmentRecord, ...] = ()
    count: int = 0
    skipped: dict[str, int] = Field(default_factory=dict)
    filled: int = 0
    files: dict[str, str] = Field(default_factory=dict)
    journal_sha256: str = ""
    settings_sha256: str = ""
    merged_from: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    timings: dict[str, float] = Field(default_factory=dict)
    created: str = ""

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self.model["embedding_size"])

    @property
    def model_name(self) -> str:
        """Name of the bundle."""
        return str(self.model["name"])

    @property
    def edition(self) -> str:
        """Tells this index, as it was last finished, from any other of its name."""
        return f"{self.created} {self.journal_sha256}".strip()

    @property
    def attribution(self) -> str:
        """Of all imagery, one line."""
        return "; ".join(dict.fromkeys(item.attribution for item in self.imagery if item.attribution))

    def updated(self, **fields: Any) -> Manifest:
        """A copy with some fields changed."""
        return self.model_copy(update=fields)


def render(manifest: Manifest) -> bytes:
    """The bytes of `index.json`; the first key is a checksum over the rest."""
    return _bytes_of(manifest.model_dump(mode="json"))


def _bytes_of(fields: dict[str, Any]) -> bytes:
    checksum = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
    return (json.dumps({"checksum": checksum, **fields}, indent=1, ensure_ascii=False) + "\n").encode()


def parse(data: bytes, path: Path) -> Manifest:
    """The manifest in these bytes.

    Raises:
        IndexFolderError: They are damaged, or a newer version wrote them.
    """
    try:
        fields = json.loads(data)
        schema = int(fields.get("schema_version", 0))
        if schema > SCHEMA:
            raise IndexFolderError(
                f"this index has schema {schema}; this version of Geolocator knows up to {SCHEMA}",
                path=path,
                hint="Open it with a newer Geolocator.",
            )
        fields.pop("checksum")
        # From the fields as they stand: a manifest that lacks what later versions added is not damaged.
        sound = _bytes_of(fields) == data
        manifest = Manifest.model_validate(fields)
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        raise IndexFolderError(
            "this file is damaged",
            path=path,
            hint="`geolocator index verify --repair` mends it from its copy.",
        ) from error
    if not sound:
        raise IndexFolderError(
            "this file is damaged (its checksum differs)",
            path=path,
            hint="`geolocator index verify --repair` mends it from its copy.",
        )
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an index folder, from the copy if the first file is damaged.

    Raises:
        IndexFolderError: There is no index, or both files are damaged.
    """
    first: IndexFolderError | None = None
    for name in (MANIFEST_FILE, COPY_FILE):
        path = folder / name
        try:
            return parse(path.read_bytes(), path)
        except FileNotFoundError:
            continue
        except NotADirectoryError as error:
            hint = "Unpack it first with `geolocator index import`." if folder.suffix == ".zip" else ""
            raise IndexFolderError(
                "this is a file, not the folder of an index", path=folder, hint=hint
            ) from error
        except OSError as error:
            raise IndexFolderError(f"cannot be read ({error.strerror or error})", path=path) from error
        except IndexFolderError as error:
            first = first or error
    if first is not None:
        raise first
    raise IndexFolderError(
        "there is no index in this folder",
        path=folder,
        hint="Build one with `geolocator index --imagery … --out` this folder.",
    )


def under_way(folder: Path, manifest: Manifest) -> IndexFolderError:
    """The refusal of what needs a finished index; says how to finish it, or how to give up what was begun."""
    doing = {"extending": ("extended", "extend"), "refreshing": ("refreshed", "refresh")}
    if manifest.state not in doing:
        return IndexFolderError(
            "this index is not finished",
            path=folder,
            hint="Continue it with the command that began it, or with `geolocator index --resume`.",
        )
    words, verb = doing[manifest.state]
    return IndexFolderError(
        f"this index is being {words}",
        path=folder,
        hint=f"Finish that first with the command that began it, or give it up with "
        f"`geolocator index {verb} --undo`.",
    )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest, then its copy."""
    data = render(manifest)
    durable.write_whole(folder / MANIFEST_FILE, data)
    durable.write_whole(folder / COPY_FILE, data)
