"""Reads the pickle inside a torch file without carrying anything out.

`torch.load(weights_only=True)` refuses foreign calls, but it still calls constructors that allocate what the
file claims (`bytearray(10**12)`, a storage of any size). This reader knows only the instructions that
`torch.save` writes for a dictionary of tensors; it builds no object, notes what the file claims, and refuses
everything else by name. It runs before any loader sees the file.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from geolocator_gui.errors import WeightsError

# A model of 1500 tensors takes about 60 000 instructions.
MOST_INSTRUCTIONS = 200_000

_ITEM_BYTES = {
    "Double": 8, "Float": 4, "Half": 2, "BFloat16": 2, "Long": 8, "Int": 4, "Short": 2, "Char": 1, "Byte": 1,
    "Bool": 1, "ComplexDouble": 16, "ComplexFloat": 8,
}  # fmt: skip
_STORAGES = {f"torch.{name}Storage": size for name, size in _ITEM_BYTES.items()}
_STORAGES |= {"torch.storage.UntypedStorage": 1}
_TENSORS = {"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor"}
_HARMLESS = {
    "collections.OrderedDict",
    "torch._utils._rebuild_parameter",
    "torch.Size",
    "torch.device",
    *(f"torch.{name}" for name in ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16")),
    *(f"torch.{name}" for name in ("int8", "uint8", "bool")),
}


class Source(Protocol):
    """What `pickletools` reads from."""

    def read(self, size: int, /) -> bytes: ...  # noqa: D102
    def readline(self) -> bytes: ...  # noqa: D102
    def tell(self) -> int: ...  # noqa: D102


@dataclass
class Claims:
    """What a pickle says that it holds.

    Attributes:
        storages: Bytes of each storage by its key in the file.
        tensors: Number of tensors.
        tensor_bytes: Of all tensors together, were each held on its own.
        bare_tensor: The outermost object is a tensor.
        value: The outermost object where it is a plain number or string, else None.
    """

    storages: dict[str, int] = field(default_factory=dict)
    tensors: int = 0
    tensor_bytes: int = 0
    bare_tensor: bool = False
    value: int | float | str | None = None


@dataclass(frozen=True)
class _Name:
    full: str


@dataclass(frozen=True)
class _Storage:
    nbytes: int
    item: int


_MARK, _OPAQUE, _TENSOR = object(), object(), object()
_PUSH_ARGUMENT = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "SHORT_BINSTRING", "BINSTRING", "SHORT_BINBYTES", "BINBYTES",
}  # fmt: skip
_PUSH_CONSTANT: dict[str, Any] = {
    "NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": (), "MARK": _MARK,
    "EMPTY_DICT": _OPAQUE, "EMPTY_LIST": _OPAQUE, "EMPTY_SET": _OPAQUE,
}  # fmt: skip


def scan_pickle(source: Source, path: Path) -> Claims:
    """Follow one pickle to its end; `source` then stands after it.

    Raises:
        WeightsError: It would call something, claims what cannot be, or is no pickle.
    """
    scan = _Scan(path)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(source)):  # type: ignore[arg-type]
            if count >= MOST_INSTRUCTIONS:
                raise WeightsError("it holds far more objects than any model has", path=path)
            scan.step(opcode.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, UnicodeError) as error:
        raise WeightsError(
            "it begins like a PyTorch file but its contents are damaged", path=path, hint="Download it again."
        ) from error
    return scan.claims


class _Scan:
    """The state of a pickle machine that makes nothing."""

    def __init__(self, path: Path) -> None:
        self.claims = Claims()
        self._path = path
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._simple: dict[str, Callable[[], None]] = {
            "BUILD": lambda: self._drop(1),
            "APPEND": lambda: self._drop(1),
            "SETITEM": lambda: self._drop(2),
            "POP": lambda: self._drop(1),
            "REDUCE": self._reduce,
            "BINPERSID": self._persistent,
            "STACK_GLOBAL": self._stack_global,
            "STOP": self._stop,
        }

    def step(self, name: str, argument: Any) -> None:
        """Follow one instruction."""
        stack = self._stack
        if name in _PUSH_ARGUMENT:
            stack.append(argument)
        elif name in _PUSH_CONSTANT:
            stack.append(_PUSH_CONSTANT[name])
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self._memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(self._memo[argument])
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            size = int(name[-1])
            items = tuple(self._pop() for _ in range(size))
            stack.append(items[::-1])
        elif name == "TUPLE":
            stack.append(tuple(self._pop_to_mark()))
        elif name in ("SETITEMS", "APPENDS", "ADDITEMS", "POP_MARK"):
            self._pop_to_mark()
        elif name == "GLOBAL":
            self._name(str(argument).replace(" ", ".", 1))
        elif name in self._simple:
            self._simple[name]()
        elif name not in ("PROTO", "FRAME"):
            raise WeightsError(
                f"it holds a pickle instruction ({name}) that no weights file needs; nothing was run",
                path=self._path,
                hint="Use it only if you trust whoever made it, saved anew as .safetensors.",
            )

    def _pop(self) -> Any:
        item = self._stack.pop()
        if item is _MARK:
            raise ValueError("a mark where a value belongs")
        return item

    def _drop(self, count: int) -> None:
        for _ in range(count):
            self._pop()
        if not self._stack:
            raise ValueError("nothing left to change")

    def _pop_to_mark(self) -> list[Any]:
        items = []
        while (item := self._stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def _name(self, full: str) -> None:
        if full not in _HARMLESS and full not in _STORAGES and full not in _TENSORS:
            shown = "".join(c if c.isprintable() else "?" for c in full[:80])
            raise WeightsError(
                f"it holds more than weights: opening it would call '{shown}'; nothing was run",
                path=self._path,
                hint="Such a file can run any program. Ask its maker for the bare weights, or .safetensors.",
            )
        self._stack.append(_Name(full))

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        self._name(f"{module}.{name}")

    def _reduce(self) -> None:
        arguments, called = self._pop(), self._pop()
        if not isinstance(called, _Name) or not isinstance(arguments, tuple):
            raise ValueError("a call of something that has no name")
        if called.full in _TENSORS:
            self._tensor(*arguments[:4])
            self._stack.append(_TENSOR)
        elif called.full == "torch._utils._rebuild_parameter":
            self._stack.append(arguments[0])
        else:
            self._stack.append(_OPAQUE)
        if called.full in _STORAGES:
            raise ValueError("a storage made by a call")

    def _persistent(self) -> None:
        kind, type_name, key, _, numel = self._pop()[:5]
        if kind != "storage" or not isinstance(type_name, _Name) or not _is_count(numel):
            raise ValueError("not a storage")
        item = _STORAGES[type_name.full]
        self.claims.storages[str(key)] = max(numel * item, self.claims.storages.get(str(key), 0))
        self._stack.append(_Storage(numel * item, item))

    def _tensor(self, storage: Any, offset: Any, size: Any, stride: Any) -> None:
        if not isinstance(storage, _Storage) or len(size) != len(stride) or len(size) > 16:
            raise ValueError("not a tensor of a storage")
        if not all(map(_is_count, (offset, *size, *stride))):
            raise ValueError("not the shape of a tensor")
        count = math.prod(size)
        last = (
            offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
            if count
            else offset - 1
        )
        if (last + 1) * storage.item > storage.nbytes or count * storage.item > storage.nbytes:
            raise WeightsError("a tensor in it claims more numbers than the file holds", path=self._path)
        self.claims.tensors += 1
        self.claims.tensor_bytes += count * storage.item

    def _stop(self) -> None:
        top = self._pop()
        self.claims.bare_tensor = top is _TENSOR
        self.claims.value = top if isinstance(top, int | float | str) else None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62
