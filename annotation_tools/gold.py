"""Gold tasks: tasks whose right mask is known, with which each annotator's work is checked.

People draw them like all others. They are a test, so they count neither in the agreement between people nor in
`adjudicate` and exports, reviews included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TypeVar

from .drawing import Drawing
from .errors import DrawingError
from .lines import read_rows, write_rows
from .workspace import Workspace, fault_of

GOLD = "gold.jsonl"
"""File of a workspace with the gold masks, as rows of `Drawing`."""
T = TypeVar("T")


def gold(workspace: Workspace) -> dict[str, Drawing]:
    """Read the gold masks by task; empty if there are none.

    Raises:
        DataFormatError: the file is invalid.
    """
    return {drawing.task: drawing for drawing in read_rows(workspace.root / GOLD, Drawing.of_row)}


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
    write_rows(workspace.root / GOLD, map(asdict, merged.values()))
    return len(merged)


def without_gold(workspace: Workspace, by_task: Mapping[str, T]) -> dict[str, T]:
    """Leave out the gold tasks of a mapping by task."""
    known = gold(workspace)
    return {task: value for task, value in by_task.items() if task not in known}
