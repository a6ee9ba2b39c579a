"""Format values for the page: table cells, and text that is safe in Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable

from benchmarks.gpu.collect.rows import Row, finite, number_at

DASH = "–"
LABELS = {
    "reference": "reference",
    "ours": "ours",
    "graphs": "ours, CUDA graph",
    "compiled": "ours, compiled",
    "tf32": "float32 with TF32",
}
Column = tuple[str, Callable[[Row], str]]
"""Heading of a column, and function that formats its cell for a row."""
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def number(value: object, digits: int = 0) -> str:
    """Format a number with thousands separators."""
    known = finite(value)
    return DASH if known is None else f"{known:,.{digits}f}"


def percent(value: object, digits: int = 0) -> str:
    """Format a share as a percentage with its sign."""
    known = finite(value)
    return DASH if known is None else f"{100 * known:.{digits}f} %"


def hundredths(value: object) -> str:
    """Format a share as a percentage without its sign, which is in the heading."""
    known = finite(value)
    return DASH if known is None else f"{100 * known:.1f}"


def interval(row: Row) -> str:
    """Format the interval of a row as a percentage."""
    low, high = number_at(row, "low"), number_at(row, "high")
    return DASH if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f}"


def with_unit(row: Row, key: str, unit: str) -> str:
    """Format a number with its unit."""
    value = number_at(row, key)
    return DASH if value is None else f"{value:,g} {unit}"


def error_or_number(row: Row, key: str, digits: int) -> str:
    """Format a number, or the error that prevented it."""
    return escape(row["error"]) if row.get("error") else number(row.get(key), digits)


def label(row: Row, key: str) -> str:
    """Return the displayed name of an implementation or a precision."""
    value = row.get(key)
    return LABELS.get(value, escape(value)) if isinstance(value, str) else DASH


def yes_or_no(value: object) -> str:
    """Format a bool."""
    return {True: "yes", False: "no"}.get(value, DASH) if isinstance(value, bool) else DASH


def strip_colours(text: str) -> str:
    """Remove the escape sequences that colour text in a terminal."""
    return _ANSI.sub("", text)


def escape(value: object) -> str:
    """Put a text on one line and escape the characters that Markdown would interpret."""
    text = " ".join(strip_colours(str(value)).split()) if value not in (None, "") else DASH
    if text.startswith("`") or "`" in text:
        return text.replace("|", "\\|")
    return re.sub(r"([|<>*_\[\]])", r"\\\1", text)


def code(value: object, longest: int = 200) -> str:
    """Format a text as code, shortened to `longest` characters."""
    if value in (None, ""):
        return ""
    text = " ".join(str(value).replace("`", "'").split())
    return f"`{text if len(text) <= longest else text[: longest - 1] + '…'}`".replace("|", "\\|")


def number_column(heading: str, key: str, digits: int = 0) -> Column:
    """Make a column of numbers."""
    return heading, lambda row: number(row.get(key), digits)


def share_column(heading: str, key: str) -> Column:
    """Make a column of shares whose heading has the percent sign."""
    return heading, lambda row: hundredths(row.get(key))


def label_column(heading: str, key: str) -> Column:
    """Make a column of implementations or precisions."""
    return heading, lambda row: label(row, key)


def text_column(heading: str, key: str) -> Column:
    """Make a column of texts."""
    return heading, lambda row: escape(row.get(key))


def code_column(heading: str, key: str, longest: int = 200) -> Column:
    """Make a column of texts formatted as code."""
    return heading, lambda row: code(row.get(key), longest)


def yes_or_no_column(heading: str, key: str) -> Column:
    """Make a column of bools."""
    return heading, lambda row: yes_or_no(row.get(key))
