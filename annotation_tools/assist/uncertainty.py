"""How uncertain the models are of each task, so that people can see the doubtful ones first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from annotation_tools.drawing import Drawing
from annotation_tools.workspace import Workspace
from earthreason.errors import DataFormatError
from earthreason.files import write_text
from earthreason.masks.rle import decode_rle

UNCERTAINTY = "uncertainty.jsonl"


def disagreement(one: Drawing, other: Drawing) -> float:
    """Return 1 - IoU of two masks of a task; 0 if neither marks a pixel."""
    first, second = decode_rle(one.segmentation), decode_rle(other.segmentation)
    union = int((first | second).sum())
    return 0.0 if union == 0 else 1.0 - int((first & second).sum()) / union


def uncertainty_of(workspace: Workspace) -> dict[str, float]:
    """Read the uncertainty by task, from 0 to 1 (most uncertain); tasks that no models were compared on are left out.

    Raises:
        DataFormatError: the file is invalid.
    """
    path = workspace.root / UNCERTAINTY
    return {task: value for task, (value, _) in _rows(path).items() if task in workspace.tasks}


def compared_models(workspace: Workspace) -> dict[str, list[str]]:
    """Read the names of the models whose masks were compared, by task.

    Raises:
        DataFormatError: the file is invalid.
    """
    return {task: models for task, (_, models) in _rows(workspace.root / UNCERTAINTY).items()}


def add_uncertainty(workspace: Workspace, values: Mapping[str, float], models: list[str]) -> None:
    """Store the uncertainty of tasks, replacing that of the same tasks.

    Args:
        workspace: workspace with the tasks; the caller holds its lock.
        values: uncertainty by task, from 0 to 1.
        models: names of the compared models.
    """
    path = workspace.root / UNCERTAINTY
    merged = _rows(path) | {task: (value, models) for task, value in values.items()}
    rows = ({"task": task, "uncertainty": value, "models": names} for task, (value, names) in merged.items())
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _rows(path: Path) -> dict[str, tuple[float, list[str]]]:
    if not path.is_file():
        return {}
    found = {}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
                value = float(row["uncertainty"])
                if not 0 <= value <= 1:
                    raise ValueError(f"uncertainty {value:g} is not from 0 to 1")
                found[str(row["task"])] = value, [str(name) for name in row["models"]]
            except (ValueError, TypeError, KeyError) as error:
                raise DataFormatError(f"{path} line {number}: not written by annotation_tools ({error})") from None
    return found
