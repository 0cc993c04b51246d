"""The four verdicts as people see them: key, words, icon and colour; each has a shape of its own."""

from __future__ import annotations

from dataclasses import dataclass

from geolocator_gui.gui.translation import QT_TRANSLATE_NOOP, translate
from geolocator_gui.marks import VERDICTS, Mark, Verdict


@dataclass(frozen=True)
class Look:
    """How a verdict or a flag looks; its texts are in English and translated where they are shown.

    Attributes:
        name: For people.
        icon: Of the icon family.
        role: Name of a colour token.
        meaning: What it means.
        key: The key that gives it, "" for none.
        brief: One word, where there is little room.
    """

    name: str
    icon: str
    role: str
    meaning: str
    key: str = ""
    brief: str = ""

    @property
    def word(self) -> str:
        """The name in the user's language."""
        return translate("Verdicts", self.name) if self.name else ""

    @property
    def short(self) -> str:
        """The brief name in the user's language."""
        return translate("Verdicts", self.brief) if self.brief else ""

    @property
    def tip(self) -> str:
        """The meaning in the user's language."""
        return translate("Verdicts", self.meaning) if self.meaning else ""


LOOKS: dict[Verdict, Look] = {
    "same_place": Look(
        QT_TRANSLATE_NOOP("Verdicts", "Same place"),
        "map-marker-check-outline",
        "positive",
        QT_TRANSLATE_NOOP(
            "Verdicts",
            "The chip shows the place of the photo: it is no negative, and training never treats it as one.",
        ),
        "S",
    ),
    "hard": Look(
        QT_TRANSLATE_NOOP("Verdicts", "Keep hard"),
        "star-outline",
        "accent_text",
        QT_TRANSLATE_NOOP(
            "Verdicts", "Another place that looks alike: training prefers to put the two together."
        ),
        "K",
    ),
    "bad_pair": Look(
        QT_TRANSLATE_NOOP("Verdicts", "Bad pair"),
        "link-variant-off",
        "negative",
        QT_TRANSLATE_NOOP(
            "Verdicts", "Photo and its own chip do not belong together: the pair is left out of training."
        ),
        "B",
    ),
    "unsure": Look(
        QT_TRANSLATE_NOOP("Verdicts", "Unsure"),
        "help-circle-outline",
        "warning",
        QT_TRANSLATE_NOOP("Verdicts", "Looked at and left open."),
        "U",
    ),
}

FLAGS: dict[str, Look] = {
    "": Look("", "", "text_secondary", ""),
    "same_place": Look(
        QT_TRANSLATE_NOOP("Verdicts", "same place"),
        "",
        "warning",
        QT_TRANSLATE_NOOP(
            "Verdicts", "Nearer than one chip side: probably shows the same place, no negative."
        ),
        brief=QT_TRANSLATE_NOOP("Verdicts", "same"),
    ),
    "near_twin": Look(
        QT_TRANSLATE_NOOP("Verdicts", "near twin"),
        "",
        "positive",
        QT_TRANSLATE_NOOP("Verdicts", "Looks alike and lies near."),
        brief=QT_TRANSLATE_NOOP("Verdicts", "near"),
    ),
    "far_twin": Look(
        QT_TRANSLATE_NOOP("Verdicts", "far twin"),
        "",
        "negative",
        QT_TRANSLATE_NOOP("Verdicts", "Looks alike and lies far off: the useful ones."),
        brief=QT_TRANSLATE_NOOP("Verdicts", "far"),
    ),
    "suspect_pair": Look(
        QT_TRANSLATE_NOOP("Verdicts", "suspect pair"),
        "",
        "accent_text",
        QT_TRANSLATE_NOOP("Verdicts", "The photo's own chip ranks low: wrong coordinates, or a wrong pair?"),
        brief=QT_TRANSLATE_NOOP("Verdicts", "suspect"),
    ),
}


def verdict_of(code: int) -> Verdict | None:
    """The verdict of a code of `Judging.codes`; 0 is none."""
    return VERDICTS[code - 1] if code > 0 else None


def verdict_for_key(text: str) -> Verdict | None:
    """The verdict that a key gives."""
    return next((name for name, look in LOOKS.items() if look.key == text.upper()), None)


def in_words(mark: Mark) -> str:
    """A mark on one line: the verdict and its note."""
    word = LOOKS[mark.verdict].word if mark.verdict else ""
    return f"{word}: {mark.note}" if mark.note else word
