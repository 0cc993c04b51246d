"""The main area while the Training page is open: one run's curves, what can be done with it, its log."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QShowEvent
from PySide6.QtWidgets import QMenu, QPlainTextEdit, QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from geolocator_gui.gui import wording
from geolocator_gui.gui.pictures import Pictures
from geolocator_gui.gui.run_rows import RunRow
from geolocator_gui.gui.tokens import MARGIN
from geolocator_gui.gui.training.cards import line_of
from geolocator_gui.gui.training.follow import Training
from geolocator_gui.gui.training.hard_strip import HardStrip
from geolocator_gui.gui.training.planning import preset_title
from geolocator_gui.gui.training.plots import Plots
from geolocator_gui.gui.widgets.basics import Empty, Label, button, row, tool

ACTIONS = (
    "start",
    "leave",
    "stop",
    "kill",
    "resume",
    "publish",
    "compare",
    "pack",
    "import",
    "folder",
    "log",
    "remove",
)


class LiveView(QWidget):
    """One run, live.

    Signals:
        asked: One of `ACTIONS`.
    """

    asked = Signal(str)

    def __init__(self, pictures: Pictures) -> None:
        super().__init__()
        self.setObjectName("Surface")
        self.setMinimumSize(240, 160)  # what lies here never makes the other pages' side wider
        self.row: RunRow | None = None
        self.run: Training | None = None
        self.title, self.line = Label("", "Title"), Label("", "Secondary")
        self.trouble = Label("", "Negative", wrap=True)
        self.stop_button = button(
            self.tr("Stop and save"), lambda: self.asked.emit("stop"), icon="stop-circle-outline"
        )
        self.resume_button = button(self.tr("Resume"), lambda: self.asked.emit("resume"), icon="play")
        self.start_button = button(self.tr("Start now"), lambda: self.asked.emit("start"), icon="play")
        self.leave_button = button(self.tr("Take out of the queue"), lambda: self.asked.emit("leave"))
        self.publish_button = button(
            self.tr("Publish model…"), lambda: self.asked.emit("publish"), icon="package-variant-closed"
        )
        self.compare_button = button(
            self.tr("Re-index and compare"),
            lambda: self.asked.emit("compare"),
            icon="compare-horizontal",
            tip=self.tr("Index the same area with the new model and locate the same photos under both"),
        )
        self.more = tool("dots-horizontal", self.tr("More"), self._open_menu)
        self._menu = QMenu(self)
        self.acts: dict[str, QAction] = {}
        for key, text in (
            ("kill", self.tr("Stop at once (from the last save)")),
            ("pack", self.tr("Pack for another machine…")),
            ("import", self.tr("Import a packed run's result…")),
            ("folder", self.tr("Open folder")),
            ("log", self.tr("Open the whole log")),
            ("remove", self.tr("Remove this run and what it made")),
        ):
            self.acts[key] = self._menu.addAction(text, lambda key=key: self.asked.emit(key))  # type: ignore[misc]
        self.plots = Plots()
        self.nothing = Label(self.tr("Its curves appear here once it works."), "Secondary")
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.nothing.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.hard_title = Label(self.tr("Hardest photos of the last evaluation"), "Section")
        self.hardest = HardStrip(pictures)
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(500)
        self.log.setFixedHeight(104)
        self.log.setAccessibleName(self.tr("Log"))
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        layout.setSpacing(6)
        layout.addWidget(
            row(
                self.title,
                self.start_button,
                self.leave_button,
                self.resume_button,
                self.stop_button,
                self.publish_button,
                self.compare_button,
                self.more,
            )
        )
        for widget in (self.line, self.trouble):
            layout.addWidget(widget)
        layout.addWidget(self.plots, 1)
        layout.addWidget(self.nothing, 1)
        layout.addWidget(self.hard_title)
        layout.addWidget(self.hardest)
        layout.addWidget(Label(self.tr("Log"), "Section"))
        layout.addWidget(self.log)
        self._stack = QStackedWidget(self)
        self._stack.addWidget(
            Empty(
                "chart-bell-curve-cumulative",
                self.tr("Teach the model your area"),
                self.tr(
                    "Fine-tuning takes photos with known positions and the imagery under them as pairs, and "
                    "ends with a model that you publish and index with. Choose the pairs on the left and "
                    "start; a run works on after this window closes, and its curves are drawn here."
                ),
                button(self.tr("Import a packed run's result…"), lambda: self.asked.emit("import")),
            )
        )
        self._stack.addWidget(page)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self._stack)

    def show_run(self, row: RunRow | None, run: Training | None, beside: list[Training]) -> None:
        """Show a run, with the curves of others beside its own."""
        self.row, self.run = row, run
        self._stack.setCurrentIndex(0 if row is None else 1)
        if row is None:
            return
        live = row.state == "running"
        queued = row.queued is not None
        self.title.setText(row.thing.name)
        self.line.setText(self._words(row, run))
        failed = row.state in ("failed", "interrupted")
        reason = row.warnings[-1] if row.warnings else ""
        if failed:
            what = (row.message or row.line()).rstrip(".")
            reason = f"{what}. {row.hint}"
        role = "Negative" if failed else "Warning"
        if self.trouble.objectName() != role:
            self.trouble.setObjectName(role)
            self.trouble.style().unpolish(self.trouble)
            self.trouble.style().polish(self.trouble)
        self.trouble.setText(wording.one_line(reason.strip(), 400))
        self.trouble.setVisible(bool(reason.strip()))
        saved = run is not None and run.saved
        self.start_button.setVisible(queued)
        self.leave_button.setVisible(queued)
        self.stop_button.setVisible(live)
        self.stop_button.setEnabled(not row.stopping)
        self.resume_button.setVisible(row.can_continue and not queued)
        self.publish_button.setVisible(saved and not live)
        self.compare_button.setVisible(run is not None and bool(run.published) and not live)
        self.acts["kill"].setEnabled(live)
        self.acts["remove"].setEnabled(not row.works and not queued)
        drawn = run is not None and bool(run.lines)
        self.plots.setVisible(drawn)
        self.nothing.setVisible(not drawn)
        self.plots.show_runs([] if run is None else [run, *beside])
        hardest = () if run is None else run.hardest
        for widget in (self.hard_title, self.hardest):
            widget.setVisible(bool(hardest))
        self.hardest.show_hardest(hardest)
        text = "" if run is None else "\n".join(run.log)
        if text != self.log.toPlainText():
            self.log.setPlainText(text)
            self._to_end()

    def showEvent(self, event: QShowEvent) -> None:
        """The end of the log is what matters."""
        super().showEvent(event)
        self._to_end()

    def _to_end(self) -> None:
        self.log.verticalScrollBar().setValue(self.log.verticalScrollBar().maximum())

    def _words(self, row: RunRow, run: Training | None) -> str:
        parts = [self.tr("failed") if row.state == "failed" else line_of(row, run)]
        if run is not None and row.state == "running" and (held := run.last.get("gpu_memory_gb")):
            parts.append(self.tr("{size} of GPU memory").format(size=wording.size(held * 1e9)))
        if run is not None and run.config is not None:
            parts.append(preset_title(run.config.preset))
            town = run.config.data == "town:"
            parts.append(self.tr("the demo town") if town else run.config.data)
        return " · ".join(parts)

    def _open_menu(self) -> None:
        self._menu.popup(self.more.mapToGlobal(self.more.rect().bottomLeft()))
