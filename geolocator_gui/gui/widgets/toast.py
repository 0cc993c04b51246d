"""Messages over the upper right corner of the map: what happened, what to do, the log, undo."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QEvent, QObject, QPoint, Qt, QTimer, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFrame, QGraphicsDropShadowEffect, QHBoxLayout, QVBoxLayout, QWidget

from geolocator_gui.gui.notifications import Message, Notifications
from geolocator_gui.gui.widgets.basics import Glyph, Label, link, row, tool

_ICONS = {
    "info": ("information-outline", "text_secondary"),
    "success": ("check-circle-outline", "positive"),
    "warning": ("alert-outline", "warning"),
    "error": ("alert-circle-outline", "negative"),
}
_MOST = 4


class _Toast(QFrame):
    def __init__(self, message: Message, stack: Toasts) -> None:
        super().__init__(stack.parentWidget())
        self.message = message
        self.setObjectName("Toast")
        self.setProperty("level", message.level)
        self.setFixedWidth(400)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        shadow = QGraphicsDropShadowEffect(self)
        shadow.setBlurRadius(16)
        shadow.setOffset(0, 2)
        self.setGraphicsEffect(shadow)
        icon, role = _ICONS[message.level]
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 10, 8, 10)
        sign = QVBoxLayout()
        sign.setContentsMargins(0, 5, 0, 0)  # on the first line, level with the cross
        sign.addWidget(Glyph(icon, role))
        sign.addStretch(1)
        layout.addLayout(sign)
        words = QVBoxLayout()
        words.setContentsMargins(0, 4, 0, 4)
        words.setSpacing(4)
        words.addWidget(Label(message.text, wrap=True))
        if message.hint:
            words.addWidget(Label(message.hint, "Secondary", wrap=True))
        links = []
        if message.undo:
            links.append(link(self.tr("Undo"), lambda: stack.undo(self)))
        if message.log is not None:
            log: Path = message.log
            links.append(link(self.tr("Show log"), lambda: stack.show_log(log)))
        if links:
            words.addWidget(row(*links, 0, spacing=16))
        words.addStretch(1)  # the first line stays level with the icon
        layout.addLayout(words, 1)
        close = tool("close", self.tr("Close this message"), lambda: stack.drop(self))
        layout.addWidget(close, 0, Qt.AlignmentFlag.AlignTop)


class Toasts(QObject):
    """Stacks messages over a widget."""

    def __init__(self, notifications: Notifications, over: QWidget) -> None:
        super().__init__(over)
        self._over = over
        self._notifications = notifications
        self.shown: list[_Toast] = []
        notifications.posted.connect(self.show)
        notifications.withdrawn.connect(self._on_withdrawn)
        over.installEventFilter(self)

    def parentWidget(self) -> QWidget:
        """What the messages lie over."""
        return self._over

    def move_to(self, over: QWidget) -> None:
        """Lie over another widget from now on."""
        if over is self._over:
            return
        self._over.removeEventFilter(self)
        self._over = over
        over.installEventFilter(self)
        for toast in self.shown:
            toast.setParent(over)
            toast.show()
        self._place()

    def show(self, message: Message) -> None:
        """Show a message; the same message twice is shown once."""
        for old in self.shown:
            if old.message == message:
                return
        toast = _Toast(message, self)
        self.shown.append(toast)
        while len(self.shown) > _MOST:
            self.drop(self.shown[0])
        toast.show()
        self._place()
        if message.level != "error":
            milliseconds = 10_000 if message.undo or message.hint else 5_000
            QTimer.singleShot(milliseconds, toast, lambda: self.drop(toast))

    def texts(self) -> list[str]:
        """What is shown now."""
        return [toast.message.text for toast in self.shown]

    def drop(self, toast: _Toast) -> None:
        """Take a message away."""
        if toast in self.shown:
            self.shown.remove(toast)
            toast.hide()
            toast.deleteLater()
            self._place()

    def undo(self, toast: _Toast) -> None:
        """The undo of a message was chosen."""
        self._notifications.undone.emit(toast.message.key)
        self.drop(toast)

    def _on_withdrawn(self, key: str) -> None:
        for toast in [toast for toast in self.shown if toast.message.undo and toast.message.key == key]:
            self.drop(toast)

    def show_log(self, path: Path) -> None:
        """Open a log with the system's viewer."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay in the corner."""
        if event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def _place(self) -> None:
        # The upper right corner of the map is free: tools are left, the legend is below.
        top = 44 + 12
        for toast in self.shown:
            toast.ensurePolished()
            toast.resize(toast.width(), toast.layout().totalHeightForWidth(toast.width()))  # type: ignore[union-attr]
            toast.move(QPoint(self._over.width() - toast.width() - 16, top))
            toast.raise_()
            top += toast.height() + 8
