"""Whether a value that was read from a file is what its annotation says; plain functions without Qt.

What was saved may have been damaged or edited since: it is looked at once, where it comes in, so that no view
needs to doubt it later.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_LARGEST = 2**31 - 1  # Qt's numbers end here
_RANGES = {
    "lat": (-90.0, 90.0),
    "south": (-90.0, 90.0),
    "north": (-90.0, 90.0),
    "lon": (-540.0, 540.0),
    "west": (-540.0, 540.0),
    "east": (-540.0, 540.0),
    "width": (0, _LARGEST),
    "height": (0, _LARGEST),
    "fov": (0.01, 360.0),  # as `LocaliseConfig` takes it
}
_Check = Callable[[Any], bool]


def fits(value: object, kind: Any, name: str = "") -> bool:
    """Whether a value is of an annotated kind, with all that it holds.

    Args:
        value: What was read, made into records already.
        kind: A record, a union, a `Literal`, a `tuple[X, ...]`, a number or any other class.
        name: Of the field that will hold it: some numbers have a range.
    """
    return _check(kind, name)(value)


@cache
def field_checks(kind: type) -> Mapping[str, _Check]:
    """A check per annotated field of a class."""
    return {name: _check(hint, name) for name, hint in get_type_hints(kind).items()}


@cache
def _check(kind: Any, name: str) -> _Check:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        options = [_check(option, name) for option in inner]
        return lambda value: any(option(value) for option in options)
    if origin is Literal:
        return lambda value: isinstance(value, str) and value in inner
    if origin is tuple:
        member = _check(inner[0], name)
        return lambda value: isinstance(value, tuple) and all(map(member, value))
    if kind in (int, float):
        least, most = _RANGES.get(name, (-_LARGEST, _LARGEST))
        taken = (int,) if kind is int else (int, float)  # not bool; a comparison with NaN is false
        return lambda value: type(value) in taken and least <= value <= most
    if is_dataclass(kind) or hasattr(kind, "_fields"):
        fields = field_checks(kind)
        return lambda value: (
            isinstance(value, kind) and all(check(getattr(value, field)) for field, check in fields.items())
        )
    return lambda value: isinstance(value, kind)
