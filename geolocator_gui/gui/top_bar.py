"""The one tool bar: what is active (workspace, model, index), and the go-to box."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QAction, QFont, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QMenu, QPushButton, QSizePolicy, QWidget

from geolocator_gui.gui import coordinates, icons, theme, tokens, wording
from geolocator_gui.gui.panels.index_card import state_in_words
from geolocator_gui.gui.session import Session
from geolocator_gui.gui.widgets.basics import Label
from geolocator_gui.records import LonLat


class Pick(QPushButton):
    """A button that says what is active and opens a menu of others; gives way when space is short."""

    def __init__(self, tip: str, menu: QMenu) -> None:
        super().__init__()
        self.setToolTip(tip)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(30)
        self._words, self._name, self._more = "", "", ""
        self.clicked.connect(lambda: menu.popup(self.mapToGlobal(QPoint(0, self.height() + 4))))
        theme.current().changed.connect(self.update)

    def set_words(self, words: str, name: str = "", more: str = "") -> None:
        """Show a text: plain words, a name in bold, more."""
        self._words, self._name, self._more = words, name, more
        self.setAccessibleName(" ".join(part for part in (words, name, more) if part))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """As wide as the words, within reason."""
        width = sum(metrics.horizontalAdvance(part) for part, metrics in self._parts())
        return QSize(min(width, 340) + 10 + 28, 30)

    def minimumSizeHint(self) -> QSize:
        """A few letters."""
        return QSize(84, 30)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint."""
        look = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(look.colour("accent" if self.hasFocus() else "border"))
        painter.setBrush(look.colour("hover" if self.underMouse() and self.isEnabled() else "surface"))
        painter.drawRoundedRect(
            QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), tokens.RADIUS, tokens.RADIUS
        )
        left, right = 10, self.width() - 26
        for place, (part, metrics) in enumerate(self._parts()):
            painter.setFont(self._font(bold=place == 1))
            quiet = place != 1 or not self.isEnabled()
            painter.setPen(look.colour("text_secondary" if quiet and self._name else "text"))
            shown = metrics.elidedText(part, Qt.TextElideMode.ElideRight, max(0, right - left))
            painter.drawText(
                QRect(left, 0, right - left, self.height()), Qt.AlignmentFlag.AlignVCenter, shown
            )
            left += metrics.horizontalAdvance(shown)
        arrow = QRect(self.width() - 24, (self.height() - 16) // 2, 16, 16)
        icons.paint(painter, arrow, "chevron-down", look.colour("text_secondary"))

    def _font(self, *, bold: bool) -> QFont:
        font = QFont(self.font())
        font.setWeight(QFont.Weight.DemiBold if bold else QFont.Weight.Normal)
        return font

    def _parts(self) -> list[tuple[str, QFontMetrics]]:
        plain, strong = QFontMetrics(self._font(bold=False)), QFontMetrics(self._font(bold=True))
        words = f"{self._words} " if self._words and self._name else self._words
        more = f" · {self._more}" if self._more else ""
        return [(words, plain), (self._name, strong), (more, plain)]


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
        self.setToolTip(self.tr("Decimal degrees, 52°31'12\"N 13°24'18\"E, UTM, MGRS, or a name (Ctrl+L)"))
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
                self.tr("Write 52.52, 13.405 or 52°31'12\"N 13°24'18\"E, UTM, MGRS, or a name."),
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
        if session.workspace is None:
            self.workspace.set_words(self.tr("no workspace"))
        else:
            self.workspace.set_words("", session.workspace.name)
        if session.model is None:
            self.model.set_words(self.tr("no model"))
        else:
            self.model.set_words(self.tr("model"), session.model.name)
        index = session.index
        if index is None:
            self.index.set_words(self.tr("no index"))
        else:
            self.index.set_words(self.tr("index"), index.name, wording.counted(index.chips, "chip"))
        for made in (self.model, self.index, self.go_to):
            made.setEnabled(open_)

    def _fill_models(self) -> None:
        self._models.clear()
        for row in self._session.lists.models:
            words = row.title if row.has_weights else f"{row.title} {self.tr('(weights missing)')}"
            action = QAction(wording.menu(words), self._models, checkable=True)
            action.setChecked(self._session.model is not None and row.name == self._session.model.name)
            action.setEnabled(row.has_weights)
            action.triggered.connect(lambda checked=False, row=row: self._session.set_model(row))
            self._models.addAction(action)
        self._models.addSeparator()
        self._models.addAction(self.tr("Add a checkpoint…"), self.add_model_wanted.emit)

    def _fill_indexes(self) -> None:
        self._indexes.clear()
        for row in self._session.lists.indexes:
            ready = row.state == "ready"
            more = wording.counted(row.chips, "chip") if ready else state_in_words(row.state)
            words = f"{wording.isolated(row.name)} · {more}"
            action = QAction(wording.menu(words), self._indexes, checkable=True)
            action.setChecked(self._session.index is not None and row.name == self._session.index.name)
            action.setEnabled(row.state == "ready")
            action.triggered.connect(lambda checked=False, row=row: self._session.set_index(row))
            self._indexes.addAction(action)
        self._indexes.addSeparator()
        self._indexes.addAction(self.tr("Build another…"), self.build_wanted.emit)
