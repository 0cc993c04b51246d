"""What comes in by drag and drop or paste, anywhere on the window."""

from __future__ import annotations

import time
from pathlib import Path

from PySide6.QtCore import QByteArray, QEvent, QMimeData, QObject, Qt, Signal
from PySide6.QtGui import QDropEvent, QImage
from PySide6.QtWidgets import QLabel, QWidget

from geolocator_gui.errors import FaultError
from geolocator_gui.gui import coordinates
from geolocator_gui.gui.drops import Dropped, sort_out
from geolocator_gui.gui.session import Session
from geolocator_gui.gui.translation import translate

_PIXELS = ("image/png", "image/jpeg", "image/webp", "image/tiff", "image/bmp", "application/x-qt-image")


def paths_of(mime: QMimeData) -> list[Path]:
    """Local files and folders."""
    return [Path(url.toLocalFile()) for url in mime.urls() if url.isLocalFile() and url.toLocalFile()]


def has_pixels(mime: QMimeData) -> bool:
    """Whether a picture itself is inside."""
    return mime.hasImage() or any(mime.hasFormat(name) for name in _PIXELS)


class Inputs(QObject):
    """Reads mime data and hands it on.

    Signals:
        sorted_out: A `Dropped`.
        position_pasted: A `LonLat` that was dropped or pasted as text.
    """

    sorted_out = Signal(object)
    position_pasted = Signal(object)

    def __init__(self, session: Session, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._veil = QLabel(self.tr("Drop photos, folders, imagery, areas or a checkpoint"), window)
        self._veil.setObjectName("Veil")
        self._veil.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._veil.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._veil.hide()
        self._window = window

    def on_drag(self, event: QDropEvent) -> None:
        """A drag event of any part of the window."""
        kind = event.type()
        if kind in (QEvent.Type.DragEnter, QEvent.Type.DragMove):
            if self._wanted(event.mimeData()):
                event.setDropAction(Qt.DropAction.CopyAction)
                event.accept()
                if not self._veil.isVisible():
                    self._veil.setGeometry(self._window.rect().adjusted(12, 12, -12, -12))
                    self._veil.show()
                    self._veil.raise_()
        elif kind == QEvent.Type.Drop:
            self._veil.hide()
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()
            self.take(event.mimeData())

    def on_leave(self) -> None:
        """The drag left the window."""
        self._veil.hide()

    def take(self, mime: QMimeData) -> bool:
        """Take what was dropped or pasted; False when nothing can be done with it."""
        paths = paths_of(mime)
        if paths:
            self.take_paths(paths)
            return True
        if has_pixels(mime):
            self._take_pixels(mime)
            return True
        text = mime.text().strip() if mime.hasText() else ""
        position = coordinates.parse(text) if text else None
        if position is not None:
            self.position_pasted.emit(position)
            return True
        if any(url.scheme() in ("http", "https") for url in mime.urls()) or text.startswith("http"):
            self._session.notifications.tell(
                self.tr("This is an address; Geolocator downloads no photos."),
                self.tr("Save the picture first, or copy the picture itself and paste it here."),
                "warning",
            )
        return False

    def take_paths(self, paths: list[Path]) -> None:
        """Sort files and folders out, off the GUI thread."""
        self._session.background.run(lambda: sort_out(paths), self._on_sorted)

    def _on_sorted(self, found: Dropped) -> None:
        if found.unknown:
            names = ", ".join(path.name for path in found.unknown[:3])
            more = len(found.unknown) - 3
            names += f" {self.tr('and')} {more} {self.tr('more')}" if more > 0 else ""
            self._session.notifications.tell(
                f"{names}: {self.tr('nothing can be done with this here.')}",
                self.tr("Photos, GeoTIFF, MBTiles, PMTiles, area files and checkpoints can be dropped."),
                "warning",
            )
        self.sorted_out.emit(found)

    def _take_pixels(self, mime: QMimeData) -> None:
        workspace = self._session.workspace
        if workspace is None:
            self.sorted_out.emit(Dropped())
            return
        data: QByteArray | None = None
        suffix = ".png"
        for name in _PIXELS[:3]:
            if mime.hasFormat(name):
                data, suffix = mime.data(name), f".{name.split('/')[1].replace('jpeg', 'jpg')}"
                break
        image = mime.imageData() if data is None else None
        file = (
            workspace.photos
            / f"pasted-{time.strftime('%Y%m%d-%H%M%S')}-{time.monotonic_ns() % 1000:03d}{suffix}"
        )

        def work() -> Path:
            if data is not None:
                file.write_bytes(bytes(data.data()))
            elif isinstance(image, QImage) and not image.save(str(file)):
                what = translate("Inputs", "the picture cannot be kept in the workspace")
                hint = translate("Inputs", "Check free space and permissions of its photos folder.")
                raise FaultError(what, path=file, hint=hint)
            return file

        self._session.background.run(work, lambda made: self.sorted_out.emit(Dropped(photos=(made,))))

    @staticmethod
    def _wanted(mime: QMimeData) -> bool:
        return mime.hasUrls() or has_pixels(mime) or mime.hasText()
