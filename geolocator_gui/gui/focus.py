"""Where the keyboard is: going into a page, round the parts of the window, and the ring that shows it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QApplication, QWidget

from geolocator_gui.gui import theme, tokens

_RING_ALPHA = 110


def first_in(parent: QWidget) -> QWidget | None:
    """The first widget inside that the Tab key would reach, None when there is none."""
    widget = parent.nextInFocusChain()
    while widget is not None and widget is not parent:
        reachable = widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.focusProxy() is None
        if reachable and widget.isEnabled() and widget.isVisibleTo(parent) and parent.isAncestorOf(widget):
            return widget
        widget = widget.nextInFocusChain()
    return None


def enter(parent: QWidget) -> bool:
    """Put the keyboard into a part of the window; False when nothing in it takes keys."""
    widget = first_in(parent)
    if widget is None:
        return False
    widget.setFocus(Qt.FocusReason.TabFocusReason)
    return True


def holds(part: QWidget) -> bool:
    """Whether the keyboard is in a part of the window."""
    now = QApplication.focusWidget()
    return now is not None and (now is part or part.isAncestorOf(now))


def next_part(parts: Sequence[QWidget]) -> None:
    """Go to the part after the one that has the keyboard; those that are hidden are passed over.

    Args:
        parts: In order; one that has a `take_keys` of its own is entered with it.
    """
    shown = [part for part in parts if part.isVisible()]
    place = next((n for n, part in enumerate(shown) if holds(part)), -1)
    for part in (*shown[place + 1 :], *shown[: place + 1]):
        take = getattr(part, "take_keys", None)
        if take is not None:
            take()
            return
        if enter(part):
            return


def paint_ring(painter: QPainter, rect: QRectF, radius: float = tokens.RADIUS) -> None:
    """A soft ring inside a card's frame: the keyboard is here (a frame alone says: this one is chosen)."""
    colour = theme.current().colour("accent")
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(colour, 2))
    painter.drawRoundedRect(rect.adjusted(1, 1, -1, -1), radius - 1, radius - 1)
    colour.setAlpha(_RING_ALPHA)
    painter.setPen(QPen(colour, 3))
    painter.drawRoundedRect(rect.adjusted(3.5, 3.5, -3.5, -3.5), max(radius - 3, 1), max(radius - 3, 1))
    painter.restore()
