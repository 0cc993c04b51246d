"""A training run's numbers as curves over pairs seen; plain data without Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.events import Metric

Values = NDArray[np.float64]
MOST_POINTS = 5_000
RECALL = "recall_at_1"
RECALLS = ("recall_at_1", "recall_at_5", "recall_at_10")


@dataclass(frozen=True)
class Line:
    """One curve.

    Attributes:
        x: (N,) pairs seen, rising.
        y: (N,) values.
    """

    x: Values
    y: Values

    def at(self, x: float) -> tuple[float, float] | None:
        """The point nearest to a place on the axis; None without points."""
        if not len(self.x):
            return None
        place = int(np.abs(self.x - x).argmin())
        return float(self.x[place]), float(self.y[place])


EMPTY = Line(np.zeros(0), np.zeros(0))


@dataclass(frozen=True)
class Best:
    """The best evaluation so far.

    Attributes:
        pairs: Seen until then.
        recall: R@1, 0..1.
    """

    pairs: float
    recall: float


@dataclass
class Curves:
    """Collects metrics in the order they were written.

    A run that was killed goes on from its last saved state and says some steps again: what the first sitting
    said of them is dropped.

    Attributes:
        batch_size: Pairs per step, to put steps of different runs on one axis.
    """

    batch_size: int
    _points: dict[str, tuple[list[float], list[float]]] = field(default_factory=dict)

    def add(self, metric: Metric) -> None:
        """Take one metric in."""
        x = float(metric.step * self.batch_size)
        for name, value in metric.values.items():
            xs, ys = self._points.setdefault(name, ([], []))
            while xs and xs[-1] >= x:
                xs.pop()
                ys.pop()
            xs.append(x)
            ys.append(float(value))

    def names(self) -> tuple[str, ...]:
        """What was measured."""
        return tuple(self._points)

    def lines(self, most: int = MOST_POINTS) -> dict[str, Line]:
        """Every curve with at most so many points."""
        return {
            name: thinned(Line(np.array(xs), np.array(ys)), most) for name, (xs, ys) in self._points.items()
        }

    def last(self) -> Mapping[str, float]:
        """The newest value of each curve."""
        return {name: ys[-1] for name, (_, ys) in self._points.items() if ys}

    def best(self) -> Best | None:
        """The first evaluation with the highest R@1; None before the first."""
        xs, ys = self._points.get(RECALL, ([], []))
        if not ys:
            return None
        place = int(np.argmax(ys))
        return Best(xs[place], ys[place])


def thinned(line: Line, most: int = MOST_POINTS) -> Line:
    """At most so many points; lowest and highest of every stretch stay, so that no spike is lost."""
    count = len(line.x)
    if count <= most:
        return line
    edges = np.linspace(0, count, max(1, most // 2) + 1).astype(int)
    kept: list[int] = []
    for first, last in pairwise(edges.tolist()):
        if last > first:
            part = line.y[first:last]
            kept.extend(sorted({first + int(part.argmin()), first + int(part.argmax())}))
    rows = np.array(kept)
    return Line(line.x[rows], line.y[rows])


def percent(share: float) -> str:
    """A recall for people: `61.3 %`."""
    return f"{100 * share:.1f} %"
