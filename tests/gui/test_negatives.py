"""The Hard negatives page in the real window: choose, judge by keyboard, undo, filter, lasso, export."""

import time
from pathlib import Path

import numpy as np
import pytest

from geolocator_gui.events import finish
from geolocator_gui.marks import Mark, append_marks, read_marks
from geolocator_gui.marks_file import MarksFile
from geolocator_gui.ml.mining.mine import mine
from geolocator_gui.ml.mining.parts import MiningData

pytestmark = pytest.mark.gui


def make_mining(folder: Path, count: int = 40, turn: int = 1) -> Path:
    """Every fourth photo is nearer to another chip than to its own."""
    rng = np.random.default_rng(11)
    chips = rng.normal(size=(count, 16))
    photos = chips + rng.normal(size=chips.shape) * 0.05
    wrong = np.arange(0, count, 4)
    photos[wrong] = 0.6 * chips[wrong] + chips[(wrong + turn) % count]
    lonlat = np.stack([20.75 + np.arange(count) % 8 * 0.002, 60.17 + np.arange(count) // 8 * 0.001], axis=1)
    data = MiningData(
        query_vectors=(photos / np.linalg.norm(photos, axis=1, keepdims=True)).astype(np.float32),
        chip_vectors=(chips / np.linalg.norm(chips, axis=1, keepdims=True)).astype(np.float32),
        query_ids=np.array([f"photo:{i:03d}" for i in range(count)]),
        chip_ids=np.array([f"chip:town/80m/{i}" for i in range(count)]),
        positive=np.arange(count),
        chip_lonlat=lonlat,
        side_m=80.0,
    )
    finish(mine(data, folder, neighbours=8, about={"model": "toy"}))
    return folder


@pytest.fixture
def page(window, wait, tmp_path):
    """The page with a mining of 40 photos open, sorted by margin; keys go to the table."""
    from geolocator_gui.workspace import Workspace

    workspace = Workspace.create(tmp_path / "town")
    make_mining(workspace.mining / "first")
    window.session.open_workspace(workspace.root)
    assert wait(lambda: window.session.workspace is not None)
    window.show_page("negatives")
    panel = window.panels["negatives"]
    assert wait(lambda: panel.inspector.candidates)
    panel.list.setFocus()
    return panel


def press(page, key: str) -> None:
    from PySide6.QtTest import QTest

    QTest.keyClick(page.list, key)


def written(page, wait) -> list[Mark]:
    assert wait(lambda: page.inspector.judging.is_written)
    return read_marks(page.session.workspace.marks)


def test_the_worst_comes_first_and_letters_judge_and_go_on(page, wait) -> None:
    inspector = page.inspector
    rows = inspector.table.rows
    assert inspector.row == rows[0] == int(np.nanargmin(inspector.result.margin))
    keys = [inspector.result.hardest_key(int(row)) for row in rows[:2]]
    pair = inspector.result.pair_key(int(rows[2]))
    for letter in "skb":
        press(page, letter)
    assert inspector.row == rows[3]
    marks = written(page, wait)
    assert [(mark.query, mark.candidate) for mark in marks] == [*keys, pair]
    assert [mark.verdict for mark in marks] == ["same_place", "hard", "bad_pair"]
    assert {mark.mining for mark in marks} == {"first"}
    assert page.progress_words.full_text() == "judged 3 of 40"


def test_undo_takes_back_goes_there_and_redo_gives_again(page, window, wait) -> None:
    inspector = page.inspector
    rows = inspector.table.rows
    press(page, "k")
    press(page, "u")
    window.judging.undo()
    assert inspector.row == rows[1]
    assert inspector.judging.progress.judged == 1
    window.judging.redo()
    assert inspector.judging.verdict(inspector.result.hardest_key(int(rows[1]))) == "unsure"
    window.judging.undo()
    window.judging.undo()
    assert inspector.judging.progress.judged == 0
    from geolocator_gui.marks import Marks

    assert Marks(written(page, wait)).all() == []


def test_ten_verdicts_in_a_row_reach_the_file_in_order(page, wait) -> None:
    rows = page.inspector.table.rows[:10]
    for _ in rows:
        press(page, "k")
    marks = written(page, wait)
    assert [mark.query for mark in marks] == [str(page.inspector.result.ids[row]) for row in rows]


def test_arrows_walk_impostors_and_the_chosen_one_is_judged(page, wait) -> None:
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    inspector = page.inspector
    first, third = inspector.candidates[0], inspector.candidates[2]
    assert inspector.candidate == first
    QTest.keyClick(page.list, Qt.Key.Key_Right)
    QTest.keyClick(page.list, Qt.Key.Key_Right)
    assert inspector.candidate == third
    query = str(inspector.result.ids[inspector.row])
    press(page, "s")
    assert inspector.judging.verdict((query, third.id)) == "same_place"
    assert inspector.judging.verdict((query, first.id)) == ""


def test_in_the_gallery_a_verdict_goes_on_to_the_next_impostor(page) -> None:
    from PySide6.QtTest import QTest

    inspector = page.inspector
    row = inspector.row
    page.bench.gallery.setFocus()
    for _ in range(2):
        QTest.keyClick(page.bench.gallery, "k")
    assert inspector.row == row
    assert inspector.place == 2
    assert inspector.judging.progress.judged == 1


def test_a_selection_is_judged_at_once_and_undone_at_once(page, wait) -> None:
    from PySide6.QtCore import QItemSelectionModel

    table, inspector = page.list, page.inspector
    for line in range(1, 6):
        table.selectionModel().select(
            table.model().index(line, 0),
            QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows,
        )
    assert len(inspector.selected) == 6
    press(page, "k")
    assert inspector.judging.progress.judged == 6
    assert len(written(page, wait)) == 6
    inspector.judging.undo()
    assert inspector.judging.progress.judged == 0


def test_notes_stay_with_their_verdict(page, wait) -> None:
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    inspector = page.inspector
    key = inspector.key()
    press(page, "k")
    inspector.row_wanted.emit(int(inspector.table.rows[0]))
    assert wait(lambda: inspector.candidates)
    press(page, "n")
    QTest.keyClicks(page.note, "two roofs  alike, see east ")
    QTest.keyClick(page.note, Qt.Key.Key_Return)
    mark = inspector.judging.marks.get(*key)
    assert (mark.verdict, mark.note) == ("hard", "two roofs alike, see east")
    press(page, "u")
    assert inspector.judging.marks.get(*key).note  # another verdict keeps the note


def test_filters_narrow_the_table_and_can_be_taken_away(page, wait) -> None:
    filters, table = page.filters, page.inspector.table
    filters.set_margin((None, 0.0))
    assert table.rowCount() == int((page.inspector.result.margin <= 0).sum())
    assert "margin" in filters.words.full_text()
    filters.search.setText("photo:000")
    assert wait(lambda: table.rowCount() == 1)
    press(page, "k")
    filters.set_judged("open")
    assert table.rowCount() == 0
    filters.clear()
    assert table.rowCount() == 40


def test_sorting_keeps_the_chosen_photo(page) -> None:
    from PySide6.QtCore import Qt

    row = page.inspector.row
    page.list.sortByColumn(2, Qt.SortOrder.DescendingOrder)
    assert page.inspector.row == row
    assert page.inspector.table.source(page.list.currentIndex().row()) == row
    ranks = page.inspector.result.rank[page.inspector.table.rows]
    assert (np.diff(ranks) <= 0).all()


def test_a_lasso_lists_what_it_encloses(page, wait) -> None:
    page.bench.overview_button.setChecked(True)
    overview = page.bench.overview
    assert wait(overview.isVisible)
    result = page.inspector.result
    x, y = float(np.median(result.x)), float(result.y.max()) + 1
    low = float(result.y.min()) - 1
    overview.select(np.array([(-99.0, low), (x, low), (x, y), (-99.0, y)]))
    assert set(page.inspector.table.rows.tolist()) == set(np.flatnonzero(result.x < x).tolist())
    overview.clear()
    assert page.inspector.table.rowCount() == 40
    page.bench.close_tall()
    assert not page.bench.is_tall


def test_zoom_and_pan_of_the_three_pictures_go_together(page, wait) -> None:
    from PySide6.QtCore import QPointF
    from PySide6.QtGui import QPixmap

    page.bench.compare_button.setChecked(True)
    triptych = page.bench.triptych
    assert wait(triptych.isVisible)
    for pane, size in zip(triptych.panes, ((400, 100), (200, 200), (200, 200)), strict=True):
        pane.show_picture(QPixmap(*size))
    triptych.own.looked.emit(3.0, QPointF(0.1, -0.2))
    own, impostor = triptych.own, triptych.impostor
    own.look(3.0, QPointF(0.1, -0.2))
    assert impostor._zoom == 3.0
    assert impostor._shift.x() == pytest.approx(own._shift.x(), rel=0.05)
    triptych.linked.setChecked(False)
    triptych.own.looked.emit(5.0, QPointF())
    assert impostor._zoom == 3.0


def test_the_map_gets_the_confusions_and_answers_clicks(page, window, wait) -> None:
    import json

    assert wait(lambda: page.link is not None and window.map is not None)
    answers: list[object] = []

    def shown(expression: str) -> object:
        answers.clear()
        window.map_view.page.runJavaScript(f"JSON.stringify({expression})", answers.append)
        assert wait(lambda: answers, 20)
        return json.loads(answers[0])

    count = "document.querySelectorAll('.impostor').length"
    assert wait(lambda: shown(count) == len(page.inspector.candidates), 40)
    shown("document.querySelector('.impostor[data-place=\"3\"]').click() || 1")
    assert wait(lambda: page.inspector.place == 3)
    assert wait(lambda: shown("document.querySelectorAll('.impostor.on')[0]?.dataset.place || null") == "3")
    window.show_page("photos")
    assert wait(lambda: shown(count) == 0)


def test_merging_lists_conflicts_and_keeps_the_newer(page, wait, tmp_path) -> None:
    inspector = page.inspector
    press(page, "k")
    rows = inspector.table.rows
    key, other = inspector.result.hardest_key(int(rows[0])), inspector.result.hardest_key(int(rows[7]))
    theirs = tmp_path / "theirs.csv"
    append_marks(
        theirs,
        [
            Mark(*key, "same_place", "", "2001-01-01T00:00:00Z"),
            Mark(*other, "unsure", "", "2001-01-01T00:00:00Z"),
        ],
    )
    found = []
    inspector.judging.merge(theirs, found.append)
    assert wait(lambda: found)
    assert found[0].added == 1
    assert [(mine.verdict, they.verdict) for mine, they in found[0].conflicts] == [("hard", "same_place")]
    assert inspector.judging.verdict(key) == "hard"
    assert inspector.judging.verdict(other) == "unsure"
    from geolocator_gui.gui.negatives.conflicts import ConflictsDialog

    dialog = ConflictsDialog(page, "", found[0].conflicts)
    assert dialog.chosen() == []
    from PySide6.QtCore import Qt

    dialog.tree.topLevelItem(0).setCheckState(2, Qt.CheckState.Checked)
    inspector.judging.give(dialog.chosen())
    assert inspector.judging.verdict(key) == "same_place"
    dialog.deleteLater()


def test_moves_against_an_earlier_mining_are_a_column(page, wait, tmp_path) -> None:
    inspector = page.inspector
    other = make_mining(page.session.workspace.mining / "second", turn=2)
    inspector.refresh()
    assert wait(lambda: len(inspector.minings) == 2)
    inspector.compare_with(other)
    assert wait(lambda: inspector.table.moved is not None)
    assert inspector.table.columns[-1] == "moved"
    assert "rank their own chip first" in inspector.moves_sentence
    inspector.compare_with(None)
    assert "moved" not in inspector.table.columns


def test_a_removed_mining_gives_way_to_another_and_its_verdicts_stay(page, window, wait) -> None:
    inspector, workspace = page.inspector, page.session.workspace
    press(page, "k")
    make_mining(workspace.mining / "second", turn=2)
    page.session.reload()
    assert wait(lambda: len(inspector.minings) == 2)
    remove = next(act for act in page.menu.menu().actions() if "Remove this mining" in act.text())
    remove.trigger()
    assert wait(lambda: inspector.result is not None and inspector.result.name == "second")
    assert not (workspace.mining / "first").exists()
    assert [mark.verdict for mark in written(page, wait)] == ["hard"]
    window.judging.undo()  # as Ctrl+Z on this page
    assert wait(lambda: len(inspector.minings) == 2)
    assert inspector.result.name == "second"


def test_exports_are_written_in_the_background(page, wait, tmp_path) -> None:
    press(page, "k")
    for suffix in (".html", ".csv", ".geojson"):
        file = tmp_path / f"out{suffix}"
        page.menu.export(suffix, file)
        assert wait(file.exists), suffix
    assert "keep as hard" in (tmp_path / "out.html").read_text("utf-8")
    assert ",hard," in (tmp_path / "out.csv").read_text("utf-8")


def test_the_form_says_what_is_missing_and_what_a_run_gets(page, tmp_path) -> None:
    page.show_form()
    form = page.form
    assert not form.start_button.isEnabled()  # no index here
    assert form.help_button.text() == "Build an index"
    form.what.setCurrentIndex(form.what.findData("data"))
    form.place.setText("vigor:/data/VIGOR")
    form.model.addItem("toy", "/models/toy")
    form.model.setCurrentIndex(form.model.findData("/models/toy"))
    form.refresh()
    assert form.start_button.isEnabled()
    config = form.config(tmp_path)
    assert (config.data, config.model, config.neighbours) == ("vigor:/data/VIGOR", "/models/toy", 128)


@pytest.fixture
def many(window, wait, tmp_path):
    """The page with a hundred thousand photos listed."""
    from dataclasses import replace

    from geolocator_gui.gui.negatives.result import open_result

    panel, count = window.panels["negatives"], 100_000
    small = open_result(make_mining(tmp_path / "big"))
    take = np.arange(count) % 40
    fields = ("files", "areas", "lon", "lat", "positive", "cosine", "rank", "margin", "hardest", "distance_m")
    big = replace(
        small,
        **{name: getattr(small, name)[take] for name in (*fields, "flag", "suspect", "x", "y")},
        ids=np.array([f"photo:{i}" for i in range(count)], object),
        names=np.array([f"photo:{i}" for i in range(count)], object),
    )
    panel.inspector._show(big, "", MarksFile(tmp_path / "marks.csv"))
    window._front.setCurrentWidget(window._desk)
    window.show_page("negatives")
    wait(lambda: False, 0.2)
    return panel


def test_a_hundred_thousand_queries_scroll_smoothly(many) -> None:
    bar = many.list.verticalScrollBar()
    times = []
    for step in range(40):
        begin = time.process_time()
        bar.setValue(int(bar.maximum() * step / 40))
        many.list.viewport().repaint()
        times.append(time.process_time() - begin)
    assert np.median(times) < 0.016, np.median(times)


def test_a_hundred_thousand_photos_are_judged_and_undone_in_a_moment(many, window, wait) -> None:
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    inspector, held = many.inspector, Qt.KeyboardModifier.ControlModifier
    times = {}
    for name, target, key, modifier in (
        ("all", many.list, Qt.Key.Key_A, held),
        ("judge", many.list, Qt.Key.Key_K, Qt.KeyboardModifier.NoModifier),
        ("undo", window, Qt.Key.Key_Z, held),
    ):
        begin = time.thread_time()  # of the GUI thread
        QTest.keyClick(target, key, modifier)
        times[name] = time.thread_time() - begin
        assert wait(lambda: inspector.judging.is_written, 60)
        assert inspector.judging.progress.judged == (100_000 if name == "judge" else 0)
    assert len(read_marks(inspector.judging.file.path)) == 200_000
    assert max(times.values()) < 1.2, times
