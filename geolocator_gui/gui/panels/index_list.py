"""The indexes of a workspace under each other on the Area page."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QApplication, QVBoxLayout, QWidget

from geolocator_gui.gui.catalogue import IndexRow
from geolocator_gui.gui.panels.index_card import IndexCard


class IndexList(QWidget):
    """The cards.

    Signals:
        chosen: One was clicked or entered; carries its `IndexRow`.
        thrown: One shall go; carries its `IndexRow`.

    Args:
        heir: Takes the keyboard when the last card has gone.
    """

    chosen = Signal(object)
    thrown = Signal(object)

    def __init__(self, heir: QWidget) -> None:
        super().__init__()
        self._heir = heir
        self.cards: list[IndexCard] = []
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(8)

    def fill(self, rows: Sequence[IndexRow], active: str) -> None:
        """Show these, `active` as the one that answers; the keyboard stays where it was in the list."""
        focus = QApplication.focusWidget()
        held = [
            card for card in self.cards if focus is not None and (focus is card or card.isAncestorOf(focus))
        ]
        at = self.cards.index(held[0]) if held else None
        for card in self.cards:
            self._layout.removeWidget(card)
            card.deleteLater()
        self.cards = [IndexCard(row, row.name == active) for row in rows]
        for card in self.cards:
            card.chosen.connect(self.chosen)
            card.thrown.connect(self.thrown)
            self._layout.addWidget(card)
        if at is not None:
            heir = self.cards[min(at, len(self.cards) - 1)] if self.cards else self._heir
            heir.show()  # what is not shown yet takes no focus
            heir.setFocus()
