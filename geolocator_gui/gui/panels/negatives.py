"""The Hard negatives page: what it is for, until there is something to judge."""

from __future__ import annotations

from PySide6.QtCore import Signal

from geolocator_gui.gui.panels.page import Panel
from geolocator_gui.gui.session import Session
from geolocator_gui.gui.widgets.basics import Empty, button


class NegativesPanel(Panel):
    """The page.

    Signals:
        photos_wanted: Go to the Photos page.
    """

    photos_wanted = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session, "")
        self.title.setText(self.tr("Hard negatives"))
        self.body.addWidget(
            Empty(
                "select-compare",
                self.tr("Places the model confuses"),
                self.tr(
                    "A hard negative is a chip that the model ranks near or above the true one. Mining lists "
                    "them with the photo, so that you can mark each as the same place, a hard twin, or a bad "
                    "pair. It starts from photos whose position is known."
                ),
                button(self.tr("Go to Photos"), self.photos_wanted.emit, icon="image-multiple-outline"),
            ),
            1,
        )
