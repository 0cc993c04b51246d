"""What can be taken back: removals and replaced outlines, the last one first."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from PySide6.QtCore import QObject

from geolocator_gui.gui.notifications import Notifications


class Undo(QObject):
    """A stack of ways back; messages offer those that somebody may want at once."""

    def __init__(self, notifications: Notifications, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._notifications = notifications
        self._ways: dict[str, Callable[[], object]] = {}
        self._numbers = count()
        notifications.undone.connect(self._on_undone)

    def keep(self, back: Callable[[], object]) -> str:
        """Keep a way back, quietly; returns the name it is kept under."""
        key = f"undo-{next(self._numbers)}"
        self._ways[key] = back
        return key

    def offer(self, text: str, back: Callable[[], object]) -> None:
        """Say what was done, with a way back."""
        self._notifications.offer_undo(text, self.keep(back))

    def take_back(self) -> None:
        """Go the last way back."""
        if self._ways:
            self._on_undone(next(reversed(self._ways)))
        else:
            self._notifications.tell(self.tr("There is nothing to take back."))

    def forget(self) -> None:
        """Another workspace: nothing of the last one comes back."""
        self._ways.clear()

    def _on_undone(self, key: str) -> None:
        self._ways.pop(key, lambda: None)()
