"""How much models disagree on each task, so that people can see the doubtful ones first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from earthreason.errors import EarthReasonError

from .drawing import Drawing
from .lines import read_rows, write_rows
from .quality.masks import mask_iou
from .workspace import Workspace

UNCERTAINTY = "uncertainty.jsonl"


@dataclass(frozen=True)
class Comparison:
    """Masks of two models for a task.

    Attributes:
        uncertainty: 1 - IoU of the masks, 0 to 1.
        models: names of the models.
        prelabel: fingerprint of the pre-annotation that was compared.
    """

    uncertainty: float
    models: list[str]
    prelabel: str


def disagreement(one: Drawing, other: Drawing) -> float:
    """Return 1 - IoU of two masks of a task; 0 if neither marks a pixel."""
    return 1 - mask_iou(one.mask, other.mask)


def uncertainty_of(workspace: Workspace) -> dict[str, float]:
    """Read the uncertainty by task, from 0 to 1 (most uncertain); tasks that no models were compared on are left out.

    Raises:
        DataFormatError: the file is invalid.
    """
    found = comparisons(workspace)
    return {task: found[task].uncertainty for task in workspace.tasks if task in found}


def comparisons(workspace: Workspace) -> dict[str, Comparison]:
    """Read the comparisons by task; empty if there were none.

    Raises:
        DataFormatError: the file is invalid.
    """
    return dict(read_rows(workspace.root / UNCERTAINTY, _comparison_of))


def _comparison_of(row: dict[str, Any]) -> tuple[str, Comparison]:
    columns = dict(row)
    task, comparison = str(columns.pop("task")), Comparison(**columns)
    if not 0 <= comparison.uncertainty <= 1:
        raise ValueError(f"uncertainty {comparison.uncertainty} is not from 0 to 1")
    return task, comparison


def add_comparisons(workspace: Workspace, new: Mapping[str, Comparison]) -> None:
    """Store comparisons by task, replacing those of the same tasks; the caller holds the workspace's lock."""
    merged = comparisons(workspace) | dict(new)
    rows = ({"task": task} | asdict(comparison) for task, comparison in merged.items())
    write_rows(workspace.root / UNCERTAINTY, rows)


def uncertainties(workspace: Workspace) -> dict[str, float]:
    """Return the disagreement of models by task, from 0 (all agree) to 1.

    It is that stored by `masks prelabel --compare-with`, or else that of pre-annotations by several models.

    Raises:
        EarthReasonError: no task has masks of two models.
    """
    found = {
        task: _spread(guesses)
        for task, guesses in workspace.guesses().items()
        if task in workspace.tasks and len(guesses) > 1
    } | uncertainty_of(workspace)
    if not found:
        raise EarthReasonError(
            f"{workspace.root}: --uncertain-first compares models, but no task has masks of two; run `masks prelabel "
            "--compare-with MODEL`"
        )
    return found


def _spread(drawings: Sequence[Drawing]) -> float:
    """Return 1 minus the mean IoU over the pairs of drawings of one task; two empty masks agree."""
    return float(np.mean([disagreement(one, other) for one, other in combinations(drawings, 2)]))
