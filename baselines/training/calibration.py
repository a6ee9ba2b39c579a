"""From which no-target score on the answer is "no target": chosen on validation, kept in the checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from baselines.common.predictor import MaskPredictor

FLOOR = 0.9
"""Share of the targets that have to get a mask."""
NEVER = 1.0
"""A threshold that no score is above: every mask is kept."""


def roc(scores: np.ndarray, is_empty: np.ndarray, has_mask: np.ndarray) -> np.ndarray:
    """N-acc and T-acc for every threshold that makes a difference.

    Args:
        scores: (N,) no-target scores, 0 to 1.
        is_empty: (N,) bool, nothing is the answer. Both kinds have to occur.
        has_mask: (N,) bool, the mask has pixels; without any the answer is "no target" at every threshold.

    Returns:
        (K, 3) threshold, N-acc (share of empty targets answered "no target"), T-acc (share of targets that get a mask),
        by rising threshold. Thresholds lie in the middle between neighbouring scores, so rounding flips no answer.
    """
    values = np.unique(scores)
    edges = np.concatenate([[0.0], values, [1.0]])
    thresholds = (edges[:-1] + edges[1:]) / 2

    def kept_below(chosen: np.ndarray) -> np.ndarray:
        """Share of the chosen samples whose mask is kept, at every threshold."""
        kept = np.sort(scores[chosen & has_mask])
        return np.searchsorted(kept, thresholds, side="right") / chosen.sum()

    return np.stack([thresholds, 1 - kept_below(is_empty), kept_below(~is_empty)], axis=1)


def choose_threshold(
    scores: np.ndarray, is_empty: np.ndarray, has_mask: np.ndarray, floor: float = FLOOR
) -> float | None:
    """The threshold with the highest N-acc among those that keep T-acc at `floor`.

    Of equals the one with the highest T-acc is taken, of these the middle one. Where the masks alone miss the floor,
    none is overruled (`NEVER`).

    Args:
        scores: as in `roc`.
        is_empty: as in `roc`.
        has_mask: as in `roc`.
        floor: least T-acc.

    Returns:
        The threshold, or None without an empty target or without a target to choose it on.
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
    """A predictor that keeps every mask, and the score that may overrule it."""

    def __init__(self, predictor: MaskPredictor[Any]) -> None:
        """Wrap a predictor; its threshold is out of force until it is set again."""
        self.predictor, self.scores = predictor, list[float]()
        predictor.no_target_threshold = NEVER

    def predict(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[np.ndarray | None]:
        """Masks as the model makes them, in order; their scores are in `scores`."""
        found = self.predictor.segment(images, questions)
        self.scores += [segmentation.no_target_score for segmentation in found]
        return [segmentation.mask for segmentation in found]
