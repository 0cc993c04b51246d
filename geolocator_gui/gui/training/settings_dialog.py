"""All settings of a training, generated from the configuration's fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QFrame,
    QLineEdit,
    QScrollArea,
    QTabWidget,
    QWidget,
)

from geolocator_gui.errors import ConfigError
from geolocator_gui.gui.dialogs import Dialog
from geolocator_gui.gui.training.fields import PARTS, SettingField, all_fields, shown
from geolocator_gui.gui.translation import translate
from geolocator_gui.gui.widgets.basics import Label
from geolocator_gui.training import TrainRun, with_settings


class SettingsDialog(Dialog):
    """Every setting with its explanation; what differs from the preset is kept as `key=value`."""

    def __init__(self, parent: QWidget, run: TrainRun, preset_run: TrainRun) -> None:
        super().__init__(
            parent,
            translate("Fields", "All settings"),
            translate("Fields", "What is empty is chosen by itself. Rest on a field to read what it does."),
            translate("Fields", "Use these"),
        )
        self._preset = preset_run
        self._entries: list[tuple[SettingField, Callable[[], Any]]] = []
        self.widgets: dict[str, QWidget] = {}
        tabs = QTabWidget()
        tabs.setDocumentMode(True)
        for part, title in PARTS.items():
            if part == "town" and not run.data.startswith("town:"):
                continue
            page = QWidget()
            form = QFormLayout(page)
            form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
            form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
            for field in all_fields():
                if field.part == part:
                    self._add(form, field, run)
            area = QScrollArea()
            area.setWidgetResizable(True)
            area.setFrameShape(QFrame.Shape.NoFrame)
            area.setWidget(page)
            tabs.addTab(area, translate("Fields", title))
        self.body.addWidget(tabs, 1)
        self._words = Label("", "Negative", wrap=True)
        self.body.addWidget(self._words)
        self.finish()
        self.setMinimumSize(560, 560)

    def settings(self) -> list[str]:
        """What differs from the preset, as `key=value`."""
        changed = []
        for field, read in self._entries:
            value = read()
            before = field.value(self._preset)
            same = value == before if isinstance(value, bool) else value == shown(before)
            if not same:
                empty = value == "" and field.optional
                changed.append(f"{field.key}=null" if empty else field.setting(value))
        return changed

    def accept(self) -> None:
        """Close only on settings that a run would take."""
        try:
            with_settings(self._preset, self.settings())
        except ConfigError as error:
            self._words.setText(str(error))
            return
        super().accept()

    def _add(self, form: QFormLayout, field: SettingField, run: TrainRun) -> None:
        value = field.value(run)
        widget: QWidget
        read: Callable[[], Any]
        if field.kind == "bool":
            box = QCheckBox()
            box.setChecked(bool(value))
            widget, read = box, box.isChecked
        elif field.kind == "choice":
            combo = QComboBox()
            combo.addItems(list(field.choices))
            combo.setCurrentText(str(value))
            widget, read = combo, combo.currentText
        else:
            line = QLineEdit(shown(value))
            line.setPlaceholderText("automatic" if field.optional else "")
            widget, read = line, lambda line=line: line.text().strip()  # type: ignore[misc]
        name = Label(field.title, wrap=True)
        for one in (widget, name):
            one.setToolTip(field.about)
        widget.setAccessibleName(field.title)
        form.addRow(name, widget)
        self.widgets[field.key] = widget
        self._entries.append((field, read))
