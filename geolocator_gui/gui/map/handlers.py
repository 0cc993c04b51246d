"""What the custom scheme serves: plain functions from a path to a mime type and bytes, without Qt.

The one scheme carries the page, the imagery's tiles and the pictures laid over it. Whatever is not listed
here does not exist.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from geolocator_gui.errors import GeolocatorError
from geolocator_gui.gui.map.imagery_pool import ImageryPool
from geolocator_gui.gui.map.page import page_html

SCHEME = "geolocator"
HOST = "map"
PAGE = f"{SCHEME}://{HOST}/"


class NotFoundError(Exception):
    """There is nothing at this path."""


class RefusedError(Exception):
    """There is something at this path, and it cannot be read now."""


@dataclass(frozen=True)
class Reply:
    """What goes back."""

    mime: str
    body: bytes


class Handlers:
    """Answers paths; called from a thread pool, never from the GUI thread.

    Attributes:
        imagery: The sources that tiles and chips are cut from.
    """

    def __init__(self, imagery: ImageryPool, page: Callable[[], str] = page_html) -> None:
        self.imagery = imagery
        self._page = page
        self._pictures: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def put_picture(self, name: str, body: bytes) -> str:
        """Offer a picture (heat, coverage) as `/picture/<name>.png`; returns its path."""
        with self._lock:
            self._pictures[name] = body
        return f"/picture/{name}.png"

    def drop_picture(self, name: str) -> None:
        """Stop offering a picture."""
        with self._lock:
            self._pictures.pop(name, None)

    def answer(self, path: str) -> Reply:
        """The reply for the path of a URL, still percent-encoded.

        Raises:
            NotFoundError: Nothing is there.
            RefusedError: The imagery cannot be read.
        """
        parts = [unquote(part) for part in path.split("/") if part]
        match parts:
            case []:
                return Reply("text/html", self._page().encode())
            case ["tiles", key, zoom, x, y]:
                return self._tile(key, zoom, x, y)
            case ["picture", name]:
                return self._picture(name)
        raise NotFoundError(path)

    def _tile(self, key: str, zoom: str, x: str, y: str) -> Reply:
        found = re.fullmatch(r"(\d{1,7})(@2x)?", y)
        if found is None or not re.fullmatch(r"\d{1,2}", zoom) or not re.fullmatch(r"\d{1,7}", x):
            raise NotFoundError(f"{zoom}/{x}/{y}")
        level, column, row = int(zoom), int(x), int(found.group(1))
        if level > 24 or column >= 2**level or row >= 2**level:
            raise NotFoundError(f"{zoom}/{x}/{y}")
        try:
            return Reply(*self.imagery.tile(key, level, column, row, 512 if found.group(2) else 256))
        except GeolocatorError as error:
            raise RefusedError(str(error)) from error

    def _picture(self, name: str) -> Reply:
        with self._lock:
            body = self._pictures.get(name.removesuffix(".png"))
        if body is None:
            raise NotFoundError(name)
        return Reply("image/png", body)
