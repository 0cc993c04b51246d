"""Between the session and the map page: choices become messages, and what the page says, choices."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Literal

from PySide6.QtCore import QObject, QPoint, QTimer, Signal

from geolocator_gui.gui import theme
from geolocator_gui.gui.map import messages
from geolocator_gui.gui.map.heat_layer import HeatLayer
from geolocator_gui.gui.map.view import MapView
from geolocator_gui.gui.motion import less_motion
from geolocator_gui.gui.run_rows import RunRow
from geolocator_gui.gui.session import Session
from geolocator_gui.records import BoundingBox, ImageryInfo, Localisation, LonLat

_FAR = 100


class MapController(QObject):
    """Keeps the map in step with the session.

    Signals:
        pointer: Where the pointer is.
        menu_wanted: Position and global point of the right button.
        match_zoomed: A match was double-clicked on the map.
    """

    pointer = Signal(object)
    menu_wanted = Signal(object, object)
    match_chosen = Signal(int)

    def __init__(self, session: Session, view: MapView) -> None:
        super().__init__(view)
        self._session, self._view = session, view
        self._shown_answer: tuple[int, int] | None = None
        self._heat, self._heat_on = HeatLayer(session, view), True
        self._held = False
        self._picture = 0
        self._coverage_at = 0.0
        self._bounds: BoundingBox | None = None
        self._looked_at = ""
        self.view_bounds: BoundingBox | None = None
        self._look_back: BoundingBox | None = None
        view.said.connect(self._on_said)
        view.ready.connect(self._on_page_ready)
        view.crashed.connect(self._on_crashed)
        session.imagery_changed.connect(self._on_imagery)
        session.area_changed.connect(self._on_area)
        session.selection_changed.connect(self._on_selection)
        session.locator.answered.connect(
            lambda key: self._on_selection() if key == session.selected else None
        )
        session.match_changed.connect(lambda rank: view.send(messages.Highlight(rank)))
        session.index_changed.connect(self._on_index)
        session.workspace_changed.connect(self._on_workspace)
        session.jobs.changed.connect(self._on_jobs)
        view.send(messages.SetWords(self._words()))
        session.background.run(less_motion, lambda less: view.set_motion(not less), owner=self)

    # -- asked by the window ------------------------------------------------------------------------------

    def show_bounds(self, bounds: BoundingBox, *, jump: bool = False) -> None:
        """Bring a rectangle into view."""
        self._view.send(messages.Show(bounds, jump=jump))

    def fly_to(self, position: LonLat, zoom: float | None = None) -> None:
        """Bring a position into view."""
        self._view.send(messages.FlyTo(position.lon, position.lat, zoom))

    def draw(self, shape: messages.Shape | Literal["edit"] | None) -> None:
        """Begin drawing; "edit" moves the corners of what there is, or ends that."""
        self._view.send(messages.ToggleEdit() if shape == "edit" else messages.Draw(shape))

    def show_match(self, rank: int) -> None:
        """Zoom to a match."""
        card = self._session.card
        if card is None or card.answer is None:
            return
        for match in card.answer.matches:
            if match.rank == rank:
                b = match.bounds
                wide, high = (b.east - b.west) / 2, (b.north - b.south) / 2
                self.show_bounds(BoundingBox(b.west - wide, b.south - high, b.east + wide, b.north + high))

    def show_answer(self) -> None:
        """Zoom to the matches of the chosen photo."""
        card = self._session.card
        if card is not None and card.answer is not None and card.answer.matches:
            self.show_bounds(_bounds_of(card.answer))

    def set_heat(self, on: bool) -> None:
        """Show or hide the heat layer."""
        self._heat_on = on
        self._shown_answer = None
        self._on_selection()

    def hold_matches(self, held: bool) -> None:
        """Take the matches off the map while another page shows its own things on it, or bring them back."""
        if held == self._held:
            return
        self._held, self._shown_answer = held, None
        if held:
            self._view.send(messages.SetMatches())
            self._heat.show(None)
        else:
            self._on_selection()

    def set_prior(self, circle: tuple[float, float, float] | None) -> None:
        """Show the circle that the search is limited to."""
        self._view.send(messages.SetPrior(*circle) if circle is not None else messages.SetPrior())

    def _on_crashed(self, why: str) -> None:
        self._session.notifications.tell(why, self.tr("It was loaded again."), "warning")
        self._look_back = self.view_bounds

    def _on_page_ready(self) -> None:
        # A page that was loaded again looks at what it looked at before.
        bounds, self._look_back = self._look_back, None
        if bounds is not None:
            self.show_bounds(bounds, jump=True)

    # -- from the session ---------------------------------------------------------------------------------

    def _on_workspace(self) -> None:
        self._looked_at = ""
        self._shown_answer = None
        self.set_prior(self._session.locator.options.within_circle)
        if self._session.workspace is None:
            self._view.send(messages.SetImagery())
            self._view.send(messages.SetMatches())
            self._heat.show(None)
            self._view.send(messages.SetOverlay("coverage"))

    def _on_imagery(self, info: ImageryInfo | None) -> None:
        entry = self._session.imagery
        if info is None or entry is None:
            self._view.send(messages.SetImagery())
            return
        attribution = entry.attribution or info.attribution
        self._view.send(messages.SetImagery(entry.name, info.bounds, attribution))
        if self._looked_at != entry.name:
            self._looked_at = entry.name
            self.show_bounds(info.bounds, jump=True)

    def _on_index(self) -> None:
        self._shown_answer = None
        index = self._session.index
        # Imagery that opens late, or not at all, must not leave the map at the whole world.
        if index is not None and index.bounds is not None and not self._looked_at:
            self.show_bounds(index.bounds, jump=True)
        self._on_selection()

    def _on_area(self) -> None:
        area = self._session.area
        self._view.send(messages.SetArea(None if area is None else area.to_geojson()["geometry"]))

    def _on_selection(self) -> None:
        if self._held:
            return
        card = self._session.card
        answer = card.answer if card is not None else None
        shown = None if card is None or answer is None else (card.key, id(answer))
        if shown == self._shown_answer:
            return
        self._shown_answer = shown
        if card is None or answer is None or not answer.matches:
            own = answer.facts.position if answer is not None and answer.facts is not None else None
            self._view.send(messages.SetMatches(own=_place(own)))
            self._heat.show(None)
            return
        pins = tuple(messages.Pin(m.rank, m.position.lon, m.position.lat, m.bounds) for m in answer.matches)
        fused = answer.fused
        fused_fields = None
        if fused is not None:
            fused_fields = {"lon": fused.position.lon, "lat": fused.position.lat, "spread_m": fused.spread_m}
        own = answer.facts.position if answer.facts is not None else None
        self._view.send(messages.SetMatches(pins, fused_fields, _place(own)))
        self._look(answer)
        self._heat.show(card if self._heat_on else None)

    def _look(self, answer: Localisation) -> None:
        bounds = _bounds_of(answer)
        view = self.view_bounds
        # A page that has just opened shows the whole world: everything is in view there, and nothing is seen.
        far = view is not None and view.east - view.west > _FAR * (bounds.east - bounds.west)
        if (
            view is None
            or far
            or not (
                view.west <= bounds.west
                and view.east >= bounds.east
                and view.south <= bounds.south
                and view.north >= bounds.north
            )
        ):
            self.show_bounds(bounds)

    # -- coverage -----------------------------------------------------------------------------------------

    def _on_jobs(self) -> None:
        row = next(
            (r for r in self._session.jobs.working if r.verb == "index" and r.progress is not None), None
        )
        if row is None:
            if self._coverage_at:
                self._coverage_at = 0.0
                self._view.send(messages.SetOverlay("coverage"))
            return
        if time.monotonic() - self._coverage_at > 1.0:
            self._coverage_at = time.monotonic()
            self._ask_coverage(row)

    def _ask_coverage(self, row: RunRow) -> None:
        handlers = self._session.handlers
        colour = theme.current().colour("accent")
        rgb = (colour.red(), colour.green(), colour.blue())
        self._picture += 1
        name = f"coverage-{self._picture}"

        def work() -> tuple[str, BoundingBox] | None:
            from geolocator_gui.gui.map import heat
            from geolocator_gui.gui.map.coverage import covered

            image, bounds = covered(row)
            if image is None or bounds is None:
                return None
            url = handlers.put_picture(name, heat.png(heat.coverage(image, rgb)))
            handlers.drop_picture(f"coverage-{self._picture - 4}")
            return url, bounds

        def success(made: tuple[str, BoundingBox] | None) -> None:
            if made is not None and self._coverage_at:
                self._view.send(messages.SetOverlay("coverage", *made))

        self._session.background.run(work, success, lambda error: None, owner=self)

    # -- from the page ------------------------------------------------------------------------------------

    def _on_said(self, message: messages.FromPage) -> None:
        session = self._session
        match message:
            case messages.Drawn(geometry):
                self._make_area(lambda: _area_of(geometry))
            case messages.CircleDrawn(centre, radius_m):
                self._make_area(lambda: _circle(centre, radius_m))
            case messages.AreaDeleted():
                session.delete_area()
            case messages.MatchPointed(rank):
                session.lift(rank)
            case messages.MatchChosen(rank, zoom):
                self.match_chosen.emit(rank)
                if zoom:
                    self.show_match(rank)
            case messages.MenuWanted(position, x, y):
                self.menu_wanted.emit(position, self._view.view.mapToGlobal(QPoint(x, y)))
            case messages.Pointer(position):
                self.pointer.emit(position)
            case messages.Moved(bounds):
                self.view_bounds = bounds

    def outline_view(self) -> None:
        """Work on what the map shows now: an outline without a mouse."""
        view = self.view_bounds
        if view is None:
            return

        def work() -> Any:
            from geolocator_gui.geo.area import area_from_bbox

            west = (view.west + 180) % 360 - 180
            east = min(view.east - view.west, 360.0) + west
            return area_from_bbox((west, view.south, east - 360 if east > 180 else east, view.north), "area")

        self._make_area(work)

    def _make_area(self, work: Any) -> None:
        session = self._session
        old = session.area

        def failure(error: Exception) -> None:
            session.notifications.error(error)
            QTimer.singleShot(0, self._on_area)  # what was drawn goes; what was there before stays

        def named() -> Any:
            made = work()
            if old is None:
                return made
            return type(made)(old.name, made.geometry, made.notes, made.whole_chips)

        session.background.run(named, session.set_area, failure, owner=self)

    def _words(self) -> dict[str, str]:
        return {
            "plus": self.tr("Zoom in (+)"),
            "minus": self.tr("Zoom out (−)"),
            "fit": self.tr("Show the whole area"),
            "rectangle": self.tr("Draw a rectangle"),
            "polygon": self.tr("Draw a polygon"),
            "circle": self.tr("Draw a circle"),
            "edit": self.tr("Move the corners of the area"),
            "remove": self.tr("Remove the area"),
            "guess": self.tr("match"),
            "fused": self.tr("best guess"),
            "own": self.tr("EXIF position"),
            "heat": self.tr("score"),
            "query": self.tr("where the photo was taken"),
            "margin": self.tr("outranks … well below the own chip"),
            "weak": self.tr("median margin: weak … strong"),
            "hint_rectangle": self.tr("Press and drag to draw a rectangle"),
            "hint_polygon": self.tr("Click corner by corner; click the first one to close"),
            "hint_circle": self.tr("Press in the middle and drag outwards"),
            "hint_edit": self.tr("Drag the corners; press the pencil again to keep"),
            "hint_escape": self.tr("Esc cancels"),
        }


def _bounds_of(answer: Localisation) -> BoundingBox:
    boxes = [match.bounds for match in answer.matches[:3]]
    west, south = min(b.west for b in boxes), min(b.south for b in boxes)
    east, north = max(b.east for b in boxes), max(b.north for b in boxes)
    return BoundingBox(west, south, east, north)


def _place(position: LonLat | None) -> dict[str, float] | None:
    return None if position is None else {"lon": position.lon, "lat": position.lat}


def _area_of(geometry: messages.Geometry) -> Any:
    import json
    import tempfile

    from geolocator_gui.geo.area import Area, read_area

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "area.geojson"
        file.write_text(
            json.dumps({"type": "Feature", "properties": {}, "geometry": dict(geometry)}), "utf-8"
        )
        area = read_area(file)
    return Area("area", area.geometry, area.notes)


def _circle(centre: LonLat, radius_m: float) -> Any:
    from geolocator_gui.geo.area import area_from_circle

    lon = (centre.lon + 180) % 360 - 180
    return area_from_circle(lon, centre.lat, radius_m, "area")
