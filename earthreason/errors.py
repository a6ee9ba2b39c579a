"""The errors a user can cause or meet. Each message says what is wrong, where, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class EarthReasonError(Exception):
    """Base of every error that is the input's fault; the CLI prints it on one line and exits with 2."""


class UnknownNameError(EarthReasonError):
    """A name that is not registered: split, config, model, protocol, option."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.name = name
        self.known = sorted(known)
        nearest = get_close_matches(name, self.known, n=1, cutoff=0.5)
        did_you_mean = f"; did you mean {nearest[0]!r}?" if nearest else ""
        message = f"unknown {kind} {name!r}{did_you_mean} (known: {', '.join(self.known) or 'none yet'})"
        super().__init__(f"{message}. {hint}" if hint else message)


class DataNotFoundError(EarthReasonError):
    """A dataset, folder or file is not where it should be."""


class DataFormatError(EarthReasonError):
    """A file is there but is not what it should be (truncated image, broken JSON, unpaired stems, ...)."""


class RLEError(EarthReasonError):
    """A run-length encoding that is not a mask of its stated size."""


class GatheredError(EarthReasonError):
    """Faults of one source, all gathered, so that the first does not hide the next."""

    shown, noun = 10, "error"

    def __init__(self, source: str, faults: Sequence[str], outcome: str = "") -> None:
        self.faults = list(faults)
        lines = "\n".join(f"  {fault}" for fault in self.faults[: self.shown])
        rest = len(self.faults) - self.shown
        more = f"\n  ... and {rest} more" if rest > 0 else ""
        noun = self.noun if len(self.faults) == 1 else f"{self.noun}s"
        after = f"; {outcome}" if outcome else ""
        super().__init__(f"{source}: {len(self.faults)} {noun}{after}\n{lines}{more}")


class PredictionsError(GatheredError):
    """A predictions file with one or more faults."""
