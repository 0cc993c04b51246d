"""The settings of a training run as form fields, generated from `TrainRun`; plain data without Qt.

Names, limits, choices and explanations all come from the configuration classes, so that a new setting shows
up in the window by itself.
"""

from __future__ import annotations

import inspect
import json
import re
import types
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from geolocator_gui.configs import Config
from geolocator_gui.gui.translation import QT_TRANSLATE_NOOP
from geolocator_gui.training import TrainRun

Kind = Literal["bool", "int", "float", "choice", "text"]
PARTS = {
    "train": QT_TRANSLATE_NOOP("Fields", "Optimisation"),
    "sampling": QT_TRANSLATE_NOOP("Fields", "Negatives"),
    "augment": QT_TRANSLATE_NOOP("Fields", "Images"),
    "views": QT_TRANSLATE_NOOP("Fields", "Ordinary photos"),
    "town": QT_TRANSLATE_NOOP("Fields", "Demo town"),
    "": QT_TRANSLATE_NOOP("Fields", "Run"),
}
_CHOSEN_ELSEWHERE = ("data", "model", "preset")


@dataclass(frozen=True)
class SettingField:
    """One setting.

    Attributes:
        part: Part of `TrainRun`, "" for its own fields.
        name: The field.
        kind: How it is entered.
        choices: Of a choice.
        optional: None ("automatic") is allowed.
        about: Its explanation.
    """

    part: str
    name: str
    kind: Kind
    choices: tuple[str, ...] = ()
    optional: bool = False
    about: str = ""

    @property
    def key(self) -> str:
        """As `--set` takes it."""
        return f"{self.part}.{self.name}" if self.part else self.name

    @property
    def title(self) -> str:
        """For people."""
        return self.name.replace("_", " ").capitalize()

    def value(self, run: TrainRun) -> Any:
        """What a run has set."""
        home = getattr(run, self.part) if self.part else run
        return getattr(home, self.name)

    def setting(self, value: Any) -> str:
        """`part.name=value`."""
        text = value if isinstance(value, str) else json.dumps(value)
        return f"{self.key}={text}"


def all_fields() -> list[SettingField]:
    """Every setting, part by part, in the order of the classes."""
    found: list[SettingField] = []
    for part in PARTS:
        kind = TrainRun if not part else type(getattr(TrainRun(data="town:"), part))
        found.extend(_of(part, kind))
    return found


def shown(value: Any) -> str:
    """A value as it is typed."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value)


def _of(part: str, kind: type[Config]) -> list[SettingField]:
    about = explanations(kind)
    fields = []
    for name, info in kind.model_fields.items():
        annotation, optional = _without_none(info.annotation)
        if inspect.isclass(annotation) and issubclass(annotation, Config):
            continue
        if not part and name in _CHOSEN_ELSEWHERE:
            continue
        fields.append(SettingField(part, name, *_entered(annotation, info), optional, about.get(name, "")))
    return fields


def explanations(kind: type[Config]) -> dict[str, str]:
    """Sentences of a class's "Attributes" by field."""
    text = inspect.getdoc(kind) or ""
    _, _, rows = text.partition("Attributes:\n")
    found: dict[str, str] = {}
    name = ""
    for row in rows.splitlines():
        match = re.match(r" {4}(\w+): (.*)", row)
        if match:
            name = match.group(1)
            found[name] = match.group(2).strip()
        elif row.startswith("     ") and name:
            found[name] += " " + row.strip()
    return found


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) in (Union, types.UnionType):
        rest = [part for part in get_args(annotation) if part is not type(None)]
        return (rest[0] if len(rest) == 1 else str), len(rest) < len(get_args(annotation))
    return annotation, False


def _entered(annotation: Any, info: Any) -> tuple[Kind, tuple[str, ...]]:
    if get_origin(annotation) is Literal:
        return "choice", tuple(str(choice) for choice in get_args(annotation))
    for limit in info.metadata:
        pattern = getattr(limit, "pattern", None)
        if isinstance(pattern, str) and re.fullmatch(r"\^\([\w|-]+\)\$", pattern):
            return "choice", tuple(pattern[2:-2].split("|"))
    if annotation is bool:
        return "bool", ()
    if annotation is int:
        return "int", ()
    return ("float" if annotation is float else "text"), ()
