"""How quick the window is: start, drop to markers, worst stall of the event loop, heat at 10^6 chips.

    python -m benchmarks.window [start] [heat] [answer] [stall] [--photos N] [--chips N]

Runs the real window (offscreen where there is no screen) in a home of its own, on the demo town. Every figure
is printed beside its target; ratios are to an empty QtWebEngine window on the same machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_EMPTY = """
import sys, time
from PySide6.QtCore import QUrl, QTimer
from PySide6.QtWidgets import QApplication
from PySide6.QtWebEngineWidgets import QWebEngineView
app = QApplication(sys.argv)
view = QWebEngineView()
view.loadFinished.connect(lambda ok: (print(time.time(), time.process_time()), app.quit()))
view.resize(1200, 800)
view.show()
view.setHtml("<p>empty</p>")
app.exec()
"""
_WELCOME = """
import time
from geolocator_gui.gui.app import make_application
app = make_application()
from geolocator_gui.gui.main_window import MainWindow
from geolocator_gui.gui.settings import Settings
window = MainWindow(Settings())
window.show()
app.processEvents()
print(time.time(), time.process_time())
"""
_PAN = "map_page.panBy([40 * Math.sin(Date.now() / 700), 20])"
_MAP = """
import sys, time
from pathlib import Path
from geolocator_gui.gui.app import make_application, make_window
app = make_application()
from geolocator_gui.gui.settings import Settings
window = make_window(Settings(), with_map=True)
window.show()
window.map_ready.connect(lambda: (print(time.time(), time.process_time()), app.quit()))
window.open_at_start([Path(sys.argv[1])])
app.exec()
window.close()
"""


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", choices=["start", "heat", "answer", "stall", []], default=[])
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=90, help="how long stalls are looked for")
    parser.add_argument("--chips", type=int, default=100_000, help="of the large index that answers")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    wanted = options.what or ["start", "heat", "answer", "stall"]
    if (
        sys.platform.startswith("linux")
        and not os.environ.get("DISPLAY")
        and not os.environ.get("WAYLAND_DISPLAY")
    ):
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        os.environ.setdefault("QTWEBENGINE_CHROMIUM_FLAGS", "--no-sandbox --disable-gpu")
    with tempfile.TemporaryDirectory(prefix="window-benchmark-") as home:
        os.environ["GEOLOCATOR_HOME"] = home
        print(f"machine: {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
        if "start" in wanted:
            start(options.repeat)
        if {"heat", "answer", "stall"} & set(wanted):
            with Driver() as driver:
                if "heat" in wanted:
                    heat(driver, options.repeat)
                if {"answer", "stall"} & set(wanted):
                    driver.open_demo()
                if "answer" in wanted:
                    answer(driver, options.repeat)
                    grow(driver, options.chips)
                    answer(driver, options.repeat)
                if "stall" in wanted:
                    stall(driver, options.photos, options.seconds)


def start(repeat: int) -> None:
    """Process start to a window that answers, against an empty web view."""
    from geolocator_gui.demo import create_demo_workspace

    workspace = create_demo_workspace()
    # An installed program has its bytecode; a checkout may be told not to write any.
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(workspace.root.parent / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    timed: dict[str, tuple[float, float]] = {}
    for name, code, arguments in (
        ("empty QtWebEngine window", _EMPTY, []),
        ("window, welcome page", _WELCOME, []),
        ("window, workspace, map ready", _MAP, [str(workspace.root)]),
    ):
        values = []
        for _ in range(repeat + 1):  # the first one warms the disk
            began = time.time()
            command = [sys.executable, "-c", code, *arguments]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
            ended, busy = (float(value) for value in done.stdout.split()[-2:])
            values.append((ended - began, busy))
        wall, own = (statistics.median(column) for column in zip(*values[1:], strict=True))
        timed[name] = wall, own
        print(
            f"start: {name}: {wall:.2f} s (median of {repeat}, best {min(values[1:])[0]:.2f}), "
            f"its own processor time {own:.2f} s"
        )
    ours, empty = timed["window, workspace, map ready"], timed["empty QtWebEngine window"]
    print(
        f"start: map ready is {ours[0] / empty[0]:.2f} x the empty window (target 2.5, and 1.5 s), "
        f"{ours[1] / empty[1]:.2f} x its processor time"
    )


class Driver:
    """The real window with its event loop in our hands; measures how long the loop stands still."""

    def __enter__(self) -> Driver:
        """Open the window."""
        from geolocator_gui.gui.app import make_application

        self.application = make_application()
        from geolocator_gui.gui.main_window import MainWindow
        from geolocator_gui.gui.settings import Settings

        self.window = MainWindow(Settings())
        self.window.resize(1440, 900)
        self.window.show()
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.window.close()

    def wait(self, holds: Any, seconds: float = 120) -> bool:
        """Let the event loop run until something holds."""
        from PySide6.QtCore import QEventLoop

        end = time.monotonic() + seconds
        while not holds() and time.monotonic() < end:
            self.application.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 20)
            time.sleep(0.001)
        return bool(holds())

    def open_demo(self) -> None:
        """Open the demo town and wait until its index answers."""
        self.window.commands.open_demo()
        session = self.window.session
        assert self.wait(lambda: session.locator.index is not None, 600), "the demo's index never opened"
        assert self.wait(lambda: len(session.tray) > 0 and not session.locator.busy, 300)

    def ask(self, expression: str) -> Any:
        """The value of an expression in the map page."""
        answers: list[Any] = []
        self.window.map_view.page.runJavaScript(expression, answers.append)
        self.wait(lambda: answers, 20)
        return answers[0] if answers else None


def heat(driver: Driver, repeat: int) -> None:
    """Scores of 10^6 chips to a picture."""
    import numpy as np

    from geolocator_gui.gui.map import heat as layer

    lon, lat = (
        part.ravel() for part in np.meshgrid(np.linspace(13, 13.5, 1000), np.linspace(52, 52.3, 1000))
    )
    began = time.perf_counter()
    plan = layer.plan(lon, lat)
    print(f"heat: laying out 1 000 000 chips, once per index: {(time.perf_counter() - began) * 1000:.0f} ms")
    values = []
    for seed in range(repeat):
        scores = np.random.default_rng(seed).random(lon.size, np.float32)
        began = time.perf_counter()
        layer.png(layer.colours(layer.raster(plan, scores)))
        values.append(time.perf_counter() - began)
    print(
        f"heat: a photo's scores to a picture: {statistics.median(values) * 1000:.0f} ms, off the GUI thread"
    )


def grow(driver: Driver, chips: int) -> None:
    """Answer from an index of so many invented chips from now on."""
    session = driver.window.session
    folder = session.workspace.indexes / "invented"
    command = [sys.executable, "-m", "benchmarks.window_index", str(folder), str(chips)]
    subprocess.run(command, check=True, capture_output=True)

    def then() -> None:
        session.set_index(next(row for row in session.lists.indexes if row.folder == folder))

    session.reload(then)
    opened = lambda: session.locator.index is not None and session.locator.index.folder == folder  # noqa: E731
    assert driver.wait(opened, 120), "the invented index never opened"
    assert driver.wait(lambda: not session.locator.busy, 300)


def answer(driver: Driver, repeat: int) -> None:
    """Drop to markers in the page, beyond the worker's own time."""
    session = driver.window.session
    beyond = []
    for card in [card for card in session.tray if card.answer is not None][: repeat + 1]:
        session.select(card.key)
        driver.ask("document.querySelectorAll('.pin').forEach(pin => pin.remove())")
        old = card.answer
        began = time.perf_counter()
        session.locator.enqueue([card.key], first=True)
        driver.wait(lambda key=card.key, old=old: session.tray.get(key).answer is not old)
        while not driver.ask("document.querySelectorAll('.pin[data-rank=\"1\"]').length"):
            pass
        beyond.append(time.perf_counter() - began - session.tray.get(card.key).answer.seconds)
    chips = session.index.chips
    print(
        f"answer: asked to markers beyond the worker's time: {statistics.median(beyond[1:]) * 1000:.0f} ms "
        f"at {chips:,} chips (target 150 at 100,000)"
    )


def stall(driver: Driver, photos: int, seconds: float) -> None:
    """The longest time the event loop stood still while an index builds, photos localise and the map pans."""
    from PySide6.QtCore import QEventLoop

    from benchmarks.stalls import Stalls
    from geolocator_gui.configs import IndexConfig

    session = driver.window.session
    shipped = [card.path for card in session.tray]
    folder = Path(tempfile.mkdtemp(prefix="photos-"))
    copies = []
    for number in range(photos):
        copy = folder / f"photo_{number:04d}.jpg"
        copy.symlink_to(shipped[number % len(shipped)])
        copies.append(copy)
    config = IndexConfig(imagery=(session.imagery.source,), model=str(session.model.folder), overlap=0.7)
    began = panned = time.perf_counter()
    driver.window.map_view.page.runJavaScript(_PAN)  # the first call loads what explains PySide's signatures
    with Stalls() as stalls:
        session.jobs.start("index", session.workspace.indexes / "again", config)
        session.add_photos(copies)
        stalls.turn()
        while time.perf_counter() - began < seconds and session.locator.busy:
            driver.application.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 5)
            stalls.turn()
            if time.perf_counter() - panned > 0.2:
                panned = time.perf_counter()
                driver.window.map_view.page.runJavaScript(_PAN)
    took = time.perf_counter() - began
    located = sum(card.state == "located" for card in session.tray) - len(shipped)
    session.locator.cancel()
    for row in session.jobs.working:
        session.jobs.stop(row.thing)
    spans = sorted(1000 * seconds for seconds in stalls.seconds)
    print(
        f"stall: worst {spans[-1]:.0f} ms, 99.9th percentile {spans[int(len(spans) * 0.999)]:.0f} ms in "
        f"{took:.0f} s with an index building, {located} of {photos} photos located, the map panning "
        "(target 50)"
    )
    if stalls.gaps:
        busiest = stalls.busiest()[0].busy
        print(f"stall: most processor time of the GUI thread in one turn {busiest * 1000:.0f} ms")
    for words, gaps in (("longest", stalls.worst(4)), ("busiest", stalls.busiest(4))):
        for gap in gaps:
            took_own = f"{gap.seconds * 1000:4.0f} ms, own {gap.busy * 1000:3.0f} ms"
            print(f"stall: {words}: {took_own}  {gap.culprit}")


if __name__ == "__main__":
    main()
