"""Keeps the list of photos on disk: written a little after it changed, by the one window that may."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QObject, QTimer, Signal

from geolocator_gui.gui import tray
from geolocator_gui.gui.background import Background
from geolocator_gui.gui.notifications import Notifications
from geolocator_gui.gui.opening import Claim, claim
from geolocator_gui.gui.tray import Tray
from geolocator_gui.workspace import Workspace

_LATER_MS = 1500


class Keeper(QObject):
    """Writes the tray of the open workspace.

    Signals:
        granted: This window is the one that may write; carries the `Workspace`.
    """

    granted = Signal(object)

    def __init__(
        self,
        photos: Tray,
        background: Background,
        notifications: Notifications,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._tray, self._background, self._notifications = photos, background, notifications
        self._workspace: Workspace | None = None
        self._claim, self._claiming = Claim(None), False
        self._later = QTimer(self, interval=_LATER_MS, singleShot=True)
        self._later.timeout.connect(self.write)

    @property
    def may_write(self) -> bool:
        """Whether this window has the right to."""
        return self._claim.file is not None

    def open(self, workspace: Workspace) -> None:
        """Ask for the right to write this workspace's list."""
        self._workspace = workspace
        self._ask()

    def touch(self) -> None:
        """The list changed."""
        self._later.start()

    def write(self) -> None:
        """Write the list and its answers in the background."""
        if self._workspace is not None and self.may_write:
            self._background.run(partial(tray.save, self._tray.copy(), self._workspace.photos / "tray.json"))

    def leave(self) -> None:
        """Another workspace, or none: write the last state and let another window have the right."""
        self._later.stop()
        self.write()
        self.give_up()
        self._workspace = None

    def last_write(self) -> Callable[[], object] | None:
        """What is left to write when the window closes; `give_up` comes after it."""
        self._later.stop()
        if self._workspace is None or not self.may_write:
            return None
        return partial(tray.save, self._tray, self._workspace.photos / "tray.json")

    def give_up(self) -> None:
        """Let another window have the right."""
        self._claim.give_up()
        self._claim = Claim(None)

    def _ask(self) -> None:
        # One at a time: two questions of this window would take each other for another window.
        if self._workspace is not None and not self._claiming:
            self._claiming = True
            workspace = self._workspace
            self._background.run(partial(claim, workspace), partial(self._on_claimed, workspace))

    def _on_claimed(self, workspace: Workspace, made: Claim) -> None:
        self._claiming = False
        if workspace is not self._workspace:
            made.give_up()
            self._ask()
            return
        self._claim = made
        if made.why:
            hint = self.tr("What changes in the list of photos here is not kept.")
            self._notifications.tell(made.why, hint, "warning")
        else:
            self._later.start()  # what changed while the right was asked for
            self.granted.emit(workspace)
