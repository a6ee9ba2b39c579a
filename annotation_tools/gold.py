"""Gold tasks: tasks whose right mask is known, with which each annotator's work is checked.

People draw them like all others. They are a test, so they count neither in the agreement between people nor in
`adjudicate` and exports, reviews included.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TypeVar

from annotation_tools.drawing import Drawing
from annotation_tools.errors import DrawingError
from annotation_tools.workspace import Workspace, fault_of
from earthreason.errors import DataFormatError
from earthreason.files import write_text

GOLD = "gold.jsonl"
"""File of a workspace with the gold masks, as rows of `Drawing`."""
T = TypeVar("T")


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
