"""The Training page in the real window: curves in the main area, the form's plan, all settings."""

from pathlib import Path

import pytest

from geolocator_gui.events import EventWriter, Metric, Outcome
from geolocator_gui.gui.training.tables import ComparedDialog
from geolocator_gui.runs import RunFolder
from geolocator_gui.training import TrainRun
from geolocator_gui.workspace import Workspace

pytestmark = pytest.mark.gui


def recorded(workspace: Workspace, name: str, state: str, recalls: list[float]) -> Path:
    """The folder of a run that was, without its checkpoints."""
    thing = workspace.training / name
    run = RunFolder(thing)
    run.write_config("train", TrainRun.from_mapping({"data": "town:", "train": {"batch_size": 10}}))
    writer = EventWriter(run.events_path)
    writer.write(Outcome("running", pid=1))
    for place, recall in enumerate(recalls):
        writer.write(Metric(20 * (place + 1), {"loss": 3.0 / (place + 1), "recall_at_1": recall}))
    reason = ("the loss became nan", "Try a lower learning rate.") if state == "failed" else ("", "")
    writer.write(Outcome(state, *reason, pid=1))
    writer.close()
    return thing


@pytest.fixture
def opened(window, wait, tmp_path):
    """The window with a workspace of two recorded runs, on the Training page."""
    workspace = Workspace.create(tmp_path / "town")
    recorded(workspace, "one", "finished", [0.2, 0.6, 0.5])
    recorded(workspace, "two", "failed", [0.1, 0.15])
    window.session.open_workspace(workspace.root)
    assert wait(lambda: window.session.workspace is not None)
    window.show_page("training")
    page = window.panels["training"]
    assert wait(lambda: len(page.rows) == 2 and len(page.runs) == 2)
    return window


def test_curves_lie_where_the_map_was_and_the_map_comes_back(opened, wait) -> None:
    page = opened.panels["training"]
    assert page.live.isVisible()
    assert not opened.map_view.isVisible()
    page.choose(opened.session.workspace.training / "one")
    assert wait(lambda: page.live.plots.curve("loss") is not None)
    assert page.live.plots.curve("loss").x.tolist() == [200, 400, 600]
    assert page.live.plots.curve("loss").y == pytest.approx([3.0, 1.5, 1.0])
    assert "60.0 % after 400 pairs" in page.live.plots.words.full_text().replace("\u2009", " ")
    page.live.plots.say(390.0)
    assert "R@1 60.0 %" in page.live.plots.words.full_text()
    opened.show_page("photos")
    assert opened.map_view.isVisible()
    assert not page.live.isVisible()


def test_several_runs_share_a_plot_and_a_failure_says_why(opened, wait) -> None:
    page = opened.panels["training"]
    training = opened.session.workspace.training
    page.choose(training / "two")
    assert "the loss became nan" in page.live.trouble.text()
    assert "lower learning rate" in page.live.trouble.text()
    assert page.live.resume_button.isVisible()
    assert not page.live.publish_button.isVisible()  # nothing was saved
    page.list.cards[training / "one"].draw_button.setChecked(True)
    assert wait(lambda: page.live.plots.curve("recall_at_1", 1) is not None)
    assert page.live.plots.curve("recall_at_1", 1).y.tolist() == [0.2, 0.6, 0.5]
    page.list.cards[training / "one"].draw_button.setChecked(False)
    assert page.live.plots.curve("recall_at_1", 1) is None


def test_the_form_says_what_is_wrong_with_a_folder(opened, wait, tmp_path) -> None:
    form = opened.panels["training"].form
    form.show_data(f"cvusa:{tmp_path / 'nothing'}")
    assert not form.start_button.isEnabled()
    assert wait(lambda: "nothing" in form.words.text(), 90), form.words.text()
    assert not form.start_button.isEnabled()
    form.show_data("town:")
    assert form.start_button.isEnabled() == (form.model.count() > 0)


def test_all_settings_give_what_differs_from_the_preset(opened) -> None:
    from geolocator_gui.gui.training.settings_dialog import SettingsDialog

    form = opened.panels["training"].form
    form.show_data("town:")
    dialog = SettingsDialog(form, form.run(), form.run())
    assert dialog.settings() == []
    dialog.widgets["train.learning_rate"].setText("0.0003")
    dialog.widgets["train.compile"].setChecked(True)
    assert sorted(dialog.settings()) == ["train.compile=true", "train.learning_rate=0.0003"]
    dialog.widgets["train.batch_size"].setText("many")
    dialog.accept()
    assert dialog.result() == 0
    dialog.close()


def test_pairs_in_the_making_are_found_again_and_then_offered(opened, wait, tmp_path) -> None:
    from geolocator_gui.pairs_folder import PairsConfig

    form, jobs = opened.panels["training"].form, opened.session.jobs
    thing = opened.session.workspace.root / "pairs" / "holiday"
    run = RunFolder(thing)
    run.write_config("pairs", PairsConfig(photos=str(tmp_path), imagery=("a.mbtiles",)))
    writer = EventWriter(run.events_path)
    writer.write(Outcome("running", pid=1))
    with run.lock():
        assert wait(lambda: any(row.verb == "pairs" and row.works for row in jobs.rows), 20)
        form.show_data("photos:")
        assert "Making pairs" in form.words.text()
        assert not form.make_button.isEnabled()
        writer.write(Outcome("finished", pid=1))
        writer.close()
    assert wait(lambda: any(row.verb == "pairs" and row.state == "finished" for row in jobs.rows), 20)
    # who looked at photos is led to the pairs made of them
    assert wait(lambda: form.data.currentData() == "pairs" and form.place.text() == str(thing), 20)
    form.show_data("town:")
    form.place.clear()
    form.data.setCurrentIndex(form.data.findData("pairs"))
    assert form.place.text() == str(thing)


def test_a_queued_run_does_not_work_and_can_leave_the_queue(opened, wait) -> None:
    from geolocator_gui.gui.training.queue import put_in_queue

    page, session = opened.panels["training"], opened.session
    busy = recorded(session.workspace, "busy", "running", [0.1])
    config = TrainRun.from_mapping({"data": "town:", "train": {"batch_size": 10}})
    with RunFolder(busy).lock():
        assert wait(lambda: any(row.thing == busy and row.works for row in session.jobs.rows), 20)
        thing = session.workspace.training / "later"
        put_in_queue(thing, config)
        assert wait(lambda: any(row.queued is not None for row in session.jobs.rows), 20)
        assert [row.thing for row in session.jobs.working] == [busy]
        assert "1 working · 1 in the queue" in page.subtitle.full_text()
        page.choose(thing)
        assert wait(page.live.leave_button.isVisible, 20)
        page.live.leave_button.click()
        assert wait(lambda: all(row.queued is None for row in session.jobs.rows), 20)
        assert wait(page.live.resume_button.isVisible, 20)
    assert RunFolder(thing).status().state == "stopped"


def test_a_removed_run_leaves_the_list_and_another_is_shown(opened, wait) -> None:
    page, session = opened.panels["training"], opened.session
    one, two = (session.workspace.training / name for name in ("one", "two"))
    page.choose(two)
    page.live.acts["remove"].trigger()
    assert wait(lambda: [row.thing for row in page.rows] == [one], 20)
    assert page.live.title.full_text() == "one"
    session.undo()
    assert wait(lambda: {row.thing for row in page.rows} == {one, two} and two in page.runs, 20)


def test_gpu_memory_is_told_while_a_run_works(opened, wait) -> None:
    page, session = opened.panels["training"], opened.session
    thing = recorded(session.workspace, "busy", "running", [0.1])
    writer = EventWriter(RunFolder(thing).events_path)
    writer.write(Metric(60, {"loss": 1.0, "gpu_memory_gb": 6.5}))
    writer.close()
    with RunFolder(thing).lock():
        assert wait(lambda: thing in page.runs and page.runs[thing].last.get("gpu_memory_gb"), 20)
        page.choose(thing)
        assert wait(lambda: "6.5 GB of GPU memory" in page.live.line.full_text(), 20)


def test_a_name_that_is_none_is_said_before_anything_is_published(opened) -> None:
    page = opened.panels["training"]
    page.actions_.publish(opened.session.workspace.training / "one", "../evil")
    assert any("not a name for a model" in text for text in opened.toasts.texts())
    assert not page.actions_._children


def test_a_comparison_says_nothing_where_an_error_is_unknown_and_has_one_button(opened) -> None:
    facts = {"score": 0.5, "margin": 0.1, "stands_out": True, "error_m": None, "error": ""}
    near = {**facts, "error_m": 10.0}
    photos = [{"file": "a.jpg", "a": facts, "b": near}, {"file": "b.jpg", "a": near, "b": near}]
    dialog = ComparedDialog(opened, {"photos": photos, "with_position": 0}, ("old", "new"))
    assert [dialog.table.item(row, 5).text() for row in range(2)] == ["–", "same"]
    assert dialog.buttons.buttons() == [dialog.ok]
    dialog.deleteLater()
