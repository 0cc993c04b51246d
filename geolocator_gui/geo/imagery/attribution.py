"""The attribution of imagery as words: tile files and services may write it as HTML."""

from __future__ import annotations

import re
from html import unescape

_LONGEST = 1000
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")


def plain_attribution(text: object) -> str:
    """The words of an attribution without its markup: `© <a href="…">Town</a>` is `© Town`.

    MBTiles 1.3 and PMTiles 3 allow HTML; nothing here shows it as such, and every export wants words.
    """
    words = unescape(_TAG.sub("", str(text)[:_LONGEST]))
    return " ".join(words.split())
