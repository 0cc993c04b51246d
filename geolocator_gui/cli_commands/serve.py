"""`geolocator serve`: the worker of the window. JSON lines in on stdin, JSON lines out on stdout.

Requests are `{"id", "op": "open" | "localise" | "similarity" | "close", …}`; each is answered by one
`{"id", "result"}` or `{"id", "error": {"kind", "what", "path", "hint"}}` (the kind is the name of the error's
class), with `{"id", "event"}` lines before it.
The encoder and the index stay open between requests. The end of stdin ends the worker.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from geolocator_gui.cli_commands.serve_similarity import Explainer
from geolocator_gui.configs import LocaliseConfig
from geolocator_gui.errors import GeolocatorError, NoIndexOpenError
from geolocator_gui.runs import describe_fault

if TYPE_CHECKING:
    from geolocator_gui.ml.localise import Localiser

PROTOCOL = 1


def serve() -> None:
    """Answer the window's requests (JSON lines on stdin and stdout) until stdin ends."""
    with _own_stdout() as out:
        Worker(out).run(sys.stdin.buffer)


@contextlib.contextmanager
def _own_stdout() -> Iterator[IO[bytes]]:
    """The real stdout for answers alone; whatever a library prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    try:
        yield answers
    finally:
        answers.close()


class Worker:
    """Keeps one encoder and one index open and answers one request after another."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._localiser: Localiser | None = None
        self._explainer = Explainer()

    def run(self, requests: IO[bytes]) -> None:
        """Answer until the requests end."""
        self._say({"hello": PROTOCOL, "pid": os.getpid()})
        try:
            # A broken pipe means that the window is gone, and with it the reason to work.
            with contextlib.suppress(BrokenPipeError):
                for line in requests:
                    if line.strip():
                        self._answer(line)
        finally:
            self._close()

    def _answer(self, line: bytes) -> None:
        number: object = None
        try:
            request = json.loads(line)
            number = request["id"]
            operations = {
                "open": self._open,
                "localise": self._localise,
                "similarity": self._similarity,
                "close": self._close_request,
            }
            self._say({"id": number, "result": operations[request["op"]](request)})
        except BrokenPipeError:
            raise
        except GeolocatorError as error:
            path = None if error.path is None else str(error.path)
            kind = type(error).__name__
            told = {"kind": kind, "what": error.what, "path": path, "hint": error.hint}
            self._say({"id": number, "error": told})
        except Exception as error:  # noqa: BLE001 - the border: a fault in one request must not end the worker
            if not isinstance(error, (KeyError, ValueError)):
                import traceback

                traceback.print_exc(file=sys.stderr)
            what = describe_fault(error)
            self._say({"id": number, "error": {"what": what, "path": None, "hint": "The log has details."}})

    def _open(self, request: dict[str, Any]) -> dict[str, Any]:
        from geolocator_gui.ml.localise import open_localiser

        self._close()
        models = request.get("models")
        self._localiser = open_localiser(
            Path(request["index"]),
            models=None if models is None else Path(models),
            device=request.get("device", "auto"),
        )
        index = self._localiser.index
        return {
            "chips": index.count,
            "model": self._localiser.encoder.bundle.config.name,
            "edition": index.manifest.edition,
            "attribution": index.attribution,
            **self._localiser.encoder.description,
        }

    def _localise(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._localiser is None:
            raise NoIndexOpenError("no index is open", hint="Choose an index first.")
        options = LocaliseConfig.from_mapping(request.get("options") or {})
        scores = request.get("scores")
        answer = self._localiser.localise(
            Path(request["photo"]), options, scores_path=None if scores is None else Path(scores)
        )
        return dataclasses.asdict(answer)

    def _similarity(self, request: dict[str, Any]) -> dict[str, Any]:
        if "index" not in request:
            return self._explainer.answer_files(request)
        localiser = self._localiser
        if localiser is None or localiser.index.folder != Path(request["index"]):
            # What is open stays open: the window goes on locating photos in it.
            from geolocator_gui.ml.localise import open_localiser

            models = request.get("models")
            with open_localiser(
                Path(request["index"]), models=None if models is None else Path(models), device="cpu"
            ) as other:
                return self._explainer.answer(other, request)
        return self._explainer.answer(localiser, request)

    def _close_request(self, request: dict[str, Any]) -> dict[str, Any]:
        self._close()
        return {}

    def _close(self) -> None:
        if self._localiser is not None:
            self._localiser.close()
            self._localiser = None

    def _say(self, message: dict[str, Any]) -> None:
        self._out.write(json.dumps(message).encode() + b"\n")
