"""Scores of `earthreason.evaluate` in the form that experiment trackers take.

Copy this file beside your code. It needs `earthreason` only; docs/howto/libraries.md has the lines for each tracker.
"""

from __future__ import annotations

import re

from earthreason import Result


def scores_of(result: Result, prefix: str = "", intervals: bool = False) -> dict[str, float]:
    """Return the scores that are defined, as fractions, by names that every tracker accepts.

    Args:
        result: result of `earthreason.evaluate`.
        prefix: beginning of every name, such as `test/`.
        intervals: also return the ends of the 95 % intervals, as `gIoU_low` and `gIoU_high`.
    """
    scores = {name: value for name, value in result.items() if value is not None}
    if intervals:
        scores |= {f"{name} low": interval.low for name, interval in result.intervals.items()}
        scores |= {f"{name} high": interval.high for name, interval in result.intervals.items()}
    # MLflow refuses the @ of Pr@0.5. The names are those of `earthreason.metrics.torch.PixelReasoningMetric`.
    return {prefix + re.sub(r"[^A-Za-z0-9_/-]+", "_", name): float(value) for name, value in scores.items()}


def facts_of(result: Result) -> dict[str, str | int]:
    """Return what a score depends on, as parameters of a run: rules, data, package version and numbers of samples."""
    facts = result.to_dict()
    names = ("earthreason", "protocol", "grid", "predictions", "ground_truth")
    counts = ("questions", "images", "empty_targets", "missing", "failed")
    return {name: str(facts[name]) for name in names} | {name: int(facts[name]) for name in counts}
