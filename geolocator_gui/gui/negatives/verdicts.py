"""The four verdicts as people see them: key, words, icon and colour; each has a shape of its own."""

from __future__ import annotations

from dataclasses import dataclass

from geolocator_gui.marks import VERDICTS, Mark, Verdict


@dataclass(frozen=True)
class Look:
    """How a verdict or a flag looks.

    Attributes:
        word: For people.
        icon: Of the icon family.
        role: Name of a colour token.
        tip: What it means.
        key: The key that gives it, "" for none.
        short: One word, where there is little room.
    """

    word: str
    icon: str
    role: str
    tip: str
    key: str = ""
    short: str = ""


LOOKS: dict[Verdict, Look] = {
    "same_place": Look(
        "Same place",
        "map-marker-check-outline",
        "positive",
        "The chip shows the place of the photo: it is not a negative, and training never treats it as one.",
        "S",
    ),
    "hard": Look(
        "Keep hard",
        "star-outline",
        "accent_text",
        "Another place that looks alike: training prefers to put the two together.",
        "K",
    ),
    "bad_pair": Look(
        "Bad pair",
        "link-variant-off",
        "negative",
        "Photo and its own chip do not belong together: the pair is left out of training.",
        "B",
    ),
    "unsure": Look("Unsure", "help-circle-outline", "warning", "Looked at and left open.", "U"),
}

FLAGS: dict[str, Look] = {
    "": Look("", "", "text_secondary", ""),
    "same_place": Look(
        "same place",
        "",
        "warning",
        "Nearer than one chip side: probably shows the same place, no negative.",
        short="same",
    ),
    "near_twin": Look("near twin", "", "positive", "Looks alike and lies near.", short="near"),
    "far_twin": Look(
        "far twin", "", "negative", "Looks alike and lies far off: the useful ones.", short="far"
    ),
    "suspect_pair": Look(
        "suspect pair",
        "",
        "accent_text",
        "The photo's own chip ranks low: wrong coordinates, or a wrong pair?",
        short="suspect",
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
