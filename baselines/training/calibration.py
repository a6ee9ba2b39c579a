"""Choose the no-target threshold on validation data; the checkpoint stores it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from ..common.predictor import MaskPredictor

FLOOR = 0.9
"""Minimum T-acc, the share of targets that get a mask."""
NEVER = 1.0
"""Threshold that keeps every mask, as no score is above it."""


def roc(scores: np.ndarray, is_empty: np.ndarray, has_mask: np.ndarray) -> np.ndarray:
    """Compute N-acc and T-acc for each threshold that gives different answers.

    Args:
        scores: (N,) no-target scores from 0 to 1.
        is_empty: (N,) bool, True for empty targets; both values must occur.
        has_mask: (N,) bool, True if the predicted mask has pixels; others are "no target" at every threshold.

    Returns:
        (K, 3) threshold, N-acc (share of empty targets answered "no target") and T-acc (share of targets that get a
        mask), by rising threshold. Thresholds are halfway between neighbouring scores, so rounding changes no answer.
    """
    values = np.unique(scores)
    edges = np.concatenate([[0.0], values, [1.0]])
    thresholds = (edges[:-1] + edges[1:]) / 2

    def kept_below(chosen: np.ndarray) -> np.ndarray:
        """Compute the share of the chosen samples that keep their mask, at each threshold."""
        kept = np.sort(scores[chosen & has_mask])
        return np.searchsorted(kept, thresholds, side="right") / chosen.sum()

    return np.stack([thresholds, 1 - kept_below(is_empty), kept_below(~is_empty)], axis=1)


def choose_threshold(
    scores: np.ndarray, is_empty: np.ndarray, has_mask: np.ndarray, floor: float = FLOOR
) -> float | None:
    """Choose the threshold with the highest N-acc among those with a T-acc of at least `floor`.

    Ties are broken by the highest T-acc, then by the middle threshold. If no threshold reaches the floor, all masks are
    kept (`NEVER`).

    Args:
        scores: (N,) no-target scores from 0 to 1.
        is_empty: (N,) bool, True for empty targets.
        has_mask: (N,) bool, True if the predicted mask has pixels.
        floor: minimum T-acc.

    Returns:
        The threshold, or None if there is no empty target or no other target.
    """
    if is_empty.all() or not is_empty.any():
        return None
    curve = roc(scores, is_empty, has_mask)
    allowed = curve[curve[:, 2] >= floor]
    if not len(allowed):
        return NEVER
    best = allowed[allowed[:, 1] == allowed[:, 1].max()]
    best = best[best[:, 2] == best[:, 2].max()]
    return float(best[len(best) // 2, 0])


class Recorder:
    """Predictor that keeps every mask and records the no-target scores."""

    def __init__(self, predictor: MaskPredictor[Any]) -> None:
        """Wrap a predictor and set its threshold to `NEVER`."""
        self.predictor, self.scores = predictor, list[float]()
        predictor.no_target_threshold = NEVER

    def predict(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[np.ndarray | None]:
        """Predict masks, and append their scores to `scores`."""
        masks = self.predictor.segment(images, questions)
        self.scores += [segmentation.no_target_score for segmentation in masks]
        return [segmentation.mask for segmentation in masks]
