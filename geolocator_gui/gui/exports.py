"""The Export menu: chooses a file and calls `report/` in the background."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from PySide6.QtCore import QMarginsF, QObject, QUrl
from PySide6.QtGui import QDesktopServices, QPageLayout, QPageSize
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from geolocator_gui.gui.catalogue import IndexRow
from geolocator_gui.gui.session import Session
from geolocator_gui.records import Localisation

_TABLES = (
    ("GeoJSON", ".geojson"),
    ("CSV", ".csv"),
    ("KML", ".kml"),
    ("GeoPackage", ".gpkg"),
    ("GPX", ".gpx"),
)


class Exports(QObject):
    """What can be exported of the chosen photo and of all."""

    def __init__(self, session: Session, window: QWidget) -> None:
        super().__init__(window)
        self._session, self._window = session, window

    def fill(self, menu: QMenu) -> None:
        """Add the actions to a menu."""
        menu.addAction(self.tr("Evidence report (HTML)…"), lambda: self.evidence(".html"))
        menu.addAction(self.tr("Evidence report (PDF)…"), lambda: self.evidence(".pdf"))
        menu.addSeparator()
        for title, suffix in _TABLES:
            menu.addAction(
                f"{self.tr('This photo as')} {title}…", partial(self.table, suffix, everything=False)
            )
        menu.addSeparator()
        for title, suffix in _TABLES[:4]:
            menu.addAction(
                f"{self.tr('All photos as')} {title}…", partial(self.table, suffix, everything=True)
            )

    def table(self, suffix: str, *, everything: bool, path: Path | None = None) -> None:
        """Export matches as a table."""
        answers = self._answers(everything)
        if not answers:
            self._say_nothing()
            return
        stem = "matches" if everything else f"{_stem(answers[0])}-matches"
        file = path or self._ask(stem, suffix)
        if file is None:
            return
        index = self._session.index
        attribution = index.attribution if index is not None else ""

        def work() -> Path:
            from geolocator_gui.report.table import write_table

            write_table(file, answers, attribution=attribution)
            return file

        self._session.background.run(work, self._written)

    def evidence(self, suffix: str, *, path: Path | None = None) -> None:
        """Export the chosen photo as a report."""
        answers, index = self._answers(False), self._index()
        if not answers or index is None or not index.imagery:
            self._say_nothing()
            return
        file = path or self._ask(f"{_stem(answers[0])}-evidence", suffix)
        if file is None:
            return
        answer = answers[0]
        page = file if suffix == ".html" else file.with_suffix(".part.html")

        def work() -> Path:
            from geolocator_gui.report.evidence import EvidenceContext, write_evidence

            context = EvidenceContext(
                imagery=index.imagery[0],
                bounds=index.bounds or answer.matches[0].bounds,
                index_name=index.name,
                chips=index.chips,
                model_name=index.model,
                weights_sha256=index.weights_sha256,
                attribution=index.attribution,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            write_evidence(page, answer, context)
            return page

        if suffix == ".html":
            self._session.background.run(work, self._written)
        else:
            self._session.background.run(work, lambda made: self._print(made, file))

    def _print(self, page: Path, file: Path) -> None:
        from geolocator_gui.gui.printing import print_page

        layout = QPageLayout(
            QPageSize(QPageSize.PageSizeId.A4), QPageLayout.Orientation.Portrait, QMarginsF(14, 14, 14, 14)
        )

        def done(ok: bool) -> None:
            self._session.background.run(lambda: page.unlink(missing_ok=True))
            if ok:
                self._written(file)
            else:
                self._session.notifications.tell(
                    self.tr("The PDF could not be written."),
                    self.tr("Export the HTML and print that."),
                    "error",
                )

        print_page(page, file, layout, done, self)

    def _index(self) -> IndexRow | None:
        """The index that answered the chosen photo, which need not be the one that is open now."""
        card, rows = self._session.card, self._session.lists.indexes
        return next((row for row in rows if card is not None and row.name == card.index), None)

    def _say_nothing(self) -> None:
        self._session.notifications.tell(
            self.tr("There is nothing to export yet."),
            self.tr("Locate a photo and choose it on the Photos page, then export its matches."),
            "warning",
        )

    def _answers(self, everything: bool) -> Sequence[Localisation]:
        if everything:
            return self._session.tray.located()
        card = self._session.card
        return [card.answer] if card is not None and card.answer is not None and card.answer.matches else []

    def _ask(self, stem: str, suffix: str) -> Path | None:
        folder = self._session.settings.text("export/folder", str(Path.home()))
        dialog = QFileDialog(self._window, self.tr("Export"), folder, f"*{suffix}")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(suffix[1:])  # before the dialog asks whether a file may be replaced
        dialog.selectFile(f"{stem}{suffix}")
        if not dialog.exec():
            return None
        path = Path(dialog.selectedFiles()[0])
        self._session.settings.set_text("export/folder", str(path.parent))
        return path if path.suffix.lower() == suffix else path.with_name(path.name + suffix)

    def _written(self, path: Path) -> None:
        self._session.notifications.tell(
            f"{path.name} {self.tr('was written.')}", str(path.parent), "success"
        )

    def open_folder(self, path: Path) -> None:
        """Show where a file lies."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(path.parent)))


def _stem(answer: Localisation) -> str:
    return Path(answer.file).stem[:80]  # file systems end names at 255 bytes
