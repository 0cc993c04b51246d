"""The heat layer of the chosen photo: its scores become a picture in the background, and that an overlay."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from geolocator_gui.gui.map import messages
from geolocator_gui.gui.map.view import MapView
from geolocator_gui.gui.session import Session
from geolocator_gui.gui.tray import PhotoCard
from geolocator_gui.records import BoundingBox

if TYPE_CHECKING:
    from geolocator_gui.gui.map.heat import HeatPlan

_PICTURES_KEPT = 3


class HeatLayer(QObject):
    """Shows on the map how well every chip of the open index fits a photo."""

    def __init__(self, session: Session, view: MapView) -> None:
        super().__init__(view)
        self._session, self._view = session, view
        self._plan: tuple[tuple[Path, str], HeatPlan] | None = None
        self._asked = self._picture = 0

    def show(self, card: PhotoCard | None) -> None:
        """Show the scores of a photo; None clears the layer, and so does one that another index answered."""
        self._asked = asked = self._asked + 1
        index, handlers = self._session.index, self._session.handlers
        scores = None if card is None else self._session.locator.scores(card.key)
        if card is None or index is None or scores is None or not card.answered_by(index):
            self._clear()
            return
        self._picture = picture = self._picture + 1
        folder, identity = index.folder, (index.folder, index.edition)
        known = self._plan[1] if self._plan is not None and self._plan[0] == identity else None

        def work() -> tuple[str, BoundingBox, HeatPlan] | None:
            import numpy as np

            from geolocator_gui.gui.map import heat

            values = np.load(scores, allow_pickle=False)
            plan = known if known is not None and len(known.cells) == len(values) else read_plan(folder)
            if len(values) != len(plan.cells):
                return None  # of the index as it was before; the photo is asked again
            url = handlers.put_picture(f"heat-{picture}", heat.png(heat.colours(heat.raster(plan, values))))
            handlers.drop_picture(f"heat-{picture - _PICTURES_KEPT}")
            return url, plan.bounds, plan

        def success(made: tuple[str, BoundingBox, HeatPlan] | None) -> None:
            if made is not None:
                self._plan = identity, made[2]
            if asked != self._asked:
                return  # something else is shown by now
            if made is None:
                self._clear()
            else:
                self._view.send(messages.SetOverlay("heat", *made[:2]))

        self._session.background.run(work, success, lambda error: success(None), owner=self)

    def _clear(self) -> None:
        self._view.send(messages.SetOverlay("heat"))


def read_plan(folder: Path) -> HeatPlan:
    """Where the chips of an index fall (reads `chips.parquet`)."""
    import pyarrow.parquet

    from geolocator_gui.gui.map import heat

    table = pyarrow.parquet.read_table(folder / "chips.parquet", columns=["lon", "lat"])
    return heat.plan(table["lon"].to_numpy(), table["lat"].to_numpy())
