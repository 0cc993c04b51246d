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
from geolocator_gui.gui.tray import PhotoCard
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
        cards = self._cards(everything)
        if not cards:
            self._say_nothing()
            return
        answers = [card.answer for card in cards if card.answer is not None]
        stem = "matches" if everything else f"{_stem(answers[0])}-matches"
        file = path or self._ask(stem, suffix)
        if file is None:
            return
        attribution = "; ".join(dict.fromkeys(filter(None, map(self._attribution, cards))))

        def work() -> Path:
            from geolocator_gui.report.table import write_table

            write_table(file, answers, attribution=attribution)
            return file

        self._session.background.run(work, self._written)

    def evidence(self, suffix: str, *, path: Path | None = None) -> None:
        """Export the chosen photo as a report."""
        cards = self._cards(False)
        answer = cards[0].answer if cards else None
        if answer is None:
            self._say_nothing()
            return
        index = self._index(cards[0])
        if index is None or not index.imagery:
            self._say_gone(cards[0])
            return
        file = path or self._ask(f"{_stem(answer)}-evidence", suffix)
        if file is None:
            return
        attribution = self._attribution(cards[0])
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
                attribution=attribution,
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

    def _index(self, card: PhotoCard) -> IndexRow | None:
        """The index that answered a photo, open now or not; None when it is gone."""
        rows = [row for row in self._session.lists.indexes if row.name == card.index]
        return next((row for row in rows if card.edition in ("", row.edition)), None)

    def _attribution(self, card: PhotoCard) -> str:
        """Of the imagery that a photo was found in."""
        index = self._index(card)
        return card.attribution or (index.attribution if index is not None else "")

    def _say_gone(self, card: PhotoCard) -> None:
        self._session.notifications.tell(
            self.tr("Its index was removed or made anew: {name}.").format(name=card.index),
            self.tr("The report shows its imagery: take the removal back, or locate the photo again."),
            "warning",
        )

    def _say_nothing(self) -> None:
        self._session.notifications.tell(
            self.tr("There is nothing to export yet."),
            self.tr("Locate a photo and choose it on the Photos page, then export its matches."),
            "warning",
        )

    def _cards(self, everything: bool) -> Sequence[PhotoCard]:
        """The photos with matches, or the chosen one if it has any."""
        cards = self._session.tray if everything else [self._session.card]
        return [card for card in cards if card is not None and card.best is not None]

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
