"""The photos of a workspace and what is known of each; plain data without Qt.

A tray is a list of frozen cards in the order they came. What changes is replaced, so that a view can hold a
card without seeing it change under it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from geolocator_gui.configs import LocaliseConfig
from geolocator_gui.errors import ConfigError
from geolocator_gui.gui import fitting, wording
from geolocator_gui.gui.answers import facts_from, localisation_from
from geolocator_gui.gui.catalogue import IndexRow
from geolocator_gui.gui.translation import translate
from geolocator_gui.records import Localisation, Match, PhotoFacts, PhotoMode
from geolocator_gui.workspace import write_atomically

PhotoState = Literal["new", "queued", "locating", "located", "failed"]
MODES: tuple[PhotoMode, ...] = ("panorama", "perspective", "drone")
SCHEMA = 1
_SET_ASIDE = "It was set aside in the workspace's photos folder; drop the photos again."


@dataclass(frozen=True)
class PhotoCard:
    """One photo.

    Attributes:
        key: Names the card for as long as the workspace is open.
        path: The user's file.
        state: What is happening with it.
        facts: What the file says of itself, None until it was read.
        mode: How the user wants it placed, None for the guess.
        heading: Degrees, given by the user; None for the file's own or a sweep.
        sweep: The user does not trust the file's own heading.
        fov: Degrees, given by the user; None for the file's own.
        answer: The last answer.
        index: Name of the index that answered.
        edition: Which index of that name; "" when that is not known.
        attribution: Of the imagery of that index.
        error: Why there is no answer.
        hint: What to do about it.
    """

    key: int
    path: Path
    state: PhotoState = "new"
    facts: PhotoFacts | None = None
    mode: PhotoMode | None = None
    heading: float | None = None
    sweep: bool = False
    fov: float | None = None
    answer: Localisation | None = None
    index: str = ""
    edition: str = ""
    attribution: str = ""
    error: str = ""
    hint: str = ""

    @property
    def guessed_mode(self) -> PhotoMode | None:
        """The mode in use: the user's, the answer's, or what the file suggests."""
        if self.mode is not None:
            return self.mode
        if self.answer is not None and self.answer.mode is not None:
            return self.answer.mode
        if self.facts is None:
            return None
        return "panorama" if self.facts.is_panorama else "perspective"

    @property
    def known_heading(self) -> float | None:
        """The heading that is taken for granted: the user's, else the file's; None when it is swept."""
        if self.heading is not None:
            return self.heading
        return None if self.sweep or self.facts is None else self.facts.heading

    @property
    def best(self) -> Match | None:
        """The first match."""
        return self.answer.matches[0] if self.answer is not None and self.answer.matches else None

    @property
    def at_rest(self) -> PhotoState:
        """The state of a photo for which nothing is asked."""
        return "new" if self.answer is None else "located"

    def answered_by(self, index: IndexRow) -> bool:
        """Whether the answer is this index's, and not that of another of its name."""
        return self.answer is not None and (self.index, self.edition) == (index.name, index.edition)

    def options(self, base: LocaliseConfig) -> LocaliseConfig:
        """How to localise this photo: what is set for all, and what is set on this card."""
        own = {"mode": self.mode, "heading": self.heading, "sweep": self.sweep, "fov": self.fov}
        return base.model_copy(update={key: value for key, value in own.items() if value is not None})

    def line(self) -> str:
        """The second line of the card: what it is, or what happens to it, or why it failed."""
        if self.state == "failed":
            return self.error
        if self.state == "locating":
            return translate("Tray", "locating…")
        if self.state == "queued":
            return translate("Tray", "queued")
        mode = self.guessed_mode
        if mode is None:
            return translate("Tray", "reading…") if self.facts is None else ""
        kinds = {
            "panorama": translate("Tray", "panorama"),
            "perspective": translate("Tray", "photo"),
            "drone": translate("Tray", "from above"),
        }
        parts = [kinds[mode]]
        facts = self.facts
        fov = self.fov or (facts.horizontal_fov if facts else None)
        if mode == "perspective" and fov:
            parts[0] = translate("Tray", "photo {degrees}°").format(degrees=f"{fov:.0f}")
        heading = self.known_heading
        if heading is not None:
            parts.append(translate("Tray", "heading {degrees}°").format(degrees=f"{heading % 360:.0f}"))
        elif self.best is not None and self.best.heading is not None:
            about = f"{self.best.heading % 360:.0f}"
            parts.append(translate("Tray", "heading about {degrees}°").format(degrees=about))
        elif mode != "drone":
            parts.append(translate("Tray", "no heading"))
        return " · ".join(parts)


@dataclass(frozen=True)
class Removed:
    """Cards that were taken out, with their places, for undo."""

    cards: tuple[tuple[int, PhotoCard], ...]


class Tray:
    """The list of cards."""

    def __init__(self) -> None:
        self._cards: list[PhotoCard] = []
        self._rows: dict[int, int] = {}
        self._next = 1

    def __len__(self) -> int:
        return len(self._cards)

    def __iter__(self) -> Iterator[PhotoCard]:
        return iter(list(self._cards))

    def at(self, row: int) -> PhotoCard:
        """The card of a row."""
        return self._cards[row]

    def row(self, key: int) -> int | None:
        """The row of a card, None when it is gone."""
        return self._rows.get(key)

    def get(self, key: int) -> PhotoCard | None:
        """A card by its key, None when it is gone."""
        row = self._rows.get(key)
        return None if row is None else self._cards[row]

    def add(self, paths: Iterable[Path]) -> list[PhotoCard]:
        """New cards at the end; a file that is already in the tray is not added twice."""
        known = {card.path for card in self._cards}
        fresh = []
        for path in paths:
            if path in known:
                continue
            known.add(path)
            fresh.append(PhotoCard(self._next, path))
            self._next += 1
        self._cards += fresh
        self._number()
        return fresh

    def change(self, key: int, **fields: Any) -> PhotoCard | None:
        """Replace fields of a card; None when it is gone."""
        row = self._rows.get(key)
        if row is None:
            return None
        self._cards[row] = replace(self._cards[row], **fields)
        return self._cards[row]

    def remove(self, keys: Iterable[int]) -> Removed:
        """Take cards out."""
        gone = set(keys)
        removed = tuple((row, card) for row, card in enumerate(self._cards) if card.key in gone)
        self._cards = [card for card in self._cards if card.key not in gone]
        self._number()
        return Removed(removed)

    def restore(self, removed: Removed) -> None:
        """Put cards back where they were."""
        for row, card in removed.cards:
            self._cards.insert(min(row, len(self._cards)), card)
        self._number()

    def copy(self) -> Tray:
        """As it is now, for another thread; the cards are frozen."""
        copy = Tray()
        copy._cards = list(self._cards)
        return copy

    def clear(self) -> None:
        """Forget everything."""
        self._cards.clear()
        self._number()

    def located(self) -> list[Localisation]:
        """Every answer that holds matches."""
        return [card.answer for card in self._cards if card.answer is not None and card.answer.matches]

    def busy(self) -> int:
        """How many wait or are being located."""
        return sum(card.state in ("queued", "locating") for card in self._cards)

    def _number(self) -> None:
        self._rows = {card.key: row for row, card in enumerate(self._cards)}


def summary(tray: Tray, index: str = "", chips: int = 0, top: int = 5) -> str:
    """The line above the list: `6 of 24 located · 1 024 chips, chance 1 in 205`."""
    located = len(tray.located())
    words = translate("Tray", "{located} of {photos} located")
    parts = [words.format(located=wording.count(located), photos=wording.counted(len(tray), "photo"))]
    if chips:
        parts.append(f"{wording.isolated(index)}, {wording.counted(chips, 'chip')}")
        if chips > top:
            words = translate("Tray", "top {top} by chance: 1 in {chips}")
            parts.append(words.format(top=top, chips=wording.count(round(chips / top))))
    return " · ".join(parts)


def save(tray: Tray, file: Path) -> None:
    """Write the tray (references and answers, never pixels)."""
    rows = [
        {
            **asdict(card),
            "path": str(card.path),
            "state": card.at_rest if card.state in ("queued", "locating") else card.state,
        }
        for card in tray
    ]
    write_atomically(file, json.dumps({"schema": SCHEMA, "photos": rows}))


class Kept(NamedTuple):
    """A saved tray.

    Attributes:
        rows: Fields of `PhotoCard` without its key.
        left_out: Photos whose entry is damaged.
    """

    rows: list[dict[str, Any]]
    left_out: int = 0


def load(file: Path) -> Kept:
    """Read a saved tray; raises `ConfigError` when it is none.

    Of a photo whose entry names a file, what is damaged is forgotten: it is located again.
    """
    if not file.exists():
        return Kept([])
    try:
        document = json.loads(file.read_text("utf-8"))
        if document["schema"] != SCHEMA:
            raise ConfigError("the list of photos was written by another version", path=file, hint=_SET_ASIDE)
        if not isinstance(document["photos"], list):
            raise TypeError("it holds no list")
        rows = [_row(row) for row in document["photos"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"the list of photos cannot be read ({error})", path=file, hint=_SET_ASIDE
        ) from error
    return Kept([row for row in rows if row is not None], rows.count(None))


def _row(row: object) -> dict[str, Any] | None:
    """Fields of a card, without those that do not fit; None when it names no file."""
    if not isinstance(row, dict) or not _is_path(row.get("path")):
        return None
    made: dict[str, Any] = {"path": Path(row["path"])}
    checks = fitting.field_checks(PhotoCard)
    for name in row.keys() & checks.keys() - {"key", "path"}:  # a later version may say more
        try:
            value = _READERS[name](row[name]) if name in _READERS else row[name]
        except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError, RecursionError):
            continue  # what cannot be read does not fit either
        if checks[name](value):
            made[name] = value
    located = made.get("answer") is not None
    if made.get("state") not in (("failed", "located") if located else ("failed",)):
        made["state"] = "new"  # it waited, or its answer is damaged
    return made


def _answer(fields: Any) -> Localisation | None:
    answer = None if fields is None else localisation_from(fields)
    if answer is not None and any(match.rank != place for place, match in enumerate(answer.matches, 1)):
        raise ValueError("matches are ranked from 1")
    return answer


def _is_path(text: object) -> bool:
    """Whether a file can be called so."""
    try:
        return isinstance(text, str) and bool(text) and b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


_READERS: dict[str, Callable[[Any], object]] = {"facts": facts_from, "answer": _answer}
