"""Starts the window. Imports late and never loads the learning stack."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from geolocator_gui.gui.main_window import MainWindow
    from geolocator_gui.gui.settings import Settings

_WITHOUT_QT = ("geolocator_gui.configs", "geolocator_gui.runs")
_PARTS = ("session", "answer_pane", "panels.area", "panels.photos", "commands", "top_bar", "main_window")


def prepare_environment() -> None:
    """What has to be set before Qt or numpy is loaded."""
    for name in ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA"):
        os.environ.pop(name, None)  # data folders of other installations; the wheels bring their own
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("QT_API", "pyside6")
    # Looking for plugins of pydantic reads the metadata of every installed package; there are none to find.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if sys.platform != "win32" and os.geteuid() == 0 and "QTWEBENGINE_DISABLE_SANDBOX" not in os.environ:
        # Chromium refuses to start as root with its sandbox; for anybody else the sandbox stays.
        os.environ["QTWEBENGINE_DISABLE_SANDBOX"] = "1"
        logging.getLogger(__name__).warning("running as root: the map page runs without Chromium's sandbox")


def make_application(arguments: Sequence[str] = ()) -> QApplication:
    """The application with its scheme registered and its theme installed; once per process."""
    prepare_environment()
    from PySide6.QtWidgets import QApplication

    from geolocator_gui.gui.map.scheme import register_scheme

    # Threads hand over every 5 ms; the GUI thread would wait that long after each of its calls to Qt.
    sys.setswitchinterval(0.001)
    register_scheme()
    application = QApplication([sys.argv[0], *arguments])
    application.setApplicationName("Geolocator")
    application.setDesktopFileName("geolocator")
    from geolocator_gui.gui import theme
    from geolocator_gui.gui.settings import Settings

    theme.install(application, Settings().theme)
    return application


def _load(modules: Sequence[str]) -> None:
    for module in modules:
        importlib.import_module(module)


def make_window(settings: Settings, *, with_map: bool) -> MainWindow:
    """The window, not shown yet.

    Args:
        settings: What is remembered.
        with_map: A workspace will be opened at once: the map is made first, and the window's parts are loaded
            while Chromium starts. Without, the welcome page comes up before anything of the map is loaded.
    """
    from PySide6.QtWidgets import QApplication

    early_map = None
    if with_map:
        from geolocator_gui.gui.map.handlers import Handlers
        from geolocator_gui.gui.map.imagery_pool import ImageryPool
        from geolocator_gui.gui.map.view import MapView

        # Making the map is Chromium's work, not Python's: what no window is needed for is loaded meanwhile.
        threading.Thread(target=_load, args=(_WITHOUT_QT,), name="loading", daemon=True).start()
        early_map = MapView(Handlers(ImageryPool()))
        for part in _PARTS:
            importlib.import_module(f"geolocator_gui.gui.{part}")
            QApplication.processEvents()  # the page's requests are answered on this thread
    from geolocator_gui.gui.main_window import MainWindow

    return MainWindow(settings, early_map)


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the window and return when it is closed."""
    parser = argparse.ArgumentParser(prog="geolocator-gui", description="Find where a photo was taken.")
    parser.add_argument("paths", nargs="*", type=Path, help="a workspace, photos, imagery or an area")
    parser.add_argument("--demo", action="store_true", help="open the demo town")
    options = parser.parse_args(sys.argv[1:] if arguments is None else list(arguments))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    application = make_application()
    from PySide6.QtCore import QTimer

    from geolocator_gui.gui.settings import Settings

    settings = Settings()
    reopens = bool(settings.recent()) and settings.text("reopen", "yes") == "yes"
    window = make_window(settings, with_map=bool(options.demo or options.paths or reopens))
    window.show()
    if options.demo:
        QTimer.singleShot(0, window.commands.open_demo)
    else:
        paths = [path.absolute() for path in options.paths]
        QTimer.singleShot(0, lambda: window.open_at_start(paths))
    return application.exec()


if __name__ == "__main__":
    sys.exit(main())
