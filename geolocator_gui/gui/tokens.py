"""The design tokens: every colour, size and radius of the window and of the map page, light and dark.

Plain data without Qt. The style sheet (`resources/style/app.qss`) and the map's style sheet
(`resources/map/map.css`) name tokens; nothing else in the program names a colour.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Literal

Scheme = Literal["light", "dark"]

GRID = 8
MARGIN = 16
RADIUS = 6
BODY, SMALL, TITLE = 13, 11, 16
ICON = 18


@dataclass(frozen=True)
class Tokens:
    """Colours by role, `#rrggbb`.

    Attributes:
        surface: Behind everything.
        raised: Cards, bars, fields.
        hover: A raised thing under the pointer.
        border: Hairlines.
        text: Primary text.
        text_secondary: Captions; AA on `surface` and `raised`.
        accent: The one blue: selection, guesses, primary buttons.
        accent_soft: Selected rows.
        accent_text: The accent as text, AA on `surface`, `raised` and `accent_soft`.
        on_accent: Text on `accent`.
        positive: Finished, within reach.
        warning: Uncertain, stale.
        negative: Failed.
        map: The empty map.
    """

    surface: str
    raised: str
    hover: str
    border: str
    text: str
    text_secondary: str
    accent: str
    accent_soft: str
    accent_text: str
    on_accent: str
    positive: str
    warning: str
    negative: str
    map: str


LIGHT = Tokens(
    surface="#f6f7f9",
    raised="#ffffff",
    hover="#eef1f5",
    border="#d9dde3",
    text="#1b1f24",
    text_secondary="#5a6472",
    accent="#1f6feb",
    accent_soft="#e7f0fe",
    accent_text="#1759c4",
    on_accent="#ffffff",
    positive="#1a7f37",
    warning="#8f5f00",
    negative="#c0362c",
    map="#d5dbd5",
)
DARK = Tokens(
    surface="#16191d",
    raised="#1e2227",
    hover="#272c33",
    border="#323840",
    text="#e6e9ed",
    text_secondary="#9aa4b1",
    accent="#5a9bff",
    accent_soft="#1c2b44",
    accent_text="#7db1ff",
    on_accent="#0b1524",
    positive="#4ac26b",
    warning="#d4a72c",
    negative="#ff7b72",
    map="#2a332d",
)


def tokens(scheme: Scheme) -> Tokens:
    """The tokens of a scheme."""
    return DARK if scheme == "dark" else LIGHT


def fill(template: str, scheme: Scheme, icons: str = "") -> str:
    """Replace every `@name` in a style sheet by its token; raises `KeyError` on a name that is none.

    Args:
        template: The style sheet.
        scheme: Whose colours.
        icons: Folder of the icons that the style sheet names, with forward slashes.
    """
    values = {field.name: getattr(tokens(scheme), field.name) for field in fields(Tokens)}
    values |= {"body": f"{BODY}px", "small": f"{SMALL}px", "title": f"{TITLE}px", "radius": f"{RADIUS}px"}
    values |= {"icons": icons, "scheme": scheme}
    return re.sub(r"@([a-z_]+)", lambda found: values[found.group(1)], template)


def css_variables(scheme: Scheme) -> dict[str, str]:
    """The tokens as CSS custom properties, for the map page: `--text-secondary` and so on."""
    return {
        f"--{field.name.replace('_', '-')}": getattr(tokens(scheme), field.name) for field in fields(Tokens)
    }


def contrast(first: str, second: str) -> float:
    """Contrast of two colours after WCAG 2.2 (relative luminance), 1..21."""
    brighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
