"""Faults of what people drew."""

from __future__ import annotations

from collections.abc import Sequence

from earthreason.errors import GatheredError


class DrawingError(GatheredError):
    """Drawings that cannot be taken in, each with its place; what could be was kept, as `kept` says."""

    noun = "fault"

    def __init__(self, source: str, faults: Sequence[str], kept: str = "nothing was taken in") -> None:
        super().__init__(source, faults, kept)
