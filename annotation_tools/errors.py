"""Errors about drawings."""

from __future__ import annotations

from collections.abc import Sequence

from earthreason.errors import GatheredError


class DrawingError(GatheredError, ValueError):
    """Drawings that cannot be imported, each with its location. `kept` says what was imported nevertheless."""

    noun = "fault"

    def __init__(self, source: str, faults: Sequence[str], kept: str = "nothing was imported") -> None:
        super().__init__(source, faults, kept)
