"""Checks of the arguments of the scoring functions."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from earthreason.errors import EarthReasonError, UnknownNameError, show_value

MISSING_RULES = ("error", "empty")
MOST_RESAMPLES = 1_000_000
MOST_WORKERS = 1024


def check_whole_number(name: str, value: Any, least: int = 0, most: int | None = None) -> int:
    """Return a number of resamples or threads, or a seed, as an int; numpy's integers become Python's.

    Raises:
        EarthReasonError: the value is no whole number, or out of range.
    """
    try:
        number = None if isinstance(value, bool) else index(value)
    except (TypeError, RuntimeError):  # tensors of the meta device have no value
        number = None
    if number is None or number < least or (most is not None and number > most):
        fits = f"of at least {least}" if most is None or number is None or number < least else f"of at most {most:,}"
        raise EarthReasonError(f"{name}={show_value(value)}: pass a whole number {fits}")
    return number


def check_flag(name: str, value: Any) -> bool:
    """Return an option that is on or off as a bool.

    Raises:
        EarthReasonError: the value is neither; a text such as "no" would count as on.
    """
    if not isinstance(value, bool | np.bool_):
        raise EarthReasonError(f"{name}={show_value(value)}: pass True or False")
    return bool(value)


def check_missing(value: Any) -> None:
    """Check the treatment of questions without a prediction.

    Raises:
        UnknownNameError: it is neither `error` nor `empty`.
    """
    if not isinstance(value, str) or value not in MISSING_RULES:  # an array compares with every rule at once
        raise UnknownNameError("value of missing", str(value), MISSING_RULES)
