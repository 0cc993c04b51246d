"""Tiles from bytes: decoded, checked for being whole, blank parts marked."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from geolocator_gui.geo.imagery.base import Pixels, Valid

MAX_TILE_PX = 4096
_CELLS = 8


@dataclass(frozen=True)
class Tile:
    """A decoded tile.

    Attributes:
        pixels: (t, t, 3) uint8 RGB.
        valid: (t, t) bool, or None where all of it is imagery.
    """

    pixels: Pixels
    valid: Valid | None

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return self.pixels.nbytes + (0 if self.valid is None else self.valid.nbytes)


class TileDataError(ValueError):
    """The bytes of one tile are not a whole picture."""


def sniff(data: bytes) -> str:
    """What bytes are: "png", "jpeg", "webp", "avif", "gif", "tiff", "vector", "html" or "unknown"."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp" and b"avi" in data[8:32]:
        return "avif"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if data.startswith((b"II*\x00", b"MM\x00*")):
        return "tiff"
    # Mapbox vector tiles: gzip or zlib around a protobuf, or the bare protobuf whose field 3 is a layer.
    if data.startswith((b"\x1f\x8b", b"\x78\x9c", b"\x78\xda", b"\x1a")):
        return "vector"
    if data.lstrip()[:1] in (b"<", b"{"):
        return "html"
    return "unknown"


def whole_picture(data: bytes, kind: str) -> str | None:
    """What is wrong with a body that should be a picture, in words; None for nothing."""
    found = sniff(data)
    if found in ("vector", "html", "unknown"):
        if not data:
            return "what came was empty"
        what = {"html": "text", "vector": "a vector tile", "unknown": "something unknown"}[found]
        if kind.startswith("image/"):
            return f"what came as {kind} was {what}, not a picture"
        return f"what came was {kind or what}, not a picture"
    try:
        _check_whole(data, found)
    except TileDataError as error:
        return str(error)
    return None


def decode_tile(data: bytes, tile_px: int) -> Tile:
    """Decode a tile and bring it to `tile_px` pixels.

    Raises:
        TileDataError: The bytes are no picture, cut short, or absurdly large.
    """
    kind = sniff(data)
    if kind in ("vector", "html", "unknown"):
        raise TileDataError(f"not a picture ({kind})")
    _check_whole(data, kind)
    decoded = _decode(data, kind)
    if max(decoded.shape[:2]) > MAX_TILE_PX:
        raise TileDataError(f"a tile of {decoded.shape[1]} x {decoded.shape[0]} pixels")
    alpha = decoded[..., 3] if decoded.shape[2] == 4 else None
    pixels = np.ascontiguousarray(decoded[..., :3])
    if pixels.shape[:2] != (tile_px, tile_px):
        shrinks = pixels.shape[0] > tile_px
        size, how = (tile_px, tile_px), cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=how), np.uint8)
        alpha = None if alpha is None else np.asarray(cv2.resize(alpha, size, interpolation=how), np.uint8)
    return Tile(pixels, mark_blank(pixels, None if alpha is None else alpha >= 128))


def common_tile_size(samples: Sequence[bytes]) -> int | None:
    """The most frequent side in pixels of some tiles; None where none is a picture."""
    sizes: list[int] = []
    for data in samples:
        try:
            kind = sniff(data)
            if kind in ("png", "jpeg", "webp", "avif", "gif", "tiff"):
                sizes.append(max(_decode(data, kind).shape[:2]))
        except TileDataError:
            continue  # a corrupt sample says nothing of the others
    sizes = [size for size in sizes if 16 <= size <= MAX_TILE_PX]
    return max(sorted(set(sizes)), key=sizes.count) if sizes else None


def mark_blank(pixels: Pixels, valid: Valid | None) -> Valid | None:
    """Add fill to what is not valid: cells of an eighth of the tile that are pure black or pure white.

    Args:
        pixels: (t, t, 3) uint8.
        valid: (t, t) bool from alpha, nodata or a mask; None where there is none.

    Returns:
        (t, t) bool, or None where all is valid.
    """
    cell = max(1, pixels.shape[0] // _CELLS)
    corner = pixels[::cell, ::cell]
    # The corner of a blank cell is itself pure; most tiles have no such corner and are done here.
    if ((corner == 0).all(axis=2) | (corner == 255).all(axis=2)).any():
        n = pixels.shape[0] // cell * cell
        cells = pixels[:n, :n].reshape(n // cell, cell, n // cell, cell, 3)
        blank = (cells.max(axis=(1, 3, 4)) == 0) | (cells.min(axis=(1, 3, 4)) == 255)
        if blank.any():
            spread = np.zeros(pixels.shape[:2], bool)
            spread[:n, :n] = np.repeat(np.repeat(blank, cell, axis=0), cell, axis=1)
            valid = ~spread if valid is None else valid & ~spread
    return None if valid is None or valid.all() else valid


def _check_whole(data: bytes, kind: str) -> None:
    """Decoders fill the missing part of a cut file with grey and say nothing."""
    if kind == "jpeg" and b"\xff\xd9" not in data[-64:]:
        raise TileDataError("a JPEG cut short")
    if kind == "png" and b"IEND" not in data[-64:]:
        raise TileDataError("a PNG cut short")
    if kind == "webp" and len(data) < int.from_bytes(data[4:8], "little") + 8:
        raise TileDataError("a WebP cut short")


def _decode(data: bytes, kind: str) -> NDArray[np.uint8]:
    """(h, w, 3) RGB or (h, w, 4) RGBA."""
    decoded = None
    if kind in ("png", "jpeg", "webp"):
        try:
            decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error as error:
            raise TileDataError(str(error.err)) from error
    if decoded is None or decoded.ndim not in (2, 3) or decoded.dtype not in (np.uint8, np.uint16):
        return _decode_with_pillow(data)
    if decoded.dtype == np.uint16:
        decoded = (decoded // 256).astype(np.uint8)
    if decoded.ndim == 2:
        return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_GRAY2RGB), np.uint8)
    if decoded.shape[2] == 4:
        return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGRA2RGBA), np.uint8)
    if decoded.shape[2] == 3:
        return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)
    return _decode_with_pillow(data)


def _decode_with_pillow(data: bytes) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            if max(image.size) > MAX_TILE_PX:
                raise TileDataError(f"a tile of {image.size[0]} x {image.size[1]} pixels")
            has_alpha = "A" in image.getbands() or "transparency" in image.info
            return np.asarray(image.convert("RGBA" if has_alpha else "RGB"), np.uint8)
    except TileDataError:
        raise
    # Pillow's decoders raise whatever their parser trips over.
    except Exception as error:
        raise TileDataError(f"not a picture that can be decoded ({error})") from error
