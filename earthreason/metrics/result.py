"""Result of an evaluation: scores, intervals, breakdowns and tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from earthreason.metrics.breakdowns import break_down, score_groups
from earthreason.metrics.counts import RegionCounts
from earthreason.metrics.protocols import Protocol
from earthreason.metrics.references import References
from earthreason.metrics.scores import Scored, get_metric
from earthreason.metrics.statistics import Interval
from earthreason.types import OPTIONAL_FACTS

if TYPE_CHECKING:
    import pandas as pd

_COUNTS = (
    "intersection",
    "union",
    "prediction_area",
    "truth_area",
    "truth_empty",
    "prediction_empty",
    "answered",
)
_FACTS = ("height", "width", *OPTIONAL_FACTS)


@dataclass(frozen=True)
class Result:
    """Scores of one set of predictions under one protocol.

    Attributes:
        protocol: scoring rules.
        scored: integers behind every score, one row per question.
        scores: scores as fractions, by name; None where undefined.
        intervals: 95 % bootstrap intervals over images, by name; empty if not requested.
        source: name of the predictions in messages.
        truth: name of the ground truth in messages.
        references: ground truth, for breakdowns.
        provenance: values that identify the run: hashes, seed, number of resamples.
    """

    protocol: Protocol
    scored: Scored
    scores: dict[str, float | None]
    intervals: dict[str, Interval]
    source: str
    truth: str
    references: References
    provenance: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, metric: str) -> float | None:
        """Return a score by any of its names: `result["gIoU"]`, `result["oIoU"]`."""
        return self.scores.get(get_metric(metric).name)

    @property
    def counts(self) -> RegionCounts:
        return self.scored.counts

    @property
    def missing(self) -> int:
        """Number of questions without a prediction, scored as empty."""
        return int((~self.counts.answered).sum())

    @property
    def empty_targets(self) -> int:
        """Number of questions with an empty target."""
        return int(self.counts.truth_empty.sum())

    @property
    def images(self) -> int:
        """Number of images."""
        return len(set(self.counts.sample_id.tolist()))

    @cached_property
    def breakdowns(self) -> dict[str, pd.DataFrame]:
        """Scores by category, target area, image size, GSD, reasoning type and question; see `break_down`."""
        return break_down(self.scored, self.references)

    @cached_property
    def per_sample(self) -> pd.DataFrame:
        """One row per question: ids, IoU, integer counts, and facts about the sample."""
        import pandas as pd

        truths = [self.references[sample_id] for sample_id in self.counts.sample_id]
        columns: dict[str, Any] = {
            "sample_id": self.counts.sample_id,
            "question_index": self.counts.question_index,
            "iou": self.scored.iou,
        }
        columns |= {name: getattr(self.counts, name) for name in _COUNTS}
        columns |= {name: [getattr(truth, name) for truth in truths] for name in _FACTS}
        return pd.DataFrame(columns)

    def to_frame(self) -> pd.DataFrame:
        """Return the scores as fractions: one row per metric, with its value, low and high."""
        import pandas as pd

        ends = {name: (interval.low, interval.high) for name, interval in self.intervals.items()}
        rows = [(name, value, *ends.get(name, (None, None))) for name, value in self.scores.items()]
        return pd.DataFrame(rows, columns=["metric", "value", "low", "high"]).set_index("metric")

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        from earthreason import __version__

        return {
            "earthreason": __version__,
            "protocol": self.protocol.name,
            "grid": self.protocol.grid.name,
            "predictions": self.source,
            "ground_truth": self.truth,
            "questions": len(self.counts),
            "images": self.images,
            "empty_targets": self.empty_targets,
            "missing": self.missing,
            "scores": self.scores,
            "intervals": {name: [interval.low, interval.high] for name, interval in self.intervals.items()},
            "breakdowns": score_groups(self.scored, self.references),
            "provenance": self.provenance,
        }


@dataclass(frozen=True)
class NotScored:
    """A protocol that does not apply to the predictions, and the reason."""

    protocol: Protocol
    reason: str
