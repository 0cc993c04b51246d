"""What can be taken back: removals and replaced outlines, the last one first."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import count

from PySide6.QtCore import QObject

from geolocator_gui.gui.notifications import Notifications


class Undo(QObject):
    """A stack of ways back; messages offer those that somebody may want at once."""

    def __init__(self, notifications: Notifications, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._notifications = notifications
        self._ways: dict[str, tuple[Callable[[], object], str]] = {}
        self._numbers = count()
        notifications.undone.connect(self._on_undone)

    def keep(self, back: Callable[[], object], topic: str = "") -> str:
        """Keep a way back, quietly; returns the name it is kept under."""
        key = f"undo-{next(self._numbers)}"
        self._ways[key] = back, topic
        return key

    def offer(self, text: str, key: str) -> None:
        """Say what was done, with the way back that was kept; not if it was gone already."""
        if key in self._ways:
            self._notifications.offer_undo(text, key)

    def drop(self, key: str) -> None:
        """There is nothing to take back after all."""
        self._ways.pop(key, None)

    def take_back(self) -> None:
        """Go the last way back."""
        if not self._take_last(self._ways):
            self._notifications.tell(self.tr("There is nothing to take back."))

    def take_back_of(self, topic: str) -> bool:
        """Go the last way back of a topic; False when there is none."""
        return self._take_last([key for key, (_, of) in self._ways.items() if of == topic])

    def forget(self) -> None:
        """Another workspace: nothing of the last one comes back."""
        for key in list(self._ways):
            self._notifications.withdrawn.emit(key)
        self._ways.clear()

    def _take_last(self, keys: Collection[str]) -> bool:
        if not keys:
            return False
        key = list(keys)[-1]
        self._notifications.withdrawn.emit(key)
        self._on_undone(key)
        return True

    def _on_undone(self, key: str) -> None:
        back, _ = self._ways.pop(key, (lambda: None, ""))
        back()
