"""What the window remembers: layout, theme, recent workspaces. One INI file in the user's data folder."""

from __future__ import annotations

from pathlib import Path
from typing import cast, get_args

from PySide6.QtCore import QByteArray, QSettings

from geolocator_gui.gui.theme import Choice
from geolocator_gui.paths import user_data_dir

_MOST_RECENT = 8


class Settings:
    """Typed access to the file."""

    def __init__(self, file: Path | None = None) -> None:
        path = file or user_data_dir() / "window.ini"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._values = QSettings(str(path), QSettings.Format.IniFormat)

    def sync(self) -> None:
        """Write to disk."""
        self._values.sync()

    @property
    def theme(self) -> Choice:
        """Light, dark or the system's."""
        value = str(self._values.value("theme", "system"))
        return cast(Choice, value) if value in get_args(Choice) else "system"

    @theme.setter
    def theme(self, choice: Choice) -> None:
        self._values.setValue("theme", choice)

    def layout(self, name: str) -> QByteArray | None:
        """A saved geometry or splitter state."""
        value = self._values.value(f"layout/{name}")
        return value if isinstance(value, QByteArray) else None

    def set_layout(self, name: str, state: QByteArray) -> None:
        """Save a geometry or splitter state."""
        self._values.setValue(f"layout/{name}", state)

    def text(self, key: str, default: str = "") -> str:
        """A remembered word."""
        return str(self._values.value(key, default))

    def set_text(self, key: str, value: str) -> None:
        """Remember a word."""
        self._values.setValue(key, value)

    def recent(self) -> list[Path]:
        """Workspaces, newest first."""
        value = self._values.value("recent", [])
        names = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        return [Path(str(name)) for name in names]

    def add_recent(self, workspace: Path) -> None:
        """Put a workspace first."""
        others = [path for path in self.recent() if path != workspace]
        self._values.setValue("recent", [str(path) for path in [workspace, *others][:_MOST_RECENT]])

    def remove_recent(self, workspace: Path) -> None:
        """Forget a workspace that is gone."""
        self._values.setValue("recent", [str(path) for path in self.recent() if path != workspace])
