"""The list of known tile providers with their licences."""

from __future__ import annotations

