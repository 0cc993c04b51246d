"""The worker's JSON as records again; plain functions without Qt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geolocator_gui.records import BoundingBox, Fused, Localisation, LonLat, Match, PhotoFacts


def facts_from(fields: Mapping[str, Any] | None) -> PhotoFacts | None:
    """`PhotoFacts` from its `asdict` form."""
    if fields is None:
        return None
    position = fields.get("position")
    return PhotoFacts(**{**fields, "position": None if position is None else LonLat(*position)})


def match_from(fields: Mapping[str, Any]) -> Match:
    """`Match` from its `asdict` form."""
    position, bounds = LonLat(*fields["position"]), BoundingBox(*fields["bounds"])
    return Match(**{**fields, "position": position, "bounds": bounds})


def localisation_from(fields: Mapping[str, Any]) -> Localisation:
    """`Localisation` from its `asdict` form; raises `TypeError` or `KeyError` for anything else."""
    fused = fields.get("fused")
    return Localisation(
        **{
            **fields,
            "facts": facts_from(fields.get("facts")),
            "matches": tuple(match_from(match) for match in fields.get("matches", ())),
            "fused": None if fused is None else Fused(LonLat(*fused["position"]), float(fused["spread_m"])),
        }
    )
