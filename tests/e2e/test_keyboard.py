"""The main job without a mouse: open, outline, build, add a photo, walk its matches, compare, undo."""

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QFileDialog, QLineEdit, QMenu, QPushButton, QWidget

pytestmark = pytest.mark.gui
Key, Mod = Qt.Key, Qt.KeyboardModifier


class Keys:
    """Ten fingers: every key goes to whatever has the focus."""

    def __init__(self, window, wait) -> None:
        self._window, self._wait = window, wait

    def press(self, key: Qt.Key, modifier: Qt.KeyboardModifier = Mod.NoModifier) -> None:
        QTest.keyClick(QApplication.focusWidget() or self._window, key, modifier)
        self._wait(lambda: False, 0.03)

    def tab_to(self, target: QWidget) -> None:
        """Tab until a widget has the focus."""
        for _ in range(60):
            if QApplication.focusWidget() is target:
                return
            self.press(Key.Key_Tab)
        raise AssertionError(f"Tab never reached {target.accessibleName() or target}")


@pytest.mark.timeout(700)
def test_the_main_job_with_the_keyboard_alone(make_window, wait, ask, town, photos) -> None:
    from geolocator_gui.gui.settings import Settings

    Settings().add_recent(town)
    window = make_window()
    session, keys = window.session, Keys(window, wait)
    window.activateWindow()
    assert wait(window.isActiveWindow, 5)

    # the welcome page: past its three actions to the recent workspace
    assert wait(window.welcome.demo.hasFocus, 5)
    for _ in range(3):
        keys.press(Key.Key_Tab)
    keys.press(Key.Key_Return)
    assert wait(lambda: session.workspace is not None, 20), "Return on a recent workspace did not open it"
    assert wait(lambda: window.map_view is not None and window.map_view.is_ready, 60)
    assert wait(lambda: session.imagery_info is not None, 20)

    # a page's shortcut goes into the page
    for number, name in ((5, "runs"), (2, "photos"), (1, "area")):
        keys.press(Key(Key.Key_0 + number), Mod.ControlModifier)
        assert window.panels[name].isVisible()
        assert window.panels[name].isAncestorOf(QApplication.focusWidget()), name

    # on to the map: zoom in, and outline what it shows
    keys.press(Key.Key_F6)
    assert window.map_view.isAncestorOf(QApplication.focusWidget())
    assert wait(lambda: ask(window, "map_page.getZoom()") > 12, 20)
    assert wait(lambda: "leaflet-container" in ask(window, "document.activeElement.className"), 5)
    for _ in range(20):
        before = ask(window, "map_page.getZoom()")
        if before >= 19:
            break
        keys.press(Key.Key_Plus)
        wait(lambda before=before: ask(window, "map_page.getZoom()") > before, 2)
    assert ask(window, "map_page.getZoom()") >= 19, "+ did not zoom the map in"
    wait(lambda: False, 0.5)
    keys.press(Key.Key_1, Mod.ControlModifier)
    outline = next(b for b in window.area_panel.findChildren(QPushButton) if "map shows" in b.text())
    keys.tab_to(outline)
    keys.press(Key.Key_Return)
    assert wait(lambda: session.area is not None, 20)
    panel = window.area_panel
    assert wait(lambda: panel._estimate is not None and 0 < panel._estimate.chips < 100, 20), panel._estimate
    assert wait(panel.build.isEnabled, 10)
    keys.tab_to(panel.build)
    keys.press(Key.Key_Return)
    assert wait(lambda: session.jobs.rows and session.jobs.rows[0].state == "finished", 400), (
        session.jobs.rows
    )
    assert wait(lambda: session.locator.index is not None, 120), window.toasts.texts()

    # a photo through the file dialog
    def choose() -> None:
        dialog = QApplication.activeModalWidget()
        if not isinstance(dialog, QFileDialog):
            QTimer.singleShot(100, choose)
            return
        field = dialog.findChild(QLineEdit, "fileNameEdit")
        assert field.hasFocus()
        field.setText(f'"{photos[0]}" "{photos[1]}"')
        QTest.keyClick(field, Key.Key_Return)

    QTimer.singleShot(500, choose)
    keys.press(Key.Key_I, Mod.ControlModifier)
    assert wait(lambda: len(session.tray) == 2, 10)
    assert wait(lambda: all(card.state == "located" for card in session.tray), 120)

    # walk photos and matches, compare, come back
    window.activateWindow()  # a window manager does so when a dialog closes; offscreen there is none
    assert wait(window.isActiveWindow, 5)
    keys.press(Key.Key_2, Mod.ControlModifier)
    assert window.photos_panel.list.hasFocus()
    keys.press(Key.Key_Down)
    assert session.selected == session.tray.at(1).key
    keys.press(Key.Key_Up)
    assert session.selected == session.tray.at(0).key
    keys.press(Key.Key_Right)
    keys.press(Key.Key_Right)
    assert window.answer.rank == 2
    assert wait(lambda: ask(window, "document.querySelectorAll('.pin').length") > 1, 20)
    keys.press(Key.Key_Space)
    assert window.answer.compare.isVisible()
    keys.tab_to(window.answer.compare.photo)
    keys.press(Key.Key_Plus)
    assert window.answer.compare.photo._zoom > 1
    keys.press(Key.Key_Escape)
    assert not window.answer.compare.isVisible()
    assert window.answer.strip.hasFocus(), "the keyboard did not come back to the matches"
    before = ask(window, "map_page.getZoom()")
    keys.press(Key.Key_Return)
    assert wait(lambda: ask(window, "map_page.getZoom()") != before, 10), "Return did not zoom to the match"

    # round the parts of the window
    seen = []
    for _ in range(4):
        keys.press(Key.Key_F6)
        now = QApplication.focusWidget()
        parts = {
            "page": window._pages,
            "map": window.map_view,
            "answer": window.answer,
            "bar": window.top_bar,
        }
        seen.append(next(name for name, part in parts.items() if part.isAncestorOf(now)))
    assert seen == ["bar", "page", "map", "answer"]

    # delete and undo
    keys.press(Key.Key_2, Mod.ControlModifier)
    keys.press(Key.Key_Delete)
    assert wait(lambda: len(session.tray) == 1, 5)
    keys.press(Key.Key_Z, Mod.ControlModifier)
    assert wait(lambda: len(session.tray) == 2, 5)

    # help from a list, a menu by its letter, the map alone and back
    shown = []

    def look() -> None:
        dialog = QApplication.activeModalWidget()
        shown.append(isinstance(dialog, QDialog) and dialog.windowTitle())
        QTest.keyClick(dialog, Key.Key_Escape)

    QTimer.singleShot(300, look)
    keys.press(Key.Key_Question)
    assert wait(lambda: shown == ["Shortcuts"], 5), shown
    window.activateWindow()
    assert wait(window.isActiveWindow, 5)
    keys.press(Key.Key_X, Mod.AltModifier)
    assert wait(lambda: QApplication.activePopupWidget() is not None, 5), "Alt+X opened no menu"
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    assert any("GeoJSON" in action.text() for action in menu.actions())
    QTest.keyClick(menu, Key.Key_Escape)
    keys.press(Key.Key_F11)
    assert not window.top_bar.isVisible()
    keys.press(Key.Key_F11)
    assert window.top_bar.isVisible()


def test_the_keyboard_is_visible_wherever_it_is(make_window, wait, town) -> None:
    window = make_window()
    window.activateWindow()
    window.session.open_workspace(town)
    assert wait(lambda: window.map_view is not None and window.map_view.is_ready, 60)
    assert wait(window.isActiveWindow, 5)
    dark = []
    for name in ("area", "photos", "negatives", "training", "runs"):
        window.show_page(name)
        wait(lambda: False, 0.2)
        for widget in window.findChildren(QWidget):
            ours = type(widget).__module__.startswith(("geolocator_gui", "PySide6.QtWidgets"))
            stops = widget.focusPolicy() & Qt.FocusPolicy.TabFocus
            if not (ours and stops and widget.isVisible() and widget.isEnabled()):
                continue
            if window.map_view.isAncestorOf(widget):
                continue  # the page paints its own ring
            widget.setFocus(Qt.FocusReason.TabFocusReason)
            with_focus = widget.grab().toImage()
            widget.clearFocus()
            if widget.grab().toImage() == with_focus:
                dark.append(f"{name}: {type(widget).__name__} {widget.accessibleName() or widget.toolTip()}")
    assert dark == []
