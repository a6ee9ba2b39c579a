"""How uncertain the pre-annotations of a task are, so that people can begin where models help least."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from annotation_tools.drawing import Drawing
from annotation_tools.workspace import Workspace
from earthreason.errors import EarthReasonError


def uncertainties(workspace: Workspace) -> dict[str, float]:
    """Return the disagreement of models by task, from 0 (all agree) to 1, of tasks with several pre-annotations.

    Raises:
        EarthReasonError: no task has pre-annotations of two models.
    """
    found = {
        task: disagreement(guesses)
        for task, guesses in workspace.guesses().items()
        if task in workspace.tasks and len(guesses) > 1
    }
    if not found:
        raise EarthReasonError(
            f"{workspace.root}: --uncertain-first compares models, but no task has pre-annotations of two; run `masks "
            "prelabel` with another --model and --replace"
        )
    return found


def disagreement(drawings: Sequence[Drawing]) -> float:
    """Return 1 minus the mean IoU over the pairs of drawings of one task; two empty masks agree."""
    masks = [drawing.mask for drawing in drawings]
    return 1 - float(np.mean([_iou(one, other) for one, other in combinations(masks, 2)]))


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 1.0
