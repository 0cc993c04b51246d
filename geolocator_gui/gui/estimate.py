"""What an index will cost, before it is started; plain functions without Qt."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from geolocator_gui.configs import IndexConfig, ModelConfig
from geolocator_gui.gui import wording
from geolocator_gui.gui.translation import translate
from geolocator_gui.paths import user_data_dir
from geolocator_gui.records import ImageryInfo
from geolocator_gui.runs import RunFolder
from geolocator_gui.workspace import write_atomically

if TYPE_CHECKING:
    from geolocator_gui.geo.area import Area

_CHIP_BYTES = 64  # its row in chips.parquet and the search structure
_COUNTED_CHIPS = 2_000_000  # above, they are reckoned from the area
_MOST_CHIPS = 100_000_000
_TILE_BYTES = 18_000  # a 256² JPEG tile of aerial imagery, on average


@dataclass(frozen=True)
class Estimate:
    """What an index will cost.

    Attributes:
        chips: Chips to embed.
        tiles: Tiles to fetch from the network, 0 for files.
        disk: Bytes written.
        seconds: Time on this machine, None before anything was measured here.
        square_km: Size of the area.
        allowed: The imagery's terms allow fetching whole areas.
        trouble: Why it cannot be started, "" when it can.
    """

    chips: int
    tiles: int
    disk: float
    seconds: float | None
    square_km: float
    allowed: bool = True
    trouble: str = ""

    def lines(self) -> list[tuple[str, str]]:
        """Name and value of every line that is shown."""
        here = translate("Estimate", "none")
        time = translate("Estimate", "measured by the first run")
        if self.seconds is not None:
            time = wording.duration(self.seconds)
            if self.seconds >= 1:
                time = translate("Estimate", "about {time}").format(time=time)
        return [
            (translate("Estimate", "Area"), wording.area(self.square_km)),
            (translate("Estimate", "Chips"), wording.count(self.chips)),
            (translate("Estimate", "Tiles to fetch"), wording.count(self.tiles) if self.tiles else here),
            (translate("Estimate", "Disk"), wording.size(self.disk)),
            (translate("Estimate", "Time"), time),
        ]


def estimate(
    area: Area | None,
    info: ImageryInfo,
    model: ModelConfig,
    overlap: float,
    side_m: float | None,
    rate: float | None,
) -> Estimate:
    """Count chips, tiles, bytes and time.

    Args:
        area: What to index; None takes the whole imagery.
        info: The imagery.
        model: The model.
        overlap: Of neighbouring chips, 0..0.75.
        side_m: Metres per chip side; None takes the model's.
        rate: Chips per second measured on this machine, None when unknown.

    Raises:
        AreaError: The area cannot be covered.
        ImageryError: The area lies beside the imagery.
    """
    from geolocator_gui.geo.area import area_of_imagery, share_on_imagery
    from geolocator_gui.geo.grid import build_grid

    side = side_m or model.side_m
    if side is None:
        unknown = translate("Estimate", "Set how many metres a chip covers: this model does not say.")
        return Estimate(0, 0, 0, None, 0, trouble=unknown)
    whole = area if area is not None else area_of_imagery(info)
    share_on_imagery(whole, [info])  # says so where the area lies beside it
    chips, trouble = round(whole.km2 * 1e6 / (side * (1 - overlap)) ** 2), ""
    if chips <= _COUNTED_CHIPS:  # counting takes time and memory that grow with the area
        chips = build_grid(whole, side, overlap).count
    elif chips > _MOST_CHIPS:
        many = translate(
            "Estimate",
            "About {chips} chips are too many for one index: take a smaller area or less overlap.",
        )
        trouble = many.format(chips=wording.count(chips))
    tiles = 0
    if info.kind in ("xyz", "wms", "wmts") and info.max_zoom is not None:
        latitude = (whole.bounds.south + whole.bounds.north) / 2
        finest = side / model.satellite_source_px
        around = 2 * math.pi * 6378137 * math.cos(math.radians(latitude)) / 256
        zoom = min(info.max_zoom, math.ceil(math.log2(around / max(finest, 0.01))))
        tile_side = around * 256 / 2**zoom
        tiles = math.ceil(whole.km2 * 1e6 / tile_side**2 * 1.1) + 4
    disk = chips * (2.0 * model.embedding_size + _CHIP_BYTES) + tiles * _TILE_BYTES
    seconds = None if rate is None or rate <= 0 else chips / rate
    return Estimate(chips, tiles, disk, seconds, whole.km2, info.bulk, trouble)


def known_rate(model: str, file: Path | None = None) -> float | None:
    """Chips per second that an index run with this model last reached on this machine."""
    path = file or user_data_dir() / "rates.json"
    try:
        value = json.loads(path.read_text("utf-8")).get(model)
        return float(value) if value else None
    except (OSError, ValueError, AttributeError, TypeError):
        return None  # not measured yet, or a file of another version


def remember_rate(model: str, rate: float, file: Path | None = None) -> None:
    """Keep what a run measured."""
    path = file or user_data_dir() / "rates.json"
    try:
        rates = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        rates = {}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps({**(rates if isinstance(rates, dict) else {}), model: rate}))


def remember_rate_of(thing: Path, rate: float) -> None:
    """Keep what the index run in a folder measured."""
    remember_rate(Path(RunFolder(thing).read_config(IndexConfig).model).name, rate)
