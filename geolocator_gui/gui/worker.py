"""The window's side of `geolocator serve`: requests out, answers in, started again after a crash.

The worker holds the model and the index, so that the window's own process never loads the learning stack.
JSON lines both ways; see `geolocator_gui/cli_commands/serve.py`.
"""

from __future__ import annotations

import json
import logging
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, QTimer, Signal

from geolocator_gui.errors import FaultError, GeolocatorError, InputError, NoIndexOpenError
from geolocator_gui.gui import wording
from geolocator_gui.gui.translation import translate
from geolocator_gui.runs import program

log = logging.getLogger(__name__)
Fields = Mapping[str, Any]


@dataclass(frozen=True)
class ProcessOutcome:
    """How a process ended, and how to say it.

    Attributes:
        crashed: A signal or an access violation ended it.
        code: Exit status, or the signal's number.
    """

    crashed: bool
    code: int

    def __str__(self) -> str:
        if not self.crashed:
            return translate("Worker", "it exited with status {code}").format(code=self.code)
        try:
            name = signal.Signals(self.code).name
        except ValueError:
            return translate("Worker", "it crashed (code {code})").format(code=self.code)
        told = {
            "SIGKILL": translate("Worker", "it was killed, often because memory ran out"),
            "SIGSEGV": translate("Worker", "it crashed"),
        }
        return f"{told.get(name, translate('Worker', 'it was ended'))} ({name})"


@dataclass
class _Request:
    line: bytes
    success: Callable[[Fields], object]
    failure: Callable[[GeolocatorError], object]


class WorkerClient(QObject):
    """One worker process.

    Signals:
        started: It said hello.
        died: It ended without being asked to; a `ProcessOutcome`.
    """

    started = Signal()
    died = Signal(object)

    def __init__(self, log_file: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.log_file = log_file
        self._process: QProcess | None = None
        self._requests: dict[int, _Request] = {}
        self._next = 1
        self._rest = b""
        self._closing = False

    @property
    def pid(self) -> int:
        """Process id, 0 when there is none."""
        return int(self._process.processId()) if self._process is not None else 0

    @property
    def is_running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    def ask(
        self,
        op: str,
        fields: Fields,
        success: Callable[[Fields], object],
        failure: Callable[[GeolocatorError], object],
    ) -> None:
        """Send a request; exactly one of the two is called later, unless the client is closed first."""
        if self._closing:
            return
        if self._process is None:
            self._start()
        number, self._next = self._next, self._next + 1
        line = json.dumps({"id": number, "op": op, **fields}).encode() + b"\n"
        self._requests[number] = _Request(line, success, failure)
        if self._process is not None:
            self._process.write(line)

    def close(self) -> None:
        """End the process: stdin ends, and after a moment it is killed."""
        self._closing = True
        process, self._process = self._process, None
        self._requests.clear()
        if process is None:
            return
        process.blockSignals(True)
        process.closeWriteChannel()
        if not process.waitForFinished(400):
            process.kill()
            process.waitForFinished(2000)
        process.deleteLater()

    def _start(self) -> None:
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        process = QProcess(self)
        command = list(program())
        process.setProgram(command[0])
        process.setArguments([*command[1:], "serve"])
        environment = QProcessEnvironment.systemEnvironment()
        environment.insert("PYTHONUNBUFFERED", "1")
        process.setProcessEnvironment(environment)
        process.setStandardErrorFile(str(self.log_file), QProcess.OpenModeFlag.Append)
        process.readyReadStandardOutput.connect(self._on_output)
        process.finished.connect(self._on_finished)
        process.errorOccurred.connect(self._on_error)
        self._process, self._rest = process, b""
        process.start()

    def _on_output(self) -> None:
        if self._process is None:
            return
        *lines, self._rest = (self._rest + bytes(self._process.readAllStandardOutput().data())).split(b"\n")
        for line in lines:
            if line.strip():
                self._on_line(line)

    def _on_line(self, line: bytes) -> None:
        try:
            message = json.loads(line)
            if "hello" in message:
                self.started.emit()
                return
            if "event" in message:
                return
            request = self._requests.pop(message["id"], None)
        except (ValueError, KeyError, TypeError):
            log.warning("the worker said something unknown: %.200r", line)
            return
        if request is None:
            return
        if "result" in message:
            request.success(message["result"])
        else:
            error = message.get("error") or {}
            what = wording.one_line(str(error.get("what", self.tr("the worker could not do this"))), 400)
            kind = NoIndexOpenError if error.get("kind") == NoIndexOpenError.__name__ else InputError
            request.failure(kind(what, path=error.get("path"), hint=str(error.get("hint", ""))))

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart and self._process is not None:
            reason = self._process.errorString()
            words = self.tr("the worker cannot be started ({reason})")
            QTimer.singleShot(0, lambda: self._lost(words.format(reason=reason), None))

    def _on_finished(self, code: int, status: QProcess.ExitStatus) -> None:
        outcome = ProcessOutcome(status == QProcess.ExitStatus.CrashExit, code)
        self._lost(self.tr("the worker process ended: {how}").format(how=outcome), outcome)

    def _lost(self, what: str, outcome: ProcessOutcome | None) -> None:
        if self._closing or self._process is None:
            return
        self._process.deleteLater()
        self._process = None
        requests, self._requests = list(self._requests.values()), {}
        self.died.emit(outcome or ProcessOutcome(False, -1))
        again = self.tr("It was started again; try this photo once more.")
        for request in requests:
            request.failure(WorkerLostError(what, hint=again))


class WorkerLostError(FaultError):
    """The worker ended while it had work."""
