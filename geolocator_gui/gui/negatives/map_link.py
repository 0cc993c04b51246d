"""The chosen query on the map: photo, own chip, impostors joined by lines, and where the model is weak."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QObject

from geolocator_gui.gui.map import heat, messages
from geolocator_gui.gui.map.controller import MapController
from geolocator_gui.gui.map.view import MapView
from geolocator_gui.gui.negatives import colours
from geolocator_gui.gui.negatives.inspector import Inspector
from geolocator_gui.gui.negatives.result import MiningResult
from geolocator_gui.gui.negatives.weak_places import weak_places
from geolocator_gui.records import BoundingBox

_MOST_SHOWN, _NUMBERED = 32, 9


class MapLink(QObject):
    """Shows the inspector's state on the map while its page is open."""

    def __init__(self, inspector: Inspector, map_: MapController, view: MapView) -> None:
        super().__init__(view)
        self._inspector, self._map, self._view = inspector, map_, view
        self._active = False
        self._weak = False
        self._pictures = 0
        view.said.connect(self._on_said)
        inspector.query_changed.connect(self._show)
        inspector.candidate_changed.connect(self._on_candidate)
        inspector.pointed.connect(self._on_pointed)
        inspector.result_changed.connect(self._show_weak)

    def set_active(self, active: bool) -> None:
        """The page is open, or another one is."""
        if active == self._active:
            return
        self._active = active
        self._map.hold_matches(active)
        self._show()
        self._show_weak()

    def set_weak(self, on: bool) -> None:
        """Show or hide where the model is weak."""
        self._weak = on
        self._show_weak(look=on)

    def look(self) -> None:
        """Bring the photo and its impostors into view."""
        boxes = self._boxes(self._inspector.place)
        if boxes:
            self._map.show_bounds(_around(boxes))

    def look_at(self, place: int) -> None:
        """Bring one impostor into view."""
        inspector = self._inspector
        if inspector.result is None or not 0 <= place < len(inspector.candidates):
            return
        bounds = inspector.result.chips.bounds(inspector.candidates[place].chip)
        if bounds is not None:
            self._map.show_bounds(_around([bounds], 1.0))

    def _show(self) -> None:
        inspector, result = self._inspector, self._inspector.result
        if not self._active or result is None or inspector.row is None:
            self._view.send(messages.SetConfusions())
            return
        row = inspector.row
        self._view.send(confusions(result, row, inspector))
        self._on_candidate(inspector.place)
        if inspector.candidates:
            self._keep_in_view()

    def _keep_in_view(self) -> None:
        boxes, view = self._boxes(self._inspector.place), self._map.view_bounds
        if not boxes:
            return
        if view is None or any(
            b.west < view.west or b.east > view.east or b.south < view.south or b.north > view.north
            for b in boxes
        ):
            self._map.show_bounds(_around(boxes))

    def _boxes(self, place: int | None) -> list[BoundingBox]:
        """What must be seen: the photo, its own chip, the first impostors and the chosen one."""
        inspector, result = self._inspector, self._inspector.result
        if result is None or inspector.row is None:
            return []
        rows = [int(result.positive[inspector.row])]
        rows += [one.chip for one in inspector.candidates[:3]]
        if place is not None and place < len(inspector.candidates):
            rows.append(inspector.candidates[place].chip)
        boxes = [box for row in rows if row >= 0 and (box := result.chips.bounds(row)) is not None]
        own = result.place(inspector.row)
        return [*boxes, BoundingBox(own.lon, own.lat, own.lon, own.lat)] if own is not None else boxes

    def _on_candidate(self, place: int | None) -> None:
        if self._active:
            self._view.send(messages.LiftImpostor(place))

    def _on_pointed(self, place: int | None) -> None:
        self._on_candidate(place if place is not None else self._inspector.place)

    def _on_said(self, message: messages.FromPage) -> None:
        if not self._active:
            return
        match message:
            case messages.ImpostorPointed(place):
                self._inspector.pointed.emit(place)
            case messages.ImpostorChosen(place):
                self._inspector.lift(place)

    def _show_weak(self, *, look: bool = False) -> None:
        result = self._inspector.result
        if not self._active or not self._weak or result is None:
            self._view.send(messages.SetOverlay("weak"))
            return
        handlers = self._inspector.session.handlers
        self._pictures += 1
        name = f"weak-{self._pictures}"

        def work() -> tuple[str, BoundingBox] | None:
            found = weak_places(result)
            if found is None:
                return None
            picture = found.picture(colours.span_of(result.margin))
            handlers.drop_picture(f"weak-{self._pictures - 2}")
            return handlers.put_picture(name, heat.png(np.ascontiguousarray(picture))), found.bounds

        def success(made: tuple[str, BoundingBox] | None) -> None:
            if made is not None and self._weak and self._active and self._inspector.result is result:
                self._view.send(messages.SetOverlay("weak", *made))
                if look:
                    self._map.show_bounds(made[1])

        self._inspector.session.background.run(work, success, owner=self)


def confusions(result: MiningResult, row: int, inspector: Inspector) -> messages.SetConfusions:
    """The message for a query: the first impostors by rank, coloured by their margin."""
    margins = np.array([np.nan if c.margin is None else c.margin for c in inspector.candidates], float)
    span = colours.span_of(margins)
    items = []
    for candidate in inspector.candidates[:_MOST_SHOWN]:
        centre, bounds = result.chips.place(candidate.chip), result.chips.bounds(candidate.chip)
        if centre is None or bounds is None:
            continue
        colour = colours.hex_of(candidate.margin, span)
        items.append(
            messages.Impostor(
                candidate.place,
                candidate.rank,
                centre.lon,
                centre.lat,
                bounds,
                colour,
                colours.ink_on(colour),
                candidate.place < _NUMBERED,
            )
        )
    place, own = result.place(row), int(result.positive[row])
    own_place = result.chips.place(own)
    return messages.SetConfusions(
        query=None if place is None else {"lon": place.lon, "lat": place.lat},
        own=result.chips.bounds(own),
        own_place=None if own_place is None else {"lon": own_place.lon, "lat": own_place.lat},
        items=tuple(items),
    )


def _around(boxes: list[BoundingBox], margin: float = 0.08) -> BoundingBox:
    west, south = min(b.west for b in boxes), min(b.south for b in boxes)
    east, north = max(b.east for b in boxes), max(b.north for b in boxes)
    x, y = (east - west) * margin, (north - south) * margin
    return BoundingBox(west - x, south - y, east + x, north + y)
