"""What a weights file really is, told from its first bytes, and whether it can be opened safely.

Downloads go wrong in known ways, and each gets its own sentence: an empty file, a Git-LFS pointer, a web
page, a file that is cut off, an archive, a program. Checked before any loader sees the file: nothing in it
may be called, and what it claims must fit into its own size.
"""

from __future__ import annotations

import io
import json
import mmap
import re
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Literal

from geolocator_gui.errors import WeightsError
from geolocator_gui.ml.weights.pickle_scan import Claims, scan_pickle

Kind = Literal["zip", "legacy", "safetensors"]

_AGAIN = "Download it again."
_UNPACK = "Unpack it and give the file inside."
_STATE_DICT = "Save the model's state dict: torch.save(model.state_dict(), …)."
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_LARGEST_HEADER = 16 << 20
_ARCHIVES = {
    b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"7z\xbc\xaf": "7-Zip", b"Rar!": "RAR",
    b"(\xb5/\xfd": "zstandard",
}  # fmt: skip


def inspect(path: Path) -> Kind:
    """The kind of a weights file that is safe to open.

    Raises:
        WeightsError: It is something else, damaged, or not safe; the message says which.
    """
    try:
        if path.is_dir():
            raise WeightsError("this is a folder, not a weights file", path=path)
        if path.exists() and not path.is_file():
            raise WeightsError("this is a pipe or a device, not a weights file", path=path)
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError as error:
        raise WeightsError("there is no such weights file", path=path) from error
    except OSError as error:
        raise WeightsError(f"the file cannot be read ({error.strerror or error})", path=path) from error
    if size == 0:
        raise WeightsError("the file is empty (0 bytes)", path=path, hint=_AGAIN)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        _check_zip(path, size)
        return "zip"
    if head[:1] == b"\x80" and len(head) > 1 and head[1] <= 5:
        _check_legacy(path, size)
        return "legacy"
    if _is_safetensors(head, path):
        _check_safetensors(path, size)
        return "safetensors"
    raise _other(head, size, path)


def _other(head: bytes, size: int, path: Path) -> WeightsError:
    """The error for a file that is no weights file at all."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"version https://git-lfs"):
        declared = re.search(rb"\nsize (\d{1,15})\s", head)
        real = f", whose {int(declared[1]) / 1e6:.0f} MB are elsewhere" if declared else ""
        return WeightsError(
            f"this is a Git-LFS pointer, not the weights themselves{real}",
            path=path,
            hint="Fetch the file itself with `git lfs pull`, or download it from the release page.",
        )
    if re.match(rb"<(!doctype|html|head|\?xml|!--)", text.lower()):
        return WeightsError(
            "this is a web page, not weights: the server answered the download with a page",
            path=path,
            hint="Open it in a browser to see what the page says, then download the file again.",
        )
    for magic, name in _ARCHIVES.items():
        if head.startswith(magic):
            return WeightsError(f"this is a {name} archive", path=path, hint=_UNPACK)
    if head[257:262] == b"ustar":
        return WeightsError("this is a tar archive", path=path, hint=_UNPACK)
    if head.strip(b"\0") == b"":
        return WeightsError("it holds only zeros: the download was not finished", path=path, hint=_AGAIN)
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        return WeightsError("this is a text file, not weights", path=path, hint=_AGAIN)
    return WeightsError(
        f"this is not a weights file that the program knows ({size} bytes)",
        path=path,
        hint="It reads PyTorch state dicts (.pth, .pt) and .safetensors.",
    )


def _check_zip(path: Path, size: int) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            if len({name.casefold() for name in entries}) < len(archive.infolist()):
                # PyTorch looks names up whatever their case: it might open another one than is checked here.
                raise WeightsError(
                    "two entries in it have the same name; PyTorch writes none twice", path=path
                )
            stored = sum(max(entry.file_size, entry.compress_size) for entry in entries.values())
            if stored > size or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
                raise WeightsError(
                    "it is packed so that it would take more memory than its own size; PyTorch packs nothing",
                    path=path,
                    hint="Unpack it if it is an ordinary ZIP archive, and give the file inside.",
                )
            pickles = [name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise WeightsError(
                    "this is a ZIP archive that PyTorch did not write",
                    path=path,
                    hint=_UNPACK,
                )
            prefix = pickles[0].removesuffix("data.pkl")
            if not all(name.startswith(prefix) for name in entries):
                raise WeightsError("it holds more than what PyTorch writes into a ZIP archive", path=path)
            if any(name.startswith(f"{prefix}code/") for name in entries):
                raise WeightsError(
                    "this is a TorchScript program, not a state dict", path=path, hint="Save its state dict."
                )
            claims = scan_pickle(io.BytesIO(archive.read(pickles[0])), path)
            for key, nbytes in claims.storages.items():
                entry = entries.get(f"{prefix}data/{key}")
                if entry is None or entry.file_size < nbytes:
                    raise WeightsError("a tensor in it claims more numbers than the file holds", path=path)
    except (zipfile.BadZipFile, EOFError, struct.error, NotImplementedError, RuntimeError) as error:
        raise WeightsError(
            f"the file is cut off or damaged: it begins like PyTorch but ends amiss after {size} bytes",
            path=path,
            hint=_AGAIN,
        ) from error
    except OSError as error:
        raise WeightsError(f"the file cannot be read ({error.strerror or error})", path=path) from error
    _check_claims(claims, size, path)


def check_every_byte(path: Path) -> None:
    """Compare what PyTorch wrote as a ZIP archive with the checksums in it; nothing for other kinds.

    PyTorch itself does not look at them: a byte that flipped on the way would be a wrong weight for ever.

    Raises:
        WeightsError: An entry is damaged.
    """
    if inspect(path) != "zip":
        return
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, EOFError, OSError, zlib.error) as error:
        raise WeightsError(f"the file is damaged ({error})", path=path, hint=_AGAIN) from error
    if broken is not None:
        raise WeightsError(
            f"the file is damaged: '{broken}' in it is not what its checksum says", path=path, hint=_AGAIN
        )


def _check_legacy(path: Path, size: int) -> None:
    if tarfile.is_tarfile(path):  # PyTorch would unpack it to the disk
        raise WeightsError("this is a tar archive", path=path, hint=_UNPACK)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        magic = scan_pickle(data, path)
        if magic.value != _LEGACY_MAGIC:
            raise WeightsError(
                "this is a Python pickle, but not one that PyTorch wrote; nothing in it was run",
                path=path,
                hint="Save the state dict with torch.save, or as .safetensors.",
            )
        if scan_pickle(data, path).value != _LEGACY_PROTOCOL:
            raise WeightsError("it was written by a PyTorch that is too old to read", path=path)
        scan_pickle(data, path)  # facts about the machine it was written on
        claims = scan_pickle(data, path)
        scan_pickle(data, path)  # the order of the storages
        held = size - data.tell()
    if held < sum(8 + nbytes for nbytes in claims.storages.values()):
        raise WeightsError(
            f"the file is cut off or damaged: it claims more numbers than its {size} bytes hold",
            path=path,
            hint=_AGAIN,
        )
    _check_claims(claims, size, path)


def _check_claims(claims: Claims, size: int, path: Path) -> None:
    if claims.bare_tensor:
        raise WeightsError(
            "it holds a single tensor, not the weights of a model by name",
            path=path,
            hint=_STATE_DICT,
        )
    if claims.tensors == 0:
        raise WeightsError(
            "it holds no weights",
            path=path,
            hint=_STATE_DICT,
        )
    if claims.tensor_bytes > size:
        raise WeightsError("its tensors claim more numbers than the file holds", path=path)


def _is_safetensors(head: bytes, path: Path) -> bool:
    small_length = head[4:8] == bytes(4)  # the first eight bytes are the header's length
    return len(head) > 8 and small_length and (head[8:9] == b"{" or path.suffix == ".safetensors")


def _check_safetensors(path: Path, size: int) -> None:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > _LARGEST_HEADER:
            raise WeightsError("its header is larger than that of any model: not safetensors", path=path)
        header = file.read(length)
    cut_off = WeightsError(
        f"the file is cut off or damaged: of a safetensors file only {size} bytes are there",
        path=path,
        hint=_AGAIN,
    )
    if len(header) < length:
        raise cut_off
    try:
        fields = json.loads(header)
        ends = [int(item["data_offsets"][1]) for key, item in fields.items() if key != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise WeightsError("its header is damaged: not safetensors", path=path, hint=_AGAIN) from error
    if not ends:
        raise WeightsError("it holds no weights", path=path)
    if 8 + length + max(ends) > size:
        raise cut_off
