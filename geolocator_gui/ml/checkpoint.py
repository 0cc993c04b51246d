"""Reads weights files: upstream's `.pth`, `.safetensors`; strict, and nothing in the file is executed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from geolocator_gui.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor, nn

# What a DataParallel save and upstream's own module put before a backbone's keys.
_PREFIXES = ("module.", "model.")


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
    """Read a weights file.

    Raises:
        WeightsError: It is missing or not a state dict.
    """
    import torch
    from safetensors.torch import load_file

    if not path.is_file():
        raise WeightsError("there is no such weights file", path=path)
    if path.suffix == ".safetensors":
        return split_state(load_file(path), path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    return split_state(state, path)


def split_state(state: dict[str, Tensor], path: Path | str) -> Checkpoint:
    """Take the prefixes off and the temperature out of a raw state dict."""
    for prefix in _PREFIXES:
        if any(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    scale = state.get("logit_scale")
    if scale is not None and scale.numel() != 1:
        raise WeightsError("its logit_scale is not a single number", path=path)
    bare = {key: value for key, value in state.items() if key != "logit_scale"}
    return Checkpoint(bare, None if scale is None else float(scale))


def load_strict(module: nn.Module, state: dict[str, Tensor], path: Path | str, architecture: str) -> None:
    """Put weights into a module; raises `WeightsError` that lists missing, extra and misshapen keys."""
    import torch

    own = module.state_dict()
    complaints = []
    if missing := sorted(own.keys() - state.keys()):
        complaints.append(f"{_count(missing, 'key')} missing ({_some(missing)})")
    if extra := sorted(state.keys() - own.keys()):
        complaints.append(f"{_count(extra, 'key')} too many ({_some(extra)})")
    wrong = [
        f"{key} is {tuple(state[key].shape)} instead of {tuple(own[key].shape)}"
        for key in sorted(own.keys() & state.keys())
        if state[key].shape != own[key].shape
    ]
    if wrong:
        complaints.append(f"{_count(wrong, 'key')} of another shape ({_some(wrong)})")
    if complaints:
        raise WeightsError(
            f"these weights are not those of a {architecture}: {'; '.join(complaints)}",
            path=path,
            hint="Name the architecture with --architecture, or check that this is the right file.",
        )
    with torch.no_grad():
        module.load_state_dict({key: value.to(own[key].dtype) for key, value in state.items()}, strict=True)


def _count(items: list[str], noun: str) -> str:
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"


def _some(items: list[str], most: int = 3) -> str:
    return ", ".join(items[:most]) + (", …" if len(items) > most else "")
