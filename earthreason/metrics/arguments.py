"""Checks of the arguments of the scoring functions."""

from __future__ import annotations

from operator import index
from typing import Any

from earthreason.errors import EarthReasonError, UnknownNameError

MISSING_RULES = ("error", "empty")


def check_whole_number(name: str, value: Any, least: int = 0) -> None:
    """Check a number of resamples or threads, or a seed.

    Raises:
        EarthReasonError: the value is no whole number, or less than `least`.
    """
    try:
        fits = not isinstance(value, bool) and index(value) >= least
    except TypeError:
        fits = False
    if not fits:
        raise EarthReasonError(f"{name}={value!r}: pass a whole number of at least {least}")


def check_missing(value: Any) -> None:
    """Check the treatment of questions without a prediction.

    Raises:
        UnknownNameError: it is neither `error` nor `empty`.
    """
    if value not in MISSING_RULES:
        raise UnknownNameError("value of missing", str(value), MISSING_RULES)
