"""`tr()` for the modules that know no Qt: the same catalogues, by way of `QCoreApplication.translate`.

Widgets call their own `self.tr`; everything else calls `translate` with its module's name as the context, so
that `pyside6-lupdate` finds both. Values are put in afterwards with `str.format`, never glued to half a
sentence.
"""

from __future__ import annotations

import sys


def translate(context: str, text: str, comment: str = "", n: int = -1) -> str:
    """A text in the user's language; without Qt, or without a translation, the text itself.

    Args:
        context: Who says it.
        text: In English.
        comment: Tells two equal texts apart.
        n: A number that chooses the plural form, -1 for none.
    """
    qt = sys.modules.get("PySide6.QtCore")  # view models also run where no window is
    if qt is None:
        return text
    return str(qt.QCoreApplication.translate(context, text, comment or None, n))


def plural(context: str, one: str, many: str, n: int) -> str:
    """The plural form that fits `n`: the catalogue's, else English with its two.

    A catalogue holds its forms under `many`, marked with `QT_TRANSLATE_N_NOOP` where it is written.
    """
    found = translate(context, many, "", n)
    return one if found == many and n == 1 else found


def QT_TRANSLATE_NOOP(context: str, text: str) -> str:
    """Marks a text for `pyside6-lupdate` that is translated where it is shown; returns it unchanged."""
    return text


def QT_TRANSLATE_N_NOOP(context: str, text: str) -> str:
    """Marks a text with plural forms for `pyside6-lupdate`, which knows this name; returns it unchanged."""
    return text
