"""The evidence report: one self-contained HTML page per photo that another person can check.

It holds the photo, the best matches beside it, a map, every score, the hashes of photo and model, the
versions and the imagery's attribution. It loads nothing, runs no script, and prints to PDF as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from PIL import Image

from geolocator_gui import __version__
from geolocator_gui.errors import PhotoError
from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.geo.imagery.base import ImagerySource
from geolocator_gui.geo.photo import load_image
from geolocator_gui.records import BoundingBox, Localisation, Match
from geolocator_gui.report.pictures import data_uri, draw_answers, mercator_corners, read_picture
from geolocator_gui.workspace import write_atomically

_STYLE = """
@page { size: A4; margin: 14mm; }
body { font: 13px/1.45 system-ui, sans-serif; color: #1b1f24; max-width: 960px; margin: 24px auto;
       padding: 0 16px; }
h1 { font-size: 20px; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 15px; margin: 24px 0 8px; }
p, td, th { overflow-wrap: anywhere; }
img { max-width: 100%; border-radius: 6px; display: block; }
.answer { font-size: 15px; margin: 8px 0 16px; }
.secondary { color: #57606a; }
.matches { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 12px; }
figure { margin: 0; break-inside: avoid; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: 4px 8px 4px 0; border-bottom: 1px solid #d8dee4; vertical-align: top; }
th { font-weight: 600; white-space: nowrap; width: 1%; }
"""


@dataclass(frozen=True)
class EvidenceContext:
    """What the answer was made with.

    Attributes:
        imagery: Source of the chips' and the map's pictures.
        bounds: Of the indexed area, degrees.
        index_name: For people.
        chips: Number of chips in the index.
        model_name: Bundle name.
        weights_sha256: Of the bundle.
        attribution: Of the imagery.
        created: When the answer was made, ISO 8601 with time zone.
    """

    imagery: str
    bounds: BoundingBox
    index_name: str
    chips: int
    model_name: str
    weights_sha256: str
    attribution: str
    created: str


def write_evidence(path: Path, localisation: Localisation, context: EvidenceContext) -> None:
    """Write the page; raises `PhotoError` if the photo can no longer be read."""
    write_atomically(path, evidence_html(localisation, context))


def evidence_html(localisation: Localisation, context: EvidenceContext) -> str:
    """The page as text."""
    photo = Path(localisation.file)
    pixels = load_image(photo, longest_side=1280)
    name = escape(photo.name)
    corners = mercator_corners(context.bounds)
    with open_imagery(context.imagery) as source:
        chips = [(match, _chip_picture(source, match)) for match in localisation.matches[:8]]
        overview = draw_answers(read_picture(source, corners, 1200), corners, [localisation])
    cards = "".join(
        f'<figure><img alt="" src="{data_uri(picture)}"><figcaption><b>{match.rank}</b> '
        f"{match.score:.3f}<br>{match.position.lat:.6f}, {match.position.lon:.6f}</figcaption></figure>"
        for match, picture in chips
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">"
        f"<title>{name}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{name}</h1><p class='secondary'>Localised by Geolocator {__version__}, "
        f"{escape(context.created)}</p><p class='answer'>{escape(_answer(localisation))}</p>"
        f'<img alt="The photo" src="{data_uri(Image.fromarray(pixels))}">'
        f"<h2>Best matches, north up</h2><div class='matches'>{cards}</div>"
        f"<h2>Where they are</h2><img alt='Map of the indexed area' src='{data_uri(overview)}'>"
        f"<p class='secondary'>{escape(context.attribution)}</p>"
        f"<h2>How to check this</h2>{_table(_facts(localisation, context, _sha256(photo)))}"
        f"<p class='secondary'>A score is the cosine between the photo's and the chip's vector. It is not a "
        f"probability: compare it with the margin and with the scores of other places.</p></body></html>"
    )


def _answer(item: Localisation) -> str:
    if item.fused is None:
        return item.error or item.sentence
    position = item.fused.position
    place = f"{position.lat:.6f}, {position.lon:.6f}, spread {item.fused.spread_m:.0f} m."
    return f"{place} {item.sentence} {item.note}".rstrip()


def _facts(item: Localisation, context: EvidenceContext, digest: str) -> list[tuple[str, str]]:
    facts = item.facts
    rows = [("Photo", item.file), ("Photo SHA-256", digest)]
    if facts is not None:
        rows.append(("Size", f"{facts.width} x {facts.height} px"))
        if facts.camera or facts.taken:
            rows.append(("Camera says", f"{facts.camera} {facts.taken}".strip()))
        if facts.position is not None:
            rows.append(("Own position (EXIF)", f"{facts.position.lat:.6f}, {facts.position.lon:.6f}"))
        if facts.heading is not None:
            rows.append(("Own heading", f"{facts.heading:.0f} degrees"))
    if item.error_m is not None:
        rows.append(("Answer to own position", f"{item.error_m:,.0f} m"))
    rows += [
        ("Taken as", item.mode or ""),
        ("Margin to the second place", "" if item.margin is None else f"{item.margin:.3f}"),
        ("Index", f"{context.index_name}, {context.chips:,} chips"),
        ("Model", context.model_name),
        ("Model weights SHA-256", context.weights_sha256),
        ("Imagery", context.attribution),
    ]
    return rows


def _table(rows: Sequence[tuple[str, str]]) -> str:
    body = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<table>{body}</table>"


def _chip_picture(source: ImagerySource, match: Match) -> Image.Image:
    return read_picture(source, mercator_corners(match.bounds), 240)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PhotoError(f"the photo cannot be read ({error.strerror})", path=path) from error
