"""Photo and chip side by side: zoom, pan, turn, blend; a panorama carries a strip of headings."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPixmap, QWheelEvent
from PySide6.QtWidgets import QHBoxLayout, QSlider, QVBoxLayout, QWidget

from geolocator_gui.gui import focus, icons, theme, wording
from geolocator_gui.gui.pictures import Pictures
from geolocator_gui.gui.tokens import GRID, SMALL
from geolocator_gui.gui.tray import PhotoCard
from geolocator_gui.gui.widgets.basics import Label, tool
from geolocator_gui.records import Match

_MOST_ZOOM, _KEY_ZOOM = 24.0, 1.25


class ImagePane(QWidget):
    """A picture that can be zoomed (wheel), moved (drag), turned, and covered by another one."""

    def __init__(self, icon: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon = icon
        self._picture: QPixmap | None = None
        self._cover: QPixmap | None = None
        self._cover_opacity = 0.0
        self._turn = 0.0
        self._zoom = 1.0
        self._shift = QPointF()
        self._from: QPointF | None = None
        self.heading: float | None = None
        self.span = 360.0
        self.setMinimumSize(96, 96)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.OpenHandCursor)
        theme.current().changed.connect(self.update)

    @property
    def turn_degrees(self) -> float:
        """How far the picture is turned, degrees clockwise."""
        return self._turn

    def show_picture(self, picture: QPixmap | None) -> None:
        """Show a picture, None while it is read."""
        self._picture = picture
        self.update()

    def cover(self, picture: QPixmap | None, opacity: float) -> None:
        """Lay another picture over it."""
        self._cover, self._cover_opacity = picture, opacity
        self.update()

    def turn(self, degrees: float) -> None:
        """Turn the picture."""
        self._turn = degrees % 360
        self.update()

    def reset(self) -> None:
        """The whole picture again."""
        self._zoom, self._shift, self._turn = 1.0, QPointF(), 0.0
        self.update()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom about the pointer."""
        centre = QPointF(self.width() / 2, self.height() / 2)
        self._zoom_by(1.0015 ** event.angleDelta().y(), event.position() - centre)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """+ and − zoom, 0 shows all, arrows move what is zoomed; else arrows walk the matches."""
        ways = {
            Qt.Key.Key_Left: (1, 0),
            Qt.Key.Key_Right: (-1, 0),
            Qt.Key.Key_Up: (0, 1),
            Qt.Key.Key_Down: (0, -1),
        }
        key = Qt.Key(event.key())
        if key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal, Qt.Key.Key_Minus):
            self._zoom_by(1 / _KEY_ZOOM if key == Qt.Key.Key_Minus else _KEY_ZOOM, QPointF())
        elif key == Qt.Key.Key_0:
            self.reset()
        elif key in ways and self._zoom > 1:
            across, down = ways[key]
            self._shift += QPointF(across * self.width() / 8, down * self.height() / 8)
            self.update()
        else:
            event.ignore()

    def _zoom_by(self, factor: float, pointer: QPointF) -> None:
        zoom = max(1.0, min(_MOST_ZOOM, self._zoom * factor))
        self._shift = pointer - (pointer - self._shift) * (zoom / self._zoom)
        self._zoom = zoom
        if zoom == 1.0:
            self._shift = QPointF()
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin to move."""
        self._from = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Move."""
        if self._from is not None:
            self._shift += event.position() - self._from
            self._from = event.position()
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Moved."""
        self._from = None

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """The whole picture again."""
        self.reset()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint."""
        painter = QPainter(self)
        painter.setRenderHints(QPainter.RenderHint.SmoothPixmapTransform | QPainter.RenderHint.Antialiasing)
        look = theme.current()
        painter.fillRect(self.rect(), look.colour("hover"))
        self._paint_picture(painter)
        if self.hasFocus():
            focus.paint_ring(painter, QRectF(self.rect()), 4)

    def _paint_picture(self, painter: QPainter) -> None:
        look = theme.current()
        if self._picture is None:
            side = 32
            place = self.rect().center()
            rect = self.rect().adjusted(0, 0, 0, 0)
            rect.setRect(place.x() - side // 2, place.y() - side // 2, side, side)
            icons.paint(painter, rect, self._icon, look.colour("text_secondary"))
            return
        target = self._target(self._picture)
        painter.save()
        painter.translate(target.center())
        painter.rotate(self._turn)
        painter.translate(-target.center())
        painter.drawPixmap(target, self._picture, QRectF(self._picture.rect()))
        painter.restore()
        if self._cover is not None and self._cover_opacity > 0:
            painter.setOpacity(self._cover_opacity)
            painter.drawPixmap(self._target(self._cover), self._cover, QRectF(self._cover.rect()))
            painter.setOpacity(1)
        if self.heading is not None:
            self._paint_headings(painter, target)

    def _target(self, picture: QPixmap) -> QRectF:
        scale = min(self.width() / picture.width(), self.height() / picture.height()) * self._zoom
        width, height = picture.width() * scale, picture.height() * scale
        centre = QPointF(self.width() / 2, self.height() / 2) + self._shift
        return QRectF(centre.x() - width / 2, centre.y() - height / 2, width, height)

    def _paint_headings(self, painter: QPainter, target: QRectF) -> None:
        look = theme.current()
        band = QRectF(0, max(target.top(), 0), self.width(), 20)
        shade = look.colour("raised")
        shade.setAlpha(215)
        painter.fillRect(band, shade)
        font = painter.font()
        font.setPixelSize(SMALL)
        painter.setFont(font)
        first = (self.heading or 0) - self.span / 2
        for degrees in range(0, 360, 15):
            away = (degrees - first) % 360
            if away > self.span:
                continue
            x = target.left() + target.width() * away / self.span
            if not -24 < x < self.width() + 24:
                continue
            wind = {0: "N", 45: "NE", 90: "E", 135: "SE", 180: "S", 225: "SW", 270: "W", 315: "NW"}.get(
                degrees
            )
            painter.setPen(look.colour("text" if wind else "text_secondary"))
            if wind:
                painter.drawText(QRectF(x - 24, band.top(), 48, 15), Qt.AlignmentFlag.AlignCenter, wind)
            painter.drawLine(QPointF(x, band.bottom() - (5 if wind else 3)), QPointF(x, band.bottom()))


class Compare(QWidget):
    """The chosen photo beside the lifted match.

    Signals:
        closed: The user wants the strip alone again.
    """

    closed = Signal()

    def __init__(self, pictures: Pictures, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pictures = pictures
        self._card: PhotoCard | None = None
        self._match: Match | None = None
        self._source = ""
        self.photo, self.chip = ImagePane("image-outline"), ImagePane("satellite-variant")
        self.photo.setAccessibleName(self.tr("Photo"))
        self.chip.setAccessibleName(self.tr("Chip"))
        self._photo_words, self._chip_words = Label("", "Secondary"), Label("", "Secondary")
        self.blend = QSlider(Qt.Orientation.Horizontal)
        self.blend.setRange(0, 100)
        self.blend.setFixedWidth(112)
        self.blend.setToolTip(self.tr("Blend: lay the photo over the chip"))
        self.blend.setAccessibleName(self.blend.toolTip())
        self.blend.valueChanged.connect(self._refresh)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        reset = tool("fit-to-screen-outline", self.tr("Show the whole photo"), self.photo.reset)
        layout.addLayout(_side(self._photo_words, [reset], self.photo), 3)
        tools: list[QWidget] = [
            self.blend,
            tool(
                "rotate-left",
                self.tr("Turn the chip left"),
                lambda: self.chip.turn(self.chip.turn_degrees - 15),
            ),
            tool(
                "rotate-right",
                self.tr("Turn the chip right"),
                lambda: self.chip.turn(self.chip.turn_degrees + 15),
            ),
            tool("fit-to-screen-outline", self.tr("North up, the whole chip"), self.chip.reset),
            tool("chevron-down", self.tr("Close the compare view (Space)"), self.closed.emit),
        ]
        layout.addLayout(_side(self._chip_words, tools, self.chip), 2)
        pictures.ready.connect(lambda name: self._refresh() if self.isVisible() else None)

    def show_pair(self, card: PhotoCard | None, match: Match | None, source: str) -> None:
        """Compare this photo with this match."""
        if card is None or self._card is None or card.key != self._card.key:
            self.photo.reset()
        self._card, self._match, self._source = card, match, source
        self._refresh()

    def showEvent(self, event: object) -> None:
        """Pictures are only read when somebody looks."""
        super().showEvent(event)  # type: ignore[arg-type]
        self._refresh()

    def _refresh(self) -> None:
        if not self.isVisible():
            return
        card, match = self._card, self._match
        picture = self._pictures.photo(card.path, 2048) if card is not None else None
        self.photo.show_picture(picture)
        self.photo.heading, words = None, ""
        if card is not None:
            words = card.path.name
            facts = card.facts
            heading = card.known_heading
            if heading is None and match is not None:
                heading = match.heading
            if heading is not None:
                words += f" · {wording.heading(heading)}"
                fov = card.fov or (facts.horizontal_fov if facts else None)
                self.photo.heading = heading
                self.photo.span = 360.0 if card.guessed_mode == "panorama" else (fov or 60.0)
        self._photo_words.setText(words)
        chip = None
        if match is not None and self._source:
            chip = self._pictures.chip(self._source, match.bounds, 768)
            self._chip_words.setText(f"{match.rank} · {wording.score(match.score)}")
        else:
            self._chip_words.setText("")
        self.chip.show_picture(chip)
        self.chip.cover(picture, self.blend.value() / 100)


def _side(words: Label, tools: list[QWidget], pane: QWidget) -> QVBoxLayout:
    side = QVBoxLayout()
    side.setSpacing(GRID // 2)
    head = QHBoxLayout()
    head.setSpacing(2)
    head.addWidget(words, 1)
    for widget in tools:
        head.addWidget(widget)
    side.addLayout(head)
    side.addWidget(pane, 1)
    return side
