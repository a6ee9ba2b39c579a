"""How often each of the best models of a split answers a question better than each other one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from earthreason.metrics.compare import TIE, question_iou
from earthreason.metrics.scores import Scored

MOST_MODELS = 12


@dataclass(frozen=True)
class WinMatrix:
    """Who wins against whom.

    Attributes:
        chosen: positions of the compared models among those given; models of other questions or masks are left out.
        questions: number of questions.
        wins: of each compared model, on how many questions its IoU is higher than that of each other one.
    """

    chosen: Sequence[int]
    questions: int
    wins: Sequence[Sequence[int]]


def count_wins(models: Sequence[Scored]) -> WinMatrix:
    """Compare all pairs of models by question. IoUs within `TIE` of each other are equal, as in `earthreason compare`.

    Args:
        models: at least one model; those that do not have the first one's questions and masks are left out.
    """
    first = models[0].counts
    chosen = [
        position
        for position, model in enumerate(models)
        if model.counts.keys() == first.keys() and (model.counts.truth_area == first.truth_area).all()
    ]
    iou = np.array([list(question_iou(models[position]).values()) for position in chosen])
    wins = [[int((one - other > TIE).sum()) for other in iou] for one in iou]
    return WinMatrix(chosen, iou.shape[1], wins)
