"""Photos: loaded upright as RGB whatever the file is, and what they say of themselves."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import PhotoError
from geolocator_gui.geo.photo_facts import facts_of
from geolocator_gui.records import PhotoFacts

MAX_PIXELS = 300_000_000
MAX_BYTES = 512 * 1024 * 1024
_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "HEIF", "AVIF", "TIFF", "BMP", "GIF", "JPEG2000")
# Endings of what a folder of photos is searched for.
PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".heic", ".heif", ".avif"}
    | {".tif", ".tiff", ".bmp", ".gif", ".jp2"}
)
_HINT = "Use a JPEG, PNG, WebP, HEIC, AVIF or TIFF photo."


def read_facts(path: Path | str) -> PhotoFacts:
    """Size, position, heading, field of view and whether it is a panorama.

    Raises:
        PhotoError: The file is missing, empty or not an image.
    """
    with _opened(Path(path), MAX_PIXELS) as image:
        return facts_of(image)


def load_image(
    path: Path | str, *, max_pixels: int = MAX_PIXELS, longest_side: int | None = None
) -> NDArray[np.uint8]:
    """Load a photo.

    Args:
        path: JPEG, PNG, WebP, HEIC, AVIF or TIFF; of several frames the first is taken.
        max_pixels: A larger picture is refused before it is decoded.
        longest_side: Shrink to at most this many pixels; None keeps the size.

    Returns:
        (h, w, 3) uint8 RGB, upright; transparency is put on white.

    Raises:
        PhotoError: The file is missing, empty, not an image, damaged or too large.
    """
    path = Path(path)
    with _opened(path, max_pixels) as image, _decoding(path):
        from PIL import ImageOps

        if longest_side is not None and image.format in ("JPEG", "MPO"):
            image.draft("RGB" if image.mode != "CMYK" else None, (longest_side, longest_side))
        image.load()
        picture = image if image.format == "HEIF" else ImageOps.exif_transpose(image)
        picture = _to_rgb(picture)
        if longest_side is not None and max(picture.size) > longest_side:
            picture.thumbnail((longest_side, longest_side), resample=3, reducing_gap=3.0)
        return np.ascontiguousarray(np.asarray(picture, np.uint8))


@contextlib.contextmanager
def _opened(path: Path, max_pixels: int) -> Iterator[Any]:
    from PIL import Image, UnidentifiedImageError

    _register_heif()
    try:
        if path.is_dir():
            raise PhotoError("this is a folder, not a photo", path=path)
        size = path.stat().st_size
        if size == 0:
            raise PhotoError(
                "the file is empty (0 bytes)", path=path, hint="Copy it again from where it was."
            )
        if size > MAX_BYTES:
            raise PhotoError(f"the file is {size // 2**20} MiB; that is no photo", path=path)
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise PhotoError("the photo does not exist", path=path) from error
    except OSError as error:
        raise PhotoError(f"the photo cannot be opened ({error.strerror})", path=path) from error
    with warnings.catch_warnings():
        # Pillow warns of oddities in metadata and of large pictures; both are judged here.
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(data), formats=_known_formats())
        except UnidentifiedImageError as error:
            raise PhotoError("this is not an image that can be read", path=path, hint=_HINT) from error
        except Image.DecompressionBombError as error:
            raise PhotoError("the picture is too large to be a photo", path=path) from error
        # Pillow's plugins raise whatever their parser trips over.
        except Exception as error:
            raise PhotoError(f"the photo is damaged ({error})", path=path, hint=_HINT) from error
        with image:
            if image.size[0] * image.size[1] > max_pixels:
                raise PhotoError(
                    f"the picture has {image.size[0]} x {image.size[1]} pixels, more than the "
                    f"{max_pixels / 1e6:.0f} million that are read",
                    path=path,
                    hint="Shrink it first.",
                )
            if min(image.size) < 2:
                raise PhotoError(
                    f"a picture of {image.size[0]} x {image.size[1]} pixels shows nothing", path=path
                )
            yield image


@contextlib.contextmanager
def _decoding(path: Path) -> Iterator[None]:
    try:
        yield
    except PhotoError:
        raise
    except MemoryError as error:
        raise PhotoError(
            "the picture does not fit into memory", path=path, hint="Shrink it first."
        ) from error
    # Pillow's decoders raise whatever they trip over: OSError, SyntaxError, ValueError, struct.error ...
    except Exception as error:
        raise PhotoError(
            f"the photo is damaged ({error})", path=path, hint="Copy it again from where it was."
        ) from error


def _to_rgb(image: Any) -> Any:
    """Any of Pillow's modes to RGB."""
    from PIL import Image

    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image).astype(np.float64)
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        # Sixteen bits are used in full, or the range that the picture has is.
        full = 65535.0 if image.mode.startswith("I;16") and high > 4095 else max(high, low + 1.0)
        grey = np.clip(np.nan_to_num(values) / full * 255.0, 0, 255)
        return Image.fromarray(np.rint(grey).astype(np.uint8)).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        seen = image.convert("RGBA")
        ground = Image.new("RGBA", seen.size, (255, 255, 255, 255))
        return Image.alpha_composite(ground, seen).convert("RGB")
    return image.convert("RGB")


def _known_formats() -> list[str]:
    from PIL import Image

    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def _register_heif() -> None:
    import pi_heif

    pi_heif.register_heif_opener()
