"""The table of queries as a view: one line each, keyboard first."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import (
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from geolocator_gui.gui import icons, theme
from geolocator_gui.gui.negatives import verdicts
from geolocator_gui.gui.negatives.inspector import Inspector
from geolocator_gui.gui.negatives.painting import draw_flag, flag_width
from geolocator_gui.gui.negatives.table_model import FLAG_ROLE, VERDICT_ROLE

Index = QModelIndex | QPersistentModelIndex
LINE = 28
_NAME = 84


class _Delegate(QStyledItemDelegate):
    """Flags as pills, verdicts as icons, one accent for the chosen line."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(24, LINE)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        look = theme.current()
        rect: QRect = option.rect  # type: ignore[attr-defined]
        state: QStyle.StateFlag = option.state  # type: ignore[attr-defined]
        painter.save()
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, look.colour("accent_soft"))
        painter.setPen(look.colour("border"))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        column = index.model().columns[index.column()]  # type: ignore[attr-defined]
        if column == "verdict":
            said = index.data(VERDICT_ROLE)
            if said:
                seal = verdicts.LOOKS[said]
                spot = QRect(rect.center().x() - 8, rect.center().y() - 8, 17, 17)
                icons.paint(painter, spot, seal.icon, look.colour(seal.role))
        elif column == "flag":
            inner = rect.adjusted(4, 0, -2, 0)
            short = inner.width() < flag_width("suspect_pair")
            draw_flag(painter, inner, index.data(FLAG_ROLE), short=short)
        else:
            words = str(index.data() or "")
            inner = rect.adjusted(4, 0, -6, 0)
            side = index.data(Qt.ItemDataRole.TextAlignmentRole) or (
                Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
            )
            painter.setPen(look.colour("text"))
            mode = Qt.TextElideMode.ElideMiddle if column == "photo" else Qt.TextElideMode.ElideRight
            painter.drawText(inner, side, painter.fontMetrics().elidedText(words, mode, inner.width()))
        painter.restore()


class QueryList(QTableView):
    """The table.

    Signals:
        verdict_key: A letter that may give a verdict.
        opened: A query was double-clicked or entered: show it on the map.
    """

    verdict_key = Signal(str)
    opened = Signal(int)

    def __init__(self, inspector: Inspector) -> None:
        super().__init__()
        self._inspector = inspector
        self.setObjectName("QueryList")
        self.setModel(inspector.table)
        self.setItemDelegate(_Delegate(self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setFrameShape(QTableView.Shape.NoFrame)
        self.setAccessibleName(self.tr("Photos of the mining"))
        lines = self.verticalHeader()
        lines.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        lines.setDefaultSectionSize(LINE)
        lines.hide()
        head = self.horizontalHeader()
        head.setHighlightSections(False)
        # A selection of its own, always empty: to paint itself the header would ask each selected line.
        head.setSelectionModel(QItemSelectionModel(inspector.table, self))
        head.setSectionsClickable(True)
        head.setMinimumSectionSize(20)
        head.setFixedHeight(26)
        head.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.setSortingEnabled(True)
        head.setSortIndicator(3, Qt.SortOrder.AscendingOrder)
        inspector.row_wanted.connect(self.go_to)
        inspector.table.modelReset.connect(self._fit)
        self.doubleClicked.connect(lambda index: self._open(index.row()))
        theme.current().changed.connect(self.viewport().update)

    def go_to(self, row: int) -> None:
        """Choose a query by its row of the mining; one that is filtered out is shown without its line."""
        line = self._inspector.table.line(row)
        if line is None:
            self.clearSelection()
            self._inspector.selected = [row]
            self._inspector.choose(row)
            return
        # Not the view's `setCurrentIndex`: that selects as a click with the keys held now (Ctrl of Ctrl+Z).
        wanted = self.model().index(line, 1)
        self.selectionModel().setCurrentIndex(
            wanted,
            QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows,
        )
        self.scrollTo(wanted)

    def selected_rows(self) -> list[int]:
        """Rows of the mining that are selected."""
        table = self._inspector.table
        lines: set[int] = set()
        for span in self.selectionModel().selection():  # type: ignore[attr-defined]  # a list of spans
            lines.update(range(span.top(), span.bottom() + 1))
        inside = np.fromiter(lines, np.int64, len(lines))
        inside.sort()
        rows: list[int] = table.rows[inside[inside < len(table.rows)]].tolist()
        return rows

    def selectionChanged(self, selected: QItemSelection, deselected: QItemSelection) -> None:
        """The selection is what a batch verdict or an export is about."""
        super().selectionChanged(selected, deselected)
        self._inspector.selected = self.selected_rows()

    def currentChanged(self, current: Index, previous: Index) -> None:
        """Another line is current: that query is looked at."""
        super().currentChanged(current, previous)
        row = self._inspector.table.source(current.row()) if current.isValid() else None
        if row is not None:
            self._inspector.choose(row)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Letters judge, left and right walk the impostors, Return shows on the map."""
        inspector = self._inspector
        plain = event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)
        if event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right) and plain:
            step = 1 if event.key() == Qt.Key.Key_Right else -1
            inspector.lift((inspector.place if inspector.place is not None else -1) + step)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._open(self.currentIndex().row())
        elif plain and event.text() and verdicts.verdict_for_key(event.text()):
            if not event.isAutoRepeat():  # one press, one verdict
                self.verdict_key.emit(event.text())
        elif event.text() and event.text().isprintable() and plain:
            event.ignore()  # the window's own keys: Space, ?
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The photo's name takes what is left."""
        super().resizeEvent(event)
        self._fit()

    def paintEvent(self, event: QPaintEvent) -> None:
        """A table that a filter has emptied says so."""
        super().paintEvent(event)
        table = self._inspector.table
        if table.result is None or table.rowCount():
            return
        painter = QPainter(self.viewport())
        painter.setPen(theme.current().colour("text_secondary"))
        around = self.viewport().rect().adjusted(16, 16, -16, -16)
        flags = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap
        painter.drawText(around, flags, self.tr("No photo matches the search and the filters."))

    def _open(self, line: int) -> None:
        row = self._inspector.table.source(line)
        if row is not None:
            self.opened.emit(row)

    def _fit(self) -> None:
        columns = self._inspector.table.columns
        widths = {
            "verdict": 22,
            "rank": 40,
            "margin": 56,
            "metres": 60,
            "flag": flag_width("suspect_pair") + 6,
            "moved": 52,
        }

        def room() -> int:
            return self.viewport().width() - sum(widths[name] for name in columns if name != "photo")

        # A narrow panel gives up words, then the distance: map and gallery show it.
        if room() < _NAME:
            widths["flag"] = flag_width("suspect_pair", short=True) + 6
        if room() < _NAME:
            widths["metres"] = 0
        for place, name in enumerate(columns):
            self.setColumnHidden(place, name != "photo" and widths[name] == 0)
            self.setColumnWidth(place, max(room(), 48) if name == "photo" else widths[name])
