"""The marks file between two writers, damaged, locked or no file at all: no verdict is lost."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from geolocator_gui.errors import FaultError, GeolocatorError
from geolocator_gui.marks import COLUMNS, Mark, Marks, append_marks, read_marks, readable_marks
from geolocator_gui.marks_file import MarksFile

T = "2026-01-01T00:00:00Z"


def mark(query: str, verdict: str = "hard", note: str = "") -> Mark:
    return Mark(query, "chip:1", verdict, note, T, "m")  # type: ignore[arg-type]


def queries(path: Path) -> list[str]:
    return [one.query for one in read_marks(path)]


def test_what_another_window_wrote_is_seen_before_the_own_rows_are_added(tmp_path: Path) -> None:
    path = tmp_path / "marks.csv"
    mine, theirs = MarksFile(path), MarksFile(path)
    for file, name in ((mine, "a"), (theirs, "b"), (mine, "c")):
        file.write()
        file.put([mark(name)])
        file.write()
    assert queries(path) == ["a", "b", "c"]
    fresh = mine.take_fresh()
    assert fresh is not None
    assert [one.query for one in fresh] == ["a", "b", "c"]
    assert mine.take_fresh() is None


def test_a_merge_drops_no_row_that_is_appended_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "marks.csv"
    one, other = MarksFile(path), MarksFile(path)
    end = threading.Event()

    def append() -> None:
        for number in range(10):
            other.put([mark(f"b{number}")])
            other.write()
            time.sleep(0.03)  # leaves room for the merges
        while not other.is_written:  # one that waited too long for the lock waits for the next look
            other.write()
        end.set()

    thread = threading.Thread(target=append)
    thread.start()
    number = 0
    while not end.is_set():
        one.merge([mark(f"a{number}")])
        number += 1
        time.sleep(0.01)  # leaves room for the appending
    thread.join()
    assert number > 1
    assert set(queries(path)) == {f"a{n}" for n in range(number)} | {f"b{n}" for n in range(10)}


def test_undo_leaves_what_somebody_else_said_since() -> None:
    marks = Marks()
    own = marks.say([mark("a"), mark("b")])
    other = Mark("a", "chip:1", "unsure", "", T, "m")
    marks.rebase([*own, other])
    rows = marks.undo()
    assert [row.query for row in rows] == ["b"]
    assert marks.get("a", "chip:1") == other
    assert marks.get("b", "chip:1") is None
    assert marks.undo() == []


@pytest.mark.parametrize("trouble", ["directory", "damaged"])
def test_verdicts_that_cannot_be_written_lie_in_a_file_of_their_own(tmp_path: Path, trouble: str) -> None:
    path = tmp_path / "marks.csv"
    file = MarksFile(path)
    file.write()
    if trouble == "directory":
        path.mkdir()
    else:
        path.write_text(f"{','.join(COLUMNS)}\nq,c,nonsense,,,\n")
    for name in "ab":
        file.put([mark(name, note="kept")])
        file.write()
    assert isinstance(file.problem, GeolocatorError)
    assert file.problem.path == path
    assert not file.is_written
    assert file.kept_in is not None
    assert queries(file.kept_in) == ["a", "b"]
    kept = file.kept_in
    assert MarksFile(path).left_behind() == [kept]
    if trouble == "directory":
        path.rmdir()
    else:
        path.unlink()
    file.put([mark("c")])
    file.write()
    assert file.problem is None
    assert queries(path) == ["a", "b", "c"]
    assert not kept.exists()


def test_a_damaged_file_shows_what_can_be_read_and_can_be_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "marks.csv"
    append_marks(path, [mark("a"), mark("b")])
    with path.open("a") as text:
        text.write("x,y,nonsense,,,\r\n")
    append_marks(path, [mark("c")])
    before = path.read_bytes()
    file = MarksFile(path)
    file.write()
    fresh = file.take_fresh()
    assert fresh is not None
    assert [one.query for one in fresh] == ["a", "b", "c"]
    assert "line 4" in file.problem.what
    file.put([mark("d")])
    file.write()
    assert path.read_bytes() == before  # as it was found
    moved = file.set_aside([*fresh, mark("d")])
    assert moved == tmp_path / "marks.csv.damaged"
    assert moved.read_bytes() == before
    assert set(queries(path)) == {"a", "b", "c", "d"}
    assert file.problem is None
    assert file.is_written
    assert list(tmp_path.glob("marks-unsaved-*")) == []


def test_readable_rows_of_a_directory_or_bytes_are_none(tmp_path: Path) -> None:
    assert readable_marks(tmp_path) == []
    (tmp_path / "b").write_bytes(bytes(range(256)) * 8)
    assert readable_marks(tmp_path / "b") == []


def test_a_lock_held_by_another_program_is_waited_for_then_told(tmp_path: Path, monkeypatch) -> None:
    import geolocator_gui.marks_file as module

    path = tmp_path / "marks.csv"
    code = (
        "import sys, time, pathlib\n"
        "from geolocator_gui.marks_file import _locked\n"
        "with _locked(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code, str(path)], **pipes) as other:
        assert other.stdout.readline() == "held\n"
        monkeypatch.setattr(module, "_LOCK_SECONDS", 0.3)
        file = MarksFile(path)
        file.put([mark("a")])
        file.write()
        assert isinstance(file.problem, FaultError)
        assert "locked" in file.problem.what
        other.stdin.close()
        other.wait(20)
    file.write()
    assert queries(path) == ["a"]
