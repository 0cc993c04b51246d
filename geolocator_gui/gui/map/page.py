"""The map page: folium builds it once, everything later goes over the channel.

folium lists its scripts on a content network; the subclass lists none, and ours are written into the page: a
request for each would wait for the GUI thread. The page carries a content security policy that allows exactly
the scripts written into it (by hash).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from geolocator_gui.paths import resources_dir, user_cache_dir
from geolocator_gui.workspace import write_atomically

SELF = "geolocator://map"
_SCRIPTS = ("leaflet/leaflet.js", "leaflet/leaflet.draw.js", "map/map.js")
_STYLES = ("leaflet/leaflet.css", "leaflet/leaflet.draw.css", "map/map.css")
_INLINE = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)


def build_page() -> str:
    """The HTML of the page (imports folium: about a second, so never on the GUI thread)."""
    import folium
    from branca.element import MacroElement
    from jinja2 import Template

    class MapPage(folium.Map):  # type: ignore[misc]  # folium has no annotations
        default_js: list[tuple[str, str]] = []  # noqa: RUF012 - folium's own form
        default_css: list[tuple[str, str]] = []  # noqa: RUF012

    class Glue(MacroElement):  # type: ignore[misc]  # branca has no annotations
        _template = Template(
            "{% macro script(this, kwargs) %}geolocatorStart({{ this._parent.get_name() }});{% endmacro %}"
        )

    page = MapPage(
        tiles=None,
        zoom_control=False,
        attributionControl=False,
        boxZoom=True,
        zoomSnap=0.5,
        zoomAnimation=True,
    )
    page._id = "page"  # a fixed name makes the page the same every time
    page.add_child(Glue())  # type: ignore[no-untyped-call]
    figure: Any = page.get_root()
    figure._id = "figure"
    figure.title = "map"
    head = f"<head>\n<style>{_joined(_STYLES)}</style>\n<script>{_joined(_SCRIPTS)}</script>"
    return with_policy(str(figure.render()).replace("<head>", head, 1))


def _joined(files: Sequence[str]) -> str:
    return "\n".join((resources_dir() / file).read_text("utf-8") for file in files)


def with_policy(html: str) -> str:
    """Put the content security policy at the top of the page's head."""
    hashes = sorted(
        {
            "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"
            for script in _INLINE.findall(html)
        }
    )
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(hashes)}",
            "style-src 'unsafe-inline'",
            f"img-src {SELF} data:",
            f"connect-src {SELF}",
        ]
    )
    return html.replace(
        "<head>", f'<head>\n<meta http-equiv="Content-Security-Policy" content="{policy}">', 1
    )


def page_html(cache: Path | None = None) -> str:
    """The page from the user's cache, built when what it is made of changed."""
    folder = cache or user_cache_dir() / "map"
    ours = _joined((*_STYLES, *_SCRIPTS)).encode()
    stamp = hashlib.sha256(_written("folium") + _written("branca") + Path(__file__).read_bytes() + ours)
    file = folder / f"page-{stamp.hexdigest()[:16]}.html"
    if file.exists():
        return file.read_text("utf-8")
    html = build_page()
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(file, html)
    return html


def _written(package: str) -> bytes:
    """What changes with a package's version, without importing it or the machinery that reads metadata."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return b""
    version = Path(spec.origin).with_name("_version.py")
    return (version if version.exists() else Path(spec.origin)).read_bytes()
