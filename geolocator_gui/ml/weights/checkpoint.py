"""Reads weights files: upstream's `.pth`, `.safetensors`; strict, and nothing in the file is executed."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geolocator_gui.errors import WeightsError
from geolocator_gui.ml.weights.weights_file import inspect

if TYPE_CHECKING:
    from torch import Tensor, nn

# What a DataParallel save and upstream's own module put before a backbone's keys.
_PREFIXES = ("module.", "model.")
# Under which a trainer keeps the state dict beside its other state.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "module")


@dataclass(frozen=True)
class Checkpoint:
    """The content of a weights file.

    Attributes:
        state: Weights by bare timm key, in the file's dtype.
        logit_scale: ln of the inverse temperature, None where the file has none.
    """

    state: dict[str, Tensor]
    logit_scale: float | None


def read_state_dict(path: Path) -> Checkpoint:
    """Read a weights file; it takes no more memory than its own size.

    Raises:
        WeightsError: It is missing, damaged, not safe, not a state dict, or holds NaN or Inf.
    """
    raw = _load(path)
    return split_state(_tensors(raw, path), path)


def _load(path: Path) -> Any:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    kind = inspect(path)
    try:
        if kind == "safetensors":
            return load_file(path)
        with path.open("rb") as file:  # by its content: PyTorch goes by the ending of a name
            return torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError, SafetensorError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise WeightsError(
            f"the weights cannot be read ({reason})", path=path, hint="Download it again."
        ) from error


def _tensors(raw: Any, path: Path) -> dict[str, Tensor]:
    """The state dict in what was loaded, checked entry by entry."""
    import torch

    if isinstance(raw, dict):
        inner = next((raw[key] for key in _WRAPPERS if isinstance(raw.get(key), dict)), None)
        raw = inner if inner is not None else raw
    if not isinstance(raw, dict):
        raise WeightsError(f"it holds a {type(raw).__name__}, not weights by name", path=path)
    for key, value in raw.items():
        if not isinstance(key, str):
            raise WeightsError(
                f"it is not a state dict: its tensors have no names (the first is {key!r:.40})",
                path=path,
                hint="Save the model's state dict: torch.save(model.state_dict(), …).",
            )
        if not isinstance(value, torch.Tensor):
            raise WeightsError(
                f"it is not a state dict: '{key}' is a {type(value).__name__}, not a tensor",
                path=path,
                hint="Save the model's state dict: torch.save(model.state_dict(), …).",
            )
        if value.layout != torch.strided or value.is_quantized or value.is_complex():
            raise WeightsError(f"'{key}' is not a plain dense tensor", path=path)
    state = {key: value.detach() for key, value in raw.items()}
    if sum(value.nbytes for value in state.values()) > path.stat().st_size:
        raise WeightsError("its tensors claim more numbers than the file holds", path=path)
    broken = [
        key for key, value in state.items() if value.is_floating_point() and not bool(value.isfinite().all())
    ]
    if broken:
        raise WeightsError(
            f"the weights hold NaN or Inf ({len(broken)} of {len(state)} tensors, first '{broken[0]}')",
            path=path,
            hint="The training that wrote them had failed, or the file is damaged.",
        )
    return state


def split_state(state: dict[str, Tensor], path: Path | str) -> Checkpoint:
    """Take the prefixes off and the temperature out of a raw state dict; raises `WeightsError`."""
    while prefix := next((one for one in _PREFIXES if any(key.startswith(one) for key in state)), None):
        bare = {key.removeprefix(prefix): value for key, value in state.items()}
        if len(bare) != len(state):
            raise WeightsError(f"it holds some weights with and without '{prefix}'", path=path)
        state = bare
    scale = state.get("logit_scale")
    if scale is not None and scale.numel() != 1:
        raise WeightsError("its logit_scale is not a single number", path=path)
    weights = {key: value for key, value in state.items() if key != "logit_scale"}
    return Checkpoint(weights, None if scale is None else float(scale))


def load_strict(module: nn.Module, state: dict[str, Tensor], path: Path | str, architecture: str) -> None:
    """Put weights into a module, which takes on their memory where it was made without any (device "meta").

    Raises:
        WeightsError: Keys are missing, too many or misshapen; the message lists them.
    """
    own = module.state_dict()
    complaints = []
    if missing := sorted(own.keys() - state.keys()):
        complaints.append(f"{_count(missing, 'key')} missing ({_some(missing)})")
    if extra := sorted(state.keys() - own.keys()):
        complaints.append(f"{_count(extra, 'key')} too many ({_some(extra)})")
    wrong = [
        f"{key} is {_shape(state[key])} instead of {_shape(own[key])}"
        for key in sorted(own.keys() & state.keys())
        if state[key].shape != own[key].shape
    ]
    if wrong:
        complaints.append(f"{_count(wrong, 'key')} of another shape ({_some(wrong)})")
    if complaints:
        raise WeightsError(
            f"these are not the weights of a {architecture}: {'; '.join(complaints)}",
            path=path,
            hint="Check that this is the right file, or name its architecture with --architecture.",
        )
    fitting = {key: value.to(own[key].dtype) for key, value in state.items()}
    on_meta = any(value.is_meta for value in own.values())
    module.load_state_dict(fitting, strict=True, assign=on_meta)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a single number"


def _count(items: list[str], noun: str) -> str:
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"


def _some(items: list[str], most: int = 3) -> str:
    return ", ".join(items[:most]) + (", …" if len(items) > most else "")
