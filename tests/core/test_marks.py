"""Verdicts survive, can be taken back, and two people's files can be merged."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geolocator_gui.errors import DataError
from geolocator_gui.marks import (
    COLUMNS,
    VERDICTS,
    Mark,
    Marks,
    append_marks,
    chip_id,
    merge_marks,
    pair_id,
    photo_id,
    read_marks,
    write_marks,
)


def mark(
    query: str, candidate: str, verdict: str, note: str = "", time: str = "2026-01-01T00:00:00Z"
) -> Mark:
    return Mark(query, candidate, verdict, note, time, "m1")


def test_what_is_appended_is_read_and_columns_are_the_documented_ones(tmp_path: Path) -> None:
    path = tmp_path / "marks.csv"
    first, second = (
        mark("photo:a", "chip:1", "hard", 'a "quoted", note\nof two lines'),
        mark("photo:ä", "c", "unsure"),
    )
    assert read_marks(path) == []
    append_marks(path, [first])
    append_marks(path, [second])
    assert read_marks(path) == [first, second]
    with path.open(newline="", encoding="utf-8") as file:
        assert tuple(next(csv.reader(file))) == COLUMNS


words = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)


@given(st.lists(st.builds(Mark, words, words, st.sampled_from([*VERDICTS, ""]), words, words, words)))
def test_any_text_survives_the_file(tmp_path_factory: pytest.TempPathFactory, marks: list[Mark]) -> None:
    path = tmp_path_factory.mktemp("m") / "marks.csv"
    write_marks(path, marks)
    assert read_marks(path) == marks
    append_marks(path, marks)
    assert read_marks(path) == marks + marks


def test_the_last_word_counts_and_an_empty_verdict_withdraws() -> None:
    marks = Marks(
        [mark("a", "1", "hard"), mark("a", "1", "same_place"), mark("b", "1", "hard"), mark("b", "1", "")]
    )
    assert marks.get("a", "1").verdict == "same_place"
    assert marks.get("b", "1") is None
    assert len(marks) == 1


def test_undo_and_redo_in_memory_and_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "marks.csv"
    marks = Marks([mark("a", "1", "hard", "old")])
    append_marks(path, marks.all())

    def stored() -> dict:
        return {one.key: one.verdict for one in Marks(read_marks(path)).all()}

    append_marks(path, marks.say([mark("a", "1", "unsure"), mark("b", "2", "bad_pair")]))
    append_marks(path, marks.say([mark("c", "3", "same_place")]))
    assert stored() == {("a", "1"): "unsure", ("b", "2"): "bad_pair", ("c", "3"): "same_place"}
    append_marks(path, marks.undo())
    append_marks(path, marks.undo())
    assert stored() == {("a", "1"): "hard"}
    assert marks.get("a", "1").note == "old"
    assert marks.undo() == []
    append_marks(path, marks.redo())
    assert stored() == {("a", "1"): "unsure", ("b", "2"): "bad_pair"}
    append_marks(path, marks.say([mark("d", "4", "hard")]))
    assert not marks.can_redo
    assert marks.redo() == []
    assert marks.judged([("a", "1"), ("d", "4"), ("x", "9")]) == 2


def test_what_training_asks_for() -> None:
    marks = Marks(
        [
            mark("a", "1", "hard"),
            mark("b", "2", "bad_pair"),
            mark("c", "3", "same_place"),
            mark("d", "4", "unsure"),
        ]
    )
    assert marks.hard() == {("a", "1")}
    assert marks.bad_pairs() == {"b"}
    assert marks.not_negatives() == {("c", "3")}


def test_a_row_cut_short_by_a_power_failure_is_left_out_and_does_not_swallow_the_next(tmp_path: Path) -> None:
    path = tmp_path / "marks.csv"
    append_marks(path, [mark("a", "1", "hard"), mark("b", "2", "unsure")])
    whole = path.read_bytes()
    for cut in (10, 25, 30, 34):
        path.write_bytes(whole[:-cut])
        assert read_marks(path) == [mark("a", "1", "hard")]
        append_marks(path, [mark("c", "3", "hard")])
        assert read_marks(path) == [mark("a", "1", "hard"), mark("c", "3", "hard")]
    append_marks(path, [mark("d", "4", "hard", "a note\nof two lines")])
    path.write_bytes(path.read_bytes()[:-32])
    assert len(read_marks(path)) == 2


def test_errors_name_file_line_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / "marks.csv"
    path.write_text("query,candidate,verdict\na,1,hard\nb,2,maybe\n")
    with pytest.raises(DataError, match='line 3: "maybe" is not a verdict') as caught:
        read_marks(path)
    assert caught.value.path == path
    path.write_text("x,y\n1,2\n")
    with pytest.raises(DataError, match="not a marks file"):
        read_marks(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        read_marks(path)


def test_a_spreadsheet_may_have_saved_it(tmp_path: Path) -> None:
    path = tmp_path / "marks.csv"
    path.write_text("\ufeffcandidate,query,verdict\n1,a,hard\n", encoding="utf-8")
    assert read_marks(path) == [Mark("a", "1", "hard")]


def test_a_failed_rewrite_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "marks.csv"
    write_marks(path, [mark("a", "1", "hard")])

    def broken():
        yield mark("b", "2", "hard")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_marks(path, broken())
    assert read_marks(path) == [mark("a", "1", "hard")]
    assert list(tmp_path.iterdir()) == [path]


def test_merge_lists_conflicts_and_keeps_the_newer() -> None:
    mine = [
        mark("a", "1", "hard", "mine", "2026-01-02T00:00:00Z"),
        mark("b", "2", "unsure", "n1"),
        mark("x", "1", "hard"),
    ]
    theirs = [
        mark("a", "1", "same_place", "theirs", "2026-01-03T00:00:00Z"),
        mark("b", "2", "unsure", "n2"),
        mark("c", "3", "hard"),
    ]
    merged = merge_marks(mine, theirs)
    said = Marks(merged.marks)
    assert merged.conflicts == ((mine[0], theirs[0]),)
    assert merged.added == 1
    assert said.get("a", "1").verdict == "same_place"
    assert said.get("b", "2").note == "n1 | n2"
    assert len(said) == 4
    other = merge_marks(theirs, mine)
    assert {one.key: one.verdict for one in other.marks} == {one.key: one.verdict for one in merged.marks}
    assert merge_marks(mine, mine).conflicts == ()


def test_ids_are_stable_and_readable(tmp_path: Path) -> None:
    a, b = tmp_path / "a.jpg", tmp_path / "b.jpg"
    a.write_bytes(b"content")
    b.write_bytes(b"content")
    assert photo_id(a) == photo_id(b)
    b.write_bytes(b"other")
    assert photo_id(a) != photo_id(b)
    assert chip_id("town.mbtiles#x", 80.0, 8.5, -47.25) == "chip:town.mbtiles-x/80m/8.500000,-47.250000"
    assert pair_id("cvusa", "0001227", "ground") == "ground:cvusa/0001227"
