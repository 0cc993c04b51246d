"""The few dialogs: a tile server's address, a known provider, which release a checkpoint is, shortcuts."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QGridLayout,
    QLabel,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from geolocator_gui.errors import GeolocatorError
from geolocator_gui.gui.catalogue import ModelRow
from geolocator_gui.gui.translation import translate
from geolocator_gui.gui.widgets.basics import Label
from geolocator_gui.gui.widgets.choice_list import ChoiceList
from geolocator_gui.workspace import ImageryEntry


class Dialog(QDialog):
    """A dialog with a title line, a body and two buttons."""

    def __init__(self, parent: QWidget, title: str, words: str, accept: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setMinimumWidth(480)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(24, 24, 24, 16)
        self.body.setSpacing(12)
        self.body.addWidget(Label(title, "Title", wrap=True))
        if words:
            self.body.addWidget(Label(words, "Secondary", wrap=True))
        self.buttons = QDialogButtonBox()
        self.buttons.addButton(self.tr("Cancel"), QDialogButtonBox.ButtonRole.RejectRole)
        self.ok = self.buttons.addButton(accept, QDialogButtonBox.ButtonRole.AcceptRole)
        self.ok.setObjectName("Primary")
        self.ok.setDefault(True)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)

    def finish(self) -> None:
        """Put the buttons under what was added to the body."""
        self.body.addSpacing(8)
        self.body.addWidget(self.buttons)


class AddressDialog(Dialog):
    """Asks for imagery on the web: its address, name, attribution, and whether whole areas may be fetched."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(
            parent,
            translate("Dialog", "Imagery from the web"),
            translate(
                "Dialog",
                "A tile address with {z}, {x} and {y} where the numbers go (or {q}), a WMS or WMTS service, "
                "or a GeoTIFF. Only what you look at or index is fetched, and kept in the workspace.",
            ),
            translate("Dialog", "Add imagery"),
        )
        self.address, self.name, self.attribution = QLineEdit(), QLineEdit(), QLineEdit()
        self.address.setPlaceholderText("https://tiles.example.org/{z}/{x}/{y}.jpg")
        self.name.setPlaceholderText(self.tr("City orthophoto 2025"))
        self.attribution.setPlaceholderText(self.tr("© who made it, as the licence wants it shown"))
        self.bulk = QCheckBox(self.tr("The terms allow fetching whole areas"))
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(self.tr("Address"), self.address)
        form.addRow(self.tr("Name"), self.name)
        form.addRow(self.tr("Attribution"), self.attribution)
        form.addRow("", self.bulk)
        self.body.addLayout(form)
        self.trouble = Label("", "Warning", wrap=True)
        self.body.addWidget(self.trouble)
        self.finish()
        for field in (self.address, self.name):
            field.textChanged.connect(self._check)
        self._check()

    def entry(self) -> ImageryEntry:
        """What was entered."""
        return ImageryEntry(
            self.name.text().strip(),
            self.address.text().strip(),
            self.attribution.text().strip(),
            self.bulk.isChecked(),
        )

    def _check(self) -> None:
        from geolocator_gui.geo.imagery.address import names_tile, parse_address

        address, trouble = self.address.text().strip(), ""
        try:
            known = parse_address(address) if "://" in address else None
            if known is not None and known.kind == "tiles" and not names_tile(address):
                trouble = self.tr("Write {z}, {x} and {y} where the numbers of a tile go, or {q}.")
        except GeolocatorError as error:
            known, trouble = None, f"{error.what[:1].upper()}{error.what[1:]}. {error.hint}".strip()
        self.trouble.setText(trouble)
        self.trouble.setVisible(bool(trouble))
        self.ok.setEnabled(known is not None and not trouble and bool(self.name.text().strip()))


class ModelDialog(Dialog):
    """Asks which release a checkpoint is."""

    def __init__(self, parent: QWidget, file: Path, models: list[ModelRow]) -> None:
        super().__init__(
            parent,
            translate("Dialog", "Which model is {file}?").format(file=file.name),
            translate(
                "Dialog",
                "A checkpoint holds only numbers: what it was trained for decides how photos and chips are "
                "put before it.",
            ),
            translate("Dialog", "Add model"),
        )
        self.choices = ChoiceList()
        for model in models:
            self.choices.add(model.name, model.title, _explained(model))
        self.body.addWidget(self.choices)
        self.finish()
        self.setMinimumSize(640, 420)
        self.choices.setCurrentRow(_likely(file, models))

    def preset(self) -> str:
        """Name of the chosen release."""
        return self.choices.current()


class ShortcutsDialog(Dialog):
    """Every shortcut."""

    def __init__(self, parent: QWidget, shortcuts: list[tuple[str, str]]) -> None:
        super().__init__(parent, translate("Dialog", "Shortcuts"), "", translate("Dialog", "Close"))
        grid = QGridLayout()
        grid.setHorizontalSpacing(24)
        grid.setVerticalSpacing(6)
        half = (len(shortcuts) + 1) // 2
        for place, (keys, words) in enumerate(shortcuts):
            row, column = place % half, 2 * (place // half)
            label = QLabel(keys)  # none of these may be elided
            label.setObjectName("Strong")
            grid.addWidget(label, row, column)
            grid.addWidget(QLabel(words), row, column + 1)
        self.body.addLayout(grid)
        self.finish()
        self.setMinimumSize(0, 0)  # as wide as its words
        for made in self.buttons.buttons():
            if self.buttons.buttonRole(made) == QDialogButtonBox.ButtonRole.RejectRole:
                made.hide()


def _explained(model: ModelRow) -> str:
    # What a narrow dialog cuts off is the end: first what the model is for.
    config = model.config
    views = {
        "panorama": translate("Dialog", "for 360° panoramas"),
        "panorama_strip": translate("Dialog", "for 360° panoramas, a band around the horizon"),
        "perspective": translate("Dialog", "for ordinary photos"),
        "drone": translate("Dialog", "for drone photos"),
    }
    side = translate("Dialog", "chip size is yours to set")
    if config.side_m:
        side = translate("Dialog", "chips {metres} m wide").format(metres=f"{config.side_m:.0f}")
    parts = [views[config.ground_view], side]
    if config.trained_on:
        parts.append(translate("Dialog", "trained on {data}").format(data=config.trained_on))
    return " · ".join(parts)


def _likely(file: Path, models: list[ModelRow]) -> int:
    """The release whose name shares most words with the file's path."""
    words = {
        word for word in str(file).lower().replace("/", "_").replace("-", "_").split("_") if len(word) > 3
    }
    shared: list[int] = [
        len(words & set(model.name.lower().replace("-", "_").split("_"))) for model in models
    ]
    best = max(shared, default=0)
    return shared.index(best) if best else 0
