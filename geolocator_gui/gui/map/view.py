"""The map in the window: the page, its channel, and nothing a page does not need."""

from __future__ import annotations

import logging
from collections import deque

from PySide6.QtCore import QEvent, QFile, QIODevice, QObject, Qt, QUrl, Signal, Slot
from PySide6.QtGui import QColor, QDropEvent
from PySide6.QtWebChannel import QWebChannel
from PySide6.QtWebEngineCore import QWebEnginePage, QWebEngineProfile, QWebEngineScript, QWebEngineSettings
from PySide6.QtWebEngineWidgets import QWebEngineView
from PySide6.QtWidgets import QVBoxLayout, QWidget
from shiboken6 import delete

from geolocator_gui.gui import theme, tokens
from geolocator_gui.gui.map import messages
from geolocator_gui.gui.map.handlers import PAGE, SCHEME, Handlers
from geolocator_gui.gui.map.scheme import Guard, SchemeHandler

log = logging.getLogger(__name__)
_DROPS = (QEvent.Type.DragEnter, QEvent.Type.DragMove, QEvent.Type.DragLeave, QEvent.Type.Drop)


class Bridge(QObject):
    """The one object both sides of the channel know.

    Signals:
        push: A message to the page, as JSON.
        said: A message from the page that passed the check.
    """

    push = Signal(str)
    said = Signal(object)

    @Slot(str)
    def send(self, line: str) -> None:
        """Called by the page."""
        message = messages.read(line)
        if message is None:
            log.warning("the map page said something unknown: %.200s", line)
            return
        self.said.emit(message)


class _Page(QWebEnginePage):
    def acceptNavigationRequest(
        self, url: QUrl | str, kind: QWebEnginePage.NavigationType, is_main_frame: bool
    ) -> bool:
        return QUrl(url).toString() == PAGE

    def createWindow(self, kind: QWebEnginePage.WebWindowType) -> QWebEnginePage | None:  # type: ignore[override]
        return None

    def javaScriptConsoleMessage(
        self, level: QWebEnginePage.JavaScriptConsoleMessageLevel, text: str, line: int, source: str
    ) -> None:
        log.warning("map page, %s line %d: %s", source, line, text)


class MapView(QWidget):
    """The map. Messages sent before the page is ready wait for it.

    Signals:
        ready: The page can show things.
        said: A message from the page (see `messages`).
        dropped: Something was dropped on the map: the drop event, to be read and accepted.
        crashed: The page's process ended; the page is loaded again.
    """

    ready = Signal()
    said = Signal(object)
    dropped = Signal(object)
    crashed = Signal(str)

    def __init__(self, handlers: Handlers, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.handlers = handlers
        # Qt deletes children in the order they were made. The view goes first and takes the page along: a
        # profile that goes before its page brings the process down, also where the window was never closed.
        self.view = QWebEngineView(self)
        self._profile = QWebEngineProfile(self)  # without a name: keeps nothing on disk
        self.guard = Guard(self)
        self._scheme = SchemeHandler(handlers, self)
        self._profile.setUrlRequestInterceptor(self.guard)
        self._profile.installUrlSchemeHandler(SCHEME.encode(), self._scheme)
        self.page = _Page(self._profile, self.view)
        self._bridge = Bridge(self)
        self._waiting: deque[messages.ToPage] = deque()
        self._is_ready = False
        self._motion = True
        self._kept: dict[str, messages.ToPage] = {}
        channel = QWebChannel(self.page)
        channel.registerObject("bridge", self._bridge)
        self.page.setWebChannel(channel)
        self.page.scripts().insert(_channel_script())
        self._harden(self.page.settings())
        self.view.setPage(self.page)
        self.view.setAcceptDrops(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)
        self._bridge.said.connect(self._on_said)
        self.page.renderProcessTerminated.connect(self._on_terminated)
        theme.current().changed.connect(self._on_theme)
        self._on_theme()
        self.page.load(QUrl(PAGE))

    @property
    def is_ready(self) -> bool:
        """Whether the page can show things."""
        return self._is_ready

    def send(self, message: messages.ToPage) -> None:
        """Send a message to the page, or keep it until the page is ready."""
        if not isinstance(message, messages.FlyTo | messages.Show | messages.Draw | messages.ToggleEdit):
            self._kept[message.kind] = message  # what a reloaded page has to be told again
        if self._is_ready:
            self._bridge.push.emit(messages.write(message))
        else:
            self._waiting.append(message)

    def set_motion(self, on: bool) -> None:
        """Whether the map may fly; without, it jumps."""
        if on != self._motion:
            self._motion = on
            self._on_theme()

    def take_keys(self) -> None:
        """Put the keyboard on the map: arrows move it, + and − zoom, Tab goes to its tools."""
        self.view.setFocus(Qt.FocusReason.OtherFocusReason)
        self.page.runJavaScript("map_page.getContainer().focus()")

    def close_page(self) -> None:
        """End the page before its profile; called once, when the window closes."""
        self._is_ready = False
        theme.current().changed.disconnect(self._on_theme)
        self._scheme.close()
        # Page, then view, then profile: Chromium aborts or warns in any other order.
        delete(self.page)
        delete(self.view)
        self._profile.removeAllUrlSchemeHandlers()
        self._profile.setUrlRequestInterceptor(None)  # type: ignore[arg-type]  # Qt allows it; the stubs do not
        delete(self._profile)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Drops on the web view's own child would navigate the map away; they are the window's."""
        if event.type() == QEvent.Type.ChildAdded or event.type() == QEvent.Type.Show:
            self._watch_children()
        if event.type() in _DROPS:
            if isinstance(event, QDropEvent):
                self.dropped.emit(event)
            return True
        return super().eventFilter(watched, event)

    def showEvent(self, event: object) -> None:
        """The child that takes the drops exists from here on."""
        super().showEvent(event)  # type: ignore[arg-type]
        self._watch_children()

    def _watch_children(self) -> None:
        for widget in (self.view, self.view.focusProxy(), *self.view.findChildren(QWidget)):
            if widget is not None:
                widget.removeEventFilter(self)
                widget.installEventFilter(self)

    def _on_said(self, message: messages.FromPage) -> None:
        if isinstance(message, messages.Ready):
            self._is_ready = True
            self._watch_children()
            while self._waiting:
                self._bridge.push.emit(messages.write(self._waiting.popleft()))
            self.ready.emit()
        else:
            self.said.emit(message)

    def _on_terminated(self, status: QWebEnginePage.RenderProcessTerminationStatus, code: int) -> None:
        if status == QWebEnginePage.RenderProcessTerminationStatus.NormalTerminationStatus:
            return
        self._is_ready = False
        self._waiting = deque(self._kept.values())
        self.crashed.emit(
            self.tr("The map's process ended ({status}, {code}).").format(status=status.name, code=code)
        )
        self.page.load(QUrl(PAGE))

    def _on_theme(self) -> None:
        self.page.setBackgroundColor(QColor(theme.current().tokens.map))
        self.send(messages.SetTheme(tokens.css_variables(theme.current().scheme), self._motion))

    @staticmethod
    def _harden(settings: QWebEngineSettings) -> None:
        attribute = QWebEngineSettings.WebAttribute
        for name in (
            attribute.LocalStorageEnabled,
            attribute.LocalContentCanAccessRemoteUrls,
            attribute.LocalContentCanAccessFileUrls,
            attribute.PluginsEnabled,
            attribute.JavascriptCanOpenWindows,
            attribute.NavigateOnDropEnabled,
            attribute.HyperlinkAuditingEnabled,
            attribute.DnsPrefetchEnabled,
            attribute.PdfViewerEnabled,
            attribute.AutoLoadIconsForPage,
        ):
            settings.setAttribute(name, False)


def _channel_script() -> QWebEngineScript:
    file = QFile(":/qtwebchannel/qwebchannel.js")
    if not file.open(QIODevice.OpenModeFlag.ReadOnly):
        raise RuntimeError("Qt's qwebchannel.js is missing from the PySide6 installation")
    script = QWebEngineScript()
    script.setName("qwebchannel")
    script.setSourceCode(bytes(file.readAll().data()).decode())
    script.setInjectionPoint(QWebEngineScript.InjectionPoint.DocumentCreation)
    script.setWorldId(QWebEngineScript.ScriptWorldId.MainWorld)
    return script
