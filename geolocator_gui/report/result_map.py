"""The result map: one self-contained HTML page (folium, Leaflet inside it) and the same as a PNG.

Nothing in the page is fetched from anywhere: Leaflet, its style, the imagery and the photos' thumbnails are
inside the file. Names of files and layers reach the page as JSON and are shown with `textContent`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.paths import resources_dir
from geolocator_gui.records import BoundingBox, Localisation
from geolocator_gui.report.pictures import (
    answer_of,
    data_uri,
    draw_answers,
    mercator_corners,
    own_position,
    read_picture,
    thumbnail_uri,
)
from geolocator_gui.workspace import write_atomically

if TYPE_CHECKING:
    from PIL.Image import Image

_SCRIPT = """
const data = %(data)s;
const map = %(map)s;
L.imageOverlay(data.imagery, data.bounds).addTo(map);
map.fitBounds(data.bounds);
map.attributionControl.setPrefix("Leaflet");
map.attributionControl.addAttribution(document.createTextNode(data.attribution).textContent
    .replace(/[<>&]/g, c => ({"<": "&lt;", ">": "&gt;", "&": "&amp;"}[c])));
function label(lines, image) {
  const box = document.createElement("div");
  if (image) { const i = document.createElement("img"); i.src = image; i.className = "thumb"; box.append(i); }
  for (const line of lines) { const p = document.createElement("div"); p.textContent = line; box.append(p); }
  return box;
}
for (const photo of data.photos) {
  const group = L.layerGroup().addTo(map);
  if (photo.own && photo.answer) {
    L.polyline([photo.own, photo.answer], {color: "#1d6ce0", weight: 1.5, dashArray: "4 4"}).addTo(group);
  }
  if (photo.outline) {
    L.rectangle(photo.outline, {color: "#1d6ce0", weight: 1.5, fill: false, opacity: .55}).addTo(group);
  }
  if (photo.own) {
    L.circleMarker(photo.own, {radius: 7, color: "#101418", weight: 5, fill: false}).addTo(group);
    L.circleMarker(photo.own, {radius: 7, color: "#ffffff", weight: 2.5, fillOpacity: 0})
      .bindPopup(label([photo.name, "the photo's own position"])).addTo(group);
  }
  if (photo.answer) {
    const disc = {radius: 8, color: "#ffffff", weight: 2, fillColor: "#1d6ce0", fillOpacity: 1};
    L.circleMarker(photo.answer, disc)
      .bindPopup(label([photo.name, ...photo.lines], photo.thumbnail), {maxWidth: 360}).addTo(group);
  }
}
"""
_STYLE = """
html, body, .folium-map { height: 100%; margin: 0; }
body { font: 13px system-ui, sans-serif; }
.thumb { display: block; max-width: 320px; max-height: 160px; margin-bottom: 6px; border-radius: 6px; }
.legend { position: absolute; right: 16px; top: 16px; z-index: 1000; background: #fff; color: #1b1f24;
          border-radius: 6px; padding: 8px 12px; box-shadow: 0 1px 4px rgba(0, 0, 0, .3); }
.dot { display: inline-block; width: 10px; height: 10px; border-radius: 50%; background: #1d6ce0;
       border: 2px solid #fff; box-shadow: 0 0 0 1px #1d6ce0; margin-right: 6px; vertical-align: -2px; }
.ring { display: inline-block; width: 9px; height: 9px; border-radius: 50%; border: 3px double #101418;
        margin: 0 6px 0 12px; vertical-align: -2px; }
"""
_LEGEND = (
    '<div class="legend"><span class="dot"></span>where the program thinks it is'
    '<span class="ring"></span>the photo\'s own position</div>'
)


def write_result_map(
    html: Path,
    png: Path | None,
    localisations: Sequence[Localisation],
    *,
    imagery: str,
    bounds: BoundingBox,
    attribution: str,
    title: str,
) -> None:
    """Write the page and, if asked, the picture.

    Args:
        html: File to write.
        png: File to write, or None.
        localisations: What to show; photos without matches are left out.
        imagery: Source of the background.
        bounds: What to show, degrees.
        attribution: Of the imagery.
        title: Of the page.
    """
    corners = mercator_corners(bounds)
    with open_imagery(imagery) as source:
        picture = read_picture(source, corners, 1600)
    if png is not None:
        data = io.BytesIO()
        draw_answers(picture.copy(), corners, localisations).save(data, "PNG")
        write_atomically(png, data.getvalue())
    write_atomically(html, _page(picture, bounds, localisations, attribution, title))


def _page(
    picture: Image, bounds: BoundingBox, localisations: Sequence[Localisation], attribution: str, title: str
) -> str:
    import folium
    from branca.element import MacroElement
    from jinja2 import Template

    class OfflineMap(folium.Map):
        default_js: tuple[()] = ()  # type: ignore[assignment]
        default_css: tuple[()] = ()  # type: ignore[assignment]

    class Inlay(MacroElement):
        """Text put into the page as it is.

        folium renders what a macro returns as a template once more, so a file name could be code of Jinja:
        the text is marked raw, and no data can hold the mark's end (see `_json`).
        """

        _template = Template(
            "{% macro header(this, kwargs) %}{{ this.head }}{% endmacro %}"
            "{% macro html(this, kwargs) %}{{ this.body }}{% endmacro %}"
            "{% macro script(this, kwargs) %}{{ this.code }}{% endmacro %}"
        )

        def __init__(self, head: str, body: str, code: str) -> None:
            super().__init__()  # type: ignore[no-untyped-call]  # branca has no annotations
            self.head, self.body, self.code = (
                f"{{% raw %}}{text}{{% endraw %}}" for text in (head, body, code)
            )

    page = OfflineMap(tiles=None, zoom_control=True, control_scale=True, prefer_canvas=True)
    data = {
        "imagery": data_uri(picture),
        "bounds": [[bounds.south, bounds.west], [bounds.north, bounds.east]],
        "attribution": attribution,
        "photos": [_photo(item) for item in localisations if item.matches],
    }
    leaflet = resources_dir() / "leaflet"
    style = (leaflet / "leaflet.css").read_text("utf-8") + _STYLE
    script = (leaflet / "leaflet.js").read_text("utf-8").replace("</script", "<\\/script")
    heading = escape(title).replace("{", "&#123;")
    head = f"<title>{heading}</title><style>{style}</style><script>{script}</script>"
    code = _SCRIPT % {"data": _json(data), "map": page.get_name()}
    Inlay(head, _LEGEND, code).add_to(page)
    return str(page.get_root().render())


def _photo(item: Localisation) -> dict[str, Any]:
    answer, own = answer_of(item), own_position(item)
    best = item.matches[0]
    lines = [f"score {best.score:.3f}, chip {best.chip}"]
    if item.error_m is not None and not item.outside:
        lines.append(f"{item.error_m:,.0f} m from the photo's own position")
    if item.outside:
        lines.append("the photo's own position lies outside this area")
    if item.sentence:
        lines.append(item.sentence)
    west, south, east, north = best.bounds
    return {
        "name": Path(item.file).name,
        "lines": lines,
        "answer": None if answer is None else [answer.lat, answer.lon],
        "own": None if own is None else [own.lat, own.lon],
        "outline": [[south, west], [north, east]],
        "thumbnail": thumbnail_uri(item.file),
    }


def _json(data: Any) -> str:
    """JSON that can stand inside a script element and a raw block of Jinja."""
    return json.dumps(data, allow_nan=False).replace("<", "\\u003c").replace("{%", "\\u007b%")
