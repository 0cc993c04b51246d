"""Tables in dialogs: pairs that were set aside, and photos under the old and the new model."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from geolocator_gui.gui import theme, wording
from geolocator_gui.gui.dialogs import Dialog
from geolocator_gui.gui.training.planning import Found, compared_rows, compared_sentence
from geolocator_gui.gui.translation import translate


class AsideDialog(Dialog):
    """What was left out of the pairs, and why."""

    def __init__(self, parent: QWidget, found: Found) -> None:
        words = "\n".join([found.sentence(), *found.notes])
        title, close = translate("Tables", "Set aside"), translate("Tables", "Close")
        super().__init__(parent, title, wording.one_line(words, 600), close)
        rows = [[name, reason] for name, reason in found.aside]
        self.table = table([self.tr("File"), self.tr("Reason")], rows)
        self.body.addWidget(self.table, 1)
        _only_close(self)
        self.finish()
        self.setMinimumSize(640, 420)


class ComparedDialog(Dialog):
    """The same photos under two indexes, side by side."""

    def __init__(self, parent: QWidget, document: dict[str, Any], names: tuple[str, str]) -> None:
        title = translate("Tables", "{one} and {other}").format(one=names[0], other=names[1])
        super().__init__(parent, title, compared_sentence(document), translate("Tables", "Close"))
        signs = {
            1: "▲ " + self.tr("nearer"),
            -1: "▼ " + self.tr("farther"),
            0: self.tr("same"),
            None: "–",
        }
        compared = compared_rows(document)
        rows = [[one.name, *one.old, *one.new, signs[one.better]] for one in compared]
        off, score = self.tr("{model}: off by"), self.tr("score")
        first, second = (off.format(model=name) for name in names)
        self.table = table([self.tr("Photo"), first, score, second, score, ""], rows)
        look = theme.current()
        for place, one in enumerate(compared):
            cell = self.table.item(place, 5)
            if one.better and cell is not None:
                cell.setForeground(look.colour("positive" if one.better > 0 else "negative"))
        self.body.addWidget(self.table, 1)
        _only_close(self)
        self.finish()
        self.setMinimumSize(760, 480)


def _only_close(dialog: Dialog) -> None:
    """There is nothing to cancel where something is only shown."""
    for button in dialog.buttons.buttons():
        if button is not dialog.ok:
            dialog.buttons.removeButton(button)


def table(heads: list[str], rows: list[list[str]]) -> QTableWidget:
    """A table to read."""
    made = QTableWidget(len(rows), len(heads))
    made.setHorizontalHeaderLabels(heads)
    made.verticalHeader().hide()
    made.setShowGrid(False)
    made.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    made.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    for place, cells in enumerate(rows):
        for column, text in enumerate(cells):
            made.setItem(place, column, QTableWidgetItem(wording.one_line(text)))
    header = made.horizontalHeader()
    header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    return made
