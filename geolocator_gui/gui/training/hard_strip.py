"""The photos that rank worst now, each beside its own chip and the one that is ranked first."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from geolocator_gui.gui import wording
from geolocator_gui.gui.pictures import Pictures
from geolocator_gui.gui.training.follow import Hard
from geolocator_gui.gui.widgets.basics import Label

_SIDE, _MOST = 72, 12


class HardStrip(QScrollArea):
    """Thumbnails in a row; empty until something was evaluated."""

    def __init__(self, pictures: Pictures) -> None:
        super().__init__()
        self._pictures = pictures
        self._shown: tuple[Hard, ...] = ()
        self._places: dict[Path, list[QLabel]] = {}
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFixedHeight(_SIDE + 62)
        pictures.ready.connect(self._on_ready)

    def show_hardest(self, hardest: tuple[Hard, ...]) -> None:
        """Show these."""
        if hardest == self._shown:
            return
        self._shown, self._places = hardest, {}
        inner = QWidget()
        line = QHBoxLayout(inner)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(16)
        for one in hardest[:_MOST]:
            line.addWidget(self._made(one))
        line.addStretch(1)
        self.setWidget(inner)

    def _made(self, one: Hard) -> QWidget:
        box = QWidget()
        column = QVBoxLayout(box)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        grid = QGridLayout()
        grid.setSpacing(2)
        parts = [(one.query, self.tr("photo"), 2 * _SIDE), (one.first, self.tr("ranked first"), _SIDE)]
        if one.right is not None:
            parts.insert(1, (one.right, self.tr("its own"), _SIDE))
        for place, (path, word, width) in enumerate(parts):
            picture = QLabel()
            picture.setObjectName("Card")
            picture.setFixedSize(width, _SIDE)
            picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
            picture.setToolTip(wording.tip(f"{word}: {path.name}"))
            self._places.setdefault(path, []).append(picture)
            self._fill(path)
            grid.addWidget(picture, 0, place)
            grid.addWidget(Label(word, "Secondary"), 1, place)
        column.addLayout(grid)
        name = wording.one_line(one.query.name, 28)
        words = self.tr("{name} · its own is number {rank}").format(name=name, rank=wording.count(one.rank))
        column.addWidget(Label(words, "Secondary"))
        return box

    def _fill(self, path: Path) -> None:
        pixmap = self._pictures.photo(path, 2 * _SIDE)
        if pixmap is not None:
            for picture in self._places.get(path, ()):
                picture.setPixmap(
                    pixmap.scaled(
                        picture.size(),
                        Qt.AspectRatioMode.KeepAspectRatio,
                        Qt.TransformationMode.SmoothTransformation,
                    )
                )

    def _on_ready(self, name: object) -> None:
        if isinstance(name, tuple) and name[0] == "photo" and name[1] in self._places:
            self._fill(name[1])
