"""`geolocator imagery`: what an imagery source is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from geolocator_gui.cli_commands.console import print_json
from geolocator_gui.workspace import Workspace

app = typer.Typer(help="Imagery sources: look at one before you index it.", no_args_is_help=True)


@app.callback()
def imagery() -> None:
    """Imagery sources: look at one before you index it."""


@app.command()
def probe(
    source: Annotated[
        str,
        typer.Argument(metavar="SRC", help="A file, a folder of tiles, a tile address, a WMS or WMTS."),
    ],
    workspace: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep fetched tiles in this workspace's cache.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Say what a source is: extent, zooms, metres per pixel, CRS, bands, licence, a sample tile."""
    from geolocator_gui.geo.probe import probe as look

    tiles = None if workspace is None else Workspace.open(workspace).tiles
    facts = look(source, tiles_dir=tiles)
    if as_json:
        print_json(facts)
    else:
        _print(facts)


def _print(facts: Mapping[str, Any], indent: str = "") -> None:
    for name, value in facts.items():
        if isinstance(value, Mapping):
            if value:
                print(f"{indent}{name}")
                _print(value, indent + "  ")
        elif value not in (None, ""):
            print(f"{indent}{name.replace('_', ' '):<20} {_words(value)}")


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.8g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_words(item) for item in value)
    return str(value)
