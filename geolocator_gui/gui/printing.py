"""A local HTML page as PDF, through the engine that draws the map."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, QUrl
from PySide6.QtGui import QPageLayout
from PySide6.QtWebEngineCore import (
    QWebEnginePage,
    QWebEngineProfile,
    QWebEngineSettings,
    QWebEngineUrlRequestInfo,
    QWebEngineUrlRequestInterceptor,
)


class _OnlyThisFile(QWebEngineUrlRequestInterceptor):
    def __init__(self, page: Path, parent: QObject) -> None:
        super().__init__(parent)
        self._url = QUrl.fromLocalFile(str(page))

    def interceptRequest(self, info: QWebEngineUrlRequestInfo) -> None:
        if info.requestUrl() != self._url and info.requestUrl().scheme() != "data":
            info.block(True)


def print_page(
    page: Path, pdf: Path, layout: QPageLayout, done: Callable[[bool], None], parent: QObject
) -> None:
    """Print a page without scripts and without any other request; `done` hears whether it worked."""
    profile = QWebEngineProfile(parent)
    profile.setUrlRequestInterceptor(_OnlyThisFile(page, profile))
    web = QWebEnginePage(profile, parent)
    web.settings().setAttribute(QWebEngineSettings.WebAttribute.JavascriptEnabled, False)

    def finished(path: str, ok: bool) -> None:
        web.deleteLater()
        web.destroyed.connect(profile.deleteLater)
        done(ok)

    def loaded(ok: bool) -> None:
        if ok:
            web.printToPdf(str(pdf), layout)
        else:
            finished(str(pdf), False)

    web.pdfPrintingFinished.connect(finished)
    web.loadFinished.connect(loaded)
    web.load(QUrl.fromLocalFile(str(page)))
