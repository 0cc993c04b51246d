"""Everything else about a mining: compare with another, merge marks, export a selection."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from PySide6.QtCore import QMarginsF, QObject, QPoint
from PySide6.QtGui import QPageLayout, QPageSize
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from geolocator_gui.gui import wording
from geolocator_gui.gui.negatives.exporting import gather
from geolocator_gui.gui.negatives.inspector import Inspector
from geolocator_gui.marks import Merged

_TABLES = (("GeoJSON", ".geojson"), ("CSV", ".csv"))
_SHEETS = (("HTML", ".html"), ("PDF", ".pdf"))


class MiningMenu(QObject):
    """The menu behind the dots."""

    def __init__(self, inspector: Inspector, window: QWidget) -> None:
        super().__init__(window)
        self._inspector, self._window = inspector, window

    def open_at(self, place: QPoint) -> None:
        """Show it."""
        self.menu().popup(place)

    def menu(self) -> QMenu:
        """What can be done now."""
        inspector = self._inspector
        menu = QMenu(self._window)
        compare = menu.addMenu(self.tr("Compare with an earlier mining"))
        result = inspector.result
        others = [f for f in inspector.minings if result is not None and f != result.folder]
        for folder in others:
            compare.addAction(wording.menu(folder.name)).triggered.connect(partial(self._compare, folder))
        if inspector.table.moved is not None:
            compare.addSeparator()
            compare.addAction(self.tr("Stop comparing"), lambda: inspector.compare_with(None))
        compare.setEnabled(bool(others))
        menu.addAction(self.tr("Merge another marks file…"), lambda: self.merge())
        menu.addSeparator()
        count = len(inspector.selected)
        whole = self.tr("all listed") if count < 2 else wording.counted(count, "selected photo")
        for title, kinds in ((self.tr("Contact sheet of"), _SHEETS), (self.tr("Confusions of"), _TABLES)):
            for words, suffix in kinds:
                made = menu.addAction(f"{title} {whole} ({words})…")
                made.triggered.connect(partial(self._export, suffix))
        menu.addSeparator()
        remove = menu.addAction(self.tr("Remove this mining (verdicts stay)"), self._remove)
        remove.setEnabled(result is not None)
        return menu

    def _remove(self) -> None:
        result = self._inspector.result
        if result is not None:
            self._inspector.session.throw_away(result.folder)

    def _compare(self, folder: Path, checked: bool = False) -> None:
        self._inspector.compare_with(folder)

    def _export(self, suffix: str, checked: bool = False) -> None:
        self.export(suffix)

    # -- marks --------------------------------------------------------------------------------------------

    def merge(self, file: Path | None = None) -> None:
        """Take over another person's verdicts."""
        if file is None:
            chosen, _ = QFileDialog.getOpenFileName(self._window, self.tr("Merge marks"), "", "marks (*.csv)")
            if not chosen:
                return
            file = Path(chosen)
        self._inspector.judging.merge(file, self._merged)

    def _merged(self, merged: Merged) -> None:
        session = self._inspector.session
        words = self.tr("{verdicts} came from the other file.").format(
            verdicts=wording.counted(merged.added, "verdict")
        )
        if not merged.conflicts:
            session.notifications.tell(words, level="success")
            return
        from geolocator_gui.gui.negatives.conflicts import ConflictsDialog

        result = self._inspector.result
        names = {} if result is None else dict(zip(result.ids.tolist(), result.names.tolist(), strict=True))
        dialog = ConflictsDialog(self._window, words, merged.conflicts, names)
        if dialog.exec():
            self._inspector.judging.give(dialog.chosen())

    # -- exports ------------------------------------------------------------------------------------------

    def export(self, suffix: str, path: Path | None = None) -> None:
        """Write the selected photos, or all that are listed."""
        inspector = self._inspector
        result = inspector.result
        if result is None:
            return
        rows = list(inspector.selected) if len(inspector.selected) > 1 else inspector.table.rows.tolist()
        file = path or self._ask(f"{result.name}-confusions", suffix)
        if file is None or not rows:
            return
        session, marks, source = inspector.session, inspector.judging.marks, inspector.source
        page = file if suffix != ".pdf" else file.with_suffix(".part.html")
        created = datetime.now(UTC).isoformat(timespec="seconds")

        def work() -> Path:
            from geolocator_gui.report.confusions import write_confusions
            from geolocator_gui.report.contact_sheet import SheetContext, write_contact_sheet

            confusions = gather(result, rows, marks)
            if suffix in (".html", ".pdf"):
                model = str(result.about.get("model", ""))
                context = SheetContext(result.name, model, result.attribution, created, source)
                write_contact_sheet(page, confusions, context)
            else:
                write_confusions(page, confusions, attribution=result.attribution)
            return page

        if suffix == ".pdf":
            session.background.run(work, lambda made: self._print(made, file), owner=self)
        else:
            session.background.run(work, self._written, owner=self)

    def _print(self, page: Path, file: Path) -> None:
        from geolocator_gui.gui.printing import print_page

        size, margins = QPageSize(QPageSize.PageSizeId.A4), QMarginsF(12, 12, 12, 12)
        layout = QPageLayout(size, QPageLayout.Orientation.Portrait, margins)

        def done(ok: bool) -> None:
            self._inspector.session.background.run(lambda: page.unlink(missing_ok=True))
            if ok:
                self._written(file)
            else:
                self._inspector.session.notifications.tell(
                    self.tr("The PDF could not be written."),
                    self.tr("Export the HTML and print that."),
                    "error",
                )

        print_page(page, file, layout, done, self)

    def _ask(self, stem: str, suffix: str) -> Path | None:
        settings = self._inspector.session.settings
        start = Path(settings.text("export/folder", str(Path.home()))) / f"{stem}{suffix}"
        chosen, _ = QFileDialog.getSaveFileName(self._window, self.tr("Export"), str(start), f"*{suffix}")
        if not chosen:
            return None
        path = Path(chosen)
        settings.set_text("export/folder", str(path.parent))
        return path if path.suffix.lower() == suffix else path.with_name(path.name + suffix)

    def _written(self, path: Path) -> None:
        self._inspector.session.notifications.tell(
            f"{wording.isolated(path.name)} {self.tr('was written.')}", str(path.parent), "success"
        )
