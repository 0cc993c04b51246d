"""All embeddings on a plane with a lasso, histograms of margin and distance; pyqtgraph, made on demand."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QObject, QPointF, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from geolocator_gui.gui import theme, wording
from geolocator_gui.gui.negatives import colours
from geolocator_gui.gui.negatives.inspector import Inspector
from geolocator_gui.gui.negatives.plotting import Histogram, histogram, inside, thinned
from geolocator_gui.gui.tokens import SMALL
from geolocator_gui.gui.widgets.basics import Label, tool

_MOST_CHIPS, _MOST_PHOTOS = 8_000, 30_000


class Overview(QWidget):
    """The plots; filled when first shown.

    Signals:
        lassoed: Rows of the mining inside the lasso, None when it is cleared.
        margin_range: Lowest and highest margin of a clicked bar.
        metres_range: Likewise for the distance.
    """

    lassoed = Signal(object)
    margin_range = Signal(object)
    metres_range = Signal(object)

    def __init__(self, inspector: Inspector) -> None:
        super().__init__()
        self._inspector = inspector
        self._plots: _Plots | None = None
        self._stale = True
        self.words = Label("", "Secondary")
        self.clear_button = tool("selection-off", self.tr("Take the selection away"), self.clear)
        self.clear_button.hide()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(2)
        head = QHBoxLayout()
        head.addWidget(self.words, 1)
        head.addWidget(self.clear_button)
        self._layout.addLayout(head)
        inspector.result_changed.connect(self._on_result)
        inspector.query_changed.connect(self._on_query)
        theme.current().changed.connect(self._on_theme)

    def clear(self) -> None:
        """Everything is listed again."""
        if self._plots is not None:
            self._plots.show_lasso(None)
        self.clear_button.hide()
        self.lassoed.emit(None)

    def select(self, corners: NDArray[np.floating]) -> None:
        """A lasso was drawn, in the units of the projection."""
        result = self._inspector.result
        if result is None:
            return
        rows = np.flatnonzero(inside(result.x, result.y, corners))
        if self._plots is not None:
            self._plots.show_lasso(corners if len(rows) else None)
        self.clear_button.setVisible(len(rows) > 0)
        self.lassoed.emit(frozenset(rows.tolist()) if len(rows) else None)

    def showEvent(self, event: Any) -> None:
        """Draw what is open."""
        super().showEvent(event)
        if self._plots is None:
            self._plots = _Plots(self)
            self._layout.addWidget(self._plots.widget, 1)
        self._fill()

    def _on_result(self) -> None:
        self._stale = True
        self.clear_button.hide()
        if self.isVisible():
            self._fill()

    def _on_query(self) -> None:
        if self._plots is not None and self.isVisible():
            self._plots.show_chosen(self._inspector)

    def _on_theme(self) -> None:
        self._stale = True
        if self._plots is not None:
            self._plots.style()
            if self.isVisible():
                self._fill()

    def _fill(self) -> None:
        result = self._inspector.result
        if self._plots is None or result is None or not self._stale:
            return
        self._stale = False
        self._plots.fill(self._inspector)
        shares = result.summary.get("explained") or (0.0, 0.0)
        self.words.setText(
            self.tr("Drag around photos to list them. Coloured by margin, chips in grey.")
            + f" {100 * sum(shares):.0f} % {self.tr('of the variance is seen.')}"
        )


class _Plots(QObject):
    """The pyqtgraph part, kept apart so that the library is only imported when somebody looks."""

    def __init__(self, owner: Overview) -> None:
        super().__init__(owner)
        import pyqtgraph

        self._pg, self._owner = pyqtgraph, owner
        pyqtgraph.setConfigOptions(antialias=True)
        self.widget = pyqtgraph.GraphicsLayoutWidget()
        self.widget.ci.layout.setContentsMargins(0, 0, 0, 0)
        self.widget.ci.layout.setHorizontalSpacing(20)
        self.scatter = self.widget.addPlot(0, 0, rowspan=2)
        self.scatter.setAspectLocked(True)
        self.margin = self.widget.addPlot(0, 1)
        self.metres = self.widget.addPlot(1, 1)
        layout = self.widget.ci.layout
        layout.setColumnStretchFactor(0, 3)
        layout.setColumnStretchFactor(1, 2)
        self.chips = pyqtgraph.ScatterPlotItem(size=3, pxMode=True)
        self.photos = pyqtgraph.ScatterPlotItem(size=7, pxMode=True)
        self.chosen = pyqtgraph.ScatterPlotItem(size=15, pxMode=True)
        self.lasso = pyqtgraph.PlotCurveItem()
        for item in (self.chips, self.photos, self.chosen, self.lasso):
            self.scatter.addItem(item)
        self.bars: dict[str, Any] = {}
        self._edges: dict[str, Histogram] = {}
        self._drawn: list[QPointF] = []
        for plot in (self.scatter, self.margin, self.metres):
            plot.hideButtons()
            plot.setMenuEnabled(False)
            plot.setMouseEnabled(plot is self.scatter, plot is self.scatter)
        self.scatter.hideAxis("left")
        self.scatter.hideAxis("bottom")
        self.margin.hideAxis("left")
        self.metres.hideAxis("left")
        self.photos.sigClicked.connect(self._on_point)
        self.widget.scene().sigMouseClicked.connect(self._on_click)
        self.widget.viewport().installEventFilter(self)
        self.style()

    def style(self) -> None:
        """The theme's colours."""
        look, pg = theme.current(), self._pg
        self.widget.setBackground(look.colour("raised"))
        for plot in (self.margin, self.metres):
            axis = plot.getAxis("bottom")
            axis.setPen(pg.mkPen(look.colour("border")))
            axis.setTextPen(pg.mkPen(look.colour("text_secondary")))
            font = self.widget.font()
            font.setPixelSize(SMALL)
            axis.setStyle(tickFont=font, tickLength=-4)
        words = {"color": look.colour("text_secondary").name(), "size": f"{SMALL}px", "justify": "left"}
        self.margin.setTitle(self.tr("Margin to the hardest negative"), **words)
        self.metres.setTitle(self.tr("Metres to the hardest negative"), **words)
        self.lasso.setPen(pg.mkPen(look.colour("accent"), width=1.5))
        self.chosen.setPen(pg.mkPen(look.colour("text"), width=2.5))
        self.chosen.setBrush(pg.mkBrush(0, 0, 0, 0))

    def fill(self, inspector: Inspector) -> None:
        """Draw a mining."""
        result = inspector.result
        if result is None:
            return
        look, pg = theme.current(), self._pg
        few = thinned(len(result.chips.x), _MOST_CHIPS)
        grey = QColor(look.colour("text_secondary"))
        grey.setAlpha(70)
        self.chips.setData(x=result.chips.x[few], y=result.chips.y[few], pen=None, brush=grey)
        rows = thinned(len(result), _MOST_PHOTOS)
        span = colours.span_of(result.margin)
        rgb = colours.rgb(result.margin[rows], span)
        shades = np.unique(rgb // 16 * 16, axis=0)
        brush_of = {tuple(one): pg.mkBrush(*one.tolist(), 235) for one in shades}
        brushes = [brush_of[tuple(one)] for one in rgb // 16 * 16]
        edge = pg.mkPen(look.colour("text"), width=0.6)
        self.photos.setData(
            x=result.x[rows],
            y=result.y[rows],
            data=rows,
            brush=brushes,
            pen=edge if len(rows) < 4000 else None,
            size=8 if len(rows) < 4000 else 5,
        )
        self.lasso.setData([], [])
        self._bars("margin", self.margin, histogram(result.margin), span)
        self._bars("metres", self.metres, histogram(result.distance_m, log=True), None)
        self.scatter.autoRange(padding=0.04)
        self.show_chosen(inspector)

    def show_chosen(self, inspector: Inspector) -> None:
        """A ring about the chosen photo."""
        result, row = inspector.result, inspector.row
        if result is None or row is None:
            self.chosen.setData([], [])
        else:
            self.chosen.setData(x=[float(result.x[row])], y=[float(result.y[row])])

    def show_lasso(self, corners: NDArray[np.floating] | None) -> None:
        """Keep what was drawn in sight."""
        if corners is None:
            self.lasso.setData([], [])
        else:
            closed = np.vstack([corners, corners[:1]])
            self.lasso.setData(closed[:, 0], closed[:, 1])

    def _bars(self, name: str, plot: Any, counted: Histogram, span: float | None) -> None:
        if name in self.bars:
            plot.removeItem(self.bars[name])
        middle = (counted.edges[:-1] + counted.edges[1:]) / 2
        if span is None:
            brushes = [self._pg.mkBrush(theme.current().colour("accent"))] * len(middle)
        else:
            brushes = [self._pg.mkBrush(*one.tolist()) for one in colours.rgb(middle, span)]
        width = (counted.edges[1] - counted.edges[0]) * 0.9
        bars = self._pg.BarGraphItem(x=middle, height=counted.counts, width=width, brushes=brushes, pen=None)
        plot.addItem(bars)
        plot.setYRange(0, max(int(counted.counts.max()), 1), padding=0.02)
        plot.setXRange(counted.edges[0], counted.edges[-1], padding=0.02)
        self.bars[name], self._edges[name] = bars, counted
        if name == "metres":
            ends = range(int(np.floor(counted.edges[0])), int(np.ceil(counted.edges[-1])) + 1)
            plot.getAxis("bottom").setTicks([[(end, wording.metres(10.0**end)) for end in ends]])

    # -- hands --------------------------------------------------------------------------------------------

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A drag with the left button over the scatter draws a lasso; the wheel zooms, the middle moves."""
        if not isinstance(event, QMouseEvent):
            return False
        left = Qt.MouseButton.LeftButton
        place = self.widget.mapToScene(event.position().toPoint())
        box = self.scatter.getViewBox()
        if event.type() == QEvent.Type.MouseButtonPress and event.button() == left:
            self._drawn = [place] if box.sceneBoundingRect().contains(place) else []
            return False
        if event.type() == QEvent.Type.MouseMove and event.buttons() & left and self._drawn:
            self._drawn.append(place)
            self.show_lasso(self._corners())
            return True
        if event.type() == QEvent.Type.MouseButtonRelease and event.button() == left:
            drawn, corners = self._drawn, self._corners()
            self._drawn = []
            if len(drawn) > 3:
                self._owner.select(corners)
                return True
        return False

    def _corners(self) -> NDArray[np.float64]:
        box = self.scatter.getViewBox()
        points = [box.mapSceneToView(point) for point in self._drawn]
        return np.array([(point.x(), point.y()) for point in points], np.float64).reshape(-1, 2)

    def _on_point(self, item: Any, points: Any, event: Any = None) -> None:
        if len(points):
            self._owner._inspector.row_wanted.emit(int(points[0].data()))

    def _on_click(self, event: Any) -> None:
        for name, plot, signal in (
            ("margin", self.margin, self._owner.margin_range),
            ("metres", self.metres, self._owner.metres_range),
        ):
            counted = self._edges.get(name)
            if counted is None or not plot.getViewBox().sceneBoundingRect().contains(event.scenePos()):
                continue
            at = plot.getViewBox().mapSceneToView(event.scenePos()).x()
            bar = int(np.searchsorted(counted.edges, at)) - 1
            if 0 <= bar < len(counted.counts):
                low, high = (float(edge) for edge in counted.edges[bar : bar + 2])
                first, last = bar == 0, bar == len(counted.counts) - 1
                if name == "metres":
                    low, high = 10.0**low, 10.0**high
                signal.emit((None if first else low, None if last else high))
