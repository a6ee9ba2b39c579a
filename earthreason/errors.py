"""The errors a user can cause or meet. Each message says what is wrong, where, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class EarthReasonError(Exception):
    """Base of every error that is the input's fault; the CLI prints it on one line and exits with 2."""


class UnknownNameError(EarthReasonError, KeyError):
    """A name that is not registered: split, config, model, protocol, option."""

    __str__ = Exception.__str__  # KeyError would print the message in quotation marks

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.name = name
        self.known = sorted(known)
        nearest = get_close_matches(name, self.known, n=1, cutoff=0.5)
        did_you_mean = f"; did you mean {nearest[0]!r}?" if nearest else ""
        message = f"unknown {kind} {name!r}{did_you_mean} (known: {', '.join(self.known) or 'none yet'})"
        super().__init__(f"{message}. {hint}" if hint else message)


class DataNotFoundError(EarthReasonError, FileNotFoundError):
    """A dataset, folder or file is not where it should be."""


class SampleNotFoundError(EarthReasonError, KeyError):
    """No sample has that id."""

    __str__ = Exception.__str__


class DataFormatError(EarthReasonError, ValueError):
    """A file is there but is not what it should be (truncated image, broken JSON, unpaired stems, ...)."""


class RLEError(EarthReasonError, ValueError):
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


class PredictionsError(GatheredError, ValueError):
    """A predictions file with one or more faults."""


_LONGEST_INPUT = 60


def describe_faults(error: ValidationError, place: str = "", remedies: Mapping[str, str] | None = None) -> list[str]:
    """Put the faults that pydantic found into one line each: where, what, and what to write instead.

    Args:
        error: what pydantic raised.
        place: where the validated value stands, such as `predictions[3]`.
        remedies: what to write instead, by the last key of a fault's location.
    """
    lines = []
    for fault in error.errors(include_url=False, include_context=False):
        where = ".".join(str(part) for part in (place, *fault["loc"]) if part != "")
        given = repr(fault["input"])
        given = given if len(given) <= _LONGEST_INPUT else f"{given[: _LONGEST_INPUT - 3]}..."
        key = str(fault["loc"][-1]) if fault["loc"] else ""
        remedy = f"; {remedies[key]}" if remedies and key in remedies else ""
        got = "" if fault["type"] == "missing" else f", got {given}"
        message = fault["msg"].removeprefix("Value error, ")
        lines.append(f"{where + ': ' if where else ''}{message[:1].lower()}{message[1:]}{got}{remedy}")
    return lines
