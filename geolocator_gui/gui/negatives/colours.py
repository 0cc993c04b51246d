"""Margins as colours: yellow where an impostor outranks the right chip, dark blue where it is far below.

The ramp is viridis (perceptually even, safe for colour-blind eyes) turned round, centred on a margin of 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Yellow to violet; the darkest stop is left out, it vanishes on imagery.
_STOPS = np.array(
    [
        (253, 231, 37),
        (181, 222, 43),
        (110, 206, 88),
        (53, 183, 121),
        (31, 158, 137),
        (38, 130, 142),
        (49, 104, 142),
        (62, 73, 137),
        (72, 36, 117),
    ],
    float,
)
_LEAST_SPAN = 0.05


def span_of(margins: NDArray[np.floating]) -> float:
    """Half the width of the ramp: most margins fall inside."""
    known = np.abs(margins[np.isfinite(margins)])
    return max(float(np.quantile(known, 0.9)), _LEAST_SPAN) if known.size else _LEAST_SPAN


def rgb(margins: NDArray[np.floating], span: float) -> NDArray[np.uint8]:
    """(N, 3) colours of margins (N,); what is unknown is grey."""
    level = np.clip((np.asarray(margins, float) / span + 1) / 2, 0, 1) * (len(_STOPS) - 1)
    known = np.isfinite(level)
    level = np.where(known, level, 0.0)
    low = np.floor(level).astype(int)
    high = np.minimum(low + 1, len(_STOPS) - 1)
    part = (level - low)[:, None]
    mixed = _STOPS[low] * (1 - part) + _STOPS[high] * part
    return np.where(known[:, None], mixed, 136.0).round().astype(np.uint8)


def hex_of(margin: float | None, span: float) -> str:
    """One margin as `#rrggbb`."""
    r, g, b = rgb(np.array([np.nan if margin is None else margin]), span)[0].tolist()
    return f"#{r:02x}{g:02x}{b:02x}"


def ink_on(colour: str) -> str:
    """Black or white, whichever reads better on a colour."""
    from geolocator_gui.gui.tokens import contrast

    return "#14181d" if contrast(colour, "#14181d") >= contrast(colour, "#ffffff") else "#ffffff"
