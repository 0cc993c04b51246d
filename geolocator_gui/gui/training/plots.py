"""The live curves: loss, recalls, learning rate, temperature, speed; pyqtgraph, imported when first shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QColor, QResizeEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from geolocator_gui.gui import theme, wording
from geolocator_gui.gui.tokens import SMALL
from geolocator_gui.gui.training.curves import RECALL, RECALLS, Line, percent
from geolocator_gui.gui.training.follow import Training
from geolocator_gui.gui.translation import QT_TRANSLATE_NOOP, translate
from geolocator_gui.gui.widgets.basics import Label

PLACES = (("loss", RECALL), ("learning_rate", "temperature", "pairs_per_second"))
_ROOM_FOR_ALL = 300  # pixels; below it only loss and recall are drawn
_ROLES = ("accent", "warning", "positive", "negative", "text_secondary")
_STYLES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine)


class Plots(QWidget):
    """Curves of one run, or of several in the same plots."""

    def __init__(self) -> None:
        super().__init__()
        self._runs: tuple[Training, ...] = ()
        self._drawn: _Drawing | None = None
        self.words = Label("", "Secondary")
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(2)
        self._layout.addWidget(self.words)
        theme.current().changed.connect(self._on_theme)

    def show_runs(self, runs: Sequence[Training]) -> None:
        """Draw these; the first one is the chosen one."""
        changed = [run.thing for run in runs] != [run.thing for run in self._runs] or any(
            a.lines is not b.lines for a, b in zip(runs, self._runs, strict=False)
        )
        self._runs = tuple(runs)
        if changed and self._drawn is not None:
            self._drawn.draw(self._runs)

    def curve(self, name: str, run: int = 0) -> Line | None:
        """What is drawn, for tests: the data of a curve."""
        item = None if self._drawn is None else self._drawn.curves.get((name, run))
        if item is None:
            return None
        x, y = (np.asarray(values) for values in item.getOriginalDataset())
        return Line(x, 10.0**y if name == "loss" else y)

    def showEvent(self, event: Any) -> None:
        """Make the plots when somebody looks."""
        super().showEvent(event)
        if self._drawn is None:
            self._drawn = _Drawing(self)
            self._layout.addWidget(self._drawn.widget, 1)
            self._drawn.fit(self.height())
            self._drawn.draw(self._runs)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Draw what there is room for."""
        super().resizeEvent(event)
        if self._drawn is not None:
            self._drawn.fit(self.height())

    def say(self, x: float) -> None:
        """Values at a place on the axis, in words."""
        if not self._runs:
            return
        run = self._runs[0]
        parts = [f"{wording.count(round(x))} pairs"]
        for name in ("loss", *RECALLS, "learning_rate", "temperature", "pairs_per_second"):
            point = run.lines[name].at(x) if name in run.lines else None
            if point is not None:
                parts.append(f"{title_of(name)} {value_of(name, point[1])}")
        self.words.setText(" · ".join(parts))

    def say_best(self) -> None:
        """Nothing is pointed at: the best evaluation."""
        best = self._runs[0].best if self._runs else None
        self.words.setText(
            ""
            if best is None
            else f"best R@1 {percent(best.recall)} after {wording.count(round(best.pairs))} pairs"
        )

    def _on_theme(self) -> None:
        if self._drawn is not None:
            self._drawn.style()
            self._drawn.draw(self._runs)


class _Drawing(QObject):
    def __init__(self, owner: Plots) -> None:
        super().__init__(owner)
        import pyqtgraph

        self._pg, self._owner = pyqtgraph, owner
        pyqtgraph.setConfigOptions(antialias=True)
        self.widget = pyqtgraph.GraphicsLayoutWidget()
        self.widget.ci.layout.setContentsMargins(0, 0, 0, 0)
        self._rows: list[Any] = []
        self.plots: dict[str, Any] = {}
        self.curves: dict[tuple[str, int], Any] = {}
        self._cursors: list[Any] = []
        for row, names in enumerate(PLACES):
            line = self.widget.addLayout(row, 0)
            line.layout.setContentsMargins(0, 0, 0, 4)
            line.layout.setHorizontalSpacing(16)
            self._rows.append(line)
            for column, name in enumerate(names):
                plot = line.addPlot(0, column)
                line.layout.setColumnStretchFactor(column, 1)
                plot.hideButtons()
                plot.setMenuEnabled(False)
                plot.setMouseEnabled(True, False)
                plot.setLimits(xMin=0)
                plot.showGrid(x=False, y=True, alpha=0.12)
                plot.getAxis("left").setWidth(48)
                plot.getAxis("bottom").tickStrings = _thousands
                self.plots[name] = plot
        # Drawn as its logarithm on an even axis: the axis's own log mode crowds its numbers.
        self.plots["loss"].getAxis("left").tickStrings = _powers
        self.plots[RECALL].getAxis("left").tickStrings = _percents
        self.plots[RECALL].setYRange(0, 1, padding=0.03)
        self.widget.ci.layout.setRowStretchFactor(0, 5)
        self.widget.ci.layout.setRowStretchFactor(1, 3)
        self.widget.scene().sigMouseMoved.connect(self._on_moved)
        self.style()

    def fit(self, height: int) -> None:
        """Only loss and recall where there is little room."""
        second = self._rows[1]
        wanted = height >= _ROOM_FOR_ALL
        if wanted != (second.parentItem() is not None and second.isVisible()):
            second.setVisible(wanted)
            if wanted:
                self.widget.addItem(second, 1, 0)
            else:
                self.widget.ci.removeItem(second)

    def style(self) -> None:
        """The theme's colours."""
        look, pg = theme.current(), self._pg
        self.widget.setBackground(look.colour("surface"))
        font = self.widget.font()
        font.setPixelSize(SMALL)
        words = {"color": look.colour("text_secondary").name(), "size": f"{SMALL}px", "justify": "left"}
        for name, plot in self.plots.items():
            for side in ("left", "bottom"):
                axis = plot.getAxis(side)
                axis.setPen(pg.mkPen(look.colour("border")))
                axis.setTextPen(pg.mkPen(look.colour("text_secondary")))
                axis.setStyle(tickFont=font, tickLength=-4)
                axis.enableAutoSIPrefix(False)
            plot.setTitle(translate("Plots", _TITLES[name]), **words)

    def draw(self, runs: Sequence[Training]) -> None:
        """Draw every run; the chosen one last, on top."""
        look, pg = theme.current(), self._pg
        for plot in self.plots.values():
            plot.clear()
        self.curves, self._cursors = {}, []
        for place in reversed(range(len(runs))):
            run = runs[place]
            role = _ROLES[place % len(_ROLES)]
            for name, plot in self.plots.items():
                for number, curve in enumerate(RECALLS if name == RECALL else (name,)):
                    line = run.lines.get(curve)
                    if line is None or (number and len(runs) > 1):
                        continue
                    colour = QColor(look.colour(role))
                    colour.setAlpha(255 if not number else 150)
                    pen = pg.mkPen(colour, width=2 if not place else 1.5, style=_STYLES[number])
                    few = len(line.x) < 3 or name == RECALL
                    self.curves[curve, place] = plot.plot(
                        line.x,
                        np.log10(np.maximum(line.y, 1e-9)) if name == "loss" else line.y,
                        pen=pen,
                        symbol="o" if few else None,
                        symbolSize=4,
                        symbolPen=None,
                        symbolBrush=colour,
                    )
            if run.best is not None:
                # A ring, so that the best is told by its shape and not by its colour alone.
                self.plots[RECALL].plot(
                    [run.best.pairs],
                    [run.best.recall],
                    pen=None,
                    symbol="o",
                    symbolSize=12,
                    symbolPen=pg.mkPen(look.colour(role), width=2.5),
                    symbolBrush=pg.mkBrush(look.colour("surface")),
                )
        self._chance(runs)
        for plot in self.plots.values():
            cursor = pg.InfiniteLine(angle=90, pen=pg.mkPen(look.colour("border")))
            cursor.hide()
            plot.addItem(cursor, ignoreBounds=True)
            self._cursors.append(cursor)
        self._owner.say_best()

    def _chance(self, runs: Sequence[Training]) -> None:
        level = runs[0].last.get("chance_recall_at_1") if runs else None
        if level is not None:
            pen = self._pg.mkPen(theme.current().colour("text_secondary"), style=Qt.PenStyle.DotLine)
            self.plots[RECALL].addItem(self._pg.InfiniteLine(pos=level, angle=0, pen=pen), ignoreBounds=True)

    def _on_moved(self, place: Any) -> None:
        over = next((p for p in self.plots.values() if p.sceneBoundingRect().contains(place)), None)
        for cursor in self._cursors:
            cursor.setVisible(over is not None)
        if over is None:
            self._owner.say_best()
            return
        x = over.getViewBox().mapSceneToView(place).x()
        for cursor in self._cursors:
            cursor.setPos(x)
        self._owner.say(x)


def _thousands(values: Sequence[float], scale: float, spacing: float) -> list[str]:
    return [f"{value / 1000:g} k" if value >= 1000 else f"{value:g}" for value in values]


def _powers(values: Sequence[float], scale: float, spacing: float) -> list[str]:
    return [f"{10**value:.2g}" for value in values]


def _percents(values: Sequence[float], scale: float, spacing: float) -> list[str]:
    return [f"{100 * value:.0f} %" for value in values]


_TITLES = {
    "loss": QT_TRANSLATE_NOOP("Plots", "Loss (log) over pairs seen"),
    RECALL: QT_TRANSLATE_NOOP("Plots", "Recall: R@1, R@5 dashed, R@10 dotted"),
    "learning_rate": QT_TRANSLATE_NOOP("Plots", "Learning rate"),
    "temperature": QT_TRANSLATE_NOOP("Plots", "Temperature"),
    "pairs_per_second": QT_TRANSLATE_NOOP("Plots", "Pairs per second"),
}


def title_of(name: str) -> str:
    """A curve's name in a sentence."""
    return {"recall_at_1": "R@1", "recall_at_5": "R@5", "recall_at_10": "R@10"}.get(
        name, name.replace("_", " ")
    )


def value_of(name: str, value: float) -> str:
    """A curve's value in a sentence."""
    return percent(value) if name in RECALLS else f"{value:.3g}"


def role_of(place: int) -> str:
    """Token of the colour of the n-th run that is drawn."""
    return _ROLES[place % len(_ROLES)]
