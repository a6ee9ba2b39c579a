"""Comparison of models on the same questions: paired tests, wins and losses, largest changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from earthreason.errors import EarthReasonError
from earthreason.metrics.arguments import MOST_RESAMPLES, check_whole_number
from earthreason.metrics.counts import Key
from earthreason.metrics.result import Result, intervals_as_json
from earthreason.metrics.scores import Scored, terms_of
from earthreason.metrics.statistics import FEW_IMAGES, RESAMPLES, Difference, paired_differences

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
        wins, ties, losses: numbers of questions where B has a higher, an equal or a lower IoU; the IoU of a question
            whose targets are scored one by one is their mean.
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
        count = check_whole_number("count", count)
        first, second = question_iou(self.first.scored), question_iou(self.second.scored)
        counts = self.first.counts
        with_target = set(counts.select(~counts.truth_empty).keys())
        change = {key: second[key] - first[key] for key in first}
        return [
            dict(
                zip(
                    _MOVED,
                    (*key, self.first.references[key[0]].category, key not in with_target, first[key], second[key], by),
                    strict=True,
                )
            )
            for key, by in sorted(change.items(), key=lambda entry: -abs(entry[1]))[:count]
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
            "no_interval": {name: FEW_IMAGES for name, each in self.differences.items() if each.interval is None},
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
    if not _same_truth(first, second):
        raise EarthReasonError(
            f"{first.source} and {second.source} were scored against different masks; score both on one ground truth"
        )
    differences = paired_differences(
        terms_of(first.scored), terms_of(second.scored), first.counts.sample_id, resamples, seed
    )
    before, after = question_iou(first.scored), question_iou(second.scored)
    change = np.array([after[key] - before[key] for key in before])
    wins, losses = int((change > TIE).sum()), int((change < -TIE).sum())
    return Comparison(first, second, differences, wins, len(change) - wins - losses, losses)


def _same_truth(first: Result, second: Result) -> bool:
    """Return whether two results of the same questions were scored against the same masks."""
    if first.references is not second.references:
        for sample_id in set(first.counts.sample_id.tolist()):
            if first.references[sample_id].segmentation != second.references[sample_id].segmentation:
                return False
    return np.array_equal(first.counts.truth_area, second.counts.truth_area)  # separate targets and ignored pixels


def question_iou(scored: Scored) -> dict[Key, float]:
    """Return the IoU of every question; where targets are scored one by one, their mean."""
    targets: dict[Key, list[float]] = {}
    for key, value in zip(scored.counts.keys(), scored.iou.tolist(), strict=True):
        targets.setdefault(key, []).append(value)
    return {key: sum(values) / len(values) for key, values in targets.items()}
