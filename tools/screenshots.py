"""Pictures of the real program, light and dark, at two sizes, into `docs/screenshots/`.

    python -m tools.screenshots [--out docs/screenshots] [--only matches compare]

Runs the window offscreen in a home of its own on the demo town; nothing in the pictures is drawn for them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZES = ((1440, 900), (1024, 700))
SCHEMES = ("light", "dark")


class Studio:
    """The window, and how to take its picture."""

    def __init__(self, out: Path, only: list[str]) -> None:
        from geolocator_gui.gui.app import make_application

        self.application = make_application()
        self._use_a_desktop_font()
        from geolocator_gui.gui.main_window import MainWindow
        from geolocator_gui.gui.settings import Settings

        self.out, self._only = out, only
        out.mkdir(parents=True, exist_ok=True)
        self.window = MainWindow(Settings())
        self.window.resize(*SIZES[0])
        self.window.show()

    def _use_a_desktop_font(self) -> None:
        """Offscreen there is no desktop to name a font, and Qt falls back to the first it finds."""
        from PySide6.QtGui import QFontDatabase

        font = self.application.font()
        for family in ("Inter", "Noto Sans", "Segoe UI", "DejaVu Sans"):
            if family in QFontDatabase.families():
                font.setFamily(family)
                self.application.setFont(font)
                return

    def wait(self, holds: Callable[[], object], seconds: float = 120) -> bool:
        """Let the event loop run until something holds."""
        from PySide6.QtCore import QEventLoop

        end = time.monotonic() + seconds
        while not holds() and time.monotonic() < end:
            self.application.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 20)
            time.sleep(0.002)
        return bool(holds())

    def pause(self, seconds: float) -> None:
        """Let the map settle."""
        self.wait(lambda: False, seconds)

    def take(self, name: str, over: Callable[[], Any] | None = None, settle: float = 0.9) -> None:
        """Four pictures of what is shown; `over` gives a menu or dialog to lay over it."""
        from PySide6.QtGui import QPainter

        from geolocator_gui.gui import theme

        if self._only and name not in self._only:
            return
        for width, height in SIZES:
            for scheme in SCHEMES:
                theme.current().choose(scheme)  # type: ignore[arg-type]
                self.window.resize(width, height)
                self.pause(settle)
                picture = self.window.grab()
                if over is not None:
                    shown = over()
                    self.pause(0.2)
                    painter = QPainter(picture)
                    painter.drawPixmap(self.window.mapFromGlobal(shown.pos()), shown.grab())
                    painter.end()
                    shown.close()
                file = self.out / f"{name}_{scheme}_{width}x{height}.webp"
                picture.save(str(file), "WEBP", 84)
                print(file)
        self.window.resize(*SIZES[0])
        self.pause(0.2)


def main() -> None:
    """Take every picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("docs/screenshots"))
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    if sys.platform.startswith("linux"):
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        os.environ.setdefault("QTWEBENGINE_CHROMIUM_FLAGS", "--no-sandbox --disable-gpu")
    with tempfile.TemporaryDirectory(prefix="screenshots-") as home:
        os.environ["GEOLOCATOR_HOME"] = home
        studio = Studio(options.out, options.only)
        studio.take("welcome", settle=0.3)
        _matches(studio)
        _negatives(studio)
        _training(studio)
        _area(studio)
        _errors(studio, Path(home))
        studio.window.close()


def _matches(studio: Studio) -> None:
    window, session = studio.window, studio.window.session
    window.commands.open_demo()
    assert studio.wait(lambda: session.locator.index is not None, 600), "the demo's index never opened"
    assert studio.wait(lambda: len(session.tray) > 8 and not session.locator.busy, 300)
    window.show_page("photos")
    _close_messages(studio)
    located = [card for card in session.tray if card.answer is not None and card.answer.error_m is not None]
    best = min(located, key=lambda card: (not card.answer.stands_out, card.answer.error_m))
    session.select(best.key)
    window.answer.strip.walk(1)
    studio.pause(1.5)
    studio.take("matches")
    studio.take("export", over=lambda: _opened_menu(window))
    window.answer.show_compare(True)
    studio.take("compare", settle=1.5)
    window.answer.show_compare(False)
    window.show_page("runs")
    studio.take("runs", settle=0.4)


def _negatives(studio: Studio) -> None:
    window = studio.window
    window.show_page("negatives")
    panel = window.judging.panel
    studio.pause(0.5)
    panel.form.start()
    assert studio.wait(lambda: panel.inspector.result is not None, 600), "the mining never ended"
    _close_messages(studio)
    panel.list.go_to(panel.inspector.result.names.tolist().index("panorama_09.jpg"))
    studio.pause(1.5)
    studio.take("negatives", settle=1.5)


def _training(studio: Studio) -> None:
    window = studio.window
    window.show_page("training")
    form = window.panels["training"].form
    form.show_data("town:")
    studio.wait(form.start_button.isEnabled, 120)
    studio.pause(25.0)
    studio.take("training", settle=1.0)


def _opened_menu(window: Any) -> Any:
    from PySide6.QtCore import QPoint

    button, menu = window.answer.export_button, window.answer.export_button.menu()
    menu.popup(
        button.mapToGlobal(QPoint(button.width() - menu.sizeHint().width(), -menu.sizeHint().height() - 4))
    )
    return menu


def _area(studio: Studio) -> None:
    from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
    from PySide6.QtGui import QMouseEvent
    from PySide6.QtWidgets import QApplication

    window, session = studio.window, studio.window.session
    session.select(None)
    window.show_page("area")
    studio.pause(0.5)
    window.map.show_bounds(session.imagery_info.bounds, jump=True)
    studio.pause(1)
    window.map.draw("rectangle")
    studio.pause(0.5)
    target = window.map_view.view.focusProxy()
    middle = QPoint(target.width() // 2, target.height() // 2)

    def mouse(kind: QEvent.Type, place: QPoint, held: bool) -> None:
        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        button = none if kind == QEvent.Type.MouseMove else left
        at, over = QPointF(place), QPointF(target.mapToGlobal(place))
        buttons = left if held else none
        event = QMouseEvent(kind, at, over, button, buttons, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(target, event)
        studio.pause(0.08)

    start, end = middle - QPoint(270, 240), middle + QPoint(240, 230)
    mouse(QEvent.Type.MouseMove, start, False)
    mouse(QEvent.Type.MouseButtonPress, start, True)
    for step in range(1, 7):
        mouse(QEvent.Type.MouseMove, start + (end - start) * step / 6, True)
    studio.take("drawing")
    mouse(QEvent.Type.MouseMove, end, True)
    mouse(QEvent.Type.MouseButtonRelease, end, False)
    studio.wait(lambda: session.area is not None, 10)
    if session.area is not None:
        window.area_panel.area_name.setText("old town")
    studio.take("area")
    window.area_panel.overlap.setValue(15)
    studio.wait(window.area_panel.build.isEnabled, 20)
    studio.pause(0.6)
    window.area_panel.build.click()
    studio.wait(lambda: session.jobs.working and (session.jobs.working[0].fraction or 0) > 0.25, 180)
    studio.take("indexing")
    for row in session.jobs.working:
        session.jobs.stop(row.thing)
    studio.wait(lambda: not session.jobs.working, 60)
    session.set_area(None)
    _close_messages(studio)


def _errors(studio: Studio, home: Path) -> None:
    window, session = studio.window, studio.window.session
    window.show_page("photos")
    empty, torn = home / "IMG_0413.jpg", home / "IMG_0414.jpg"
    empty.write_bytes(b"")
    torn.write_bytes(session.tray.at(0).path.read_bytes()[:9000])
    session.add_photos([torn, empty])
    studio.wait(lambda: not session.locator.busy, 60)
    session.select(session.tray.at(len(session.tray) - 1).key)
    broken = home / "harbour.mbtiles"
    broken.write_bytes(b"this is no database")
    window.inputs.take_paths([broken])
    studio.wait(window.toasts.texts, 10)
    window.show_page("photos")
    studio.take("error")


def _close_messages(studio: Studio) -> None:
    for toast in list(studio.window.toasts.shown):
        studio.window.toasts.drop(toast)


if __name__ == "__main__":
    main()
