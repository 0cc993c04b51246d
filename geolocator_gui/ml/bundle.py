"""Model bundles: a folder with `model.json`, `MODEL_CARD.md` and, mostly, the weights.

No torch here except to write weights: listing models must be quick and safe in any process.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from geolocator_gui import paths
from geolocator_gui.configs import ModelConfig
from geolocator_gui.errors import BundleError, ConfigError, FaultError

if TYPE_CHECKING:
    from torch import Tensor

CONFIG_FILE = "model.json"
CARD_FILE = "MODEL_CARD.md"

# What decides a vector besides the weights; `side_m` is the index's own, the rest is for people.
_PREPROCESSING = (
    "architecture",
    "embedding_size",
    "satellite_size",
    "ground_size",
    "ground_view",
    "ground_band_deg",
    "ground_cutting",
    "mean",
    "std",
    "satellite_source_px",
)


@dataclass(frozen=True)
class Bundle:
    """A model as data.

    Attributes:
        folder: Where it lies.
        config: Its `model.json`.
        weights: The weights file where it is not the one inside the folder (a bare checkpoint).
    """

    folder: Path
    config: ModelConfig
    weights: Path | None = field(default=None)

    @property
    def name(self) -> str:
        """The bundle's name."""
        return self.config.name

    @property
    def weights_path(self) -> Path:
        """Where the weights are or belong."""
        return self.weights or self.folder / self.config.weights_file

    @property
    def has_weights(self) -> bool:
        """Whether there is a weights file whose hash is known."""
        return bool(self.config.weights_sha256) and self.weights_path.is_file()

    @property
    def fingerprint(self) -> str:
        """sha256 (hex) over the weights' hash and the preprocessing; equal fingerprints embed alike.

        Raises:
            BundleError: The bundle has no weights.
        """
        if not self.config.weights_sha256:
            raise missing_weights(self)
        fields = self.config.model_dump(mode="json")
        facts = {"weights_sha256": self.config.weights_sha256, **{key: fields[key] for key in _PREPROCESSING}}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def verify(self) -> None:
        """Check that the weights are those that `model.json` names; raises `BundleError`."""
        if not self.has_weights:
            raise missing_weights(self)
        found = file_sha256(self.weights_path)
        if found != self.config.weights_sha256:
            raise BundleError(
                f"these are not the weights that {CONFIG_FILE} names (sha256 {found[:12]}… instead of "
                f"{self.config.weights_sha256[:12]}…)",
                path=self.weights_path,
                hint="Put the original weights back, or add the file anew with `geolocator model add`.",
            )


def missing_weights(bundle: Bundle) -> BundleError:
    """The error for a bundle that lacks its weights, with the way to get them."""
    source = f" They come from {bundle.config.source}." if bundle.config.source else ""
    return BundleError(
        f"the model '{bundle.name}' has no weights here",
        path=bundle.folder,
        hint=f"Add them with `geolocator model add FILE --as {bundle.name}`.{source}",
    )


def file_sha256(path: Path) -> str:
    """sha256 of a file in hex; memory does not grow with the file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_bundle(folder: Path) -> Bundle:
    """Read a bundle folder; raises `BundleError` if `model.json` is missing or wrong."""
    if not (folder / CONFIG_FILE).is_file():
        raise BundleError(
            f"there is no {CONFIG_FILE} in this folder",
            path=folder,
            hint="A model is a folder with that file.",
        )
    try:
        return Bundle(folder, ModelConfig.read_json(folder / CONFIG_FILE))
    except ConfigError as error:
        raise BundleError(error.what, path=folder / CONFIG_FILE, hint=error.hint) from error


def search_path(workspace_models: Path | None = None) -> tuple[Path, ...]:
    """Folders of bundles, first hit wins: the workspace's, the user's, the shipped ones."""
    own = () if workspace_models is None else (workspace_models,)
    return (*own, paths.user_data_dir() / "models", paths.models_dir())


def list_bundles(workspace_models: Path | None = None) -> list[Bundle]:
    """Every bundle on the search path by name; of equal names the first one that has its weights.

    A folder whose `model.json` is wrong is left out here; opening it by name says why.
    """
    found: dict[str, Bundle] = {}
    for bundle in _every_bundle(workspace_models):
        key = bundle.folder.name
        if key not in found or (bundle.has_weights and not found[key].has_weights):
            found[key] = bundle
    return [found[key] for key in sorted(found)]


def _every_bundle(workspace_models: Path | None) -> Iterator[Bundle]:
    for parent in search_path(workspace_models):
        if not parent.is_dir():
            continue
        for folder in sorted(parent.iterdir()):
            if folder.name.startswith(".") or not (folder / CONFIG_FILE).is_file():
                continue
            try:
                yield open_bundle(folder)
            except BundleError:
                # One broken folder must not hide the others; `find_bundle` reports it when it is asked for.
                continue


def find_bundle(name_or_path: str | Path, workspace_models: Path | None = None) -> Bundle:
    """The bundle of a name, a folder or a checkpoint file whose path says which release it is.

    Raises:
        BundleError: There is none, with the names that there are.
    """
    text = str(name_or_path)
    path = Path(text).expanduser()
    if path.is_dir() and (path / CONFIG_FILE).is_file():
        return open_bundle(path)
    if path.is_file():
        from geolocator_gui.ml.weights.presets import bundle_of_file

        return bundle_of_file(path)
    named: Bundle | None = None
    if "/" not in text and "\\" not in text and text not in {"", ".", ".."}:
        for parent in search_path(workspace_models):
            if (parent / text / CONFIG_FILE).is_file():
                bundle = open_bundle(parent / text)
                if bundle.has_weights:
                    return bundle
                named = named or bundle
    if named is not None:
        return named
    if path.is_dir():
        return open_bundle(path)  # says what is missing in it
    if path.suffix.lower() in (".pth", ".pt", ".safetensors") or len(path.parts) > 1:
        raise BundleError(
            "there is no such file or folder", path=path, hint=f"Models by name: {_names(workspace_models)}."
        )
    raise BundleError(
        f"there is no model named '{text}'",
        hint=f"Models here: {_names(workspace_models)}. A folder or a weights file works too.",
    )


def _names(workspace_models: Path | None) -> str:
    return ", ".join(bundle.name for bundle in list_bundles(workspace_models)) or "none"


def bundle_by_fingerprint(fingerprint: str, workspace_models: Path | None = None) -> Bundle | None:
    """The first bundle on the search path with weights of this fingerprint, or None."""
    for bundle in _every_bundle(workspace_models):
        if bundle.has_weights and bundle.fingerprint == fingerprint:
            return bundle
    return None


def write_bundle(folder: Path, config: ModelConfig, state: Mapping[str, Tensor], card: str) -> Bundle:
    """Write a bundle with its weights as safetensors, whole or not at all; an older one there is replaced.

    Args:
        folder: Where it shall lie; its parent is made.
        config: `weights_file` and `weights_sha256` are set here.
        state: Weights with bare timm keys, in the dtype they shall be stored in.
        card: Text of `MODEL_CARD.md`.
    """
    from safetensors.torch import save_file

    name = "weights.safetensors"
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        tensors = {key: value.detach().cpu().contiguous().clone() for key, value in state.items()}
        save_file(tensors, scratch / name)
        config = config.model_copy(
            update={"weights_file": name, "weights_sha256": file_sha256(scratch / name)}
        )
        config.write_json(scratch / CONFIG_FILE)
        (scratch / CARD_FILE).write_text(card, "utf-8")
        put_in_place(scratch, folder)
    except OSError as error:
        raise FaultError(f"the model cannot be written ({error})", path=folder) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Bundle(folder, config)


def usual_mode(folder: Path) -> int:
    """Permissions that a new file in this folder gets by the user's umask."""
    probe = folder / ".mode"
    probe.touch()
    mode = probe.stat().st_mode & 0o777
    probe.unlink()
    return mode


def put_in_place(scratch: Path, folder: Path) -> None:
    """Move a finished scratch folder to its place, replacing what is there in two renames.

    mkdtemp and safetensors make things that only their owner can read; here they get the user's own mode.
    """
    mode = usual_mode(scratch)
    scratch.chmod(mode | (mode & 0o444) >> 2)
    for file in scratch.iterdir():
        if not file.is_symlink() and file.stat().st_nlink == 1:  # a linked file is not ours to change
            file.chmod(mode)
            with file.open("rb+") as handle:
                os.fsync(handle.fileno())
    if folder.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent)) / folder.name
        folder.rename(old)
        scratch.rename(folder)
        shutil.rmtree(old.parent, ignore_errors=True)
    else:
        scratch.rename(folder)
