"""Score people by the gold tasks they drew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..drawing import Drawing
from .crops import crop_masks
from .masks import mask_iou


@dataclass(frozen=True)
class GoldScore:
    """A person's work on gold tasks.

    Attributes:
        tasks: number of gold tasks drawn.
        iou: mean IoU with the gold masks.
        worst: task with the lowest IoU.
    """

    tasks: int
    iou: float
    worst: str


def score_gold(golden: Mapping[str, Drawing], drawings: Mapping[str, Sequence[Drawing]]) -> dict[str, GoldScore]:
    """Compare everyone's drawings with the gold masks; return the scores by annotator.

    Args:
        golden: gold masks by task.
        drawings: drawings by task.
    """
    ious: dict[str, dict[str, float]] = defaultdict(dict)
    for task, truth in golden.items():
        several = drawings.get(task, ())
        right, *others = crop_masks([truth.segmentation, *(drawing.segmentation for drawing in several)]).masks
        for drawing, mask in zip(several, others, strict=True):
            ious[drawing.annotator][task] = mask_iou(right, mask)
    return {
        name: GoldScore(len(values), float(np.mean(list(values.values()))), min(values, key=values.__getitem__))
        for name, values in sorted(ious.items())
    }
