"""A short command of this program as a child process whose answer the window waits for."""

from __future__ import annotations

from PySide6.QtCore import QObject, QProcess, Signal

from geolocator_gui.runs import program


class Child(QObject):
    """One call of `geolocator …`; it ends with the window that asked.

    Signals:
        answered: What it printed.
        failed: What happened and what to do, in its own words.
    """

    answered = Signal(str)
    failed = Signal(str, str)

    def __init__(self, arguments: list[str], parent: QObject) -> None:
        super().__init__(parent)
        self._process = QProcess(self)
        self._process.finished.connect(self._on_finished)
        self._process.errorOccurred.connect(self._on_error)
        first, *rest = program()
        self._process.start(first, [*rest, *arguments])

    @property
    def is_running(self) -> bool:
        """Whether its answer is still to come."""
        return self._process.state() != QProcess.ProcessState.NotRunning

    def cancel(self) -> None:
        """Nobody wants the answer any more."""
        self._process.blockSignals(True)
        if self.is_running:
            self._process.kill()
            self._process.waitForFinished(2000)
        self.deleteLater()

    def _on_finished(self, code: int, status: QProcess.ExitStatus) -> None:
        printed = bytes(self._process.readAllStandardOutput().data()).decode("utf-8", "replace")
        said = bytes(self._process.readAllStandardError().data()).decode("utf-8", "replace").strip()
        self.deleteLater()
        if code == 0 and status == QProcess.ExitStatus.NormalExit:
            self.answered.emit(printed)
            return
        what, _, hint = said.partition("\n") if code == 2 else (_last_line(said), "", "")
        what = what.removeprefix("geolocator: ")
        self.failed.emit(what or self.tr("The command ended without a word."), hint.strip())

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self.deleteLater()
            self.failed.emit(self.tr("The program could not start itself."), self._process.errorString())


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
