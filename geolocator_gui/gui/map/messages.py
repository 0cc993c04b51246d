"""The whole contract between the map page and the window: messages in both directions, as plain data.

To the page: one frozen dataclass per message, sent as `{"kind": …, fields}`. From the page: `read` turns a
line into one of the classes below and refuses anything else, so that nothing a page could be made to say
reaches the window unchecked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from geolocator_gui.records import BoundingBox, LonLat

Shape = Literal["rectangle", "polygon", "circle"]
Geometry = Mapping[str, Any]
_MOST_POINTS = 100_000


# -- to the page ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetTheme:
    """The tokens as CSS custom properties, and whether the map may move."""

    variables: Mapping[str, str]
    motion: bool = True
    kind: str = "theme"


@dataclass(frozen=True)
class SetWords:
    """The words on the map, translated."""

    words: Mapping[str, str]
    kind: str = "words"


@dataclass(frozen=True)
class SetImagery:
    """The base layer; an empty key takes it away."""

    key: str = ""
    bounds: BoundingBox | None = None
    attribution: str = ""
    kind: str = "imagery"


@dataclass(frozen=True)
class Show:
    """Bring a rectangle into view."""

    bounds: BoundingBox
    padding: int = 24
    jump: bool = False
    kind: str = "view"


@dataclass(frozen=True)
class FlyTo:
    """Bring a position into view."""

    lon: float
    lat: float
    zoom: float | None = None
    kind: str = "fly"


@dataclass(frozen=True)
class SetArea:
    """The area; None takes it away."""

    geometry: Geometry | None = None
    kind: str = "area"


@dataclass(frozen=True)
class Draw:
    """Begin drawing; None stops."""

    shape: Shape | None
    kind: str = "draw"


@dataclass(frozen=True)
class ToggleEdit:
    """Begin or finish moving the corners of the area."""

    kind: str = "edit"


@dataclass(frozen=True)
class Pin:
    """A numbered match."""

    rank: int
    lon: float
    lat: float
    bounds: BoundingBox


@dataclass(frozen=True)
class SetMatches:
    """The matches of the chosen photo; empty takes them away."""

    matches: tuple[Pin, ...] = ()
    fused: Mapping[str, float] | None = None
    own: Mapping[str, float] | None = None
    kind: str = "matches"


@dataclass(frozen=True)
class Highlight:
    """Lift one match; None lifts none."""

    rank: int | None
    kind: str = "highlight"


@dataclass(frozen=True)
class SetOverlay:
    """A picture over the imagery; an empty `url` takes it away."""

    kind: Literal["heat", "coverage", "weak"]
    url: str = ""
    bounds: BoundingBox | None = None


@dataclass(frozen=True)
class Impostor:
    """A chip that the model confuses with the right one.

    Attributes:
        place: Position in the gallery, its name in messages.
        rank: Shown on the pin if it is `numbered`.
        lon: Degrees.
        lat: Degrees.
        bounds: Outline.
        colour: Of line and pin, by margin, `#rrggbb`.
        ink: Of the number on it.
        numbered: Whether the pin is large and joined by a line from the start.
    """

    place: int
    rank: int
    lon: float
    lat: float
    bounds: BoundingBox
    colour: str
    ink: str
    numbered: bool


@dataclass(frozen=True)
class SetConfusions:
    """A photo, its own chip and its impostors, joined by lines; empty takes them away."""

    query: Mapping[str, float] | None = None
    own: BoundingBox | None = None
    own_place: Mapping[str, float] | None = None
    items: tuple[Impostor, ...] = ()
    kind: str = "confusions"


@dataclass(frozen=True)
class LiftImpostor:
    """Lift one impostor; None lifts none."""

    place: int | None
    kind: str = "lift"


@dataclass(frozen=True)
class SetPrior:
    """The circle that the search is limited to; radius 0 takes it away."""

    lon: float = 0.0
    lat: float = 0.0
    radius_m: float = 0.0
    kind: str = "prior"


ToPage = (
    SetTheme
    | SetWords
    | SetImagery
    | Show
    | FlyTo
    | SetArea
    | Draw
    | ToggleEdit
    | SetMatches
    | Highlight
    | SetOverlay
    | SetPrior
    | SetConfusions
    | LiftImpostor
)


def write(message: ToPage) -> str:
    """One message as JSON."""
    return json.dumps(asdict(message))


# -- from the page ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ready:
    """The page can receive."""


@dataclass(frozen=True)
class Drawn:
    """A rectangle or polygon was drawn, or the area was edited."""

    geometry: Geometry
    edited: bool = False


@dataclass(frozen=True)
class CircleDrawn:
    """A circle was drawn."""

    centre: LonLat
    radius_m: float


@dataclass(frozen=True)
class AreaDeleted:
    """The area's delete button was pressed."""


@dataclass(frozen=True)
class MatchPointed:
    """The pointer is over a match, or over none."""

    rank: int | None


@dataclass(frozen=True)
class MatchChosen:
    """A match was clicked (`zoom`: twice)."""

    rank: int
    zoom: bool = False


@dataclass(frozen=True)
class ImpostorPointed:
    """The pointer is over an impostor or its line, or over none."""

    place: int | None


@dataclass(frozen=True)
class ImpostorChosen:
    """An impostor or its line was clicked."""

    place: int


@dataclass(frozen=True)
class MenuWanted:
    """The right button was pressed at a position; x and y in page pixels."""

    position: LonLat
    x: int
    y: int


@dataclass(frozen=True)
class Moved:
    """What the map shows now."""

    bounds: BoundingBox
    zoom: float


@dataclass(frozen=True)
class Pointer:
    """Where the pointer is."""

    position: LonLat


FromPage = (
    Ready
    | Drawn
    | CircleDrawn
    | AreaDeleted
    | MatchPointed
    | MatchChosen
    | ImpostorPointed
    | ImpostorChosen
    | MenuWanted
    | Moved
    | Pointer
)


@dataclass
class _Fields:
    values: Mapping[str, Any] = field(default_factory=dict)

    def number(self, name: str) -> float:
        value = float(self.values[name])
        if not math.isfinite(value):
            raise ValueError(f"{name} is not a number")
        return value

    def position(self) -> LonLat:
        lon, lat = self.number("lon"), self.number("lat")
        if not (-540 <= lon <= 540 and -90 <= lat <= 90):
            raise ValueError("not a position")
        return LonLat(lon, lat)


def read(line: str) -> FromPage | None:
    """A message of the page; None when it is not one."""
    try:
        values = json.loads(line)
        fields = _Fields(values)
        match values["kind"]:
            case "ready":
                return Ready()
            case "drawn":
                return Drawn(_geometry(values["geometry"]), bool(values.get("edited", False)))
            case "circle":
                return CircleDrawn(fields.position(), fields.number("radius_m"))
            case "deleted":
                return AreaDeleted()
            case "hover":
                return MatchPointed(None if values["rank"] is None else int(values["rank"]))
            case "choose" | "zoom" as kind:
                return MatchChosen(int(values["rank"]), kind == "zoom")
            case "impostor_hover":
                return ImpostorPointed(None if values["place"] is None else int(values["place"]))
            case "impostor":
                return ImpostorChosen(int(values["place"]))
            case "context":
                return MenuWanted(fields.position(), int(fields.number("x")), int(fields.number("y")))
            case "moved":
                west, south, east, north = (float(value) for value in values["bounds"])
                return Moved(BoundingBox(west, south, east, north), fields.number("zoom"))
            case "pointer":
                return Pointer(fields.position())
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return None


def _geometry(value: Any) -> Geometry:
    if value["type"] not in ("Polygon", "MultiPolygon"):
        raise ValueError("not an area")
    polygons = [value["coordinates"]] if value["type"] == "Polygon" else value["coordinates"]
    points = [point for polygon in polygons for ring in polygon for point in ring]
    if not 3 <= len(points) <= _MOST_POINTS:
        raise ValueError("not an area")
    for point in points:
        if not all(math.isfinite(float(part)) for part in point[:2]):
            raise ValueError("not a position")
    return {"type": str(value["type"]), "coordinates": value["coordinates"]}
