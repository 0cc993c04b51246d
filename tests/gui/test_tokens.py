import re

import pytest

from geolocator_gui.gui import tokens
from geolocator_gui.paths import resources_dir

TEXT_ON = [
    ("text", "surface"),
    ("text", "raised"),
    ("text", "hover"),
    ("text", "accent_soft"),
    ("text_secondary", "surface"),
    ("text_secondary", "raised"),
    ("text_secondary", "hover"),
    ("accent_text", "surface"),
    ("accent_text", "raised"),
    ("accent_text", "accent_soft"),
    ("on_accent", "accent"),
    ("positive", "raised"),
    ("warning", "raised"),
    ("warning", "surface"),
    ("negative", "raised"),
    ("negative", "surface"),
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("front", "back"), TEXT_ON)
def test_text_is_wcag_aa(scheme, front, back) -> None:
    look = tokens.tokens(scheme)
    assert tokens.contrast(getattr(look, front), getattr(look, back)) >= 4.5


def test_contrast_of_black_on_white_is_21() -> None:
    assert tokens.contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_style_sheet_names_only_tokens_and_no_colour_of_its_own(scheme) -> None:
    template = (resources_dir() / "style" / "app.qss").read_text("utf-8")
    filled = tokens.fill(template, scheme, "/icons")
    assert "@" not in filled
    rules = re.sub(r"#[A-Za-z]+\b(?=[^;{}]*\{)", "", template)  # object names in selectors
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b", rules)


def test_an_unknown_token_is_an_error() -> None:
    with pytest.raises(KeyError):
        tokens.fill("QWidget { color: @nothing; }", "light")
