"""Comparison of models on the same questions: paired tests, wins and losses, largest changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from earthreason.errors import EarthReasonError
from earthreason.metrics.arguments import MOST_RESAMPLES, check_whole_number
from earthreason.metrics.result import Result, intervals_as_json
from earthreason.metrics.scores import terms_of
from earthreason.metrics.statistics import FEW_CASES, RESAMPLES, Difference, paired_differences

if TYPE_CHECKING:
    import pandas as pd

_MOVED = ("sample_id", "question_index", "category", "truth_empty", "first", "second", "change")
TIE = 1e-6
"""A smaller difference in IoU is a tie: division in float32, as in LISA's evaluator, can cause one of this size."""


@dataclass(frozen=True)
class Comparison:
    """Model B compared with model A, on the same questions under the same protocol.

    Attributes:
        first, second: results of A and B.
        differences: scores of B minus scores of A, by metric.
        wins, ties, losses: numbers of questions where B has a higher, an equal or a lower IoU.
    """

    first: Result
    second: Result
    differences: dict[str, Difference]
    wins: int
    ties: int
    losses: int

    def moved(self, count: int = 10) -> pd.DataFrame:
        """Return the questions with the largest changes in IoU: ids, both IoUs and their difference.

        Raises:
            EarthReasonError: `count` is no whole number, or negative.
        """
        import pandas as pd

        return pd.DataFrame(self.moved_rows(count), columns=list(_MOVED))

    def moved_rows(self, count: int = 10) -> list[dict[str, Any]]:
        """Return the rows of `moved`."""
        counts, first, second = self.first.counts, self.first.scored.iou, self.second.scored.iou
        change = second - first
        count = check_whole_number("count", count)
        columns = (
            counts.sample_id,
            counts.question_index,
            np.array([self.first.references[sample_id].category for sample_id in counts.sample_id], object),
            counts.truth_empty,
            first,
            second,
            change,
        )
        order = np.argsort(-np.abs(change), kind="stable")[:count]
        return [
            dict(zip(_MOVED, row, strict=True))
            for row in zip(*(column[order].tolist() for column in columns), strict=True)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        return {
            "first": self.first.source,
            "second": self.second.source,
            "protocol": self.first.protocol.name,
            "grid": self.first.protocol.grid.name,
            "questions": self.first.questions,
            "models": {role: _summary(result) for role, result in (("first", self.first), ("second", self.second))},
            "differences": {name: _difference(each) for name, each in self.differences.items()},
            "no_interval": {name: FEW_CASES for name, each in self.differences.items() if each.interval is None},
            "wins": self.wins,
            "ties": self.ties,
            "losses": self.losses,
            "moved": [
                {name: row[name] for name in ("sample_id", "question_index", "first", "second")}
                for row in self.moved_rows()
            ],
        }


def _summary(result: Result) -> dict[str, Any]:
    intervals = intervals_as_json(result.intervals, result.no_interval)
    return {"scores": result.scores, **intervals, "provenance": result.provenance}


def _difference(difference: Difference) -> dict[str, Any]:
    ends = difference.interval
    return {"value": difference.value, "interval": ends and [ends.low, ends.high], "p_value": difference.p_value}


def compare_results(results: Sequence[Result], resamples: int = RESAMPLES, seed: int = 0) -> list[Comparison]:
    """Compare every other result with the first.

    Args:
        results: two or more results under one protocol, on one ground truth.
        resamples: number of resamples of the bootstrap and of the permutation test.
        seed: seed of the resamples.

    Raises:
        EarthReasonError: there are fewer than two results, their protocols, questions or ground truth differ, or a
            number is out of range.
    """
    resamples = check_whole_number("resamples", resamples, 1, MOST_RESAMPLES)
    seed = check_whole_number("seed", seed)
    listed = _listed(results)
    if len(listed) < 2:
        raise EarthReasonError("a comparison needs at least two results")
    return [_compare(listed[0], other, resamples, seed) for other in listed[1:]]


def _listed(results: Any) -> list[Result]:
    try:
        # Mappings and sets do not say which result the others are compared with.
        listed = None if isinstance(results, Mapping | set | frozenset | str | bytes) else list(results)
    except TypeError:
        listed = None
    other = results if listed is None else next((each for each in listed if not isinstance(each, Result)), None)
    if listed is None or other is not None or None in listed:
        raise EarthReasonError(f"a comparison takes a list of results of `evaluate`, not {type(other).__name__}")
    return listed


def _compare(first: Result, second: Result, resamples: int, seed: int) -> Comparison:
    if first.protocol != second.protocol or first.counts.keys() != second.counts.keys():
        raise EarthReasonError(
            f"{first.source} and {second.source} were not scored on the same questions; score both with one protocol "
            "and split"
        )
    if not np.array_equal(first.counts.truth_area, second.counts.truth_area):
        raise EarthReasonError(
            f"{first.source} and {second.source} were scored against different masks; score both on one ground truth"
        )
    differences = paired_differences(
        terms_of(first.scored), terms_of(second.scored), first.counts.sample_id, resamples, seed
    )
    change = second.scored.iou - first.scored.iou
    wins, losses = int((change > TIE).sum()), int((change < -TIE).sum())
    return Comparison(first, second, differences, wins, len(change) - wins - losses, losses)
