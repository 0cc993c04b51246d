"""What is open: the workspace, its lists, what is chosen, and the services that work on it.

Panels are views over this object. It holds no widget; long or disk-bound work goes through `background`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from geolocator_gui.gui import catalogue, estimate, wording
from geolocator_gui.gui.background import Background
from geolocator_gui.gui.catalogue import IndexRow, ModelRow
from geolocator_gui.gui.jobs import Jobs
from geolocator_gui.gui.keeper import Keeper
from geolocator_gui.gui.locator import Locator
from geolocator_gui.gui.map.handlers import Handlers
from geolocator_gui.gui.map.imagery_pool import ImageryPool
from geolocator_gui.gui.notifications import Notifications
from geolocator_gui.gui.opening import Lists, Opened, read_lists, read_workspace
from geolocator_gui.gui.pictures import Pictures
from geolocator_gui.gui.run_rows import RunRow
from geolocator_gui.gui.settings import Settings
from geolocator_gui.gui.training.queue import TrainingQueue
from geolocator_gui.gui.trash import Trash
from geolocator_gui.gui.tray import PhotoCard, Removed, Tray
from geolocator_gui.gui.undo import Undo
from geolocator_gui.records import ImageryInfo
from geolocator_gui.runs import RunState
from geolocator_gui.workspace import ImageryEntry, Workspace, slug

if TYPE_CHECKING:
    from geolocator_gui.geo.area import Area


class Session(QObject):
    """The open workspace and what is chosen in it.

    Signals:
        workspace_changed: Another workspace is open, or none.
        lists_changed: Models, indexes, areas or imagery are others.
        index_changed: Another index is active.
        model_changed: Another model is chosen for the next index.
        imagery_changed: Another base layer is shown (its `ImageryInfo`, or None).
        area_changed: The area in work is another one.
        tray_changed: Photos were added or taken out.
        selection_changed: Another photo is chosen.
        match_changed: Another match is lifted (its rank, or None).
    """

    workspace_changed = Signal()
    lists_changed = Signal()
    index_changed = Signal()
    model_changed = Signal()
    imagery_changed = Signal(object)
    area_changed = Signal()
    tray_changed = Signal()
    selection_changed = Signal()
    match_changed = Signal(object)

    def __init__(
        self, settings: Settings, parent: QObject | None = None, handlers: Handlers | None = None
    ) -> None:
        super().__init__(parent)
        self.settings = settings
        self.notifications = Notifications(self)
        self.background = Background(self)
        self.background.failed.connect(self.notifications.error)
        self.handlers = handlers or Handlers(ImageryPool())
        self.imagery_pool = self.handlers.imagery
        self.pictures = Pictures(self.imagery_pool, self)
        self.pictures.trouble.connect(self.notifications.error)
        self.jobs = Jobs(self.background, self.notifications, self)
        self.queue = TrainingQueue(self.jobs, self.background, self)
        self.workspace_changed.connect(self.queue.forget)
        self.tray = Tray()
        self.locator = Locator(self.tray, self.background, self.notifications, self)
        self.workspace: Workspace | None = None
        self.lists = Lists()
        self.index: IndexRow | None = None
        self.model: ModelRow | None = None
        self.imagery: ImageryEntry | None = None
        self.imagery_info: ImageryInfo | None = None
        self.imagery_failed = False
        self.area: Area | None = None
        self.selected: int | None = None
        self._building: set[tuple[Path, RunState]] = set()
        self.keeper = Keeper(self.tray, self.background, self.notifications, self)
        # What windows that died have removed, nobody can take back.
        self.keeper.granted.connect(lambda workspace: self.background.run(workspace.forget_removed))
        self._undo = Undo(self.notifications, self)
        self.undo, self.undo_of = self._undo.take_back, self._undo.take_back_of
        self.trash = Trash(self.background, self.notifications, self._undo, self)
        self.trash.leaving.connect(self._on_leaving)
        self.trash.gone.connect(self.reload)
        self.trash.returned.connect(self._on_returned)
        self.locator.cards_changed.connect(lambda keys: self.keeper.touch())
        self.locator.opened.connect(self._bring_scores)
        self.locator.missing.connect(self.reload)
        self.jobs.beginning.connect(self.locator.release)
        self.jobs.ended.connect(self._on_run_ended)
        self.jobs.changed.connect(self._on_jobs)

    # -- the workspace ------------------------------------------------------------------------------------

    def open_workspace(self, root: Path, *, create: bool = False) -> None:
        """Open (or create) a workspace; what was open is closed first."""

        def failure(error: Exception) -> None:
            self.notifications.error(error)
            self.background.run(root.is_dir, lambda there: None if there else self._forget(root))

        self.background.run(partial(read_workspace, root, create=create), self._on_opened, failure)

    def _forget(self, root: Path) -> None:
        self.settings.remove_recent(root)
        if self.workspace is None:
            self.workspace_changed.emit()  # the welcome page lists it no more

    def close_workspace(self) -> None:
        """Close what is open; runs work on."""
        self.keeper.leave()
        self._undo.forget()
        self.trash.leave()
        self.locator.forget()
        self.workspace, self.lists = None, Lists()
        self.tray.clear()
        self.selected = self.area = self.imagery = self.imagery_info = self.model = None
        self.set_index(None)
        self.jobs.set_workspace(None)
        self.workspace_changed.emit()

    def reload(self, then: Callable[[], object] | None = None) -> None:
        """Read the lists again."""
        workspace = self.workspace
        if workspace is None:
            return

        def success(lists: Lists) -> None:
            if workspace is self.workspace:
                self._set_lists(lists)
                if then is not None:
                    then()

        self.background.run(lambda: read_lists(workspace), success)

    def close(self) -> None:
        """End every service; the last call."""
        self.jobs.set_workspace(None)
        self.locator.close()
        self.pictures.close()
        ends = [self.keeper.last_write(), self.trash.last_work()]
        self.background.close(lambda: [end() for end in ends if end is not None])
        self.keeper.give_up()
        self.imagery_pool.close()
        self.settings.sync()

    def throw_away(self, thing: Path) -> None:
        """Remove an index, a mining or a training, with a way back."""
        if self.workspace is not None:
            self.trash.throw(thing, self.jobs.busy)

    # -- what is chosen -----------------------------------------------------------------------------------

    def set_index(self, row: IndexRow | None, *, anew: bool = False) -> None:
        """Answer from this index; photos that another answered are located again, all if it was made anew."""
        self.index = row
        models = self.workspace.models if self.workspace is not None else None
        advice = "" if row is None else catalogue.advice(row, self.lists.models)
        self.locator.open_index(row.folder if row is not None else None, models, advice)
        if row is not None:
            if self.workspace is not None:
                self.settings.set_text(f"index/{slug(str(self.workspace.root))}", row.name)
            for source in row.imagery:
                self.imagery_pool.add(source, source)
            self.locator.enqueue([card.key for card in self.tray if anew or not card.answered_by(row)])
        self.index_changed.emit()

    def set_model(self, row: ModelRow | None) -> None:
        """Build the next index with this model."""
        self.model = row
        self.model_changed.emit()

    def set_imagery(self, entry: ImageryEntry | None) -> None:
        """Show this source under everything; opens it in the background."""
        self.imagery, self.imagery_info, self.imagery_failed = entry, None, False
        if entry is None:
            self.imagery_changed.emit(None)
            return
        self.imagery_pool.add(entry.name, entry.source)

        def success(info: ImageryInfo) -> None:
            if self.imagery is entry:
                self.imagery_info = info
                self.imagery_changed.emit(info)

        def failure(error: Exception) -> None:
            if self.imagery is entry:
                self.imagery_failed = True
                self.imagery_changed.emit(None)
            self.notifications.error(error)

        self.background.run(lambda: self.imagery_pool.info(entry.name), success, failure)

    def add_imagery(self, entry: ImageryEntry) -> None:
        """Check a source, add it to the workspace and show it; another of its name keeps the name."""
        workspace = self.workspace
        if workspace is None:
            return

        def work() -> ImageryEntry:
            from geolocator_gui.geo.imagery.keys import keep_key

            source = keep_key(entry.source)  # a workspace is shared; the keys are not
            name = workspace.imagery_name(replace(entry, source=source))
            self.imagery_pool.add(name, source)
            info = self.imagery_pool.info(name)
            known = ImageryEntry(
                name, source, entry.attribution or info.attribution, entry.bulk and info.bulk
            )
            workspace.add_imagery(known)
            return known

        self.background.run(work, lambda known: self.reload(lambda: self.set_imagery(known)))

    def set_area(self, area: Area | None) -> None:
        """Work on this area; undo brings back the one whose place it takes."""
        old = self.area
        if old is not None and area is not None:
            self._undo.keep(lambda: self._put_area(old))
        self._put_area(area)

    def _put_area(self, area: Area | None) -> None:
        self.area = area
        self.area_changed.emit()

    def name_area(self, name: str) -> None:
        """Call the area something else; what it covers stays."""
        if self.area is not None and name.strip():
            self.area = replace(self.area, name=name.strip())

    def delete_area(self) -> None:
        """Take the area away, with a way back."""
        area = self.area
        if area is None:
            return
        self._put_area(None)
        self._undo.offer(self.tr("The area was removed."), self._undo.keep(lambda: self._put_area(area)))

    # -- photos -------------------------------------------------------------------------------------------

    def add_photos(self, paths: list[Path]) -> None:
        """Put photos into the tray and locate them."""
        cards = self.tray.add(paths)
        if not cards:
            return
        self.tray_changed.emit()
        if self.selected is None or len(cards) == 1:
            self.select(cards[0].key)
        self.keeper.touch()
        if self.index is not None:
            self.locator.enqueue([card.key for card in cards])

    def remove_photos(self, keys: list[int]) -> None:
        """Take photos out of the tray (never from the disk), with a way back."""
        removed: Removed = self.tray.remove(keys)
        if not removed.cards:
            return
        if self.selected in keys:
            row = min(removed.cards[0][0], len(self.tray) - 1)
            self.select(self.tray.at(row).key if row >= 0 else None)
        self.tray_changed.emit()
        self.keeper.touch()

        def back() -> None:
            self.tray.restore(removed)
            self.tray_changed.emit()
            self.select(removed.cards[0][1].key)
            self.keeper.touch()

        words = self.tr("Removed from the list: {photos}.")
        words = words.format(photos=wording.counted(len(removed.cards), "photo"))
        self._undo.offer(words, self._undo.keep(back))

    def select(self, key: int | None) -> None:
        """Choose a photo."""
        if key != self.selected:
            self.selected = key
            self.selection_changed.emit()
            self._bring_scores()

    def _bring_scores(self, opened: object = None) -> None:
        card = self.card
        if card is not None and self.index is not None and card.answered_by(self.index):
            self.locator.refresh(card.key)

    @property
    def card(self) -> PhotoCard | None:
        """The chosen photo."""
        return None if self.selected is None else self.tray.get(self.selected)

    def lift(self, rank: int | None) -> None:
        """Lift a match everywhere: strip, map, compare view."""
        self.match_changed.emit(rank)

    # -- inside -------------------------------------------------------------------------------------------

    def _on_opened(self, opened: Opened) -> None:
        if self.workspace is not None:
            self.close_workspace()
        workspace, lists = opened.workspace, opened.lists
        self.workspace = workspace
        self.keeper.open(workspace)
        self.trash.open(workspace)
        self.settings.add_recent(workspace.root)
        self.pictures.forget()
        self.imagery_pool.keep_tiles_in(workspace.tiles)
        for fields in opened.photos:
            for card in self.tray.add([fields["path"]]):
                self.tray.change(card.key, **fields)
        self.workspace_changed.emit()
        self._set_lists(lists)
        self.jobs.set_workspace(workspace)
        wanted = self.settings.text(f"index/{slug(str(workspace.root))}")
        ready = [row for row in lists.indexes if row.state == "ready"]
        self.set_index(next((row for row in ready if row.name == wanted), ready[0] if ready else None))
        if lists.imagery:
            self.set_imagery(lists.imagery[0])
        self.tray_changed.emit()
        if len(self.tray):
            self.select(self.tray.at(0).key)
        for trouble in opened.troubles:
            self.notifications.error(trouble)

    def _set_lists(self, lists: Lists) -> None:
        self.lists = lists
        for entry in lists.imagery:
            self.imagery_pool.add(entry.name, entry.source)
        if self.model is None or self.model.name not in {row.name for row in lists.models}:
            self.set_model(next((row for row in lists.models if row.has_weights), None))
        if self.index is not None:
            fresh = next((row for row in lists.indexes if row.name == self.index.name), None)
            if fresh is not None and fresh.edition == self.index.edition:
                self.index = fresh
            else:  # it is gone, or another one has its name
                self.set_index(fresh if fresh is not None and fresh.state == "ready" else None)
        self.lists_changed.emit()

    def _on_leaving(self, thing: Path) -> None:
        if self.index is not None and self.index.folder == thing:
            self.set_index(None)

    def _on_returned(self, thing: Path) -> None:
        def then() -> None:
            row = next((row for row in self.lists.indexes if row.folder == thing), None)
            if self.index is None and row is not None and row.state == "ready":
                self.set_index(row)

        self.reload(then)

    def _on_jobs(self) -> None:
        """An index that begins or goes on is listed as one that is being built."""
        building = {(row.thing, row.state) for row in self.jobs.working if row.verb == "index"}
        if building - self._building:
            self.reload()
        self._building = building

    def _on_run_ended(self, row: RunRow) -> None:
        if row.metric is not None and (rate := row.metric.values.get("chips_per_second")):
            self.background.run(partial(estimate.remember_rate_of, row.thing, float(rate)))
        if row.state == "finished":
            self.notifications.tell(f"{row.title}: {self.tr('finished')}.", level="success")
        elif row.state == "stopped":
            self.notifications.tell(f"{row.title}: {self.tr('stopped. Continue it on the Runs page.')}")
        else:
            run = self.jobs.job(row.thing)
            log = run.run.log_path if run is not None else None
            self.notifications.tell(
                f"{row.title}: {row.message or row.line()}",
                row.hint or self.tr("Continue it."),
                "error",
                log=log,
            )

        def then() -> None:
            ready = next(
                (i for i in self.lists.indexes if i.folder == row.thing and i.state == "ready"), None
            )
            if ready is not None and row.verb == "index" and row.state == "finished":
                self.set_index(ready, anew=True)

        self.reload(then)
