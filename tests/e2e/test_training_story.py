"""From the window, on the demo town's pairs: train, watch, stop, close, reopen, resume, publish, compare."""

import re

import pytest

from geolocator_gui.runs import RunFolder

pytestmark = [pytest.mark.gui, pytest.mark.slow]

SETTINGS = [
    "train.pairs=6400",
    "train.batch_size=16",
    "train.evaluate_every_pairs=160",
    "train.threads=1",
    "evaluate_limit=80",
]


@pytest.fixture
def workspace(town):
    """The demo town's workspace; no run outlives the test, however it ends."""
    yield town
    for config in town.glob("*/*/run/config.toml"):
        RunFolder(config.parent.parent).request_stop()


def states(window) -> dict[str, str]:
    return {row.thing.name: row.state for row in window.session.jobs.rows}


@pytest.mark.timeout(1500)
def test_training_story(make_window, wait, workspace, photos, tmp_path, monkeypatch, connections) -> None:
    from geolocator_gui.configs import IndexConfig
    from geolocator_gui.geo.area import area_from_circle

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    window = make_window()
    session = window.session
    session.open_workspace(workspace)
    assert wait(lambda: session.imagery is not None and session.model is not None)
    model = session.model

    # an index by the old model and photos that it locates
    area = tmp_path / "small.geojson"
    area_from_circle(20.75, 60.17, 150).write_geojson(area)
    config = IndexConfig(imagery=(session.imagery.source,), area=str(area), model=str(model.folder))
    session.jobs.start("index", workspace / "indexes" / "old", config)
    session.add_photos(photos[:3])
    assert wait(lambda: session.index is not None, 300), states(window)

    # the form on the demo town's pairs says what it takes
    window.show_page("training")
    page = window.panels["training"]
    form = page.form
    assert wait(lambda: form.model.count() > 0)
    form.model.setCurrentIndex(form.model.findData(str(model.folder)))
    form.show_data("town:")
    form.preset.setCurrentIndex(form.preset.findData("quick"))
    form.overrides = list(SETTINGS)
    form.refresh()
    probe = lambda: form.prober.of(form.run())  # noqa: E731 - a thunk
    assert wait(lambda: probe() is not None, 300), form.words.text()
    assert 30e6 < probe().fixed_bytes < 300e6
    assert form.start_button.isEnabled()

    # start; the curves grow; another run waits in the queue and does not count as working
    form.start_button.click()
    assert wait(lambda: states(window).get("town") == "running", 200), states(window)
    first = workspace / "training" / "town"
    assert wait(lambda: page.runs.get(first) is not None and page.runs[first].best is not None, 600)
    assert wait(lambda: page.live.plots.curve("loss") is not None, 60)
    assert page.live.plots.curve("loss").x[-1] >= 16
    assert 0 < page.runs[first].best.recall <= 1
    assert "chance_recall_at_1" in page.runs[first].last
    form.overrides = [*SETTINGS[1:], "train.pairs=32"]
    form.refresh()
    form.queue_button.click()
    assert wait(lambda: any(row.queued is not None for row in session.jobs.rows), 60)
    second = next(row.thing for row in session.jobs.rows if row.queued is not None)
    assert [row.thing for row in session.jobs.working] == [first]

    # close the window: the run works on; it is stopped meanwhile; the other one waits
    window.close()
    assert RunFolder(first).status().state == "running"
    RunFolder(first).request_stop()
    assert wait(lambda: RunFolder(first).status().state == "stopped", 200)
    step = max(event.step for _, event in RunFolder(first).events()[0] if hasattr(event, "values"))
    assert step < 400
    assert RunFolder(second).status().state == "waiting"

    # reopen: what waits gets its turn although nobody opened the Training page
    again = make_window()
    again.session.settings.set_text("page", "photos")
    again.open_at_start([])
    session = again.session
    assert wait(lambda: session.workspace is not None, 60)
    assert wait(lambda: states(again).get(second.name) in ("running", "finished"), 200), states(again)
    assert wait(lambda: states(again).get(second.name) == "finished", 400), RunFolder(second).status()

    # resume; it goes on from where it was
    again.show_page("training")
    page = again.panels["training"]
    page.choose(first)
    assert wait(lambda: first in page.runs and page.live.resume_button.isVisible(), 60)
    before = page.runs[first].lines["loss"].x[-1]
    page.live.resume_button.click()
    assert wait(lambda: page.runs[first].lines["loss"].x[-1] > before, 400), page.runs[first].log
    # Not every step is told, so that it may go on from a later one than the last that was heard of.
    told = re.search(r"Continuing from step (\d+)", "\n".join(page.runs[first].log))
    assert step == 0 or (told is not None and int(told[1]) >= step), page.runs[first].log
    assert wait(page.live.stop_button.isVisible, 20)
    page.live.stop_button.click()
    assert wait(lambda: states(again)["town"] == "stopped", 200)

    # publish, index the same area again, the same photos under both
    page.actions_.publish(first, "mine")
    assert wait(lambda: page.runs[first].published == "mine", 300), again.toasts.texts()
    assert wait(lambda: any(row.name == "mine" for row in session.lists.models), 120)
    assert session.index.name == "old"
    assert len(session.tray) == 3
    compared: list = []
    page.actions_.compared.connect(compared.append)
    page.choose(first)
    assert wait(page.live.compare_button.isVisible, 20)
    page.live.compare_button.click()
    assert wait(lambda: compared, 600), (states(again), again.toasts.texts())
    document = compared[0]
    assert len(document["photos"]) == 3
    for photo in document["photos"]:
        assert photo["a"]["score"] is not None
        assert photo["b"]["score"] is not None
        assert photo["a"]["score"] != photo["b"]["score"]
    assert {row.name for row in session.lists.indexes} >= {"old", "old-mine"}
    assert connections.read_text() == ""
