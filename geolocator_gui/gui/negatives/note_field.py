"""The note's field: what is typed belongs to the verdict that the field showed when typing began."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QLineEdit

from geolocator_gui.marks import Key


class NoteField(QLineEdit):
    """One line about one candidate, or about the pair.

    What was typed is handed over before the field shows anything else, when the keyboard leaves it, and on
    Return; Esc drops it.

    Signals:
        written: The key that the field showed, and the new text.
        left: Return or Esc: the keyboard shall go back to the table.
    """

    written = Signal(object, str)
    left = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._key: Key | None = None
        self._said = ""
        self.setPlaceholderText(self.tr("Note (N)"))

    def show_note(self, key: Key | None, text: str) -> None:
        """Show what is noted of a key; what was typed about another one is handed over first."""
        if key != self._key:
            self.commit()
        self._key, self._said = key, text
        if not self.isModified() and self.text() != text:
            self.setText(text)
        self.setReadOnly(key is None)

    def commit(self) -> None:
        """Hand over what was typed."""
        if self.isModified() and self._key is not None:
            self.setModified(False)
            self.written.emit(self._key, self.text())

    def take(self) -> str | None:
        """What was typed, to go along with a verdict; None when nothing was."""
        if not self.isModified():
            return None
        self.setModified(False)
        return self.text()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Return keeps the note, Esc what was noted before; both lead back to the table."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.commit()
            self.left.emit()
        elif event.key() == Qt.Key.Key_Escape:
            self.setText(self._said)  # no longer modified
            self.left.emit()
        else:
            super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """The keyboard goes elsewhere and stays there."""
        super().focusOutEvent(event)
        if event.reason() != Qt.FocusReason.PopupFocusReason:  # its own menu
            self.commit()
