"""Result of an evaluation: scores, intervals, breakdowns and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from earthreason.errors import UnknownNameError
from earthreason.metrics.breakdowns import break_down, labels_of, score_groups
from earthreason.metrics.counts import RegionCounts
from earthreason.metrics.formats import format_interval, format_score
from earthreason.metrics.protocols import Protocol
from earthreason.metrics.references import References
from earthreason.metrics.scores import HEADLINE, Scored, get_metric
from earthreason.metrics.statistics import Interval, number_images
from earthreason.plurals import count_of
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
    "failed",
)
_FACTS = ("height", "width", *OPTIONAL_FACTS)
_WHEN_ABSENT = (
    "Boundary IoU needs boundary=True, Acc@0.5 needs masks at the images' own size, and Pr@X a protocol with that X"
)


@dataclass(frozen=True, repr=False, eq=False)
class Result(Mapping[str, "float | None"]):
    """Scores of one set of predictions under one protocol: a mapping from the name of a score to its value.

    Scores are also found by their other names (`result["oIoU"]`). Results are equal if protocol, scores and intervals
    are; a result equals another mapping with the same scores.

    Attributes:
        protocol: scoring rules.
        scored: integers behind every score, one row per question.
        scores: scores as fractions, by name; None where undefined.
        intervals: 95 % intervals by name; empty if not requested.
        source: name of the predictions in messages.
        truth: name of the ground truth in messages.
        references: ground truth, for breakdowns.
        provenance: values that identify the run: model, data, hashes, date, seed, number of resamples.
        no_interval: reasons why requested intervals are absent, by name.
    """

    protocol: Protocol
    scored: Scored
    scores: dict[str, float | None]
    intervals: dict[str, Interval]
    source: str
    truth: str
    references: References
    provenance: dict[str, Any] = field(default_factory=dict)
    no_interval: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, metric: str) -> float | None:
        """Return a score by any of its names, None if undefined: `result["gIoU"]`, `result["oIoU"]`.

        Raises:
            UnknownNameError: there is no such score, or this result lacks it.
        """
        name = get_metric(str(metric)).name
        if name not in self.scores:
            raise UnknownNameError("score of this result", name, self.scores, _WHEN_ABSENT)
        return self.scores[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.scores)

    def __len__(self) -> int:
        return len(self.scores)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Result):
            mine, others = ((r.protocol, r.scores, r.intervals) for r in (self, other))
            return mine == others
        return self.scores == dict(other) if isinstance(other, Mapping) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.protocol, tuple(self.scores.items())))

    def __repr__(self) -> str:
        cells = []
        for name in (name for name in HEADLINE if name in self.scores):
            interval = self.describe_interval(name)
            cells.append(f"{name} {format_score(self.scores[name])}{f' ({interval})' if interval else ''}")
        return f"<Result of {self._describe()}\n {', '.join(cells)}>"

    def _repr_html_(self) -> str:
        """Return a table for notebooks."""
        rows = "".join(
            f"<tr><th>{escape(get_metric(name).title)}</th><td>{format_score(value)}</td>"
            f"<td>{escape(self.describe_interval(name))}</td></tr>"
            for name, value in self.scores.items()
        )
        head = "<tr><th>score, %</th><th>value</th><th>95 % interval</th></tr>"
        return f"<table><caption>{escape(self._describe())}</caption><thead>{head}</thead><tbody>{rows}</tbody></table>"

    def _describe(self) -> str:
        """Describe what was scored in a line."""
        model = self.provenance.get("model") or self.source
        rules = f"{self.protocol.name} on {self.protocol.grid.name}"
        return f"{model}: {rules}, {count_of(self.questions, 'question')} about {count_of(self.images, 'image')}"

    def describe_interval(self, name: str) -> str:
        """Format the interval of a score, or the reason why there is none; an empty string if not requested."""
        return self.no_interval.get(name) or format_interval(self.intervals.get(name))

    @property
    def counts(self) -> RegionCounts:
        """Integers behind the scores, one row per question; see `RegionCounts` for columns and dtypes."""
        return self.scored.counts

    @property
    def questions(self) -> int:
        """Number of questions; protocols that score each mask have more rows than questions."""
        return int((self.counts.target_index == 0).sum())

    @property
    def missing(self) -> int:
        """Number of questions without a prediction, scored as empty."""
        return int((~self.counts.answered & (self.counts.target_index == 0)).sum())

    @property
    def failed(self) -> int:
        """Number of questions that the model failed to answer, scored as wrong."""
        return int((self.counts.failed & (self.counts.target_index == 0)).sum())

    @property
    def empty_targets(self) -> int:
        """Number of questions without a target; of several targets, all are empty."""
        if not self.counts.target_index.any():
            return int(self.counts.truth_empty.sum())
        targets = self.counts.select(~self.counts.truth_empty)
        return self.questions - len(set(targets.keys()))

    @property
    def images(self) -> int:
        """Number of images."""
        return number_images(self.counts.sample_id)[0] if len(self.counts) else 0

    @cached_property
    def breakdowns(self) -> dict[str, pd.DataFrame]:
        """Scores by category, reasoning type, target, area, image size, GSD and question; see `break_down`."""
        return break_down(self.scored, self.references)

    @cached_property
    def per_sample(self) -> pd.DataFrame:
        """One row per question: ids, IoU, integer counts, facts about the sample, its groups, protocol and grid.

        Where the protocol scores each mask, there is one row per target.
        """
        import pandas as pd

        truths = [self.references[sample_id] for sample_id in self.counts.sample_id]
        columns: dict[str, Any] = {
            "sample_id": self.counts.sample_id.astype(object),
            "question_index": self.counts.question_index.astype(np.int64),
            "target_index": self.counts.target_index.astype(np.int64),
            "iou": self.scored.iou,
        }
        columns |= {name: _widened(getattr(self.counts, name)) for name in _COUNTS}
        columns |= {name: [getattr(truth, name) for truth in truths] for name in _FACTS}
        groups = labels_of(self.counts.keys(), self.references)
        columns |= {name: groups[name] for name in groups if name not in columns}
        columns |= {"protocol": self.protocol.name, "grid": self.protocol.grid.name}
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
            "questions": self.questions,
            "images": self.images,
            "empty_targets": self.empty_targets,
            "missing": self.missing,
            "failed": self.failed,
            "scores": self.scores,
            **intervals_as_json(self.intervals, self.no_interval),
            "breakdowns": score_groups(self.scored, self.references),
            "provenance": self.provenance,
        }


def _widened(column: np.ndarray) -> np.ndarray:
    return column if column.dtype == bool else column.astype(np.int64)


def intervals_as_json(intervals: Mapping[str, Interval], no_interval: Mapping[str, str]) -> dict[str, Any]:
    """Return intervals as JSON values: null where there is none, with the reason in `no_interval`."""
    ends: dict[str, list[float] | None] = {name: [each.low, each.high] for name, each in intervals.items()}
    return {"intervals": ends | dict.fromkeys(no_interval), "no_interval": dict(no_interval)}


@dataclass(frozen=True)
class NotScored:
    """A protocol that does not apply to the predictions, and the reason."""

    protocol: Protocol
    reason: str
