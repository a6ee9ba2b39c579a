"""Paired comparisons from the counts that the board keeps, and what readers may see of them."""

from __future__ import annotations

from dataclasses import dataclass

from earthreason.metrics.compare import Comparison, compare_results
from earthreason.metrics.references import References
from earthreason.metrics.result import Result
from earthreason.metrics.scores import DICE, HEADLINE, Scored
from earthreason.metrics.statistics import Difference, Interval
from leaderboard.scoring import HIDDEN_DECIMALS

COMPARED = (*HEADLINE, DICE.name)
RESAMPLES = 1000


@dataclass(frozen=True)
class PublicComparison:
    """What readers may see of a comparison.

    Attributes:
        differences: score of model B minus that of model A with its 95 % interval, None without one, by score; rounded
            on a hidden split.
        tests: the full comparison, with p-values and wins by question; None on a hidden split.
    """

    differences: dict[str, tuple[float, Interval | None]]
    tests: Comparison | None


def compare_details(
    first: Scored, second: Scored, *, hidden: bool, resamples: int = RESAMPLES, seed: int = 0
) -> PublicComparison | None:
    """Compare model B (`second`) with model A (`first`); None if their questions or truths differ.

    A hidden split shows rounded differences only. A p-value and the better one of two answers do not depend on the size
    of a difference: for two files that differ in one pixel they would reveal its label.
    """
    if first.counts.keys() != second.counts.keys() or (first.counts.truth_area != second.counts.truth_area).any():
        return None
    masks = References([], "")  # not stored
    compared = compare_results([_as_result(first, masks), _as_result(second, masks)], resamples, seed)[0]
    shown = {name: compared.differences[name] for name in COMPARED if name in compared.differences}
    if hidden:
        return PublicComparison({name: _rounded(difference) for name, difference in shown.items()}, None)
    return PublicComparison({name: (each.value, each.interval) for name, each in shown.items()}, compared)


def _as_result(scored: Scored, masks: References) -> Result:
    """Wrap stored counts as the result that a comparison takes. Provenance is not stored."""
    return Result(scored.protocol, scored, {}, {}, source="", truth="", references=masks)


def _rounded(difference: Difference) -> tuple[float, Interval | None]:
    ends = difference.interval and Interval(*map(_round, (difference.interval.low, difference.interval.high)))
    return _round(difference.value), ends


def _round(value: float) -> float:
    return round(value, HIDDEN_DECIMALS) + 0.0  # adding 0 takes the sign off -0.0
