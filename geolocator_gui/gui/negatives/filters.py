"""What is listed: text, flags, judged or open, ranges; each active filter can be seen and taken away."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QTimer
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QMenu, QVBoxLayout, QWidget

from geolocator_gui.gui import wording
from geolocator_gui.gui.negatives import verdicts
from geolocator_gui.gui.negatives.inspector import Inspector
from geolocator_gui.gui.negatives.ordering import Filter, Judged
from geolocator_gui.gui.translation import QT_TRANSLATE_NOOP, translate
from geolocator_gui.gui.widgets.basics import Label, link, tool

Range = tuple[float | None, float | None]
_RANGES: dict[str, tuple[str, tuple[tuple[str, Range], ...]]] = {
    "margin": (
        QT_TRANSLATE_NOOP("Filters", "Margin"),
        (
            (QT_TRANSLATE_NOOP("Filters", "outranked (below 0)"), (None, 0.0)),
            (QT_TRANSLATE_NOOP("Filters", "close (0 to 0.1)"), (0.0, 0.1)),
            (QT_TRANSLATE_NOOP("Filters", "clear (above 0.1)"), (0.1, None)),
        ),
    ),
    "rank": (
        QT_TRANSLATE_NOOP("Filters", "Rank"),
        (
            (QT_TRANSLATE_NOOP("Filters", "first"), (1, 1)),
            (QT_TRANSLATE_NOOP("Filters", "2 to 10"), (2, 10)),
            (QT_TRANSLATE_NOOP("Filters", "beyond 10"), (11, None)),
        ),
    ),
    "metres": (
        QT_TRANSLATE_NOOP("Filters", "Distance to the hardest"),
        (
            (QT_TRANSLATE_NOOP("Filters", "up to 100 m"), (None, 100.0)),
            (QT_TRANSLATE_NOOP("Filters", "100 m to 1 km"), (100.0, 1000.0)),
            (QT_TRANSLATE_NOOP("Filters", "beyond 1 km"), (1000.0, None)),
        ),
    ),
}


class FilterBar(QWidget):
    """Search field, filter menu, and what is active."""

    def __init__(self, inspector: Inspector) -> None:
        super().__init__()
        self._inspector = inspector
        self.search = QLineEdit()
        self.search.setPlaceholderText(self.tr("Find a photo, area or id"))
        self.search.setClearButtonEnabled(True)
        self._wait = QTimer(self, interval=160, singleShot=True)
        self._wait.timeout.connect(self._on_text)
        self.search.textChanged.connect(lambda text: self._wait.start())
        self.menu = QMenu(self)
        self.menu.aboutToShow.connect(self._fill_menu)
        self.button = tool("filter-variant", self.tr("Filter"), self._open)
        line = QHBoxLayout()
        line.setSpacing(2)
        line.addWidget(self.search, 1)
        line.addWidget(self.button)
        self.words = Label("", "Secondary")
        self.clear_link = link(self.tr("Show all"), self.clear)
        active = QHBoxLayout()
        active.setSpacing(8)
        active.addWidget(self.words, 1)
        active.addWidget(self.clear_link)
        self._active = QWidget()
        self._active.setLayout(active)
        active.setContentsMargins(0, 0, 0, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(line)
        layout.addWidget(self._active)
        inspector.result_changed.connect(self._on_result)
        inspector.judging.changed.connect(self._say)
        self._say()

    @property
    def wanted(self) -> Filter:
        """What is listed."""
        return self._inspector.table.filter

    def clear(self) -> None:
        """List everything."""
        self.search.clear()
        self._set(Filter())

    def set_rows(self, rows: frozenset[int] | None) -> None:
        """List only these (a lasso), or all again."""
        self._set(replace(self.wanted, rows=rows))

    def set_margin(self, span: Range) -> None:
        """List only a span of margins."""
        self._set(replace(self.wanted, margin=span))

    def set_metres(self, span: Range) -> None:
        """List only a span of distances."""
        self._set(replace(self.wanted, metres=span))

    def set_judged(self, which: Judged) -> None:
        """List all, those still open, or those judged."""
        # Asked for again, the list forgets what was judged meanwhile.
        self._set(replace(self.wanted, judged="all"))
        self._set(replace(self.wanted, judged=which))

    def toggle_flag(self, flag: str, on: bool) -> None:
        """List a flag too, or no longer."""
        flags = self.wanted.flags | {flag} if on else self.wanted.flags - {flag}
        self._set(replace(self.wanted, flags=frozenset(flags)))

    def set_range(self, name: str, span: Range) -> None:
        """List only a span of margin, rank or metres."""
        none: Range = (None, None)
        current: Range = getattr(self.wanted, name)
        chosen = none if span == current else span
        match name:
            case "margin":
                self._set(replace(self.wanted, margin=chosen))
            case "rank":
                self._set(replace(self.wanted, rank=chosen))
            case _:
                self._set(replace(self.wanted, metres=chosen))

    def _set(self, wanted: Filter) -> None:
        self._inspector.table.set_filter(wanted)
        self._say()
        row = self._inspector.row
        rows = self._inspector.table.rows
        if len(rows) and (row is None or self._inspector.table.line(row) is None):
            self._inspector.row_wanted.emit(int(rows[0]))

    def _on_text(self) -> None:
        if self._inspector.result is not None:
            self._set(replace(self.wanted, text=self.search.text()))

    def _on_result(self) -> None:
        self.search.blockSignals(True)
        self.search.clear()
        self.search.blockSignals(False)
        self._say()

    def _say(self) -> None:
        wanted, parts = self.wanted, []
        if wanted.rows is not None:
            parts.append(self.tr("lasso"))
        if wanted.judged != "all":
            parts.append(self.tr("not judged") if wanted.judged == "open" else self.tr("judged"))
        parts += [verdicts.FLAGS[flag].word for flag in sorted(wanted.flags)]
        for name, span in (
            (self.tr("margin"), wanted.margin),
            (self.tr("rank"), wanted.rank),
            (self.tr("metres"), wanted.metres),
        ):
            if span != (None, None):
                parts.append(f"{name} {_span(span)}")
        result = self._inspector.result
        listed = len(self._inspector.table.rows)
        self._active.setVisible(result is not None and not wanted.is_empty)
        count = 0 if result is None else len(result)
        told = f"{wording.count(listed)} {self.tr('of')} {wording.count(count)}"
        self.words.setText(" · ".join([told, *parts]))

    def _open(self) -> None:
        self.menu.popup(self.button.mapToGlobal(self.button.rect().bottomLeft()))

    def _fill_menu(self) -> None:
        menu, wanted = self.menu, self.wanted
        menu.clear()
        judged: tuple[tuple[Judged, str], ...] = (
            ("all", self.tr("All")),
            ("open", self.tr("Not judged yet")),
            ("judged", self.tr("Judged")),
        )
        for which, words in judged:
            made = _check(menu, words, wanted.judged == which)
            made.triggered.connect(lambda checked=False, which=which: self.set_judged(which))
        menu.addSeparator()
        for flag, look in verdicts.FLAGS.items():
            made = _check(menu, look.word.capitalize() or self.tr("No flag"), flag in wanted.flags)
            made.setToolTip(look.tip)
            made.triggered.connect(lambda checked=False, flag=flag: self.toggle_flag(flag, checked))
        for name, (title, spans) in _RANGES.items():
            part = menu.addMenu(translate("Filters", title))
            for words, span in spans:
                made = _check(part, translate("Filters", words), getattr(wanted, name) == span)
                made.triggered.connect(lambda checked=False, name=name, span=span: self.set_range(name, span))


def _check(menu: QMenu, words: str, on: bool) -> QAction:
    made = menu.addAction(words)
    made.setCheckable(True)
    made.setChecked(on)
    return made


def _span(span: Range) -> str:
    low, high = ("" if end is None else f"{end:.3g}".replace("-", "−") for end in span)
    if not low:
        return f"≤ {high}"
    return f"≥ {low}" if not high else f"{low} … {high}"
