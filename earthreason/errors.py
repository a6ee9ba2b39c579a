"""Errors for users. Each message says what is wrong, where, and what to do next."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Protocol


class EarthReasonError(Exception):
    """Base of all errors caused by input; the CLI prints the message and exits with 2."""


class UnknownNameError(EarthReasonError, KeyError):
    """Unknown name of a split, config, model, protocol or option."""

    __str__ = Exception.__str__  # KeyError would print the message in quotation marks

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.name = name
        self.known = sorted(known)
        nearest = get_close_matches(name, self.known, n=1, cutoff=0.5)
        did_you_mean = f"; did you mean {nearest[0]!r}?" if nearest else ""
        message = f"unknown {kind} {name!r}{did_you_mean} (known: {', '.join(self.known) or 'none yet'})"
        super().__init__(f"{message}. {hint}" if hint else message)


class DataNotFoundError(EarthReasonError, FileNotFoundError):
    """Missing dataset, folder or file."""


class SampleNotFoundError(EarthReasonError, KeyError):
    """Unknown sample id."""

    __str__ = Exception.__str__


class DataFormatError(EarthReasonError, ValueError):
    """Broken content of an existing file (truncated image, invalid JSON, unpaired stems, ...).

    Attributes:
        reason: kind of fault in a few words, by which left-out samples are counted.
    """

    def __init__(self, message: str, reason: str = "broken data") -> None:
        super().__init__(message)
        self.reason = reason


class RLEError(EarthReasonError, ValueError):
    """Run-length encoding that is not a mask of its stated size."""


class GatheredError(EarthReasonError):
    """All faults of one source, so that the first does not hide the others."""

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
    """Predictions file with one or more faults."""


class TruthError(GatheredError, DataFormatError):
    """Ground-truth file with one or more faults. The message about a single fault is one line."""

    def __init__(self, source: str, faults: Sequence[str]) -> None:
        super().__init__(source, faults)
        if len(self.faults) == 1:
            self.args = (f"{source}: {self.faults[0]}",)


_LONGEST_INPUT = 60


class _FaultList(Protocol):
    """pydantic's ValidationError, or FastAPI's RequestValidationError."""

    def errors(self) -> Sequence[Mapping[str, Any]]: ...


def describe_faults(
    error: _FaultList, place: str = "", remedies: Mapping[str, str] | None = None, *, inputs: bool = True
) -> list[str]:
    """Describe the faults of a validation, one line each: location, rejected value and correction.

    Args:
        error: exception of pydantic or FastAPI.
        place: name of the validated input, such as a path; it begins every line.
        remedies: corrections by the last key of a fault's location.
        inputs: whether to quote the rejected values, which may be secret.
    """
    return [_describe_fault(fault, place, remedies or {}, inputs) for fault in error.errors()]


def describe_validation_error(error: _FaultList, place: str = "", *, inputs: bool = False, limit: int = 10) -> str:
    """Describe at most `limit` faults as `describe_faults` does, joined into one text."""
    return "\n".join(describe_faults(error, place, inputs=inputs)[:limit])


def _describe_fault(fault: Mapping[str, Any], place: str, remedies: Mapping[str, str], inputs: bool) -> str:
    where = ".".join(part for part in (place, *map(str, fault["loc"])) if part)
    message = str(fault["msg"]).removeprefix("Value error, ")
    message = re.sub(r"valid dictionary or instance of \w+", "JSON object", message)
    quoted = ""
    complete = fault["type"] == "value_error" and "; " in message  # it is our own, with its correction
    if inputs and fault["type"] == "missing":
        keys = list_keys(fault["input"]) if isinstance(fault["input"], Mapping) else ""
        quoted = f", found only {_shorten(keys)}" if keys else ""
    elif inputs and not complete:
        quoted = f", got {show_value(fault['input'])}"
    key = str(fault["loc"][-1]) if fault["loc"] else ""
    remedy = f"; {remedies[key]}" if key in remedies and not complete else ""
    message = message[:1].lower() + message[1:] if where else message
    return f"{where}: {message}{quoted}{remedy}" if where else f"{message}{quoted}{remedy}"


def reason_of(error: Exception) -> str:
    """Return the first line of an error's message, or its type if it has none."""
    text = "" if isinstance(error, KeyError) else str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def list_keys(keys: Iterable[object]) -> str:
    """List keys in one line that can be printed: line breaks and lone surrogates are escaped."""
    return ", ".join(repr(str(key))[1:-1] for key in keys)


def show_value(value: object) -> str:
    """Return a value as Python writes it, in one line that is not long."""
    return _shorten(" ".join(repr(value).split()))


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST_INPUT else f"{text[: _LONGEST_INPUT - 3]}..."
