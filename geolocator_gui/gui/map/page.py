"""The map page: folium builds it once, everything later goes over the channel.

folium lists its scripts on a content network; the subclass lists ours, served by the one custom scheme. The
page carries a content security policy that allows exactly the inline scripts folium wrote (by hash) and
nothing from anywhere else.
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from geolocator_gui.paths import resources_dir, user_cache_dir
from geolocator_gui.workspace import write_atomically

SELF = "geolocator://map"
# One file each: the page asks for its scripts one after another, and every request waits for the GUI thread.
_BUNDLES = {
    "page.js": (("leaflet", "leaflet.js"), ("leaflet", "leaflet.draw.js"), ("map", "map.js")),
    "page.css": (("leaflet", "leaflet.css"), ("leaflet", "leaflet.draw.css"), ("map", "map.css")),
}
_INLINE = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)


def build_page() -> str:
    """The HTML of the page (imports folium: about a second, so never on the GUI thread)."""
    import folium
    from branca.element import MacroElement
    from jinja2 import Template

    # Scripts and styles share one name space in the figure's header.
    class MapPage(folium.Map):  # type: ignore[misc]  # folium has no annotations
        default_js: list[tuple[str, str]] = [("page_js", "/bundle/page.js")]  # noqa: RUF012 - folium's own form
        default_css: list[tuple[str, str]] = [("page_css", "/bundle/page.css")]  # noqa: RUF012

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
    return with_policy(str(figure.render()))


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
            f"script-src {SELF} {' '.join(hashes)}",
            f"style-src {SELF} 'unsafe-inline'",
            f"img-src {SELF} data:",
            f"connect-src {SELF}",
        ]
    )
    return html.replace(
        "<head>", f'<head>\n<meta http-equiv="Content-Security-Policy" content="{policy}">', 1
    )


def page_html(cache: Path | None = None) -> str:
    """The page from the user's cache, built when folium or this module changed."""
    folder = cache or user_cache_dir() / "map"
    stamp = hashlib.sha256(_written("folium") + _written("branca") + Path(__file__).read_bytes())
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


def resource_file(folder: str, name: str) -> Path | None:
    """A file of `resources/leaflet` or `resources/map`, None for anything that lies elsewhere."""
    root = (resources_dir() / folder).resolve()
    path = (root / name).resolve()
    return path if path.is_relative_to(root) and path.is_file() else None


def bundle(name: str) -> bytes | None:
    """The files of a bundle after one another, None when there is no such bundle."""
    files = [resource_file(*file) for file in _BUNDLES.get(name, ())]
    found = [file.read_bytes() for file in files if file is not None]
    return b"\n".join(found) if found else None
