"""The foot: model and device, what works now with progress and stop, the pointer's position, runs ended."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QWidget

from geolocator_gui.gui import coordinates, wording
from geolocator_gui.gui.locator import OpenIndex
from geolocator_gui.gui.session import Session
from geolocator_gui.gui.widgets.basics import Glyph, Label, tool
from geolocator_gui.records import LonLat


class StatusBar(QWidget):
    """The foot.

    Signals:
        runs_wanted: Go to the Runs page.
    """

    runs_wanted = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.setObjectName("Foot")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedHeight(30)
        self._session = session
        self._dot, self._device = Glyph("circle", "text_secondary", 9), Label("", "Secondary")
        self._job, self._job_bar = Label("", "Secondary"), QProgressBar()
        self._job_bar.setFixedWidth(72)
        self._job_bar.setTextVisible(False)
        self._job_stop = tool(
            "stop-circle-outline", self.tr("Stop this run: what is done is kept"), self._stop_job
        )
        self._photos = Label("", "Secondary")
        self._photos_stop = tool(
            "close-circle-outline", self.tr("Stop locating the photos that wait"), session.locator.cancel
        )
        self._pointer, self._ended = Label("", "Secondary"), QPushButton()
        self._ended.setObjectName("Link")
        self._ended.clicked.connect(self.runs_wanted.emit)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 0, 16, 0)
        layout.setSpacing(6)
        for made, stretch in ((self._dot, 0), (self._device, 3)):
            layout.addWidget(made, stretch)
        layout.addSpacing(8)
        layout.addWidget(self._job, 4)
        layout.addWidget(self._job_bar)
        layout.addWidget(self._job_stop)
        layout.addWidget(self._photos, 2)
        layout.addWidget(self._photos_stop)
        layout.addWidget(self._pointer, 2)
        layout.addSpacing(10)
        layout.addWidget(self._ended)
        self._pointer.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        session.locator.opened.connect(self._on_opened)
        session.locator.progress.connect(self._on_progress)
        session.jobs.changed.connect(self._on_jobs)
        session.index_changed.connect(lambda: self._on_opened(session.locator.index))
        self._on_opened(None)
        self._on_jobs()
        self._on_progress(0, 0)

    def show_pointer(self, position: LonLat) -> None:
        """Show where the pointer is on the map."""
        self._pointer.setText(coordinates.decimal(position))

    def _on_opened(self, opened: OpenIndex | None) -> None:
        if opened is not None:
            self._dot.set("circle", "positive")
            self._device.setText(f"{opened.device or 'ready'} · {_precision(opened.details)}{opened.model}")
        elif self._session.index is not None:
            self._dot.set("circle-outline", "text_secondary")
            closed = self.tr("index closed; a photo opens it")
            self._device.setText(self.tr("opening the index…") if self._session.locator.opening else closed)
        else:
            self._dot.set("circle-outline", "text_secondary")
            self._device.setText(self.tr("no index open"))

    def _on_progress(self, done: int, asked: int) -> None:
        busy = asked > 0 and done < asked
        self._photos.setText(
            f"{self.tr('locating')} {wording.count(done + 1)} {self.tr('of')} {wording.count(asked)}"
            if busy
            else ""
        )
        self._photos.setVisible(busy)
        self._photos_stop.setVisible(busy and asked - done > 1)

    def _on_jobs(self) -> None:
        working = self._session.jobs.working
        first = working[0] if working else None
        for made in (self._job, self._job_bar, self._job_stop):
            made.setVisible(first is not None)
        if first is not None:
            more = f" · {self.tr('and')} {len(working) - 1} {self.tr('more')}" if len(working) > 1 else ""
            self._job.setText(first.short() + more)
            self._job_bar.setRange(0, 1000 if first.fraction is not None else 0)
            self._job_bar.setValue(round((first.fraction or 0) * 1000))
            self._job_stop.setEnabled(not first.stopping)
        ended = sum(not row.works and row.queued is None for row in self._session.jobs.rows)
        self._ended.setText(
            self.tr("{runs} ended").format(runs=wording.counted(ended, "run")) if ended else ""
        )
        self._ended.setVisible(ended > 0)

    def _stop_job(self) -> None:
        working = self._session.jobs.working
        if working:
            self._session.jobs.stop(working[0].thing)


def _precision(details: Mapping[str, object]) -> str:
    parts = [str(details[key]) for key in ("backend", "precision") if details.get(key)]
    return " ".join(parts) + " · " if parts else ""
