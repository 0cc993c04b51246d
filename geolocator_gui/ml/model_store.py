"""Adds weights to the models of this machine, describes them, and writes them out again."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geolocator_gui import paths
from geolocator_gui.errors import BundleError, FaultError, WeightsError
from geolocator_gui.ml.bundle import (
    CARD_FILE,
    CONFIG_FILE,
    Bundle,
    list_bundles,
    open_bundle,
    put_in_place,
    usual_mode,
)
from geolocator_gui.ml.weights.presets import bundle_of_file, preset_of
from geolocator_gui.ml.weights.weights_file import inspect

if TYPE_CHECKING:
    from torch import Tensor

# What upstream's models begin with, for a file that names no temperature.
_UNTRAINED = "These weights were not trained, or not for this architecture."
_FIRST_LOGIT_SCALE = math.log(1 / 0.07)


def add_model(
    file: Path,
    preset: str | None,
    dest: Path,
    *,
    name: str | None = None,
    architecture: str | None = None,
    side_m: float | None = None,
    link: bool = False,
    replace: bool = False,
    workspace_models: Path | None = None,
) -> Bundle:
    """Make a bundle of a weights file (or copy a bundle folder) and prove it with a forward pass.

    Args:
        file: The weights file, or a bundle folder.
        preset: What it is; None to tell it from the path.
        dest: Folder of bundles that it goes into.
        name: Of the new bundle; None for the preset's.
        architecture: timm name where the weights do not tell it.
        side_m: Metres on the ground per chip side, where the preset has none or another.
        link: Link the file instead of copying it.
        replace: Whether a bundle of that name with other weights may be replaced.
        workspace_models: The workspace's bundles.

    Raises:
        WeightsError: The file is not usable, or its vectors are not.
        BundleError: Nothing says what it is, or the name is taken.
    """
    if (file / CONFIG_FILE).is_file():
        source = open_bundle(file)
        source.verify()
    else:
        source = bundle_of_file(
            file, preset=preset, architecture=architecture, workspace_models=workspace_models
        )
    changes: dict[str, Any] = {"weights_file": f"weights{_ending(source.weights_path)}"}
    if name is not None:
        changes["name"] = name
    if side_m is not None:
        changes |= {"side_m": side_m, "side_m_origin": "user"}
    config = type(source.config).from_mapping({**source.config.model_dump(), **changes})
    folder = dest / config.name
    if (folder / CONFIG_FILE).is_file() and not replace:
        there = open_bundle(folder)
        if there.has_weights and there.config.weights_sha256 != config.weights_sha256:
            raise BundleError(
                f"there is already a model named '{config.name}' with other weights",
                path=folder,
                hint="Give this one another name with --name, or replace that one with --replace.",
            )
    check_vectors(Bundle(source.folder, config, weights=source.weights_path))
    dest.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{config.name}-", dir=dest))
    try:
        _bring(source.weights_path, scratch / config.weights_file, link=link)
        config.write_json(scratch / CONFIG_FILE)
        (scratch / CARD_FILE).write_text(_card(source, workspace_models), "utf-8")
        Bundle(scratch, config).verify()
        put_in_place(scratch, folder)
    except OSError as error:
        raise FaultError(f"the model cannot be written ({error.strerror or error})", path=folder) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Bundle(folder, config)


def check_vectors(bundle: Bundle) -> None:
    """A forward pass of both views: finite vectors that tell two images apart; raises `WeightsError`."""
    import torch

    from geolocator_gui.ml.model_loading import PixelsToVectors, load_backbone
    from geolocator_gui.ml.transforms import input_size

    network = PixelsToVectors(load_backbone(bundle), bundle.config)
    random = np.random.default_rng(0)
    vectors = []
    for view in ("satellite", "ground"):
        height, width = input_size(view, bundle.config)
        coarse = random.integers(0, 256, (1, height // 16 + 1, width // 16 + 1, 3), dtype=np.uint8)
        image = coarse.repeat(16, axis=1).repeat(16, axis=2)[:, :height, :width]
        try:
            with torch.inference_mode():
                vectors.append(network(torch.from_numpy(np.ascontiguousarray(image)))[0])
        except (AssertionError, RuntimeError) as error:
            raise WeightsError(
                f"the network does not take {view} images of {height}x{width} pixels "
                f"({str(error).splitlines()[0][:120] if str(error) else type(error).__name__})",
                path=bundle.weights_path,
                hint="Choose an architecture or a preset whose sizes fit together.",
            ) from error
    lengths = {len(vector) for vector in vectors}
    if lengths != {bundle.config.embedding_size}:
        raise WeightsError(
            f"the network gives vectors of {max(lengths)} numbers; {CONFIG_FILE} says "
            f"{bundle.config.embedding_size}",
            path=bundle.weights_path,
        )
    if not all(abs(float(vector.norm()) - 1) < 1e-3 for vector in vectors):  # also False for NaN
        raise WeightsError("a forward pass gives no usable vector", path=bundle.weights_path, hint=_UNTRAINED)
    if float(vectors[0] @ vectors[1]) > 0.999999:
        raise WeightsError(
            "the model gives the same vector for different images",
            path=bundle.weights_path,
            hint=_UNTRAINED,
        )


def describe(bundle: Bundle) -> dict[str, Any]:
    """All that is known of a bundle, JSON-able."""
    known = bundle.has_weights
    return {
        **bundle.config.model_dump(mode="json"),
        "folder": str(bundle.folder),
        "weights": str(bundle.weights_path) if known else None,
        "weights_bytes": bundle.weights_path.stat().st_size if known else None,
        "fingerprint": bundle.fingerprint if known else None,
    }


def describe_file(path: Path, architecture: str | None = None) -> dict[str, Any]:
    """All that can be told of a weights file by itself, JSON-able; raises `WeightsError`."""
    bundle = bundle_of_file(path, architecture=architecture, bare=True)
    return {**describe(bundle), "preset": preset_of(path), "folder": None}


def export_model(bundle: Bundle, path: Path, form: str) -> None:
    """Write a bundle's weights in float32 to one file.

    Args:
        bundle: The model.
        path: The file; an older one is replaced.
        form: "pth" for upstream's (`logit_scale` and `model.<timm keys>`, loads there), "safetensors" for
            bare timm keys and `logit_scale`.
    """
    import torch
    from safetensors.torch import save_file

    from geolocator_gui.ml.weights.checkpoint import read_state_dict

    bundle.verify()
    checkpoint = read_state_dict(bundle.weights_path)
    scales = (checkpoint.logit_scale, bundle.config.logit_scale, _FIRST_LOGIT_SCALE)
    scale = torch.tensor(next(value for value in scales if value is not None), dtype=torch.float32)
    prefix = "model." if form == "pth" else ""
    state: dict[str, Tensor] = {"logit_scale": scale}
    for key, value in checkpoint.state.items():
        state[prefix + key] = value.float().contiguous() if value.is_floating_point() else value
    if form == "pth":
        _write(path, lambda target: torch.save(state, target))
    else:
        _write(path, lambda target: save_file(state, target))


def models_folder(workspace_models: Path | None = None) -> Path:
    """Where models are added: the workspace's, else the user's own."""
    return workspace_models or paths.user_data_dir() / "models"


def _write(path: Path, write: Callable[[Path], None]) -> None:
    """Whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as scratch:
            file = Path(scratch) / path.name
            write(file)
            file.chmod(usual_mode(Path(scratch)))  # safetensors makes it private
            file.replace(path)
    except OSError as error:
        raise FaultError(f"the file cannot be written ({error.strerror or error})", path=path) from error


def _ending(path: Path) -> str:
    if inspect(path) == "safetensors":  # whatever the file was called
        return ".safetensors"
    return ".pt" if path.suffix.lower() == ".pt" else ".pth"


def _bring(source: Path, target: Path, *, link: bool) -> None:
    if not link:
        shutil.copyfile(source, target)
        return
    try:
        os.link(source.resolve(), target)
    except OSError:
        # Another file system: a symbolic link then, which the user asked for in place of a copy.
        target.symlink_to(source.resolve())


def _card(source: Bundle, workspace_models: Path | None) -> str:
    """The card of the folder or of the preset, with a line on where these weights came from."""
    same = [bundle.folder for bundle in list_bundles(workspace_models) if bundle.name == source.name]
    for folder in (source.folder, *same, paths.models_dir() / source.name):
        if (folder / CARD_FILE).is_file() and (folder / CONFIG_FILE).is_file():
            text = (folder / CARD_FILE).read_text("utf-8")
            break
    else:
        text = f"# {source.config.title or source.name}\n"
    sha256 = source.config.weights_sha256
    return f"{text.rstrip()}\n\nWeights here: added from `{source.weights_path.name}`, sha256 `{sha256}`.\n"
