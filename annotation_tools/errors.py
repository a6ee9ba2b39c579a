"""Faults of what people drew, gathered so that one bad shape does not hide the next."""

from __future__ import annotations

from collections.abc import Sequence

from earthreason.errors import EarthReasonError


class DrawingError(EarthReasonError):
    """Drawings that cannot be taken in, each with its place; what could be was kept, as `kept` says."""

    shown = 10

    def __init__(self, source: str, faults: Sequence[str], kept: str = "nothing was taken in") -> None:
        self.faults = list(faults)
        lines = "\n".join(f"  {fault}" for fault in self.faults[: self.shown])
        rest = len(self.faults) - self.shown
        more = f"\n  ... and {rest} more" if rest > 0 else ""
        noun = "fault" if len(self.faults) == 1 else "faults"
        super().__init__(f"{source}: {len(self.faults)} {noun}; {kept}\n{lines}{more}")
