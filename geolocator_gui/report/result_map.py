"""The result map: one self-contained HTML page (folium, Leaflet inside it) and the same as a PNG.

Nothing in the page is fetched from anywhere: Leaflet, its style, the imagery and the photos' thumbnails are
inside the file. Names of files and layers reach the page as JSON and are shown with `textContent`.
"""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geolocator_gui.errors import PhotoError
from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.geo.photo import load_image
from geolocator_gui.geo.projection import lonlat_to_mercator
from geolocator_gui.paths import resources_dir
from geolocator_gui.records import BoundingBox, Localisation, LonLat
from geolocator_gui.workspace import write_atomically

if TYPE_CHECKING:
    from PIL.Image import Image

_LONGEST = 1600
_SCRIPT = """
const data = %(data)s;
const map = %(map)s;
L.imageOverlay(data.imagery, data.bounds).addTo(map);
map.fitBounds(data.bounds);
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
    L.circleMarker(photo.answer, {radius: 8, color: "#ffffff", weight: 2, fillColor: "#1d6ce0", fillOpacity: 1})
      .bindPopup(label([photo.name, ...photo.lines], photo.thumbnail), {maxWidth: 360}).addTo(group);
  }
}
"""
_STYLE = """
html, body, .folium-map { height: 100%; margin: 0; }
body { font: 13px system-ui, sans-serif; }
.thumb { display: block; max-width: 320px; max-height: 160px; margin-bottom: 6px; border-radius: 6px; }
.legend { position: absolute; left: 16px; bottom: 16px; z-index: 1000; background: #fff; color: #1b1f24;
          border-radius: 6px; padding: 8px 12px; box-shadow: 0 1px 4px rgba(0, 0, 0, .3); }
.dot { display: inline-block; width: 10px; height: 10px; border-radius: 50%; background: #1d6ce0;
       border: 2px solid #fff; box-shadow: 0 0 0 1px #1d6ce0; margin-right: 6px; vertical-align: -2px; }
.ring { display: inline-block; width: 9px; height: 9px; border-radius: 50%; border: 3px double #101418;
        margin: 0 6px 0 12px; vertical-align: -2px; }
"""


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
    picture, corners = _background(imagery, bounds)
    if png is not None:
        data = io.BytesIO()
        _draw(picture.copy(), corners, localisations).save(data, "PNG")
        write_atomically(png, data.getvalue())
    write_atomically(html, _page(picture, bounds, localisations, attribution, title))


def _background(imagery: str, bounds: BoundingBox) -> tuple[Image, tuple[float, float, float, float]]:
    """The imagery of the bounds as one picture, and its corners in Mercator metres (W, S, E, N)."""
    from PIL import Image

    corners = lonlat_to_mercator(np.array([bounds.west, bounds.east]), np.array([bounds.south, bounds.north]))
    west, east = (float(value) for value in corners[0])
    south, north = (float(value) for value in corners[1])
    scale = _LONGEST / max(east - west, north - south)
    width, height = max(1, round((east - west) * scale)), max(1, round((north - south) * scale))
    with open_imagery(imagery) as source:
        patch = source.read((west, south, east, north), width, height)
    return Image.fromarray(patch.pixels), (west, south, east, north)


def _draw(
    picture: Image, corners: tuple[float, float, float, float], localisations: Sequence[Localisation]
) -> Image:
    from PIL import ImageDraw

    west, south, east, north = corners
    draw = ImageDraw.Draw(picture)

    def pixel(position: LonLat) -> tuple[float, float]:
        x, y = lonlat_to_mercator(np.array([position.lon]), np.array([position.lat]))
        return (
            float((x[0] - west) / (east - west) * picture.width),
            float((north - y[0]) / (north - south) * picture.height),
        )

    def circle(centre: tuple[float, float], radius: float, **style: Any) -> None:
        x, y = centre
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), **style)

    for item in localisations:
        answer = _answer(item)
        own = item.facts.position if item.facts is not None and not item.outside else None
        if own is not None and answer is not None:
            draw.line((*pixel(own), *pixel(answer)), fill="#1d6ce0", width=2)
        if own is not None:
            circle(pixel(own), 10, outline="#101418", width=4)
            circle(pixel(own), 9, outline="#ffffff", width=2)
        if answer is not None:
            circle(pixel(answer), 8, fill="#1d6ce0", outline="#ffffff", width=2)
    return picture


def _answer(item: Localisation) -> LonLat | None:
    if item.fused is not None:
        return item.fused.position
    return item.matches[0].position if item.matches else None


def _page(
    picture: Image, bounds: BoundingBox, localisations: Sequence[Localisation], attribution: str, title: str
) -> str:
    import folium
    from branca.element import Element, MacroElement
    from jinja2 import Template

    class OfflineMap(folium.Map):
        default_js: tuple[()] = ()  # type: ignore[assignment]
        default_css: tuple[()] = ()  # type: ignore[assignment]

    class Glue(MacroElement):
        _template = Template(
            "{% macro script(this, kwargs) %}{{ this.code }}{% endmacro %}",
        )

        def __init__(self, code: str) -> None:
            super().__init__()
            self.code = code

    page = OfflineMap(tiles=None, zoom_control=True, control_scale=True, prefer_canvas=True)
    data = {
        "imagery": _data_uri(picture, "JPEG"),
        "bounds": [[bounds.south, bounds.west], [bounds.north, bounds.east]],
        "attribution": attribution,
        "photos": [_photo(item) for item in localisations if item.matches],
    }
    Glue(_SCRIPT % {"data": _json(data), "map": page.get_name()}).add_to(page)
    root = page.get_root()
    leaflet = resources_dir() / "leaflet"
    style = (leaflet / "leaflet.css").read_text("utf-8") + _STYLE
    script = (leaflet / "leaflet.js").read_text("utf-8").replace("</script", "<\\/script")
    root.header.add_child(Element(f"<style>{style}</style><script>{script}</script>"))
    root.header.add_child(Element(f"<title>{_text(title)}</title>"))
    root.html.add_child(
        Element(
            '<div class="legend"><span class="dot"></span>where the program thinks it is'
            '<span class="ring"></span>the photo\'s own position</div>'
        )
    )
    # Jinja would take braces in the data for its own; folium renders Element texts as templates.
    return str(root.render())


def _photo(item: Localisation) -> dict[str, Any]:
    answer = _answer(item)
    own = item.facts.position if item.facts is not None and not item.outside else None
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
        "thumbnail": _thumbnail(item.file),
    }


def _thumbnail(file: str) -> str | None:
    from PIL import Image

    try:
        pixels = load_image(Path(file), longest_side=320)
    except PhotoError:
        return None  # the photo was moved since; its result still has a place on the map
    return _data_uri(Image.fromarray(pixels), "JPEG")


def _data_uri(picture: Image, kind: str) -> str:
    data = io.BytesIO()
    picture.save(data, kind, quality=85)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(data.getvalue()).decode()}"


def _json(data: Any) -> str:
    """JSON that can stand inside a script element and a Jinja template."""
    text = json.dumps(data, allow_nan=False, default=_finite)
    return text.replace("<", "\\u003c").replace("{{", "{ {").replace("{%", "{ %")


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else str(value)


def _text(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("{", "&#123;")
