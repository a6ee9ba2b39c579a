"""The targets of an image: which task a mark belongs to, and the tasks that are made for new targets."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from earthreason.errors import DataFormatError

from ..workspace import AnnotationTask
from .base import AnnotatedImage, Mark, ReadOptions


def label_of(mark: Mark, entry: AnnotatedImage, options: ReadOptions) -> str | None:
    """Return the category of a mark; None if neither the file nor `--as` says it."""
    unnamed = options.unnamed if mark.code in (None, options.category) else None  # a name for one of several codes
    return entry.said or mark.label or unnamed or mark.code


def target_of(entry: AnnotatedImage, model: AnnotationTask, chosen: Sequence[Mark], options: ReadOptions) -> str | None:
    """Return the target that an entry is about as a whole; None if its labels must tell."""
    if entry.target is not None or not options.new_targets:
        return entry.target
    if _is_named_after(entry, model):  # a task of another workspace
        labels = {label_of(mark, entry, options) for mark in chosen}
        label = labels.pop() if len(labels) == 1 else None
        return label or str(entry.task).removeprefix(f"{model.image}__")
    return None if chosen or options.category is None else options.unnamed or options.category


def owner_of(entry: AnnotatedImage, images: Collection[str]) -> str | None:
    """Return the image of a task of another workspace, by the ID that `new_task` gives."""
    ends = [found.start() for found in re.finditer("(?=__)", entry.task or "")]
    return next((str(entry.task)[:end] for end in reversed(ends) if str(entry.task)[:end] in images), None)


def _is_named_after(entry: AnnotatedImage, model: AnnotationTask) -> bool:
    start = f"{model.image}__"
    return entry.task is not None and entry.task.startswith(start) and entry.task != start


def task_of_target(
    target: str,
    entry: AnnotatedImage,
    several: Sequence[AnnotationTask],
    tasks: Mapping[str, AnnotationTask],
    options: ReadOptions,
    made: dict[str, AnnotationTask],
) -> AnnotationTask:
    """Return the task of a target, made if the image has none and `--new-targets` is given.

    Raises:
        DataFormatError: there is none, or there are several.
    """
    named = entry.task if _is_named_after(entry, several[0]) and options.target is None else None
    if named in made:
        return made[named]
    fitting = tasks_of((*several, *made_on(several[0], made)), target)
    if fitting and (named is None or entry.target is not None):
        return single(fitting, f"{entry.place}: target {target!r}")
    if options.new_targets:
        return new_task(several[0], target, tasks, made, named)
    raise DataFormatError(
        f"{entry.place}: the image has no target {target!r} ({listed(several)}); add it with --new-targets"
    )


def made_on(model: AnnotationTask, made: dict[str, AnnotationTask]) -> list[AnnotationTask]:
    """Return the tasks made so far on the image of a task."""
    return [task for task in made.values() if task.image == model.image]


def new_task(
    model: AnnotationTask,
    label: str,
    tasks: Mapping[str, AnnotationTask],
    made: dict[str, AnnotationTask],
    name: str | None = None,
) -> AnnotationTask:
    """Make a task for a label on the image of a task; `name` is its ID if that is known.

    Raises:
        DataFormatError: another task has its name, because the labels differ only in signs that names cannot have.
    """
    name = name or f"{model.image}__{_in_file_name(label)}"
    other = tasks.get(name) or made.get(name)
    if other is not None:
        raise DataFormatError(
            f"{model.image}: a target {label!r} would have the ID {name!r}, which {listed([other])!r} has; rename one"
        )
    new = replace(model, task=name, category=label, target=label, questions=[], answers=[], reasoning_type=None)
    made[name] = new
    return new


def tasks_of(tasks: Iterable[AnnotationTask], label: str) -> list[AnnotationTask]:
    """Return the tasks of a target or category, in any case, as stated or as names of files spell it."""

    def called(task: AnnotationTask, form: Callable[[str], str]) -> bool:
        return form(label) in {form(name) for name in (task.target, task.category) if name}

    several = list(tasks)
    exact = [task for task in several if called(task, str.casefold)]
    return exact or [task for task in several if called(task, spaced)]


def spaced(name: str) -> str:
    """Return a name as it is compared: names of files have `_` or `-` for spaces."""
    return name.casefold().replace("_", " ").replace("-", " ")


def single(tasks: Sequence[AnnotationTask], place: str) -> AnnotationTask:
    """Return the only task.

    Raises:
        DataFormatError: there are several; names them.
    """
    if len(tasks) > 1:
        raise DataFormatError(
            f"{place} fits several targets of the image ({', '.join(task.task for task in tasks)}); choose one by its "
            "own name with --target"
        )
    return tasks[0]


def _in_file_name(label: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in label.strip())[:80]


def listed(tasks: Sequence[AnnotationTask]) -> str:
    """Name the targets of tasks for a message."""
    return ", ".join(task.target or task.category or task.task for task in tasks)
