"""The custom scheme in Qt: thin glue around `handlers`, and the guard that lets no other request out."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor

from PySide6.QtCore import QBuffer, QByteArray, QObject, Qt, Signal
from PySide6.QtWebEngineCore import (
    QWebEngineUrlRequestInfo,
    QWebEngineUrlRequestInterceptor,
    QWebEngineUrlRequestJob,
    QWebEngineUrlScheme,
    QWebEngineUrlSchemeHandler,
)
from shiboken6 import isValid

from geolocator_gui.gui.map.handlers import HOST, SCHEME, Handlers, NotFoundError, RefusedError, Reply

log = logging.getLogger(__name__)


def register_scheme() -> None:
    """Tell Chromium of the scheme; before the QApplication is made, once per process."""
    scheme = QWebEngineUrlScheme(SCHEME.encode())
    scheme.setSyntax(QWebEngineUrlScheme.Syntax.Host)
    flag = QWebEngineUrlScheme.Flag
    scheme.setFlags(flag.SecureScheme | flag.CorsEnabled | flag.FetchApiAllowed)
    QWebEngineUrlScheme.registerScheme(scheme)


class SchemeHandler(QWebEngineUrlSchemeHandler):
    """Hands requests to a thread pool and its replies back to Chromium on the GUI thread."""

    _replied = Signal(object)

    def __init__(self, handlers: Handlers, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._handlers = handlers
        self._pool = ThreadPoolExecutor(3, "scheme")
        self._open = True
        self._replied.connect(self._on_replied, Qt.ConnectionType.QueuedConnection)

    def requestStarted(self, job: QWebEngineUrlRequestJob) -> None:
        """A request arrives, on the GUI thread."""
        url = job.requestUrl()
        if not self._open or url.host() != HOST or bytes(job.requestMethod().data()) != b"GET":
            job.fail(QWebEngineUrlRequestJob.Error.RequestDenied)
            return
        path = url.path(url.ComponentFormattingOption.FullyEncoded)
        future = self._pool.submit(self._handlers.answer, path)

        def answered(done: Future[Reply]) -> None:
            if self._open:
                self._replied.emit((job, done))

        future.add_done_callback(answered)

    def close(self) -> None:
        """Answer nothing more and wait for what runs."""
        self._open = False
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _on_replied(self, answer: tuple[QWebEngineUrlRequestJob, Future[Reply]]) -> None:
        job, future = answer
        if not self._open or not isValid(job) or future.cancelled():
            return
        error = future.exception()
        if error is None:
            reply = future.result()
            buffer = QBuffer(job)
            buffer.setData(QByteArray(reply.body))
            buffer.open(QBuffer.OpenModeFlag.ReadOnly)
            job.reply(QByteArray(reply.mime.encode()), buffer)
        elif isinstance(error, NotFoundError):
            job.fail(QWebEngineUrlRequestJob.Error.UrlNotFound)
        else:
            if not isinstance(error, RefusedError):
                log.error("the map page's request failed", exc_info=error)
            job.fail(QWebEngineUrlRequestJob.Error.RequestFailed)


class Guard(QWebEngineUrlRequestInterceptor):
    """Blocks every request that is not the scheme's own.

    Attributes:
        blocked: Addresses that were refused, for the log and the tests.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.blocked: list[str] = []

    def interceptRequest(self, info: QWebEngineUrlRequestInfo) -> None:
        """Called on the GUI thread for every request of the page."""
        url = info.requestUrl()
        if url.scheme() in ("data", "blob", "qrc") or (url.scheme() == SCHEME and url.host() == HOST):
            return
        self.blocked.append(url.toString())
        log.warning("the map page asked for %s; refused", url.toString())
        info.block(True)
