"""What is known of released checkpoints, which nothing but their path and file name tells apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from geolocator_gui import paths
from geolocator_gui.configs import ModelConfig
from geolocator_gui.errors import BundleError, WeightsError
from geolocator_gui.ml.bundle import CONFIG_FILE, Bundle, file_sha256, list_bundles, open_bundle

if TYPE_CHECKING:
    from geolocator_gui.ml.weights.checkpoint import Checkpoint


@dataclass(frozen=True)
class Release:
    """One file of the Sample4Geo release.

    Attributes:
        preset: Name of the shipped bundle that describes it.
        folder: The folder of the release that it lies in.
        stem: Its file name without the ending; the number after the epoch is its own R@1.
    """

    preset: str
    folder: str
    stem: str


RELEASES = (
    Release("sample4geo-cvusa", "cvusa", "weights_e40_98.6830"),
    Release("sample4geo-cvact", "cvact", "weights_e36_90.8149"),
    Release("sample4geo-vigor-same", "vigor_same", "weights_e40_0.7786"),
    Release("sample4geo-vigor-cross", "vigor_cross", "weights_e40_0.6109"),
    Release("sample4geo-university1652", "university", "weights_e1_0.9515"),
)


def preset_of(path: Path) -> str | None:
    """The preset that a path names, None where it names none or the folder contradicts the file name."""
    # Browsers number a second download: "weights_e40_0.7786 (1).pth".
    stem = re.sub(r"\s*\(\d+\)$", "", path.name.removesuffix(path.suffix))
    folders = {part.lower() for part in path.resolve().parent.parts}
    by_name = {release.preset for release in RELEASES if release.stem == stem}
    by_folder = {release.preset for release in RELEASES if release.folder in folders}
    named = by_name & by_folder or by_name | by_folder
    return named.pop() if len(named) == 1 else None


def preset_names(workspace_models: Path | None = None) -> list[str]:
    """Names that `--as` takes: every bundle here, the shipped ones first."""
    shipped = [release.preset for release in RELEASES]
    return shipped + [b.name for b in list_bundles(workspace_models) if b.name not in shipped]


def preset_config(name: str, workspace_models: Path | None = None) -> ModelConfig:
    """The preprocessing that a preset stands for; raises `BundleError`."""
    shipped = paths.models_dir() / name
    if name in {release.preset for release in RELEASES} and (shipped / CONFIG_FILE).is_file():
        return open_bundle(shipped).config
    for bundle in list_bundles(workspace_models):
        if bundle.name == name:
            return bundle.config
    raise BundleError(
        f"there is no preset named '{name}'", hint=f"Presets: {', '.join(preset_names(workspace_models))}."
    )


def implications(config: ModelConfig) -> str:
    """What choosing a preset means, in a few words: "panorama 384x768, chips of 71 m"."""
    height, width = config.ground_size
    side = f"chips of {config.side_m:g} m" if config.side_m else "you set the chip's metres"
    return f"{config.ground_view.replace('_', ' ')} {height}x{width}, {side}"


def choose_a_preset(path: Path) -> BundleError:
    """The error for a file whose path says nothing: the presets with what each implies."""
    known = "".join(f"\n  {r.preset} ({implications(preset_config(r.preset))})" for r in RELEASES)
    return BundleError(
        "nothing in this file or its path says what the model was trained for",
        path=path,
        hint=f"Choose with --as NAME, as in `geolocator model add FILE --as NAME`:{known}",
    )


def bundle_of_file(
    path: Path,
    *,
    preset: str | None = None,
    architecture: str | None = None,
    workspace_models: Path | None = None,
    bare: bool = False,
) -> Bundle:
    """A bundle around a weights file that stays where it is.

    Args:
        path: The file.
        preset: Name of the preset; None to tell it from the path.
        architecture: timm name; None to tell it from the weights.
        workspace_models: The workspace's bundles.
        bare: Without a preset, take the preprocessing that timm gives for the architecture.

    Raises:
        WeightsError: The file is no weights file, or not of this architecture.
        BundleError: Nothing says which preset it is.

    Weights of another network than the preset's get its sizes and cuts, with mean and std of their own, and
    neither its name nor its scores.
    """
    from geolocator_gui.ml.weights.architectures import recognise_architecture
    from geolocator_gui.ml.weights.checkpoint import read_state_dict
    from geolocator_gui.ml.weights.weights_file import check_every_byte

    check_every_byte(path)
    checkpoint = read_state_dict(path)
    config = None
    if preset is not None:
        config = preset_config(preset, workspace_models)
    elif (guess := preset_of(path)) is not None:
        config = preset_config(guess)
    if architecture is None:
        try:
            architecture = recognise_architecture(checkpoint.state, path)
        except WeightsError:
            if config is None or "convnext" in config.architecture:
                raise
            architecture = config.architecture
    if config is not None and _base(config.architecture) == _base(architecture):
        architecture = config.architecture
    elif config is not None:
        config = _of_another_network(config, architecture)
    if config is None and not bare:
        raise choose_a_preset(path)
    if config is None:
        config = bare_config(path, architecture)
    return Bundle(path.parent, _fitted(config, checkpoint, architecture, path), weights=path)


def bare_config(path: Path, architecture: str) -> ModelConfig:
    """Preprocessing from timm's own facts of an architecture: square satellite, 1:2 panorama."""
    from geolocator_gui.ml.backbone import data_defaults

    facts = data_defaults(architecture)
    return ModelConfig(
        name=re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")[:64] or "weights",
        architecture=architecture,
        embedding_size=1,
        satellite_size=facts.size,
        ground_size=(facts.size, 2 * facts.size),
        ground_view="panorama",
        mean=facts.mean,
        std=facts.std,
        satellite_source_px=facts.size,
    )


def _of_another_network(config: ModelConfig, architecture: str) -> ModelConfig:
    """A preset's preprocessing for weights that are not the released ones: their scores are not its own."""
    from geolocator_gui.ml.backbone import data_defaults

    facts, base = data_defaults(architecture), _base(architecture)
    return config.model_copy(
        update={
            "name": f"{config.name}-{base}"[:64],
            "title": f"{config.title} preprocessing, {base}",
            "mean": facts.mean,
            "std": facts.std,
            "source": "",
            "licence": "",
            "trained_on": "",
            "scores": {},
        }
    )


def _fitted(config: ModelConfig, checkpoint: Checkpoint, architecture: str, path: Path) -> ModelConfig:
    """The configuration with this file's facts; the weights are tried on the architecture."""
    from geolocator_gui.ml.backbone import data_defaults, embedding_size
    from geolocator_gui.ml.model_loading import build_backbone, size_it_takes

    module = build_backbone(architecture, checkpoint.state, path)
    scale = checkpoint.logit_scale
    if not config.source:  # a released network takes the published sizes
        own, side = data_defaults(architecture).size, config.satellite_size
        satellite_size, _ = size_it_takes(module, (side, side), own)
        ground_size = size_it_takes(module, config.ground_size, own)
        config = config.model_copy(update={"satellite_size": satellite_size, "ground_size": ground_size})
    return config.model_copy(
        update={
            "architecture": architecture,
            "embedding_size": embedding_size(module),
            "weights_sha256": file_sha256(path),
            "logit_scale": config.logit_scale if scale is None else scale,
        }
    )


def _base(architecture: str) -> str:
    return architecture.split(".")[0]
