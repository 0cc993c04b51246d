"""The queries as a table: a model over numpy arrays, sorted by argsort and filtered by masks, no proxy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from geolocator_gui.gui import wording
from geolocator_gui.gui.negatives import verdicts
from geolocator_gui.gui.negatives.judging import Judging
from geolocator_gui.gui.negatives.ordering import Column, Filter, Lister, Rows
from geolocator_gui.gui.negatives.result import FLAG_NAMES, MiningResult

Index = QModelIndex | QPersistentModelIndex
FLAG_ROLE = Qt.ItemDataRole.UserRole + 1
VERDICT_ROLE = Qt.ItemDataRole.UserRole + 2
_NUMBERS = ("rank", "margin", "metres", "moved")


class QueryTable(QAbstractTableModel):
    """Rows are listed queries; `source(line)` is the row of the mining behind a line.

    Args:
        judging: What was said.
    """

    def __init__(self, judging: Judging, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.judging = judging
        self.filter = Filter()
        self.column: Column = "margin"
        self.descending = False
        self.moved: NDArray[np.float32] | None = None
        self._lister: Lister | None = None
        self._rows: Rows = np.zeros(0, np.int64)
        self._lines: Rows = np.zeros(0, np.int64)
        judging.changed.connect(self._on_judged)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns shown, in order."""
        usual: tuple[Column, ...] = ("verdict", "photo", "rank", "margin", "metres", "flag")
        return usual if self.moved is None else (*usual, "moved")

    @property
    def result(self) -> MiningResult | None:
        """The mining."""
        return None if self._lister is None else self._lister.result

    @property
    def rows(self) -> Rows:
        """Listed rows of the mining, in order."""
        return self._rows

    def show(self, result: MiningResult | None) -> None:
        """Show another mining, everything listed."""
        self.beginResetModel()
        self._lister = None if result is None else Lister(result)
        self.filter, self.moved = Filter(), None
        if self.column == "moved":
            self.column = "margin"
        self._order()
        self.endResetModel()

    def show_moves(self, moved: NDArray[np.float32] | None) -> None:
        """Show or hide how ranks moved, (Q,) NaN where unknown."""
        self.beginResetModel()
        self.moved = moved
        if moved is None and self.column == "moved":
            self.column = "margin"
        self._order()
        self.endResetModel()

    def set_filter(self, wanted: Filter) -> None:
        """List these only."""
        if wanted != self.filter:
            self.filter = wanted
            self._rearrange()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column."""
        if not 0 <= column < len(self.columns):
            return
        self.column = self.columns[column]
        self.descending = order == Qt.SortOrder.DescendingOrder
        self._rearrange()

    def source(self, line: int) -> int | None:
        """Row of the mining that a line shows."""
        return int(self._rows[line]) if 0 <= line < len(self._rows) else None

    def line(self, row: int) -> int | None:
        """Line that shows a row of the mining, None when it is filtered out."""
        line = int(self._lines[row]) if 0 <= row < len(self._lines) else -1
        return None if line < 0 else line

    # -- what a view asks ---------------------------------------------------------------------------------

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """Number of listed queries."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Number of columns."""
        return 0 if parent.isValid() else len(self.columns)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Titles, and what they mean."""
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(self.columns):
            return None
        name = self.columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return {
                "verdict": "",
                "photo": self.tr("photo"),
                "rank": self.tr("rank"),
                "margin": self.tr("margin"),
                "metres": self.tr("metres"),
                "flag": self.tr("flag"),
                "moved": self.tr("moved"),
            }[name]
        if role == Qt.ItemDataRole.ToolTipRole:
            return {
                "verdict": self.tr("Your verdict"),
                "photo": self.tr("The photo"),
                "rank": self.tr("Place of the photo's own chip among all chips; 1 is right"),
                "margin": self.tr("Own chip's score minus the hardest negative's; below 0 it is outranked"),
                "metres": self.tr("From where the photo was taken to the hardest negative"),
                "flag": self.tr("What kind of confusion the hardest negative is"),
                "moved": self.tr("Places its own chip moved since the mining compared with; up is better"),
            }[name]
        if role == Qt.ItemDataRole.TextAlignmentRole and name in _NUMBERS:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """A cell."""
        row, result = self.source(index.row()), self.result
        if row is None or result is None:
            return None
        name = self.columns[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._words(name, row, result)
        if role == FLAG_ROLE:
            return FLAG_NAMES[int(result.flag[row])]
        if role == VERDICT_ROLE:
            return (
                verdicts.verdict_of(int(self.judging.codes[row])) if row < len(self.judging.codes) else None
            )
        if role == Qt.ItemDataRole.TextAlignmentRole and name in _NUMBERS:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.ToolTipRole:
            return wording.tip(self._tip(name, row, result) or "")
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{result.names[row]}, {self.tr('margin')} {self._words('margin', row, result)}"
        return None

    def _words(self, name: Column, row: int, result: MiningResult) -> str:
        match name:
            case "photo":
                return wording.one_line(str(result.names[row]), 80)
            case "rank":
                return wording.count(int(result.rank[row])) if result.rank[row] > 0 else "–"
            case "margin":
                value = float(result.margin[row])
                return wording.score(value) if value == value else "–"
            case "metres":
                value = float(result.distance_m[row])
                return wording.metres(value if value == value else None)
            case "flag":
                return verdicts.FLAGS[FLAG_NAMES[int(result.flag[row])]].word
            case "moved":
                value = float("nan") if self.moved is None else float(self.moved[row])
                if value != value:
                    return "–"
                return "=" if value == 0 else f"{'▲' if value < 0 else '▼'} {wording.count(abs(int(value)))}"
        return ""

    def _tip(self, name: Column, row: int, result: MiningResult) -> str | None:
        if name == "flag":
            return verdicts.FLAGS[FLAG_NAMES[int(result.flag[row])]].tip or None
        if name == "photo":
            area = str(result.areas[row])
            return str(result.files[row] or result.ids[row]) + (f"\n{area}" if area else "")
        if name == "verdict":
            said = self.judging.said(str(result.ids[row]))
            lines = [
                verdicts.LOOKS[m.verdict].word + (f": {m.note}" if m.note else "") for m in said if m.verdict
            ]
            return "\n".join(lines) or None
        return None

    # -- inside -------------------------------------------------------------------------------------------

    def _rearrange(self) -> None:
        """A new order keeps what is selected, by the rows of the mining."""
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        rows = [self.source(index.row()) for index in before]
        self._order()
        after = []
        for index, row in zip(before, rows, strict=True):
            line = None if row is None else self.line(row)
            after.append(QModelIndex() if line is None else self.index(line, index.column()))
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def _order(self) -> None:
        if self._lister is None:
            self._rows = self._lines = np.zeros(0, np.int64)
            return
        judged = self.judging.judged
        count = len(self._lister.result)
        if len(judged) != count:
            judged = np.zeros(count, bool)
        mask = self._lister.mask(self.filter, judged)
        self._rows = self._lister.rows(
            mask,
            self.column,
            descending=self.descending,
            verdicts=self.judging.codes if len(self.judging.codes) == count else None,
            moved=self.moved,
        )
        self._lines = np.full(count, -1, np.int64)
        self._lines[self._rows] = np.arange(len(self._rows))

    def _on_judged(self) -> None:
        """Verdicts are repainted where they stand; it stays listed until asked."""
        if len(self._rows):
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._rows) - 1, 0))
