"""Scores and intervals as text."""

from __future__ import annotations

from math import isnan

from earthreason.metrics.statistics import Interval


def format_score(value: float | None) -> str:
    """Format a fraction in per cent with two decimals; a dash if undefined (None or NaN)."""
    return "–" if value is None or isnan(value) else f"{100 * value:.2f}"


def format_interval(interval: Interval | None) -> str:
    """Format an interval in per cent with one decimal; an empty string if there is none."""
    return "" if interval is None else f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"
