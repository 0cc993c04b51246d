"""Verdicts on which two people differ: listed, and one word of each may be changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QTreeWidget, QTreeWidgetItem, QWidget

from geolocator_gui.gui import wording
from geolocator_gui.gui.dialogs import Dialog
from geolocator_gui.gui.negatives import verdicts
from geolocator_gui.gui.translation import translate
from geolocator_gui.marks import Mark


class ConflictsDialog(Dialog):
    """A line per conflict; the ticked side stands. The newer verdict is ticked at first.

    Args:
        parent: The window.
        words: What the merge brought.
        conflicts: Mine and theirs.
        names: File names of photos by id, as far as they are known.
    """

    def __init__(
        self,
        parent: QWidget,
        words: str,
        conflicts: Sequence[tuple[Mark, Mark]],
        names: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            parent,
            translate("Conflicts", "Verdicts that differ: {n}").format(n=wording.count(len(conflicts))),
            words
            + " "
            + translate(
                "Conflicts",
                "Where the two of you differ, the newer verdict stands. Tick the one that shall stand.",
            ),
            translate("Conflicts", "Keep these"),
        )
        self._conflicts = list(conflicts)
        self.tree = QTreeWidget()
        self.tree.setHeaderLabels([self.tr("Photo"), self.tr("Mine"), self.tr("Theirs")])
        self.tree.setRootIsDecorated(False)
        self.tree.setMinimumSize(560, 240)
        for mine, theirs in self._conflicts:
            name = (names or {}).get(mine.query, mine.query)
            item = QTreeWidgetItem([name, verdicts.in_words(mine), verdicts.in_words(theirs)])
            item.setToolTip(0, wording.tip(f"{mine.query}\n{mine.candidate}"))
            newer = 2 if theirs.time > mine.time else 1
            for column in (1, 2):
                state = Qt.CheckState.Checked if column == newer else Qt.CheckState.Unchecked
                item.setCheckState(column, state)
            self.tree.addTopLevelItem(item)
        self.tree.itemChanged.connect(self._on_changed)
        for column, width in enumerate((220, 150)):
            self.tree.setColumnWidth(column, width)
        self.body.addWidget(self.tree)
        self.finish()

    def chosen(self) -> list[Mark]:
        """The verdicts that shall stand and do not yet."""
        wanted = []
        for place, (mine, theirs) in enumerate(self._conflicts):
            item = self.tree.topLevelItem(place)
            first = item is not None and item.checkState(1) == Qt.CheckState.Checked
            kept, newer = (mine if first else theirs), (theirs if theirs.time > mine.time else mine)
            if kept is not newer:
                wanted.append(kept)
        return wanted

    def _on_changed(self, item: QTreeWidgetItem, column: int) -> None:
        if column not in (1, 2):
            return
        other = 3 - column
        on = item.checkState(column) == Qt.CheckState.Checked
        self.tree.blockSignals(True)
        item.setCheckState(other, Qt.CheckState.Unchecked if on else Qt.CheckState.Checked)
        self.tree.blockSignals(False)
