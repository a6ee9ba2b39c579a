"""How much models disagree on each task, so that people can see the doubtful ones first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np

from annotation_tools.drawing import Drawing
from annotation_tools.quality.masks import mask_iou
from annotation_tools.workspace import Workspace
from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.files import write_text

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
    path = workspace.root / UNCERTAINTY
    found: dict[str, Comparison] = {}
    if not path.is_file():
        return found
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
                task = str(row.pop("task"))
                found[task] = Comparison(**row)
                if not 0 <= found[task].uncertainty <= 1:
                    raise ValueError(f"uncertainty {row['uncertainty']} is not from 0 to 1")
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise DataFormatError(f"{path} line {number}: not written by annotation_tools ({error})") from None
    return found


def add_comparisons(workspace: Workspace, new: Mapping[str, Comparison]) -> None:
    """Store comparisons by task, replacing those of the same tasks; the caller holds the workspace's lock."""
    merged = comparisons(workspace) | dict(new)
    rows = ({"task": task} | asdict(comparison) for task, comparison in merged.items())
    write_text(workspace.root / UNCERTAINTY, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


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
