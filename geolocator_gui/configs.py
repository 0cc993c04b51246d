"""Configurations: frozen, validated at the border, written as TOML or JSON."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import tomlkit
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from geolocator_gui.errors import ConfigError

# Degrees that a photo covers at least: through a lens of 2,000 mm it shows this much, and no place to find.
MIN_FOV = 1.0
GroundView = Literal["panorama", "panorama_strip", "perspective", "drone"]


def _in_words(problem: Mapping[str, Any]) -> str:
    """One of pydantic's complaints as a sentence about a setting."""
    name = ".".join(str(part) for part in problem["loc"] if not isinstance(part, int)) or "file"
    places = [part + 1 for part in problem["loc"] if isinstance(part, int)]
    if problem["type"] == "extra_forbidden":
        return f"the setting '{name}' is unknown"
    said = str(problem["msg"]).removeprefix("Value error, ")
    if said.startswith("Input should be"):
        which = f"number {places[0]} of the setting" if places else "the setting"
        return f"{which} '{name}' {said.removeprefix('Input ')}"
    return f"the setting '{name}' is not valid: {said}"


class Config(BaseModel):
    """Base of all configurations: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)

    @classmethod
    def from_mapping(cls, fields: dict[str, Any], *, path: Path | str | None = None) -> Self:
        """Validate a mapping; raises `ConfigError` that names every wrong key in words."""
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            wrong = "; ".join(_in_words(item) for item in error.errors(include_url=False))
            raise ConfigError(wrong, path=path, hint="Correct this and try again.") from error

    @classmethod
    def read_toml(cls, path: Path) -> Self:
        """Read a TOML file; raises `ConfigError` if it is missing or wrong."""
        try:
            return cls.from_mapping(tomllib.loads(path.read_text("utf-8")), path=path)
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"the settings cannot be read ({error})", path=path) from error

    @classmethod
    def read_json(cls, path: Path) -> Self:
        """Read a JSON file; raises `ConfigError` if it is missing or wrong."""
        try:
            return cls.from_mapping(json.loads(path.read_text("utf-8")), path=path)
        except (OSError, ValueError) as error:
            raise ConfigError(f"the settings cannot be read ({error})", path=path) from error

    def write_toml(self, path: Path) -> None:
        """Write as TOML; keys that are None are left out."""
        path.write_text(tomlkit.dumps(self.model_dump(mode="json", exclude_none=True)), "utf-8")

    def write_json(self, path: Path) -> None:
        """Write as indented JSON."""
        path.write_text(json.dumps(self.model_dump(mode="json"), indent=2) + "\n", "utf-8")


class ModelConfig(Config):
    """A model as data: the `model.json` of a bundle.

    Attributes:
        name: Folder name of the bundle.
        title: For people.
        architecture: timm name of the backbone shared by both views.
        embedding_size: Length of a vector.
        satellite_size: Side of the square satellite input, pixels.
        ground_size: Height and width of the ground input, pixels.
        ground_view: What the ground input shows.
        ground_band_deg: Degrees of height around the horizon that the ground input covers; a full 2:1
            panorama is cut to this band before the resize (180 = uncut).
        ground_cutting: Rows cut from the top and from the bottom of a ground image before the resize.
        mean: Per channel, of images scaled to 0..1.
        std: Per channel, of images scaled to 0..1.
        side_m: Metres on the ground per chip side; None where the user must set it.
        side_m_origin: Whether `side_m` was published, derived from the data set, or set by the user.
        satellite_source_px: Resolution at which a chip is cut before the evaluation transform.
        recommended_overlap: Of neighbouring chips in an index, 0..0.75.
        weights_file: Inside the bundle folder.
        weights_sha256: Of that file, "" while the bundle has no weights.
        source: Where the weights come from.
        licence: State of their licence.
        trained_on: Data set and split.
        synthetic: Trained on generated imagery only; its rankings mean nothing in the real world.
        scores: Published or measured figures, by name.
        logit_scale: ln of the inverse temperature as trained, None when unknown.
    """

    schema_version: int = 1
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    title: str = ""
    architecture: str
    embedding_size: int = Field(gt=0, le=16384)
    satellite_size: int = Field(ge=16, le=2048)
    ground_size: tuple[int, int]
    ground_view: GroundView
    ground_band_deg: float = Field(default=180.0, gt=0, le=180)
    ground_cutting: int = Field(default=0, ge=0)
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    side_m: float | None = Field(default=None, gt=0)
    side_m_origin: Literal["published", "derived", "user", "unknown"] = "unknown"
    satellite_source_px: int = Field(ge=16, le=8192)
    recommended_overlap: float = Field(default=0.5, ge=0, le=0.75)
    weights_file: str = Field(default="weights.safetensors", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    weights_sha256: str = ""
    source: str = ""
    licence: str = ""
    trained_on: str = ""
    synthetic: bool = False
    scores: dict[str, float] = {}
    logit_scale: float | None = None


class IndexConfig(Config):
    """What an `index` run builds; the run's `config.toml`.

    Attributes:
        imagery: Sources in order of preference (file, folder, template or address).
        area: Area file; None for the imagery's own extent (or `bbox`).
        bbox: W, S, E, N in degrees.
        circle: Longitude, latitude, radius in metres.
        model: Bundle name or path.
        overlap: Of neighbouring chips; None for the bundle's recommendation.
        side_m: Metres per chip side; None for the bundle's.
        levels: Levels of detail: chips of 1x, 2x, 4x the side.
        batch_size: Chips per committed batch, fixed at the start.
        device: "auto", "cpu", "cuda", "mps".
        backend: "auto", "torch", "openvino".
        precision: "auto", "fp32", "bf16", "fp16", "int8".
        threads: CPU threads for the encoder; None for automatic.
        max_missing: Largest fraction of missing or blank pixels of a chip that is embedded.
    """

    imagery: tuple[str, ...]
    area: str | None = None
    bbox: tuple[float, float, float, float] | None = None
    circle: tuple[float, float, float] | None = None
    model: str = "demo-town"
    overlap: float | None = Field(default=None, ge=0, le=0.75)
    side_m: float | None = Field(default=None, gt=0)
    levels: tuple[int, ...] = (1,)
    batch_size: int = Field(default=64, ge=1, le=4096)
    device: str = "auto"
    backend: str = "auto"
    precision: str = "auto"
    threads: int | None = Field(default=None, ge=1)
    max_missing: float = Field(default=0.1, ge=0, le=1)


class LocaliseConfig(Config):
    """How a photo is localised.

    Attributes:
        mode: How the photo is put before the encoder; None guesses from the file.
        heading: Degrees from true north of the photo's centre; None takes the file's, else sweeps.
        sweep: Find the heading out, whatever the file says.
        fov: Horizontal field of view in degrees; None takes the file's.
        top: Number of matches returned.
        within: Area file that the search is limited to.
        within_circle: Longitude, latitude, radius in metres that the search is limited to.
        min_distance_m: Between two matches; None for half a chip side; 0 keeps every chip.
        rolls: Steps of a heading sweep.
    """

    mode: Literal["panorama", "perspective", "drone"] | None = None
    heading: float | None = None
    sweep: bool = False
    fov: float | None = Field(default=None, ge=MIN_FOV, le=360)
    top: int = Field(default=5, ge=1, le=1000)
    within: str | None = None
    within_circle: tuple[float, float, float] | None = None
    min_distance_m: float | None = Field(default=None, ge=0)
    rolls: int = Field(default=24, ge=1, le=360)
