"""Light and dark: follows the system until the user chooses, then stays with the choice."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from geolocator_gui.gui import tokens
from geolocator_gui.gui.tokens import Scheme, Tokens
from geolocator_gui.paths import resources_dir

Choice = Literal["system", "light", "dark"]


class Theme(QObject):
    """The look of the whole window.

    Signals:
        changed: The scheme in use is another one; repaint what was painted by hand.
    """

    changed = Signal()

    def __init__(self, application: QApplication, choice: Choice = "system") -> None:
        super().__init__(application)
        self._application = application
        self._template = (resources_dir() / "style" / "app.qss").read_text("utf-8")
        self._icons = (resources_dir() / "icons").as_posix()
        self._choice: Choice = choice
        self._shown: Scheme | None = None
        self._dressed = False
        font = application.font()
        font.setPixelSize(tokens.BODY)
        application.setFont(font)
        application.setStyle("Fusion")
        application.styleHints().colorSchemeChanged.connect(self._apply)
        self._apply()

    @property
    def choice(self) -> Choice:
        """What the user chose."""
        return self._choice

    @property
    def scheme(self) -> Scheme:
        """What is shown."""
        if self._choice != "system":
            return self._choice
        dark = QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark
        return "dark" if dark else "light"

    @property
    def tokens(self) -> Tokens:
        """The tokens of what is shown."""
        return tokens.tokens(self.scheme)

    def choose(self, choice: Choice) -> None:
        """Follow the system, or stay light or dark."""
        self._choice = choice
        self._apply()

    def dress(self) -> None:
        """Apply the style sheet, once the first window is built: a widget made later pays for it anew."""
        if not self._dressed:
            self._dressed = True
            self._set_sheet()

    def colour(self, name: str) -> QColor:
        """A token as a colour."""
        return QColor(getattr(self.tokens, name))

    def _apply(self) -> None:
        if self._shown == self.scheme:
            return
        self._shown = self.scheme
        t = self.tokens
        palette = QPalette()
        roles = {
            QPalette.ColorRole.Window: t.surface,
            QPalette.ColorRole.WindowText: t.text,
            QPalette.ColorRole.Base: t.raised,
            QPalette.ColorRole.AlternateBase: t.surface,
            QPalette.ColorRole.Text: t.text,
            QPalette.ColorRole.PlaceholderText: t.text_secondary,
            QPalette.ColorRole.Button: t.raised,
            QPalette.ColorRole.ButtonText: t.text,
            QPalette.ColorRole.ToolTipBase: t.raised,
            QPalette.ColorRole.ToolTipText: t.text,
            QPalette.ColorRole.Highlight: t.accent,
            QPalette.ColorRole.HighlightedText: t.on_accent,
            QPalette.ColorRole.Link: t.accent_text,
        }
        for role, colour in roles.items():
            palette.setColor(role, QColor(colour))
        for role in (QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText, QPalette.ColorRole.WindowText):
            palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(t.text_secondary))
        # Setting the sheet polishes every widget of the program, shown or not: 120 to 290 ms of processor
        # time for 490 of them, and 110 without the two rules that match all. That is borne once per choice
        # of the user; a sheet per page would leave hidden pages in the old colours until each is shown.
        self._application.setPalette(palette)
        if self._dressed:
            self._set_sheet()
        self.changed.emit()

    def _set_sheet(self) -> None:
        self._application.setStyleSheet(tokens.fill(self._template, self.scheme, self._icons))


_theme: Theme | None = None


def install(application: QApplication, choice: Choice = "system") -> Theme:
    """Make the one theme of the process."""
    global _theme
    _theme = Theme(application, choice)
    return _theme


def current() -> Theme:
    """The one theme; widgets are only made after `install`."""
    assert _theme is not None, "theme.install comes before the first widget"
    return _theme
