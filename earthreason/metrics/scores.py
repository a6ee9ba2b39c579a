"""Scores of a table of region counts under a protocol. Pure functions of integers."""

from __future__ import annotations

import numpy as np

from earthreason.metrics.counts import RegionCounts
from earthreason.metrics.protocols import Protocol


def sample_iou(counts: RegionCounts, protocol: Protocol) -> np.ndarray:
    """IoU of every row: (n,) float64.

    I / (U + epsilon) in the evaluator's float width; where the union is empty, the protocol's `both_empty_iou`.
    Source: SegEarth-R1 evaluator, spec segearth_r1 §7.1.
    """
    width = np.dtype(protocol.float_type)
    union = counts.union
    divisor = np.where(union == 0, 1, union).astype(width) + width.type(protocol.epsilon)
    iou = counts.intersection.astype(width) / divisor
    return np.where(union == 0, protocol.both_empty_iou, iou).astype(np.float64)


def cumulative_terms(counts: RegionCounts, protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """What each row adds to the two sums of cIoU: intersection and union, (n,) int64 each."""
    union = counts.union
    if not protocol.count_false_positive_area:
        union = np.where(counts.truth_empty, 0, union)
    return counts.intersection, union


def cumulative_iou(intersection: int, union: int, protocol: Protocol) -> float | None:
    """CIoU of two sums; None where nothing was drawn and nothing was there."""
    if union == 0:
        return None
    return float(intersection) / (float(union) + protocol.cumulative_epsilon)


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None


def compute_scores(counts: RegionCounts, protocol: Protocol) -> dict[str, float | None]:
    """All scores as fractions; None where a score is undefined (no rows of its kind).

    `gIoU` is the mean per-sample IoU (RRSIS papers: mIoU), `cIoU` the ratio of summed intersections to summed unions
    (oIoU), `Pr@X` the share of samples whose IoU passes X, `N-acc` the share of empty targets predicted empty and
    `T-acc` the share of targets not predicted empty (gRefCOCO).
    """
    iou = sample_iou(counts, protocol)
    intersection, union = cumulative_terms(counts, protocol)
    scores = {
        "gIoU": _mean(iou),
        "cIoU": cumulative_iou(int(intersection.sum()), int(union.sum()), protocol),
    }
    ranked = iou[~counts.truth_empty] if protocol.precision_on_targets_only else iou
    for threshold in protocol.thresholds:
        passed = ranked >= threshold if protocol.threshold_inclusive else ranked > threshold
        scores[f"Pr@{threshold:g}"] = _mean(passed)
    scores["N-acc"] = _mean(counts.prediction_empty[counts.truth_empty])
    scores["T-acc"] = _mean(~counts.prediction_empty[~counts.truth_empty])
    return scores
