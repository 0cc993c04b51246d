"""Numbers and durations as people read them; plain functions without Qt."""

from __future__ import annotations

import time

THIN = "\u2009"


def count(number: int) -> str:
    """Digits in groups of three: `1 024` (a thin space, so that it never breaks)."""
    return f"{number:,}".replace(",", THIN)


def counted(number: int, singular: str, plural: str = "") -> str:
    """`1 chip`, `1 024 chips`."""
    return f"{count(number)} {singular if number == 1 else plural or singular + 's'}"


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
    return "" if seconds is None else f"{duration(seconds)} left"


def duration(seconds: float) -> str:
    """`8 s`, `3 min`, `2 h 10 min`, `3 days`."""
    if seconds < 1:
        return "under 1 s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest and hours < 10 else f"{hours} h"
    return f"{round(hours / 24)} days"


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
        return "just now"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min ago"
    if seconds < 86400:
        return f"{seconds / 3600:.0f} h ago"
    days = round(seconds / 86400)
    return "yesterday" if days == 1 else f"{days} days ago"


def score(value: float) -> str:
    """A cosine with three decimals and a real minus sign."""
    return f"{value:.3f}".replace("-", "−")


def heading(degrees: float) -> str:
    """`214° SW`."""
    winds = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")
    return f"{degrees % 360:.0f}° {winds[round(degrees % 360 / 45) % 8]}"


def one_line(text: str, longest: int = 200) -> str:
    """Text of unknown origin on one line: control characters gone, cut with an ellipsis."""
    clean = "".join(c if c.isprintable() else " " for c in text)
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"
