"""Numbers and durations as people read them; plain functions without Qt."""

from __future__ import annotations

import time
import unicodedata
from html import escape

from geolocator_gui.gui.translation import QT_TRANSLATE_N_NOOP, plural, translate

THIN = "\u2009"
_TURNING = {"R", "AL", "AN", "RLE", "RLO", "LRE", "LRO", "RLI", "LRI", "FSI"}
_COUNTED = {
    "chip": QT_TRANSLATE_N_NOOP("Wording", "{n} chips"),
    "chip looks": QT_TRANSLATE_N_NOOP("Wording", "{n} chips look"),
    "pair": QT_TRANSLATE_N_NOOP("Wording", "{n} pairs"),
    "photo": QT_TRANSLATE_N_NOOP("Wording", "{n} photos"),
    "run": QT_TRANSLATE_N_NOOP("Wording", "{n} runs"),
    "selected photo": QT_TRANSLATE_N_NOOP("Wording", "{n} selected photos"),
    "verdict": QT_TRANSLATE_N_NOOP("Wording", "{n} verdicts"),
    "day": QT_TRANSLATE_N_NOOP("Wording", "{n} days"),
}


def count(number: int) -> str:
    """Digits in groups of three: `1 024` (a thin space, so that it never breaks)."""
    return f"{number:,}".replace(",", THIN)


def counted(number: int, noun: str) -> str:
    """`1 chip`, `1 024 chips`, in the plural form of the user's language.

    Args:
        number: How many.
        noun: One of `_COUNTED`; any other is a `KeyError`, because no catalogue could know it.
    """
    return plural("Wording", f"{{n}} {noun}", _COUNTED[noun], number).format(n=count(number))


def metres(distance: float | None) -> str:
    """`12 m`, `1.24 km`, `87 km`; a dash when there is none."""
    if distance is None:
        return "–"
    if distance < 1000:
        return f"{distance:.0f} m"
    kilometres = distance / 1000
    if kilometres < 10:
        return f"{kilometres:.2f} km"
    return f"{count(round(kilometres))} km"


def left(seconds: float | None) -> str:
    """`3 min left`; empty while unknown."""
    return "" if seconds is None else translate("Wording", "{time} left").format(time=duration(seconds))


def duration(seconds: float) -> str:
    """`8 s`, `3 min`, `2 h 10 min`, `3 days`."""
    if seconds < 1:
        return translate("Wording", "under 1 s")
    if seconds < 90:
        return translate("Wording", "{n} s").format(n=f"{seconds:.0f}")
    minutes = round(seconds / 60)
    if minutes < 90:
        return translate("Wording", "{n} min").format(n=minutes)
    hours, rest = divmod(minutes, 60)
    if hours < 48 and rest and hours < 10:
        return translate("Wording", "{hours} h {minutes} min").format(hours=hours, minutes=rest)
    if hours < 48:
        return translate("Wording", "{n} h").format(n=hours)
    return counted(round(hours / 24), "day")


def size(number: float) -> str:
    """Bytes: `312 kB`, `1.4 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if number >= 10 or unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def area(square_km: float) -> str:
    """`0.42 km²`, `12 km²`."""
    return f"{square_km:.2f} km²" if square_km < 10 else f"{count(round(square_km))} km²"


def ago(when: float | None, now: float | None = None) -> str:
    """`just now`, `5 min ago`, `3 days ago`; empty without a time."""
    if when is None:
        return ""
    seconds = (now if now is not None else time.time()) - when
    if seconds < 60:
        return translate("Wording", "just now")
    if seconds < 3600:
        return translate("Wording", "{n} min ago").format(n=f"{seconds / 60:.0f}")
    if seconds < 86400:
        return translate("Wording", "{n} h ago").format(n=f"{seconds / 3600:.0f}")
    days = round(seconds / 86400)
    if days == 1:
        return translate("Wording", "yesterday")
    return translate("Wording", "{days} ago").format(days=counted(days, "day"))


def score(value: float) -> str:
    """A cosine with three decimals and a real minus sign."""
    return f"{value:.3f}".replace("-", "−")


def heading(degrees: float) -> str:
    """`214° SW`."""
    winds = translate("Wording", "N NE E SE S SW W NW", "eight winds, clockwise").split()
    return f"{degrees % 360:.0f}° {winds[round(degrees % 360 / 45) % 8]}"


def tip(text: str) -> str:
    """A tooltip that holds names of unknown origin: Qt takes what looks like markup for markup."""
    return f"<p style='white-space:pre-wrap'>{escape(text)}</p>" if "<" in text else text


def menu(text: str) -> str:
    """A name for a menu or a button: Qt takes a single `&` for the mark of a shortcut."""
    return text.replace("&", "&&")


def isolated(name: str) -> str:
    """A name that stands in a sentence: letters that are written from right to left turn nothing around it.

    U+2068 and U+2069 (Unicode's bidirectional algorithm, UAX #9) are put only around names that need them.
    """
    turns = any(unicodedata.bidirectional(c) in _TURNING for c in name)
    return f"\u2068{name}\u2069" if turns else name


def one_line(text: str, longest: int = 200) -> str:
    """Text of unknown origin on one line: control characters gone, cut with an ellipsis."""
    clean = "".join(c if c.isprintable() else " " for c in text)
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"
