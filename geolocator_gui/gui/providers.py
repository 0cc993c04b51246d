"""The list of known tile providers, with their attribution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from PySide6.QtWidgets import QCheckBox, QLineEdit, QWidget

from geolocator_gui.gui.dialogs import Dialog
from geolocator_gui.gui.translation import translate
from geolocator_gui.gui.widgets.choice_list import ChoiceList
from geolocator_gui.workspace import ImageryEntry

# Aerial imagery that is served without a key. None is taken as cleared for whole areas: terms change, so the
# user reads them and says so.
_KNOWN = (
    "BasemapAT.orthofoto",
    "GeoportailFrance.orthos",
    "SwissFederalGeoportal.SWISSIMAGE",
    "USGS.USImagery",
    "Esri.WorldImagery",
)


def known_providers() -> list[ImageryEntry]:
    """The providers named here that the installed list knows."""
    import xyzservices.providers

    flat: Mapping[str, Any] = xyzservices.providers.flatten()
    return [
        ImageryEntry(
            name.replace(".", " "), flat[name].build_url(), str(flat[name].get("attribution", "")), False
        )
        for name in _KNOWN
        if name in flat and not flat[name].requires_token()
    ]


def _entry(name: str, provider: Any) -> ImageryEntry:
    attribution = str(provider.get("attribution", ""))
    return ImageryEntry(name.replace(".", " "), provider.build_url(), attribution, bulk=False)


class ProviderDialog(Dialog):
    """Asks for one of them."""

    def __init__(self, parent: QWidget, entries: list[ImageryEntry]) -> None:
        super().__init__(
            parent,
            translate("Dialog", "Known providers"),
            translate(
                "Dialog", "Tiles are fetched only for what you look at or index, and kept in the workspace."
            ),
            translate("Dialog", "Add imagery"),
        )
        self._entries = {entry.name: entry for entry in entries}
        self._filter = QLineEdit()
        self._filter.setPlaceholderText(self.tr("filter"))
        self.choices = ChoiceList()
        self.body.addWidget(self._filter)
        self._bulk = QCheckBox(self.tr("I have read the provider's terms: they allow fetching whole areas"))
        self.body.addWidget(self.choices)
        self.body.addWidget(self._bulk)
        self.finish()
        self._filter.textChanged.connect(self._fill)
        self._fill("")
        self.setMinimumHeight(420)

    def entry(self) -> ImageryEntry | None:
        """The chosen one."""
        found = self._entries.get(self.choices.current())
        return None if found is None else replace(found, bulk=self._bulk.isChecked())

    def _fill(self, wanted: str) -> None:
        self.choices.clear()
        for entry in self._entries.values():
            if wanted.casefold() in entry.name.casefold():
                self.choices.add(entry.name, entry.name, entry.attribution)
        self.choices.setCurrentRow(0)
        self.ok.setEnabled(self.choices.count() > 0)


def ask_provider(parent: QWidget) -> ImageryEntry | None:
    """Show the dialog; None when it was cancelled."""
    dialog = ProviderDialog(parent, known_providers())
    return dialog.entry() if dialog.exec() else None
