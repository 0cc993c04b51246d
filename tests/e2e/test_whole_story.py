"""Draw an area, index it, kill and continue, drop a photo, see the match; start again and find it all."""

import os
import signal
import time

import pytest
from PySide6.QtCore import QPoint

pytestmark = pytest.mark.gui


@pytest.mark.timeout(600)
def test_whole_story(
    open_town, make_window, wait, ask, hands, town, photos, connections, opened_files, caplog
) -> None:
    window = open_town()
    session = window.session
    window.show_page("area")
    assert wait(lambda: ask(window, "document.querySelectorAll('.leaflet-tile-loaded').length") > 3)

    # draw a rectangle by mouse
    window.area_panel.draw_wanted.emit("rectangle")
    assert wait(
        lambda: (
            ask(window, "document.getElementById('tool-rectangle').getAttribute('aria-pressed')") == "true"
        )
    )
    view = window.map_view.view
    middle = QPoint(view.width() // 2, view.height() // 2)
    hands.drag(view.focusProxy(), middle - QPoint(60, 60), middle + QPoint(60, 60))
    assert wait(lambda: session.area is not None, 20), "nothing was drawn"
    assert 0.001 < session.area.km2 < 1

    # what it costs is said before it starts
    panel = window.area_panel
    panel.area_name.setText("centre")
    panel.overlap.setValue(12)
    assert wait(lambda: panel._estimate is not None and 8 < panel._estimate.chips < 200, 20), panel._estimate
    assert panel.build.isEnabled()
    chips = panel._estimate.chips

    # build, kill in the middle, continue
    panel.build.click()
    assert wait(lambda: session.jobs.working, 20)
    job = session.jobs.job(town / "indexes" / "centre")
    assert wait(lambda: job.process is not None and job.tail.row.progress is not None, 120)
    assert wait(lambda: [row.name for row in session.lists.indexes] == ["centre"], 20), "it is not listed"
    os.kill(job.process.pid, signal.SIGKILL)
    assert wait(lambda: session.jobs.rows[0].state in ("interrupted", "finished"), 20)
    if session.jobs.rows[0].state == "interrupted":
        window.show_page("runs")
        card = next(iter(window.panels["runs"].cards.values()))
        assert wait(lambda: card.resume.isVisible(), 5)
        card.resume.click()
    assert wait(lambda: session.jobs.rows[0].state == "finished", 240), session.jobs.rows[0]
    assert wait(lambda: session.index is not None, 20)
    assert session.index.chips == chips
    assert panel.overlap.value() == 12, "what was chosen stays when the lists are read again"
    assert wait(lambda: session.locator.index is not None, 120), window.toasts.texts()

    # drop a photo on the map itself: it must reach the window, and must not navigate the map away
    target = window.map_view.view.focusProxy()
    hands.drop_files(target, photos[0])
    assert wait(lambda: len(session.tray) == 1, 10)
    assert wait(lambda: session.tray.at(0).state in ("located", "failed"), 120)
    assert session.tray.at(0).answer is not None, session.tray.at(0).error
    assert wait(lambda: ask(window, "document.querySelectorAll('.pin[data-rank=\"1\"]').length") == 1, 20)
    assert window.map_view.page.url().toString() == "geolocator://map/"
    assert wait(lambda: ask(window, "document.querySelectorAll('img.leaflet-image-layer').length") == 1, 20)

    # nothing left the machine, and the GUI thread read no photo and no imagery
    assert window.map_view.guard.blocked == []
    assert connections.read_text() == ""
    heavy = (".jpg", ".mbtiles", ".parquet", ".npy", ".safetensors")
    by_gui = [path for path, in_gui in opened_files if in_gui and path.endswith(heavy)]
    assert by_gui == []

    assert [text for text in caplog.messages if "Uncaught" in text] == []

    # close and start again: the run, the index and the answer are found again
    window.close()
    again = make_window()
    again.open_at_start([])
    assert wait(lambda: again.session.workspace is not None, 20)
    assert wait(lambda: [row.state for row in again.session.jobs.rows] == ["finished"], 20)
    assert again.session.index.name == "centre"
    assert again.session.tray.at(0).answer == session.tray.at(0).answer


@pytest.mark.timeout(400)
def test_worker_that_dies_is_started_again(open_town, index_centre, wait, photos, tmp_path) -> None:
    window = open_town()
    session = window.session
    index_centre(window)

    session.add_photos(photos[:2])
    assert wait(lambda: session.tray.at(0).state == "locating", 20)
    os.kill(session.locator.worker.pid, signal.SIGKILL)
    assert wait(lambda: session.tray.at(0).state == "failed", 20)
    assert "SIGKILL" in session.tray.at(0).error
    assert "again" in session.tray.at(0).hint
    assert any("worker process ended" in text for text in window.toasts.texts())
    assert wait(lambda: session.tray.at(1).state == "located", 120), session.tray.at(1)
    session.locator.enqueue([session.tray.at(0).key])
    assert wait(lambda: session.tray.at(0).state == "located", 60)

    # photos that are none get a card that says why
    bad = tmp_path / "<img src=x onerror='window.pwned=1'>.jpg"
    bad.write_bytes(b"")
    session.add_photos([bad])
    assert wait(lambda: session.tray.at(2).state == "failed", 30)
    assert "empty" in session.tray.at(2).error

    # many photos: a queue with progress that can be cancelled
    copies = []
    for number in range(60):
        copy = tmp_path / f"copy_{number:02d}.jpg"
        copy.write_bytes(photos[number % len(photos)].read_bytes())
        copies.append(copy)
    worst, last = 0.0, time.perf_counter()
    session.add_photos(copies)

    def tick() -> bool:
        nonlocal worst, last
        now = time.perf_counter()
        worst, last = max(worst, now - last), now
        return sum(card.state == "located" for card in session.tray) > 12

    assert wait(tick, 120)
    session.locator.cancel()
    assert wait(lambda: not session.locator.busy, 30)
    assert any(card.state == "new" for card in session.tray)
    assert worst < 1.0, f"the event loop stood still for {worst:.2f} s"
