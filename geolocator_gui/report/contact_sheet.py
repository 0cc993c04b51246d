"""The contact sheet: photos with their own chip and their impostors on one self-contained HTML page.

It loads nothing and runs no script; file names and notes are data and escaped; it prints to PDF as it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from PIL import Image

from geolocator_gui import __version__
from geolocator_gui.errors import FaultError, GeolocatorError
from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.geo.imagery.base import ImagerySource
from geolocator_gui.geo.photo import load_image
from geolocator_gui.report.confusions import Confusion, SeenChip
from geolocator_gui.report.pictures import data_uri, mercator_corners, read_picture
from geolocator_gui.workspace import write_atomically

_PHOTO_PX, _CHIP_PX = 420, 200
_WORDS = {"same_place": "same place", "near_twin": "near twin", "far_twin": "far twin"}
_VERDICTS = {
    "same_place": "✓ same place",
    "hard": "★ keep as hard",
    "bad_pair": "✗ bad pair",
    "unsure": "? unsure",
}
_STYLE = """
@page { size: A4; margin: 12mm; }
body { font: 12px/1.4 system-ui, sans-serif; color: #1b1f24; max-width: 1080px; margin: 24px auto;
       padding: 0 16px; }
h1 { font-size: 18px; margin: 0 0 4px; overflow-wrap: anywhere; }
.secondary { color: #57606a; overflow-wrap: anywhere; }
section { border-top: 1px solid #d8dee4; padding: 10px 0 14px; break-inside: avoid; }
h2 { font-size: 13px; margin: 0 0 6px; overflow-wrap: anywhere; }
h2 span { font-weight: 400; color: #57606a; margin-left: 8px; }
.row { display: flex; flex-wrap: wrap; gap: 8px; align-items: flex-start; }
figure { margin: 0; width: 128px; font-size: 11px; }
figure.photo { width: 272px; }
figure img, figure .none { width: 100%; border-radius: 4px; display: block; box-sizing: border-box; }
figure.own img { outline: 2px solid #1a7f37; outline-offset: -2px; }
figure .none { background: #eef1f5; height: 128px; }
figcaption { overflow-wrap: anywhere; margin-top: 3px; }
.said { font-weight: 600; }
"""


@dataclass(frozen=True)
class SheetContext:
    """What the page says of itself.

    Attributes:
        mining: Name of the mining.
        model: Bundle name.
        attribution: Of the imagery.
        created: ISO 8601 with time zone.
        imagery: Source that chips are cut from, "" when every chip has a file.
        most: Impostors shown per photo; judged ones beyond come along.
    """

    mining: str
    model: str
    attribution: str
    created: str
    imagery: str = ""
    most: int = 5


def write_contact_sheet(path: Path, confusions: Sequence[Confusion], context: SheetContext) -> None:
    """Write the page; raises `FaultError` if it cannot be written, `ImageryError` without the imagery."""
    text = contact_sheet_html(confusions, context)
    try:
        write_atomically(path, text)
    except OSError as error:
        raise FaultError(f"the file cannot be written ({error.strerror or error})", path=path) from error


def contact_sheet_html(confusions: Sequence[Confusion], context: SheetContext) -> str:
    """The page as text; a picture that can no longer be read leaves a grey square."""
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(open_imagery(context.imagery)) if context.imagery else None
        sections = "".join(_section(item, source, context.most) for item in confusions)
    title = f"Confusions of {context.mining}"
    count = f"{len(confusions):,} photo{'' if len(confusions) == 1 else 's'}"
    told = f"{count}, model {context.model}. Geolocator {__version__}, {context.created}."
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(title)}</h1><p class='secondary'>{escape(told)}</p>{sections}"
        f"<p class='secondary'>{escape(context.attribution)}</p>"
        "<p class='secondary'>A score is the cosine between the photo's and the chip's vector; the margin is "
        "the own chip's score minus the impostor's: at or below 0 the impostor ranks above the own chip.</p>"
        "</body></html>"
    )


def _section(item: Confusion, source: ImagerySource | None, most: int) -> str:
    place = "" if item.position is None else f"{item.position.lat:.6f}, {item.position.lon:.6f}"
    facts = [item.area, place, "suspect pair" if item.suspect else ""]
    photo = _figure(_photo(item.file), "", "photo")
    cards = [photo]
    if item.own is not None:
        own = f"<b>own chip</b> {item.own.cosine:.3f}<br>rank {item.own.rank:,}{_said(item.own)}"
        cards.append(_figure(_chip(item.own, source), own, "own"))
    # What somebody has judged is what the sheet is printed for: it comes along at any rank.
    shown = [chip for place, chip in enumerate(item.impostors) if place < most or chip.verdict]
    cards += [_figure(_chip(chip, source), _caption(chip), "") for chip in shown]
    told = " · ".join(escape(fact) for fact in facts if fact)
    row = f"<div class='row'>{''.join(cards)}</div>"
    return f"<section><h2>{escape(item.name)}<span>{told}</span></h2>{row}</section>"


def _caption(chip: SeenChip) -> str:
    parts = [f"<b>{chip.rank:,}</b> {chip.cosine:.3f}"]
    if chip.margin is not None:
        parts.append(f"margin {chip.margin:+.3f}")
    if chip.distance_m is not None:
        parts.append(f"{chip.distance_m:,.0f} m")
    parts.append(escape(_WORDS.get(chip.flag, "")))
    return "<br>".join(part for part in parts if part) + _said(chip)


def _said(chip: SeenChip) -> str:
    if not chip.verdict:
        return ""
    note = f": {escape(chip.note)}" if chip.note else ""
    return f"<br><span class='said'>{escape(_VERDICTS.get(chip.verdict, chip.verdict))}</span>{note}"


def _figure(picture: Image.Image | None, caption: str, kind: str) -> str:
    shown = '<div class="none"></div>' if picture is None else f'<img alt="" src="{data_uri(picture)}">'
    return f'<figure class="{kind}">{shown}<figcaption>{caption}</figcaption></figure>'


def _photo(file: str, longest: int = _PHOTO_PX) -> Image.Image | None:
    if not file:
        return None
    try:
        return Image.fromarray(load_image(Path(file), longest_side=longest))
    except GeolocatorError:
        return None  # moved since; the sheet still names it


def _chip(chip: SeenChip, source: ImagerySource | None) -> Image.Image | None:
    if chip.file:
        return _photo(chip.file, _CHIP_PX)
    if chip.bounds is None or source is None:
        return None
    try:
        return read_picture(source, mercator_corners(chip.bounds), _CHIP_PX)
    except GeolocatorError:
        return None  # a tile that cannot be read; its facts still stand
