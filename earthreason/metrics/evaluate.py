"""The judge's front door: predictions and truth in, a result out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from earthreason.metrics.counts import MissingRule, RegionCounts, count_regions
from earthreason.metrics.protocols import Protocol
from earthreason.metrics.references import References
from earthreason.metrics.scores import compute_scores
from earthreason.predictions.reader import Predictions


@dataclass(frozen=True)
class Result:
    """Scores of one predictions file under one protocol.

    Attributes:
        protocol: the rules.
        counts: the integers behind every score, one row per question.
        scores: fractions by name; None where undefined.
        source: the predictions file.
        truth: where the ground truth came from.
    """

    protocol: Protocol
    counts: RegionCounts
    scores: dict[str, float | None]
    source: str
    truth: str

    @property
    def missing(self) -> int:
        """Questions without a prediction, scored as empty."""
        return int((~self.counts.answered).sum())

    @property
    def empty_targets(self) -> int:
        return int(self.counts.truth_empty.sum())

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        from earthreason import __version__

        return {
            "earthreason": __version__,
            "protocol": self.protocol.name,
            "grid": self.protocol.grid.name,
            "predictions": self.source,
            "ground_truth": self.truth,
            "samples": len(self.counts),
            "empty_targets": self.empty_targets,
            "missing": self.missing,
            "scores": self.scores,
        }


def evaluate_file(
    predictions: Predictions, references: References, protocol: Protocol, missing: MissingRule = "error"
) -> Result:
    """Score a predictions file under one protocol.

    Raises:
        PredictionsError: see `count_regions`.
    """
    counts = count_regions(predictions, references, protocol, missing=missing)
    scores = compute_scores(counts, protocol)
    return Result(protocol, counts, scores, source=predictions.source, truth=references.source)
