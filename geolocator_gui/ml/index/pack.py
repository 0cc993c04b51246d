"""An index as one file: exported to be carried away, imported with nothing taken on trust."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from geolocator_gui.errors import FaultError, IndexFolderError, InputError
from geolocator_gui.events import Pace, Steps
from geolocator_gui.ml.bundle import file_sha256
from geolocator_gui.ml.index import durable
from geolocator_gui.ml.index.companions import PACKED
from geolocator_gui.ml.index.manifest import (
    CHIPS_FILE,
    COPY_FILE,
    MANIFEST_FILE,
    SEARCH_FILE,
    Manifest,
    parse,
    read_manifest,
    render,
    under_way,
)
from geolocator_gui.ml.index.plan import local_part
from geolocator_gui.ml.index.segments import CELL, is_own_file, journal_path, segment_name
from geolocator_gui.ml.index.sound import damaged, unchanged, whole_journal
from geolocator_gui.ml.index.verify import describe, verify_index

_ATTRIBUTION = "ATTRIBUTION.txt"
_NAMES = re.compile(
    rf"{re.escape(MANIFEST_FILE)}|{re.escape(COPY_FILE)}|{re.escape(CHIPS_FILE)}|{re.escape(SEARCH_FILE)}"
    r"|ATTRIBUTION\.txt|vectors/\d{3}\.journal|vectors/\d{3}-\d{4}\.(f16|cells)"
    r"|imagery/[A-Za-z0-9][A-Za-z0-9._ -]{0,127}"
)
_BLOCK = 1 << 20


def export_index(folder: Path, file: Path, *, with_imagery: bool = False) -> Steps[Path]:
    """Write a finished index as one zip file: manifest, chips, vectors, search structure, attribution.

    Args:
        folder: Of the index.
        file: To write; an older one is replaced when the new one is whole.
        with_imagery: Put the imagery's own files in too, where they are files.

    Raises:
        IndexFolderError: The index is not finished, or a byte of it is not as it was written.
        InputError: The file cannot be written there.
    """
    manifest = read_manifest(folder)
    if manifest.state != "finished":
        raise under_way(folder, manifest)
    if file.is_dir():
        raise InputError("this is a folder, not a file to write", path=file, hint="Name a file.zip in it.")
    if file.exists() and not file.is_file():
        raise InputError("this is not a file that can be replaced", path=file, hint="Name another file.")
    extra: list[tuple[Path, str]] = []
    records = []
    for number, record in enumerate(manifest.imagery):
        path, settings = local_part(record.source)
        if path is None:
            records.append(record)
            continue
        source = folder / path
        # A path of this machine says nothing elsewhere, and may say too much.
        name = path.name
        if with_imagery and source.is_file():
            name = f"imagery/{number}-{re.sub(r'[^A-Za-z0-9._-]+', '-', source.name)[-100:]}"
            extra.append((source, name))
        records.append(record.model_copy(update={"source": name + settings}))
    files = {name: checksum for name, checksum in manifest.files.items() if not name.startswith(PACKED)}
    names = list(files)
    files |= {name: file_sha256(path) for path, name in extra}
    data = render(manifest.updated(imagery=tuple(records), files=files, settings_sha256=""))
    names += [
        path.relative_to(folder).as_posix()
        for path in sorted((folder / "vectors").iterdir())
        if is_own_file(path)
    ]
    members = [(folder / name, name) for name in names] + extra
    scratch = durable.scratch_of(file)
    done, whole = 0, False
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with (
            unchanged([folder], [manifest]),
            zipfile.ZipFile(scratch, "w", zipfile.ZIP_STORED) as archive,
        ):
            checks = _Checks(folder, manifest, files)
            pace = Pace("Writing the file", sum(path.stat().st_size for path, _ in members), "bytes")
            archive.writestr(MANIFEST_FILE, data)
            archive.writestr(COPY_FILE, data)
            archive.writestr(_ATTRIBUTION, _attribution(manifest))
            for path, name in members:
                with path.open("rb") as source_file, archive.open(name, "w", force_zip64=True) as target:
                    while block := source_file.read(_BLOCK):
                        target.write(block)
                        checks.see(name, block)
                        done += len(block)
                        yield from pace.at(done)
                checks.end(name)
        whole = True
    except OSError as error:
        found = durable.explain(error, file)
        if isinstance(found, FaultError):
            found.hint = "Nothing was exported. Free some space or check the disk, then try again."
        raise found from error
    finally:
        if not whole and scratch.exists():
            scratch.unlink()
    durable.put_in_place(scratch, file)
    return file


class _Checks:
    """Compares what goes into an export with the checksums of the index while it streams by.

    Args:
        folder: Of the index.
        manifest: Of the index.
        files: sha256 of whole files by name.
    """

    def __init__(self, folder: Path, manifest: Manifest, files: Mapping[str, str]) -> None:
        self._folder, self._files = folder, dict(files)
        journal = journal_path(folder, manifest.generation)
        self._files[journal.relative_to(folder).as_posix()] = manifest.journal_sha256
        self._batches: dict[str, list[tuple[int, int]]] = {}
        for commit in whole_journal(folder, manifest):
            stem = f"vectors/{segment_name(manifest.generation, commit.segment)}"
            if commit.rows:
                self._batches.setdefault(f"{stem}.f16", []).append(
                    (commit.rows * manifest.dimension * 2, commit.vectors)
                )
                self._batches.setdefault(f"{stem}.cells", []).append(
                    (commit.rows * CELL.itemsize, commit.cells)
                )
        self._sha, self._crc, self._left, self._at = hashlib.sha256(), 0, 0, -1

    def see(self, name: str, block: bytes) -> None:
        """The next bytes of a file."""
        self._sha.update(block)
        batches, view = self._batches.get(name, []), memoryview(block)
        while batches and len(view):
            if self._left == 0:
                self._settle(name)
                if self._at + 1 == len(batches):
                    raise damaged(self._folder / name, "there are bytes beyond its end")
                self._at, self._crc = self._at + 1, 0
                self._left = batches[self._at][0]
            part = view[: self._left]
            self._crc, self._left, view = (
                zlib.crc32(part, self._crc),
                self._left - len(part),
                view[len(part) :],
            )

    def end(self, name: str) -> None:
        """The file is over; raises `IndexFolderError` where it is not as it was written."""
        if name in self._batches:
            self._settle(name)
            if self._left or self._at + 1 != len(self._batches[name]):
                raise damaged(self._folder / name, "the end of this file is missing")
        elif self._files.get(name, self._sha.hexdigest()) != self._sha.hexdigest():
            raise damaged(self._folder / name, "this file is damaged")
        self._sha, self._crc, self._left, self._at = hashlib.sha256(), 0, 0, -1

    def _settle(self, name: str) -> None:
        """The batch that has gone by entirely must have its checksum."""
        if self._at >= 0 and self._left == 0 and self._crc != self._batches[name][self._at][1]:
            raise damaged(self._folder / name, "this file is damaged")


def _attribution(manifest: Manifest) -> str:
    lines = [f"Model: {manifest.model_name}, fingerprint {manifest.fingerprint}"]
    for record in manifest.imagery:
        lines.append(f"Imagery: {record.name}. {record.attribution} {record.licence}".rstrip())
    return "\n".join(lines) + "\n"


def import_index(file: Path, folder: Path) -> Steps[Path]:
    """Unpack an exported index into a new folder and check every byte of it.

    Raises:
        IndexFolderError: The file is not an export, is damaged, or holds what an export never holds;
            nothing is left behind.
    """
    folder = Path(os.path.abspath(folder))  # `.` has no name to put a scratch folder beside
    check_new_folder(folder)
    if file.is_dir():
        raise IndexFolderError(
            "this is a folder, not an exported index",
            path=file,
            hint="Name the .zip that `index export` wrote.",
        )
    scratch = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        try:
            with zipfile.ZipFile(file) as archive:
                yield from _unpack(archive, file, scratch)
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
            raise IndexFolderError(
                f"this is not an exported index ({error})", path=file, hint="Copy it again from where it was."
            ) from error
        except OSError as error:
            raise _explain(error, file, folder) from error
        health = yield from verify_index(scratch)
        if not health.sound:
            raise IndexFolderError(
                f"the exported index is damaged ({describe(health.damages)})",
                path=file,
                hint="Copy it again from where it was.",
            )
        _put_in_place(scratch, folder)
        durable.sync_folder(folder.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def check_new_folder(folder: Path, *, besides: str = "") -> None:
    """Refuse what cannot become the folder of a new index; raises `IndexFolderError`.

    Args:
        folder: May not exist yet.
        besides: A name that may lie in it.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise IndexFolderError("this is a file, not a folder", path=folder, hint="Choose a new folder.")
        names = folder.iterdir() if folder.exists() else ()
        if not all(durable.is_scratch(path) or path.name == besides for path in names):
            raise IndexFolderError("this folder is not empty", path=folder, hint="Choose a new folder.")
    except OSError as error:
        raise IndexFolderError(
            f"this folder cannot be used ({error.strerror or error})", path=folder, hint="Choose another one."
        ) from error


def _put_in_place(scratch: Path, folder: Path) -> None:
    """The finished folder under its name; into it where it is in use (the current folder of a shell)."""
    try:
        if folder.exists():
            folder.rmdir()
        scratch.replace(folder)
    except OSError as error:
        if not folder.is_dir():
            raise durable.explain(error, folder) from error
        for path in sorted(scratch.iterdir(), key=lambda path: path.name == MANIFEST_FILE):
            path.replace(folder / path.name)


def _explain(error: OSError, file: Path, folder: Path) -> Exception:
    if isinstance(error, FileNotFoundError):
        return IndexFolderError("the file does not exist", path=file)
    found = durable.explain(error, folder)
    if isinstance(found, FaultError):
        found.hint = "Nothing was imported. Free some space or check the disk, then try again."
    return found


def _unpack(archive: zipfile.ZipFile, file: Path, scratch: Path) -> Steps[None]:
    members = archive.infolist()
    for member in members:
        if not _NAMES.fullmatch(member.filename) or member.is_dir():
            raise IndexFolderError(
                f"the file holds {member.filename!r}, which no exported index does", path=file
            )
    names = [member.filename for member in members]
    if len(set(names)) != len(names) or MANIFEST_FILE not in names:
        raise IndexFolderError("this is not an exported index", path=file)
    # Nothing in an export is compressed, so it can never unpack to more than the file itself.
    stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
    if not stored or sum(member.file_size for member in members) > file.stat().st_size:
        raise IndexFolderError("this file unpacks to more than it holds", path=file)
    parse(archive.read(MANIFEST_FILE), Path(MANIFEST_FILE))
    pace = Pace("Reading the file", sum(member.file_size for member in members), "bytes")
    done = 0
    for member in members:
        if member.filename == _ATTRIBUTION:
            continue  # for people who look into the file; the manifest has it
        target = scratch / member.filename
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(member) as source, target.open("xb") as out:
            for block in _blocks(source, member.file_size):
                out.write(block)
                done += len(block)
                yield from pace.at(done)


def _blocks(source: IO[bytes], most: int) -> Iterator[bytes]:
    """At most as many bytes as the member says that it has."""
    while most > 0 and (block := source.read(min(_BLOCK, most))):
        most -= len(block)
        yield block
