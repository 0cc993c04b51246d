"""What lies between a click on "Build index" and the first word of its run: nothing is lost, all is told."""

import time

import pytest

from geolocator_gui.configs import IndexConfig
from geolocator_gui.geo.area import area_from_bbox, area_from_circle
from geolocator_gui.gui import estimate

pytestmark = pytest.mark.gui


@pytest.mark.timeout(300)
def test_a_click_while_the_cost_is_counted_builds_and_an_area_beside_the_imagery_does_not(
    open_town, wait, monkeypatch
) -> None:
    window = open_town()
    session, panel, counted = window.session, window.area_panel, estimate.estimate
    window.show_page("area")
    session.set_area(area_from_circle(20.75, 60.17, 60, "one"))
    assert wait(lambda: panel._estimate is not None, 20)
    assert panel.build.isEnabled()
    started = []
    monkeypatch.setattr(session.jobs, "start", lambda verb, thing, config, began: started.append(thing.name))

    def slowly(*question):
        time.sleep(0.6)
        return counted(*question)

    monkeypatch.setattr(estimate, "estimate", slowly)

    # clicked while it is counted: it begins when it is counted, also when the lists were read again meanwhile
    panel.overlap.setValue(panel.overlap.value() - 1)
    panel.build.click()
    assert not started
    wait(lambda: False, 0.2)
    session.lists_changed.emit()
    assert wait(lambda: started == ["one"], 20)

    # what was clicked for is no more what would be built
    panel.overlap.setValue(panel.overlap.value() - 1)
    panel.build.click()
    session.set_area(area_from_circle(20.75, 60.17, 80, "two"))
    assert wait(lambda: panel._estimate is not None, 20)
    assert started == ["one"]

    # an area beside the imagery: said before anything starts; also when it was clicked already
    session.set_area(area_from_circle(21.75, 60.17, 80, "three"))
    panel.build.click()
    assert wait(lambda: "'three' lies beside this imagery" in panel._costs.full_text(), 20)
    assert not panel.build.isEnabled()
    _, south, east, _ = session.imagery_info.bounds
    session.set_area(area_from_bbox((east - 0.001, south, east + 0.001, south + 0.001), "partly"))
    assert wait(lambda: panel.build.isEnabled(), 20), panel._costs.full_text()
    assert started == ["one"], "a wish outlived the trouble"


@pytest.mark.timeout(300)
def test_a_run_that_is_killed_before_its_first_word_can_be_continued(open_town, wait, town, tmp_path) -> None:
    window = open_town()
    session = window.session
    area = tmp_path / "small.geojson"
    area_from_circle(20.75, 60.17, 60).write_geojson(area)
    config = IndexConfig(imagery=(session.imagery.source,), area=str(area), model=str(session.model.folder))
    thing = town / "indexes" / "small"
    session.jobs.start("index", thing, config)
    assert wait(lambda: session.jobs.job(thing) is not None, 20)
    session.jobs.job(thing).process.kill()
    assert wait(lambda: session.jobs.rows and session.jobs.rows[0].state == "interrupted", 10)
    row = session.jobs.rows[0]
    assert "ended at once (" in row.hint
    window.show_page("runs")
    card = window.panels["runs"].cards[thing]
    assert card.resume.isVisible()
    assert card.remove.isVisible()
    card.resume.click()
    assert wait(lambda: session.jobs.rows[0].state == "finished", 240), session.jobs.rows[0]
