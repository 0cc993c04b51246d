"""The Photos page: the tray, how the chosen photo is placed, and where the search looks."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFormLayout, QFrame, QMenu, QStackedWidget, QWidget

from geolocator_gui.gui import coordinates, tray, wording
from geolocator_gui.gui.panels.page import Panel
from geolocator_gui.gui.session import Session
from geolocator_gui.gui.translation import translate
from geolocator_gui.gui.tray import PhotoCard
from geolocator_gui.gui.widgets.basics import Empty, Label, button, card, narrow_combo, number_box
from geolocator_gui.gui.widgets.photo_list import SCROLL_BAR, PhotoList

_UNKNOWN = -1.0


class PhotosPanel(Panel):
    """The page.

    Signals:
        add_wanted: The user wants to choose files.
        show_wanted: Show the chosen photo's answer on the map.
        compare_wanted: Open the compare view.
    """

    add_wanted = Signal()
    show_wanted = Signal()
    compare_wanted = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session, "Photos")
        self.title.setText(self.tr("Photos"))
        self.list = PhotoList(session.tray, session.pictures)
        self._stack = QStackedWidget()
        self._empty = Empty(
            "image-multiple-outline",
            self.tr("Where were your photos taken?"),
            self.tr(
                "Drop photos, folders or an image from a browser anywhere on this window, or paste one. "
                "Each is compared with every chip of the index; nothing leaves this machine."
            ),
            button(self.tr("Add photos…"), self.add_wanted.emit, icon="image-plus-outline", primary=True),
        )
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self.list)
        self.body.setContentsMargins(16, 0, 16 - SCROLL_BAR, 0)  # the scroll bar lies in the margin
        self.body.addWidget(self._stack, 1)
        self._details = self._make_details()
        self.foot.addWidget(self._details)
        self._drop = Label(self.tr("Drop photos or folders anywhere"), "Drop", wrap=True)
        self._drop.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.foot.addWidget(self._drop)
        self._filling = False
        self.list.chosen.connect(session.select)
        self.list.removal_wanted.connect(session.remove_photos)
        self.list.activated_card.connect(lambda key: self.show_wanted.emit())
        self.list.menu_wanted.connect(self._on_menu)
        session.tray_changed.connect(self._on_tray)
        session.selection_changed.connect(self._on_selection)
        session.locator.cards_changed.connect(self._on_cards)
        session.locator.opened.connect(lambda opened: self._summary())
        session.index_changed.connect(self._summary)
        self._on_tray()

    def _make_details(self) -> QFrame:
        self._facts = Label("", "Secondary", wrap=True)
        self.mode = narrow_combo()
        for key, words in (
            (None, self.tr("Guessed")),
            ("panorama", self.tr("Panorama, 360°")),
            ("perspective", self.tr("Ordinary photo")),
            ("drone", self.tr("Drone, from above")),
        ):
            self.mode.addItem(words, key)
        self.heading = number_box(
            _UNKNOWN,
            360,
            "°",
            self.tr("not known"),
            self.tr("Which way the middle of the photo looks, degrees clockwise from north"),
        )
        self.fov = number_box(
            0,
            360,
            "°",
            self.tr("not known"),
            self.tr("How much of the horizon the photo shows; a phone's main camera about 65°"),
        )
        form = QWidget()
        layout = QFormLayout(form)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(12)
        layout.setVerticalSpacing(6)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        layout.addRow(self.tr("Kind"), self.mode)
        layout.addRow(self.tr("Heading"), self.heading)
        layout.addRow(self.tr("Field of view"), self.fov)
        self._fov_label = layout.labelForField(self.fov)
        for signal in (self.mode.currentIndexChanged, self.heading.editingFinished, self.fov.editingFinished):
            signal.connect(self._on_edited)
        frame = card(self._facts, form)
        frame.hide()
        return frame

    def _on_tray(self) -> None:
        self.list.cards.reset()
        full = len(self.session.tray) > 0
        self._stack.setCurrentWidget(self.list if full else self._empty)
        self._drop.setVisible(full)
        self._on_selection()
        self._summary()

    def _on_cards(self, keys: list[int]) -> None:
        self.list.cards.touch(keys)
        self._summary()
        if self.session.selected in keys:
            self._fill()

    def _on_selection(self) -> None:
        self.list.show_card(self.session.selected)
        self._fill()

    def _summary(self) -> None:
        index = self.session.index
        if not len(self.session.tray):
            self.set_subtitle("")
        elif index is None:
            self.set_subtitle(
                self.tr("No index is open: build one on the Area page, then photos are located at once.")
            )
        else:
            top = self.session.locator.options.top
            words = tray.summary(self.session.tray, index.name, index.chips, min(top, 5))
            self.set_subtitle(" · ".join(part for part in (words, self._limits()) if part))

    def _limits(self) -> str:
        options = self.session.locator.options
        if options.within_circle is not None:
            metres = wording.metres(options.within_circle[2])
            return self.tr("searched only within {metres} of a place").format(metres=metres)
        return self.tr("searched only inside the area") if options.within is not None else ""

    def _fill(self) -> None:
        chosen = self.session.card
        self._details.setVisible(chosen is not None)
        if chosen is None:
            return
        self._filling = True
        self._facts.setText(facts_in_words(chosen))
        self._facts.setObjectName("Negative" if chosen.state == "failed" else "Secondary")
        self._facts.style().polish(self._facts)
        self.mode.setCurrentIndex(max(0, self.mode.findData(chosen.mode)))
        facts = chosen.facts
        heading = chosen.known_heading
        self.heading.setValue(_UNKNOWN if heading is None else heading % 360)
        fov = chosen.fov or (facts.horizontal_fov if facts else None)
        self.fov.setValue(fov or 0)
        perspective = chosen.guessed_mode == "perspective"
        self.fov.setVisible(perspective)
        if self._fov_label is not None:
            self._fov_label.setVisible(perspective)
        self._filling = False

    def _on_edited(self) -> None:
        chosen = self.session.card
        if self._filling or chosen is None:
            return
        facts = chosen.facts
        of_file = facts.heading if facts is not None else None
        heading: float | None = self.heading.value()
        sweep = heading == _UNKNOWN and of_file is not None
        if heading == _UNKNOWN or (of_file is not None and round(of_file % 360) == heading):
            heading = None
        fov: float | None = self.fov.value() or None
        if (
            fov is not None
            and facts is not None
            and facts.horizontal_fov
            and round(facts.horizontal_fov) == fov
        ):
            fov = None
        wanted = {"mode": self.mode.currentData(), "heading": heading, "sweep": sweep, "fov": fov}
        changed = {name: value for name, value in wanted.items() if getattr(chosen, name) != value}
        if not changed:
            return
        selected = self.list.selected_keys()
        keys = selected if chosen.key in selected else [chosen.key]
        for key in keys:
            self.session.tray.change(key, **changed)
        self.session.locator.enqueue(reversed(keys), first=True)

    def _on_menu(self, key: int, where: QPoint) -> None:
        keys = self.list.selected_keys() or [key]
        menu = QMenu(self)
        again = QAction(self.tr("Locate again"), menu)
        again.triggered.connect(lambda: self.session.locator.enqueue(keys, first=True))
        compare = QAction(self.tr("Compare with the match"), menu)
        compare.triggered.connect(self.compare_wanted.emit)
        remove = QAction(self.tr("Remove from the list"), menu)
        remove.triggered.connect(lambda: self.session.remove_photos(keys))
        menu.addActions([again, compare])
        menu.addSeparator()
        menu.addAction(remove)
        menu.popup(where)


def facts_in_words(chosen: PhotoCard) -> str:
    """What is known of a photo, for the details."""
    if chosen.state == "failed":
        return "\n".join(part[:1].upper() + part[1:] for part in (chosen.error, chosen.hint) if part)
    facts = chosen.facts
    if facts is None:
        return chosen.line()
    parts = [
        translate("Photos", "{width} × {height} px").format(
            width=wording.count(facts.width), height=wording.count(facts.height)
        )
    ]
    if facts.camera:
        parts.append(wording.one_line(facts.camera, 48))
    if facts.taken:
        parts.append(wording.one_line(facts.taken.replace("T", " "), 24))
    if facts.position is not None:
        parts.append(
            translate("Photos", "EXIF {position}").format(position=coordinates.decimal(facts.position))
        )
    else:
        parts.append(translate("Photos", "no EXIF position"))
    return " · ".join(parts)
