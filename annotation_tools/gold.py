"""Gold tasks: tasks whose right mask is known, with which each annotator's work is checked.

People draw them like all others. They are a test, so they count neither in the agreement between people nor in
`adjudicate` and exports, reviews included.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

import numpy as np

from annotation_tools.drawing import Drawing
from annotation_tools.errors import DrawingError
from annotation_tools.quality.crops import crop_masks
from annotation_tools.quality.masks import mask_iou
from annotation_tools.workspace import Workspace, fault_of
from earthreason.errors import DataFormatError
from earthreason.files import write_text

GOLD = "gold.jsonl"
"""File of a workspace with the gold masks, as rows of `Drawing`."""
T = TypeVar("T")


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


def gold(workspace: Workspace) -> dict[str, Drawing]:
    """Read the gold masks by task; empty if there are none.

    Raises:
        DataFormatError: the file is invalid.
    """
    path = workspace.root / GOLD
    if not path.is_file():
        return {}
    found: dict[str, Drawing] = {}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                drawing = Drawing.of_row(json.loads(line))
            except (ValueError, TypeError, AttributeError) as error:
                raise DataFormatError(f"{path} line {number}: not written by annotation_tools ({error})") from None
            found[drawing.task] = drawing
    return found


def write_gold(workspace: Workspace, drawings: Iterable[Drawing]) -> int:
    """Add gold masks, replacing those of the same tasks; return how many there are.

    Raises:
        DrawingError: masks do not fit their task or have none; nothing is written.
    """
    coming = list(drawings)
    faults = [fault for drawing in coming if (fault := fault_of(drawing, workspace.tasks))]
    if faults:
        raise DrawingError(str(workspace.root), faults)
    merged = gold(workspace) | {drawing.task: drawing for drawing in coming}
    rows = [json.dumps(asdict(drawing), ensure_ascii=False) + "\n" for drawing in merged.values()]
    write_text(workspace.root / GOLD, "".join(rows))
    return len(merged)


def without_gold(workspace: Workspace, by_task: Mapping[str, T]) -> dict[str, T]:
    """Leave out the gold tasks of a mapping by task."""
    known = gold(workspace)
    return {task: value for task, value in by_task.items() if task not in known}


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
