"""Verdicts that cannot be written: said for as long as it lasts, with what can be done about it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

from geolocator_gui.gui import wording
from geolocator_gui.gui.negatives.judging import Judging
from geolocator_gui.gui.notifications import Notifications
from geolocator_gui.gui.translation import translate
from geolocator_gui.gui.widgets.basics import Glyph, Label, link
from geolocator_gui.marks import write_marks
from geolocator_gui.marks_file import MarksFile


def unsaved_words(file: MarksFile) -> tuple[str, str]:
    """What happened to which file, and where the verdicts are meanwhile with what to do."""
    problem = file.problem
    what = "" if problem is None else problem.what
    hint = "" if problem is None else problem.hint
    if not file.is_written and file.kept_in is None:
        kept = translate("Unsaved", "They are kept in memory only: save a copy.")
    elif file.kept_in is not None:
        kept = translate("Unsaved", "They are kept in {file} meanwhile.").format(file=file.kept_in)
    else:
        kept = ""
    words = translate("Unsaved", "Verdicts are not being saved: {file}: {reason}.")
    return words.format(file=file.path, reason=what), " ".join(filter(None, (kept, hint)))


class UnsavedBanner(QWidget):
    """Stands on the page while the marks file cannot be written.

    Args:
        judging: The verdicts.
        notifications: Where the outcome of what was tried is told.
    """

    def __init__(self, judging: Judging, notifications: Notifications) -> None:
        super().__init__()
        self._judging, self._notifications = judging, notifications
        self.words = Label("", "Strong", wrap=True)
        self.more = Label("", "Secondary", wrap=True)
        self.retry = link(self.tr("Try again"), judging.look_again)
        self.aside = link(self.tr("Set the file aside"), self._set_aside)
        self.aside.setToolTip(
            self.tr("Renames it to marks.csv.damaged and begins a new one with the verdicts that stand")
        )
        self.copy = link(self.tr("Save a copy…"), self.save_copy)
        words = QHBoxLayout()
        words.setSpacing(8)
        words.addWidget(Glyph("alert-outline", "warning"))
        words.addWidget(self.words, 1)
        links = QHBoxLayout()
        links.setSpacing(12)
        for made in (self.retry, self.aside, self.copy):
            links.addWidget(made)
        links.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 4)
        column.setSpacing(2)
        column.addLayout(words)
        column.addWidget(self.more)
        column.addLayout(links)
        self.hide()
        judging.trouble_changed.connect(self._refresh)

    def save_copy(self, path: Path | None = None) -> None:
        """Write all verdicts that stand to a file of one's choice."""
        if path is None:
            chosen, _ = QFileDialog.getSaveFileName(self, self.tr("Save verdicts"), "marks.csv", "*.csv")
            if not chosen:
                return
            path = Path(chosen)
        try:
            write_marks(path, self._judging.marks.all())
        except OSError as error:
            reason = error.strerror or str(error)
            self._notifications.tell(
                f"{path}: {reason}", self.tr("Choose a folder that can be written."), "error"
            )
            return
        self._notifications.tell(
            f"{wording.isolated(path.name)} {self.tr('was written.')}", str(path.parent), "success"
        )

    def _set_aside(self) -> None:
        def done(moved: Path | None) -> None:
            if moved is not None:
                self._notifications.tell(
                    self.tr("The old file is {name} now; the verdicts are in a new marks.csv.").format(
                        name=moved.name
                    ),
                    level="success",
                )

        self._judging.set_aside(done)

    def _refresh(self) -> None:
        file = self._judging.file
        if file is None or file.problem is None:
            self.hide()
            return
        words, more = unsaved_words(file)
        if self.isHidden():
            self._notifications.tell(words, more, "error")
        self.words.setText(words)
        self.more.setText(more)
        self.more.setVisible(bool(more))
        self.show()
