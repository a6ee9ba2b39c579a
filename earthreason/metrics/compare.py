"""Compare models that answered the same questions: paired tests, wins and losses, what moved most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from earthreason.errors import EarthReasonError
from earthreason.metrics.evaluate import Result
from earthreason.metrics.scores import terms_of
from earthreason.metrics.statistics import RESAMPLES, Difference, paired_differences

if TYPE_CHECKING:
    import pandas as pd

TIE = 1e-6
"""IoUs closer than this are a tie: the epsilon of the float32 evaluators moves them by as much."""


@dataclass(frozen=True)
class Comparison:
    """Model B against model A, on the same questions under the same protocol.

    Attributes:
        first, second: results of A and B.
        differences: by metric, B minus A.
        wins, ties, losses: questions where B has the higher, an equal, the lower IoU.
    """

    first: Result
    second: Result
    differences: dict[str, Difference]
    wins: int
    ties: int
    losses: int

    def moved(self, count: int = 10) -> pd.DataFrame:
        """The questions whose IoU changed most, either way: ids, both IoUs and their difference."""
        frame = self.first.per_sample[["sample_id", "question_index", "category", "truth_empty"]].copy()
        frame["first"], frame["second"] = self.first.scored.iou, self.second.scored.iou
        frame["change"] = frame["second"] - frame["first"]
        order = frame["change"].abs().sort_values(ascending=False, kind="stable").index
        return frame.loc[order].head(count).reset_index(drop=True)

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON values."""
        return {
            "first": self.first.source,
            "second": self.second.source,
            "protocol": self.first.protocol.name,
            "questions": len(self.first.counts),
            "differences": {
                name: {"value": d.value, "interval": [d.interval.low, d.interval.high], "p_value": d.p_value}
                for name, d in self.differences.items()
            },
            "wins": self.wins,
            "ties": self.ties,
            "losses": self.losses,
            "moved": self.moved()[["sample_id", "question_index", "first", "second"]].to_dict("records"),
        }


def compare_results(results: Sequence[Result], resamples: int = RESAMPLES, seed: int = 0) -> list[Comparison]:
    """Compare every other result with the first.

    Args:
        results: two or more, scored under one protocol against one truth.
        resamples: of the bootstrap and of the permutation test.
        seed: same seed, same intervals and p-values.

    Raises:
        EarthReasonError: fewer than two, or they do not answer the same questions.
    """
    if len(results) < 2:
        raise EarthReasonError("a comparison needs at least two predictions files")
    return [_compare(results[0], other, resamples, seed) for other in results[1:]]


def _compare(first: Result, second: Result, resamples: int, seed: int) -> Comparison:
    if first.protocol != second.protocol or first.counts.keys() != second.counts.keys():
        raise EarthReasonError(
            f"{first.source} and {second.source} were not scored on the same questions; score both with one protocol "
            "and split"
        )
    differences = paired_differences(
        terms_of(first.scored), terms_of(second.scored), first.counts.sample_id, resamples, seed
    )
    change = second.scored.iou - first.scored.iou
    wins, losses = int((change > TIE).sum()), int((change < -TIE).sum())
    return Comparison(first, second, differences, wins, len(change) - wins - losses, losses)
