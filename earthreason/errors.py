"""The errors a user can cause or meet. Each message says what is wrong, where, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Protocol


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


class _FaultList(Protocol):
    """pydantic's ValidationError, or FastAPI's RequestValidationError."""

    def errors(self) -> Sequence[Mapping[str, Any]]: ...


def describe_validation_error(error: _FaultList, place: str = "", *, inputs: bool = False, limit: int = 10) -> str:
    """Describe what a validation found, one line per fault: where, what, and optionally what was there.

    Args:
        error: raised by pydantic or FastAPI.
        place: what was validated, such as a file's path; it begins every line.
        inputs: quote the rejected values; leave them out if they may be secret.
        limit: describe at most this many faults.
    """
    return "\n".join(_describe_fault(fault, place, inputs) for fault in error.errors()[:limit])


def _describe_fault(fault: Mapping[str, Any], place: str, inputs: bool) -> str:
    where = ".".join(part for part in (place, *map(str, fault["loc"])) if part)
    message = str(fault["msg"]).removeprefix("Value error, ")
    quoted = ""
    if inputs and fault["type"] != "missing":
        text = repr(fault["input"])
        quoted = f", got {text if len(text) <= 60 else f'{text[:57]}...'}"
    message = message[:1].lower() + message[1:] if where else message
    return f"{where}: {message}{quoted}" if where else f"{message}{quoted}"
