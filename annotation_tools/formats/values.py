"""Check values of annotation files, which people and programs write in any form."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from earthreason.errors import DataFormatError, EarthReasonError

_FARTHEST = 1_000_000
"""Largest coordinate in pixels, far outside of every picture. A larger one would only take time and memory."""
_BROKEN = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, EOFError, SyntaxError)
"""What readers raise on values of another form."""


@contextmanager
def understood(place: str, what: str) -> Iterator[None]:
    """Turn what a reader raises on values of another form into one line.

    Args:
        place: file, image and shape, as far as they are known.
        what: what should be there, with its article.

    Raises:
        DataFormatError: the block raised such an exception.
    """
    try:
        yield
    except EarthReasonError:  # it names the place already
        raise
    except _BROKEN as error:
        reason = str(error).splitlines()[0][:200] if str(error) else ""
        raise DataFormatError(f"{place}: not {what} ({type(error).__name__}: {reason})") from None


def objects(value: object, place: str, what: str) -> list[dict[str, Any]]:
    """Return a list of JSON objects; an absent one (None) is empty.

    Raises:
        DataFormatError: it is another value, or has another value in it.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise DataFormatError(f"{place}: {what} must be a list, not {_kind(value)}")
    for number, entry in enumerate(value, start=1):
        if not isinstance(entry, dict):
            raise DataFormatError(f"{place}: {what} must be objects, but number {number} is {_kind(entry)}")
    return value


def mapping(value: object, place: str, what: str) -> dict[str, Any]:
    """Return a JSON object; an absent one (None) is empty.

    Raises:
        DataFormatError: it is another value.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DataFormatError(f"{place}: {what} must be an object, not {_kind(value)}")
    return value


def name_of(value: object) -> str | None:
    """Return a label or file name; None if the value is no text, or only spaces. Numbers are names too."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value.strip() or None if isinstance(value, str) else None


def points_of(value: object, place: str, least: int = 1) -> np.ndarray:
    """Return points [[x, y], ...] as a (number, 2) float64 array.

    Raises:
        DataFormatError: they are not pairs of finite numbers, are fewer than `least`, or far outside of every picture.
    """
    if not isinstance(value, list | tuple):
        raise DataFormatError(f"{place}: the points must be a list, not {_kind(value)}")
    for point in value:
        if not isinstance(point, list | tuple) or len(point) != 2 or not all(map(_is_number, point)):
            raise DataFormatError(f"{place}: the points are not pairs of numbers")
    if len(value) < least:
        raise DataFormatError(f"{place}: needs at least {least} points of x and y; this one has {len(value)}")
    for point in value:
        if not all(map(math.isfinite, point)):
            raise DataFormatError(f"{place}: a coordinate is not a finite number")
        if max(map(abs, point)) > _FARTHEST:
            raise DataFormatError(f"{place}: a coordinate is far outside of every picture")
    return np.asarray(value, np.float64).reshape(-1, 2)


def pairs_of(value: object, place: str) -> np.ndarray:
    """Return the points of a flat list [x1, y1, x2, y2, ...]; errors are those of `points_of`."""
    if not isinstance(value, list | tuple) or len(value) % 2:
        raise DataFormatError(f"{place}: a polygon must be a list of x and y in turn")
    return points_of(list(zip(value[::2], value[1::2], strict=True)), place)


def whole_number(value: object, place: str, what: str) -> int:
    """Return a whole number.

    Raises:
        DataFormatError: it is another value, or has too many digits.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 2**53:
        raise DataFormatError(f"{place}: {what} must be a whole number, not {_kind(value)}")
    return value


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) < 10**300  # longer ones do not fit into a float


def _kind(value: object) -> str:
    return "nothing" if value is None else f"{type(value).__name__} ({str(value)[:40]})"
