"""Tell apart the tasks in a document about one image, which `writers` name beside their shapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from .base import NO_TARGET, AnnotatedImage

TASK = "earthreason_task"
"""CVAT attribute with the task ID of a shape or tag."""
TASKS = "earthreason_tasks"
"""Key of a labelme document that lists the task IDs; its shapes have theirs as description."""


def no_target_of(task: str) -> str:
    """Return the labelme flag that states that one of several tasks has no target."""
    return f"{NO_TARGET}: {task}"


def split_by_task(
    image: AnnotatedImage, owners: Sequence[str | None], empty: Collection[str] = (), tasks: Sequence[str] = ()
) -> list[AnnotatedImage]:
    """Split what a document says about an image by the tasks it names.

    A mark without a task, drawn later, belongs to the task that alone has marks of this label; other such marks are
    left to their labels.

    Args:
        image: content of the document.
        owners: task ID of every mark, None where it names none.
        empty: IDs of tasks for which it states that there is no target.
        tasks: IDs of all tasks, if the document lists them; a single one owns the whole document.
    """
    named = list(dict.fromkeys([*tasks, *filter(None, owners), *empty]))
    if not named:
        return [image]
    if len(tasks) == 1:
        return [replace(image, task=tasks[0], says_empty=image.says_empty or tasks[0] in empty)]
    of_label: dict[str | None, set[str]] = {}
    for mark, owner in zip(image.marks, owners, strict=True):
        if owner is not None:
            of_label.setdefault(mark.label, set()).add(owner)

    def owner_of(label: str | None, owner: str | None) -> str | None:
        alone = of_label.get(label, set())
        return owner or (next(iter(alone)) if len(alone) == 1 else None)

    found = [owner_of(mark.label, owner) for mark, owner in zip(image.marks, owners, strict=True)]
    parts: list[AnnotatedImage] = []
    for task in (*named, None):
        marks = tuple(mark for mark, owner in zip(image.marks, found, strict=True) if owner == task)
        says_empty = image.says_empty if task is None else task in empty
        if task is not None or marks or says_empty:
            place = image.place if task is None else f"{image.place}, task {task!r}"
            skipped = image.skipped if not parts else Counter[str]()  # counted once
            parts.append(replace(image, marks=marks, task=task, says_empty=says_empty, place=place, skipped=skipped))
    return parts
