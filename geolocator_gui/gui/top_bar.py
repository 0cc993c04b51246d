"""The one tool bar: what is active (workspace, model, index), and the go-to box."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QAction, QFontMetrics
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QMenu, QPushButton, QSizePolicy, QWidget

from geolocator_gui.gui import coordinates, icons, wording
from geolocator_gui.gui.session import Session
from geolocator_gui.gui.widgets.basics import Label
from geolocator_gui.records import LonLat


class Pick(QPushButton):
    """A button that says what is active and opens a menu of others; gives way when space is short."""

    def __init__(self, tip: str, menu: QMenu) -> None:
        super().__init__()
        self.setObjectName("Pick")
        self.setToolTip(tip)
        self.setMenu(menu)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._words = ""

    def set_words(self, words: str) -> None:
        """Show a text."""
        self._words = words
        self.setAccessibleName(words)
        self.updateGeometry()
        self._elide()

    def sizeHint(self) -> QSize:
        """As wide as the words, within reason."""
        width = QFontMetrics(self.font()).horizontalAdvance(self._words + "  ▾") + 26
        return QSize(min(width, 320), super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """A few letters."""
        return QSize(88, super().minimumSizeHint().height())

    def resizeEvent(self, event: object) -> None:
        """Elide anew."""
        super().resizeEvent(event)  # type: ignore[arg-type]
        self._elide()

    def _elide(self) -> None:
        metrics = QFontMetrics(self.font())
        room = self.width() - 26 - metrics.horizontalAdvance("  ▾")
        self.setText(metrics.elidedText(self._words, Qt.TextElideMode.ElideRight, max(room, 20)) + "  ▾")


class GoTo(QLineEdit):
    """Goes to coordinates, an area, an index or a photo; asks nothing of the network.

    Signals:
        position_wanted: A `LonLat`.
        area_wanted: Name of an area.
        index_wanted: Name of an index.
        photo_wanted: Key of a photo.
    """

    position_wanted = Signal(object)
    area_wanted = Signal(str)
    index_wanted = Signal(str)
    photo_wanted = Signal(int)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.setPlaceholderText(self.tr("go to coordinates, area, photo"))
        self.setToolTip(
            self.tr(
                "Decimal degrees, 52°31'12\"N 13°24'18\"E, UTM, MGRS, or the name of an area or a photo (Ctrl+L)"
            )
        )
        self.setAccessibleName(self.tr("Go to"))
        self.setClearButtonEnabled(True)
        self.addAction(icons.icon("magnify", "text_secondary"), QLineEdit.ActionPosition.LeadingPosition)
        self.setMinimumWidth(120)
        self.setMaximumWidth(280)
        self.returnPressed.connect(self._go)
        self.textEdited.connect(lambda: self._mark(False))

    def _go(self) -> None:
        text = self.text().strip()
        if not text:
            return
        position: LonLat | None = coordinates.parse(text)
        if position is not None:
            self.position_wanted.emit(position)
            return
        wanted = text.casefold()
        for area in self._session.lists.areas:
            if wanted in area.name.casefold():
                self.area_wanted.emit(area.name)
                return
        for index in self._session.lists.indexes:
            if wanted in index.name.casefold():
                self.index_wanted.emit(index.name)
                return
        for card in self._session.tray:
            if wanted in card.path.name.casefold():
                self.photo_wanted.emit(card.key)
                return
        self._mark(True)

    def _mark(self, wrong: bool) -> None:
        if bool(self.property("wrong")) != wrong:
            self.setProperty("wrong", wrong)
            self.style().polish(self)
        if wrong:
            self._session.notifications.tell(
                self.tr("Nothing here is called so, and it is no position."),
                self.tr("Write 52.52, 13.405 or 52°31'12\"N 13°24'18\"E, UTM, MGRS, an area or a photo."),
                "warning",
            )


class TopBar(QWidget):
    """The bar.

    Signals:
        add_model_wanted: Choose a checkpoint.
        build_wanted: Go to the Area page.
    """

    add_model_wanted = Signal()
    build_wanted = Signal()

    def __init__(self, session: Session, workspace_menu: QMenu) -> None:
        super().__init__()
        self.setObjectName("Bar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedHeight(44)
        self._session = session
        self._models, self._indexes = QMenu(self), QMenu(self)
        self.workspace = Pick(self.tr("Workspace"), workspace_menu)
        self.model = Pick(self.tr("Model for the next index"), self._models)
        self.index = Pick(self.tr("Index that answers"), self._indexes)
        self.go_to = GoTo(session)
        self._busy = Label("", "Secondary")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 0, 16, 0)
        layout.setSpacing(8)
        for made in (self.workspace, self.model, self.index):
            layout.addWidget(made)
        layout.addStretch(1)
        layout.addWidget(self.go_to, 2)
        self._models.aboutToShow.connect(self._fill_models)
        self._indexes.aboutToShow.connect(self._fill_indexes)
        for signal in (
            session.workspace_changed,
            session.lists_changed,
            session.index_changed,
            session.model_changed,
        ):
            signal.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what is active."""
        session = self._session
        open_ = session.workspace is not None
        self.workspace.set_words(
            session.workspace.name if session.workspace is not None else self.tr("no workspace")
        )
        self.model.set_words(
            f"{self.tr('model')} {session.model.name}" if session.model is not None else self.tr("no model")
        )
        index = session.index
        words = self.tr("no index")
        if index is not None:
            words = f"{self.tr('index')} {index.name} · {wording.counted(index.chips, 'chip')}"
        self.index.set_words(words)
        for made in (self.model, self.index, self.go_to):
            made.setEnabled(open_)

    def _fill_models(self) -> None:
        self._models.clear()
        for row in self._session.lists.models:
            words = row.title if row.has_weights else f"{row.title} {self.tr('(weights missing)')}"
            action = QAction(words, self._models, checkable=True)
            action.setChecked(self._session.model is not None and row.name == self._session.model.name)
            action.setEnabled(row.has_weights)
            action.triggered.connect(lambda checked=False, row=row: self._session.set_model(row))
            self._models.addAction(action)
        self._models.addSeparator()
        self._models.addAction(self.tr("Add a checkpoint…"), self.add_model_wanted.emit)

    def _fill_indexes(self) -> None:
        self._indexes.clear()
        for row in self._session.lists.indexes:
            words = (
                f"{row.name} · {wording.counted(row.chips, 'chip')}"
                if row.state == "ready"
                else f"{row.name} · {row.state}"
            )
            action = QAction(words, self._indexes, checkable=True)
            action.setChecked(self._session.index is not None and row.name == self._session.index.name)
            action.setEnabled(row.state == "ready")
            action.triggered.connect(lambda checked=False, row=row: self._session.set_index(row))
            self._indexes.addAction(action)
        self._indexes.addSeparator()
        self._indexes.addAction(self.tr("Build another…"), self.build_wanted.emit)
