"""Paired comparisons from the counts that the board keeps, and what readers may see of them."""

from __future__ import annotations

from dataclasses import dataclass

from earthreason.metrics.compare import Comparison, compare_results
from earthreason.metrics.references import References
from earthreason.metrics.result import Result
from earthreason.metrics.scores import DICE, HEADLINE, Scored
from earthreason.metrics.statistics import Interval

from .records import ALL, ResultRecord

COMPARED = (*HEADLINE, DICE.name)
RESAMPLES = 1000


@dataclass(frozen=True)
class PublicComparison:
    """What readers may see of a comparison.

    Attributes:
        differences: score of model B minus that of model A with its 95 % interval, None without one, by score.
        tests: the full comparison, with p-values and wins by question; None on a hidden split.
    """

    differences: dict[str, tuple[float, Interval | None]]
    tests: Comparison | None


def compare_details(
    first: Scored, second: Scored, resamples: int = RESAMPLES, seed: int = 0
) -> PublicComparison | None:
    """Compare model B (`second`) with model A (`first`); None if their questions or truths differ."""
    if first.counts.keys() != second.counts.keys() or (first.counts.truth_area != second.counts.truth_area).any():
        return None
    masks = References([], "")  # not stored
    compared = compare_results([_as_result(first, masks), _as_result(second, masks)], resamples, seed)[0]
    shown = {name: compared.differences[name] for name in COMPARED if name in compared.differences}
    return PublicComparison({name: (each.value, each.interval) for name, each in shown.items()}, compared)


def subtract_shown(first: ResultRecord, second: ResultRecord, protocol: str) -> PublicComparison:
    """Compare two results of a hidden split by the figures that they show.

    Anything finer would tell more of the labels than the two results do: whether two files that differ in one pixel
    differ in an interval, a p-value or the better of two answers tells the label of that pixel.
    """
    estimates = {name: (first.estimate(protocol, ALL, name), second.estimate(protocol, ALL, name)) for name in COMPARED}
    decimals = first.decimals or 0
    differences: dict[str, tuple[float, Interval | None]] = {
        name: (round(b.value - a.value, decimals) + 0.0, None)  # adding 0 takes the sign off -0.0
        for name, (a, b) in estimates.items()
        if a is not None and b is not None
    }
    return PublicComparison(differences, None)


def _as_result(scored: Scored, masks: References) -> Result:
    """Wrap stored counts as the result that a comparison takes. Provenance is not stored."""
    return Result(scored.protocol, scored, {}, {}, source="", truth="", references=masks)
