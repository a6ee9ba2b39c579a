"""The categories that annotators can choose from."""

from __future__ import annotations

import json

from earthreason.errors import DataFormatError

from ..workspace import CATEGORIES, Workspace


def offered_categories(workspace: Workspace) -> list[str]:
    """Return the categories given to `masks start`, those that tasks expect, and those chosen in drawings, sorted.

    Raises:
        DataFormatError: the file of categories is invalid.
    """
    expected = {task.category for task in workspace.tasks.values()}
    chosen = {drawing.category for several in workspace.drawings().values() for drawing in several}
    return sorted(_given(workspace) | {name for name in expected | chosen if name is not None})


def _given(workspace: Workspace) -> set[str]:
    path = workspace.root / CATEGORIES
    if not path.is_file():
        return set()
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataFormatError(f"{path}: not written by annotation_tools ({error})") from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataFormatError(f"{path}: must be a JSON list of names; run `masks start` with --category again")
    return set(names)
