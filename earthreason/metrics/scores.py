"""Declarations of all scores.

Every metric is a ratio of two sums over questions. One declaration therefore defines the score, its bootstrap interval,
its breakdowns and its comparison between models.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, partial

import numpy as np

from earthreason.errors import UnknownNameError
from earthreason.metrics.counts import RegionCounts
from earthreason.metrics.protocols import PROTOCOLS, Protocol


@dataclass(frozen=True)
class Terms:
    """Terms of the two sums of a metric.

    Attributes:
        numerator, denominator: terms of n questions, (n,) float64.
        epsilon: constant added to the summed denominator.
        proportion: whether every term is 0 or 1, so that the score is a share of questions.
    """

    numerator: np.ndarray
    denominator: np.ndarray
    epsilon: float = 0.0
    proportion: bool = False

    def ratio(self) -> float | None:
        """Return the score; None if the denominator is 0, so that no question counts."""
        total = float(self.denominator.sum())
        return None if total == 0 else float(self.numerator.sum()) / (total + self.epsilon)


@dataclass(frozen=True)
class Scored:
    """Region counts of n questions, or n masks where the protocol scores masks, and the rules to score them with.

    Attributes:
        counts: table of n rows.
        protocol: scoring rules.
        boundary: intersection and union of the boundary bands, (n, 2) float64; None if not computed.
    """

    counts: RegionCounts
    protocol: Protocol
    boundary: np.ndarray | None = None

    @cached_property
    def iou(self) -> np.ndarray:
        """IoU of every question, (n,) float64; see `sample_iou`."""
        return sample_iou(self.counts, self.protocol)

    @property
    def ones(self) -> np.ndarray:
        """1.0 for every row: (n,) float64, read-only."""
        return np.broadcast_to(np.float64(1), len(self.counts))

    @property
    def targets(self) -> np.ndarray:
        """1.0 for every question with a target, else 0.0: (n,) float64."""
        return (~self.counts.truth_empty).astype(np.float64)


def sample_iou(counts: RegionCounts, protocol: Protocol) -> np.ndarray:
    """Compute the IoU of every row: (n,) float64.

    The IoU is I / (U + epsilon) in the evaluator's floating-point type. If the union is empty, it is `both_empty_iou`,
    or 0 if the evaluator gives that only to empty answers and the answer has pixels at its own size. A failure to
    answer scores 0.
    Source: eval.py of SegEarth-R1, arXiv 2504.09644; docs/scoring.md states what differs in the other evaluators.
    """
    width = np.dtype(protocol.float_type)
    divisor = counts.union.astype(width)
    nothing = divisor == 0
    divisor[nothing] = 1
    divisor += width.type(protocol.epsilon)
    iou = counts.intersection.astype(width)
    iou /= divisor
    del divisor  # of a large set, every column of floats is a tenth of the memory
    iou = iou.astype(np.float64, copy=False)
    iou[nothing] = _iou_of_nothing(counts, protocol)[nothing]
    return iou


def _iou_of_nothing(counts: RegionCounts, protocol: Protocol) -> np.ndarray:
    """Return the IoU of every row if its union is empty: (n,) float64."""
    earned = counts.prediction_empty if protocol.empty_answer_needed else True
    return np.where(earned & ~counts.failed, protocol.both_empty_iou, np.zeros(len(counts)))


def _giou(s: Scored) -> Terms:
    return Terms(s.iou, s.ones)


def _giou_of_targets(s: Scored) -> Terms:
    return Terms(s.iou * s.targets, s.targets)


def _ciou(s: Scored) -> Terms:
    union = s.counts.union
    if not s.protocol.count_false_positive_area:
        union = np.where(s.counts.truth_area == 0, 0, union)
    return Terms(s.counts.intersection.astype(np.float64), union.astype(np.float64), s.protocol.cumulative_epsilon)


def _ciou_of_targets(s: Scored) -> Terms:
    return Terms(s.counts.intersection * s.targets, s.counts.union * s.targets, s.protocol.cumulative_epsilon)


def _precision_at(s: Scored, threshold: float) -> Terms:
    passed = s.iou >= threshold if s.protocol.threshold_inclusive else s.iou > threshold
    ranked = s.targets if s.protocol.precision_on_targets_only else s.ones
    return Terms(passed * ranked, ranked, proportion=True)


def _n_acc(s: Scored) -> Terms:
    empty = s.counts.truth_empty
    correct = s.counts.prediction_empty & empty & ~s.counts.failed
    return Terms(correct.astype(np.float64), empty.astype(np.float64), proportion=True)


def _t_acc(s: Scored) -> Terms:
    return Terms(~s.counts.prediction_empty * s.targets, s.targets, proportion=True)


def _dice(s: Scored) -> Terms:
    areas = s.counts.prediction_area + s.counts.truth_area
    dice = 2 * s.counts.intersection / np.maximum(areas, 1)
    return Terms(np.where(areas == 0, _iou_of_nothing(s.counts, s.protocol), dice), s.ones)


def _precision(s: Scored) -> Terms:
    return Terms(s.counts.intersection.astype(np.float64), s.counts.prediction_area.astype(np.float64))


def _recall(s: Scored) -> Terms:
    return Terms(s.counts.intersection.astype(np.float64), s.counts.truth_area.astype(np.float64))


def _false_positive_area(s: Scored) -> Terms:
    empty = s.counts.truth_empty.astype(np.float64)
    return Terms(empty * s.counts.prediction_area / s.counts.grid_area, empty)


def _box_accuracy(s: Scored) -> Terms:
    # Boxes belong to masks at the images' own size. Predictions on a canvas have none: their union is 0.
    known = s.targets * (s.counts.box_union > 0)
    return Terms((2 * s.counts.box_intersection >= s.counts.box_union) * known, known, proportion=True)


def _boundary_iou(s: Scored) -> Terms:
    if s.boundary is None:
        return Terms(np.zeros(len(s.counts)), np.zeros(len(s.counts)))
    shared, union = s.boundary.T
    return Terms(np.where(union == 0, _iou_of_nothing(s.counts, s.protocol), shared / np.maximum(union, 1)), s.ones)


@dataclass(frozen=True)
class Metric:
    """Declaration of one score.

    Attributes:
        name: key in results, and heading of narrow columns.
        title: heading that states what the score means.
        terms: function that returns the terms of every question.
        aliases: other names of the same score in papers.
        lower_is_better: whether the score measures an error.
        optional: whether tables leave the score out where it was not computed.
    """

    name: str
    title: str
    terms: Callable[[Scored], Terms]
    aliases: tuple[str, ...] = ()
    lower_is_better: bool = False
    optional: bool = False


@cache
def _precision_metric(threshold: float) -> Metric:
    terms = partial(_precision_at, threshold=threshold)
    return Metric(f"Pr@{threshold:g}", f"Pr@{threshold:g} (IoU above {threshold:g})", terms, (f"P@{threshold:g}",))


GIOU = Metric("gIoU", "gIoU (mean per-sample IoU)", _giou, ("mIoU",))
CIOU = Metric("cIoU", "cIoU (cumulative IoU)", _ciou, ("oIoU",))
N_ACC = Metric("N-acc", "N-acc (empty targets predicted empty)", _n_acc)
T_ACC = Metric("T-acc", "T-acc (targets not predicted empty)", _t_acc)
TARGETS_GIOU = Metric("gIoU targets", "gIoU, targets only", _giou_of_targets)
DICE = Metric("Dice", "Dice (mean per-sample)", _dice, ("F1",))
BOUNDARY_IOU = Metric("Boundary IoU", "Boundary IoU (mean, native size)", _boundary_iou, ("BIoU",), optional=True)
_FIRST = (GIOU, CIOU)
_LAST = (
    N_ACC,
    T_ACC,
    TARGETS_GIOU,
    Metric("cIoU targets", "cIoU, targets only", _ciou_of_targets),
    DICE,
    Metric("precision", "precision (over all predicted pixels)", _precision),
    Metric("recall", "recall (over all target pixels)", _recall),
    Metric("FP area", "FP area (share of image, empty targets)", _false_positive_area, lower_is_better=True),
    Metric("Acc@0.5", "Acc@0.5 (bounding box, targets only)", _box_accuracy, optional=True),
    BOUNDARY_IOU,
)
_OPTIONAL = frozenset(metric.name for metric in _LAST if metric.optional)


def _with_precisions(thresholds: Iterable[float]) -> list[Metric]:
    return [*_FIRST, *map(_precision_metric, thresholds), *_LAST]


METRICS: dict[str, Metric] = {
    metric.name: metric for metric in _with_precisions(sorted({t for p in PROTOCOLS.values() for t in p.thresholds}))
}
"""All scores of the registered protocols by name, in the order of tables; another protocol may have other Pr@X."""
OVERLAP = (GIOU.name, CIOU.name, _precision_metric(0.5).name)
"""Main scores for the overlap of masks; their values depend on the grid."""
PRESENCE = (N_ACC.name, T_ACC.name)
"""Scores for deciding whether there is a target; their values do not depend on the grid."""
HEADLINE = (*OVERLAP, *PRESENCE)
"""Scores in tables with few columns."""
IOU_AND_PRESENCE = (GIOU.name, CIOU.name, *PRESENCE)
"""Scores in comparisons of models."""
WITH_TARGETS = (*IOU_AND_PRESENCE, TARGETS_GIOU.name)
"""The same where many targets are empty, so that a model that never answers has a gIoU above 0."""


def get_metric(name: str) -> Metric:
    """Look up a metric by its name or by an alias from papers (mIoU, oIoU).

    Raises:
        UnknownNameError: no metric has that name.
    """
    if match := re.fullmatch(r"pr?@(0?\.[0-9]+)", name.lower()):
        return _precision_metric(float(match[1]))
    by_name = {alias.lower(): metric for metric in METRICS.values() for alias in (metric.name, *metric.aliases)}
    try:
        return by_name[name.lower()]
    except KeyError:
        raise UnknownNameError("metric", name, METRICS) from None


def metrics_of(protocol: Protocol) -> list[Metric]:
    """List the metrics that a protocol defines."""
    return _with_precisions(protocol.thresholds)


class _MetricTerms(Mapping[str, Terms]):
    def __init__(self, scored: Scored) -> None:
        self._scored = scored
        self._metrics = {metric.name: metric for metric in metrics_of(scored.protocol)}

    def __getitem__(self, name: str) -> Terms:
        return self._metrics[name].terms(self._scored)

    def __iter__(self) -> Iterator[str]:
        return iter(self._metrics)

    def __len__(self) -> int:
        return len(self._metrics)


def terms_of(scored: Scored) -> Mapping[str, Terms]:
    """Return the terms of every metric of the protocol, by name.

    They are computed at each look-up: together they would be most of the memory of a large set.
    """
    return _MetricTerms(scored)


def compute_scores(terms: Mapping[str, Terms]) -> dict[str, float | None]:
    """Compute all scores as fractions, by name; None where undefined."""
    scores = {name: term.ratio() for name, term in terms.items()}
    return {name: value for name, value in scores.items() if value is not None or name not in _OPTIONAL}
