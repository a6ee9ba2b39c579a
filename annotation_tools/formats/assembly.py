"""Turn what files say about images into drawings of tasks: the rules that hold for every format."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from pycocotools import mask as reference

from earthreason.errors import DataFormatError
from earthreason.types import RLE

from ..drawing import Drawing, draw
from ..errors import DrawingError
from ..workspace import AnnotationTask
from .base import NO_TARGET, AnnotatedImage, Mark, Patch, ReadOptions, checked_size
from .matching import Images
from .targets import (
    label_of,
    listed,
    made_on,
    new_task,
    owner_of,
    single,
    spaced,
    target_of,
    task_of_target,
    tasks_of,
)
from .values import understood

NO = repr(NO_TARGET)


@dataclass
class Reading:
    """What became of the marks of a file.

    Attributes:
        drawings: drawings, at most one for each task, person and key.
        tasks: tasks made for categories that had none (`ReadOptions.new_targets`).
        skipped: number of things that were left out, by kind.
        strangers: names of the listed images that the workspace does not have.
        labels: number of marks by label, empty for those without one.
    """

    drawings: list[Drawing] = field(default_factory=list)
    tasks: dict[str, AnnotationTask] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    strangers: list[str] = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)


def assemble(
    found: Iterable[AnnotatedImage], tasks: Mapping[str, AnnotationTask], options: ReadOptions, place: str
) -> Reading:
    """Match images to tasks, choose marks by category, rasterise them, and merge those of each task.

    Args:
        found: what a file says, image by image.
        tasks: tasks of the workspace by ID.
        options: reading options.
        place: file, for messages.

    Raises:
        DataFormatError: a mark cannot be imported; the message names it and its image.
        DrawingError: several cannot; the message names each.
    """
    reading = Reading()
    faults: list[str] = []
    # Of one person, a tool may have several drawings, by key. Of nobody, none could be chosen.
    drawn: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for entry, several in _matched(found, tasks, options, reading, faults):
        reading.labels.update(mark.code or label_of(mark, entry, options) or "" for mark in entry.marks)
        reading.skipped.update(entry.skipped)
        try:
            for task, marks in _shared_out(entry, several, tasks, options, reading):
                drawing = drawing_of_entry(entry, task, marks, options)
                if drawing is not None:
                    reading.drawings.append(drawing)
                    whose = drawing.annotator, drawing.annotator and drawing.key
                    drawn[drawing.task, *whose].append(entry.place)
        except DataFormatError as error:
            faults.append(str(error))
    faults += [
        f"{task}: drawn more than once, in {' and '.join(where[:3])}; keep one of them"
        + ("" if options.new_targets else ", or make targets of them with --new-targets")
        for (task, *_), where in drawn.items()
        if len(where) > 1
    ]
    if len(faults) == 1:
        raise DataFormatError(faults[0])
    if faults:
        raise DrawingError(place, faults)
    return reading


def _matched(
    found: Iterable[AnnotatedImage],
    tasks: Mapping[str, AnnotationTask],
    options: ReadOptions,
    reading: Reading,
    faults: list[str],
) -> Iterator[tuple[AnnotatedImage, list[AnnotationTask]]]:
    """Yield every listed image with the tasks about it, and note images that the workspace lacks."""
    images = Images(tasks.values())
    # A name that fits by its path wins over others that have only the file name in common.
    fits: dict[str, dict[bool, dict[str, list[AnnotatedImage]]]] = defaultdict(lambda: {True: {}, False: {}})
    for entry in found:
        if entry.task is not None and entry.task in tasks:
            yield entry, [tasks[entry.task]]
            continue
        if entry.image is None and not entry.names:  # says only what was left out of the file
            reading.skipped.update(entry.skipped)
            continue
        if entry.image is not None:
            yield entry, images.tasks[entry.image]
            continue
        try:
            match = images.find(entry.names, entry.place)
        except DataFormatError as error:
            faults.append(str(error))
            continue
        if match is None and options.new_targets and (owner := owner_of(entry, images.tasks)) is not None:
            yield entry, images.tasks[owner]
            continue
        if match is None:
            reading.strangers.append(entry.names[0] if entry.names else entry.place)
            continue
        image, by_path = match
        fits[image][by_path].setdefault(entry.names[0], []).append(entry)
    for image, ways in fits.items():
        named = ways[True] or ways[False]
        if ways[True]:
            reading.strangers += list(ways[False])
        if len(named) > 1:
            faults.append(
                f"{image}: several images of the file fit it ({', '.join(sorted(named)[:3])}); rename them, or import "
                "the pictures with their folders"
            )
            continue
        for entry in next(iter(named.values())):
            yield entry, images.tasks[image]


def _shared_out(
    entry: AnnotatedImage,
    several: Sequence[AnnotationTask],
    tasks: Mapping[str, AnnotationTask],
    options: ReadOptions,
    reading: Reading,
) -> Iterator[tuple[AnnotationTask, list[Mark]]]:
    """Yield the tasks that an image's marks belong to, each with its marks."""
    chosen = [mark for mark in entry.marks if options.category in (None, mark.code, label_of(mark, entry, options))]
    if len(chosen) < len(entry.marks):
        reading.skipped["shapes of other labels"] += len(entry.marks) - len(chosen)
    is_known = entry.task is not None and entry.task in tasks
    if not (chosen or entry.says_empty or options.unmarked_is_empty):
        if entry.said is not None and not entry.marks:
            yield several[0], chosen  # which is refused
        return
    target = options.target or (None if is_known else target_of(entry, several[0], chosen, options))
    if target is not None:
        yield task_of_target(target, entry, several, tasks, options, reading.tasks), chosen
        return
    if options.new_targets and not is_known and chosen:
        yield from _by_label(entry, chosen, several, tasks, reading, options)
        return
    if len(several) == 1:
        yield several[0], chosen
        return
    if not chosen:
        raise DataFormatError(
            f"{entry.place}: says that there is no target, but not which one ({listed(several)}); choose with --target"
        )
    by_task: dict[str, list[Mark]] = defaultdict(list)
    for mark in chosen:
        label = label_of(mark, entry, options)
        if label is None:
            raise DataFormatError(
                f"{mark.place}: has no label, and the image has several targets ({listed(several)}); choose one with "
                "--target"
            )
        fitting = tasks_of(several, label)
        if not fitting:
            raise DataFormatError(
                f"{mark.place}: none of the image's targets is {label!r} ({listed(several)}); choose with --target, "
                "leave it out with --category, or add it with --new-targets"
            )
        by_task[single(fitting, f"{mark.place}: {label!r}").task].append(mark)
    for task in several:
        if by_task[task.task]:
            yield task, by_task[task.task]


def _by_label(
    entry: AnnotatedImage,
    chosen: Sequence[Mark],
    several: Sequence[AnnotationTask],
    tasks: Mapping[str, AnnotationTask],
    reading: Reading,
    options: ReadOptions,
) -> Iterator[tuple[AnnotationTask, list[Mark]]]:
    """Yield a task for every label, made if the image has none for it."""
    by_label: dict[str, list[Mark]] = defaultdict(list)
    for mark in chosen:
        label = label_of(mark, entry, options)
        if label is None:
            raise DataFormatError(f"{mark.place}: has no label to name a target by; give it one with --as")
        by_label[label].append(mark)
    by_task: dict[str, tuple[AnnotationTask, list[Mark]]] = {}
    model = several[0]
    for label, marks in by_label.items():
        fitting = tasks_of((*several, *made_on(model, reading.tasks)), label)
        there = (
            single(fitting, f"{entry.place}: {label!r}") if fitting else new_task(model, label, tasks, reading.tasks)
        )
        by_task.setdefault(there.task, (there, []))[1].extend(marks)
    yield from by_task.values()


def drawing_of_entry(
    entry: AnnotatedImage, task: AnnotationTask, marks: Sequence[Mark], options: ReadOptions
) -> Drawing | None:
    """Merge the marks of a task into a drawing; return None if nobody annotated it.

    Raises:
        DataFormatError: the marks contradict what is said about the image, or a mark has no pixel.
    """
    if marks or entry.says_empty or options.unmarked_is_empty:
        _check_size(entry, task)
    if entry.says_empty and entry.marks:
        raise DataFormatError(f"{entry.place}: has shapes and says {NO}; one of them is wrong")
    if not marks:
        if entry.says_empty:
            return draw(task.task, np.zeros((task.height, task.width), bool), **entry.facts)
        if entry.said is not None and not entry.marks:
            raise DataFormatError(f"{entry.place}: says {entry.said!r}, but nothing is drawn; draw it or choose {NO}")
        if options.unmarked_is_empty and not entry.skipped:
            return draw(task.task, np.zeros((task.height, task.width), bool), **entry.facts)
        return None
    labels = {_as_spelt(label_of(mark, entry, options), task) for mark in marks}
    if len(labels) > 1:
        named = ", ".join(sorted(str(label) if label else "no label" for label in labels))
        raise DataFormatError(
            f"{entry.place}: shapes of several categories ({named}), but a sample has one target; choose one with "
            "--category" + ("" if options.target else ", or make a target of each with --new-targets")
        )
    merged = np.zeros((task.height, task.width), bool)
    separate = task.separate or options.instances
    parts: dict[object, list[Patch]] = defaultdict(list)
    for number, mark in enumerate(marks):
        patch = _inked(mark, task)
        _paint(merged, patch)
        if separate:
            parts[("group", mark.group) if mark.group is not None else ("mark", number)].append(patch)
    targets = [_united(patches, merged.shape) for patches in parts.values()] if separate else None
    drawing = draw(task.task, merged, labels.pop(), **entry.facts)
    return replace(drawing, targets=targets)


def _as_spelt(label: str | None, task: AnnotationTask) -> str | None:
    """Return a label as the task spells it, so that people who spell it otherwise do not seem to disagree."""
    is_same = label is not None and task.category is not None and spaced(label) == spaced(task.category)
    return task.category if is_same else label


def _check_size(entry: AnnotatedImage, task: AnnotationTask) -> None:
    if entry.size is None:
        return
    height, width = checked_size(*entry.size, entry.place)
    if (height, width) != (task.height, task.width):
        raise DataFormatError(
            f"{entry.place}: drawn on {width} x {height} pixels, but the image is {task.width} x {task.height}; it was "
            "resized. Draw on the original, or import the image that was drawn on"
        )


def _inked(mark: Mark, task: AnnotationTask) -> Patch:
    """Rasterise a mark.

    Raises:
        DataFormatError: it is broken, or marks no pixel. That is never taken for "no target", which only a person can
            say.
    """
    with understood(mark.place, "a shape"):
        patch = mark.draw(task.height, task.width)
    if not patch.mask.any():
        raise DataFormatError(
            f"{mark.place}: marks no pixel of the image; delete it, draw it larger, or state {NO} for the image"
        )
    return patch


def _paint(mask: np.ndarray, patch: Patch) -> None:
    height, width = patch.mask.shape
    mask[patch.top : patch.top + height, patch.left : patch.left + width] |= patch.mask


def _united(patches: Sequence[Patch], shape: tuple[int, ...]) -> RLE:
    """Encode the union of patches of a (height, width) mask, of which only the columns they span are made."""
    height, width = shape
    left = min(patch.left for patch in patches)
    columns = np.zeros((height, max(patch.left + patch.mask.shape[1] for patch in patches) - left), bool)
    for patch in patches:
        _paint(columns, replace(patch, left=patch.left - left))
    edges = np.flatnonzero(np.diff(columns.T.ravel(), prepend=False, append=False)) + left * height
    rest = [] if edges[-1] == height * width else [height * width]
    counts = np.diff([0, *edges, *rest]).tolist()
    encoded = reference.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return RLE(size=[height, width], counts=encoded["counts"].decode("ascii"))
