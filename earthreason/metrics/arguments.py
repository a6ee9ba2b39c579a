"""Checks of the arguments of the scoring functions."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from earthreason.errors import EarthReasonError, UnknownNameError

MISSING_RULES = ("error", "empty")
INSTANCES_RULES = ("error", "union")


def check_whole_number(name: str, value: Any, least: int = 0) -> int:
    """Return a number of resamples or threads, or a seed, as an int; numpy's integers become Python's.

    Raises:
        EarthReasonError: the value is no whole number, or less than `least`.
    """
    try:
        number = None if isinstance(value, bool) else index(value)
    except (TypeError, RuntimeError):  # tensors of the meta device have no value
        number = None
    if number is None or number < least:
        raise EarthReasonError(f"{name}={value!r}: pass a whole number of at least {least}")
    return number


def check_flag(name: str, value: Any) -> bool:
    """Return an option that is on or off as a bool.

    Raises:
        EarthReasonError: the value is neither; a text such as "no" would count as on.
    """
    if not isinstance(value, bool | np.bool_):
        raise EarthReasonError(f"{name}={value!r}: pass True or False")
    return bool(value)


def check_missing(value: Any) -> None:
    """Check the treatment of questions without a prediction.

    Raises:
        UnknownNameError: it is neither `error` nor `empty`.
    """
    _check_rule("missing", value, MISSING_RULES)


def check_instances(value: Any) -> None:
    """Check the treatment of several masks for one question.

    Raises:
        UnknownNameError: it is neither `error` nor `union`.
    """
    _check_rule("instances", value, INSTANCES_RULES)


def _check_rule(name: str, value: Any, rules: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in rules:  # an array compares with every rule at once
        raise UnknownNameError(f"value of {name}", str(value), rules)
