"""Predict pre-annotations, and compare them with another model's masks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby

import numpy as np
from PIL import Image

from earthreason.errors import EarthReasonError
from earthreason.masks.rle import encode_mask
from earthreason.predictions.predict import predict_samples
from earthreason.types import Prediction, Predictor, Sample

from .assist.models import QUESTION_BLIND
from .assist.subjects import question_of
from .drawing import Drawing
from .uncertainty import Comparison, add_comparisons, comparisons, disagreement
from .workspace import AnnotationTask, Workspace

KEPT_EVERY = 20.0
"""Seconds between saves, so that a killed run loses no more predictions."""
Progress = Callable[[int], object]


def prelabel(
    workspace: Workspace,
    predictor: Predictor,
    name: str,
    question: str | None = None,
    replace: bool = False,
    batch_size: int = 4,
    progress: Progress = lambda _: None,
) -> dict[str, Drawing]:
    """Predict masks and store them as pre-annotations; return the new ones.

    They are stored every `KEPT_EVERY` seconds and at the end, even after an error or Ctrl-C. The workspace is locked
    only while storing.

    Args:
        workspace: workspace with the tasks.
        predictor: predictor of the masks.
        name: name of the model, stored as the tool.
        question: question for every task; None for each task's first one, or one about its target.
        replace: whether to replace existing pre-annotations, such as imported masks.
        batch_size: tasks per call.
        progress: called with numbers of tasks, which add up to that of all.

    Raises:
        EarthReasonError: the predictor returned a mask of another size.
    """
    before, kept = workspace.prelabels(), dict[str, Drawing]()
    waiting = [task for task_id, task in workspace.tasks.items() if replace or task_id not in before]
    progress(len(workspace.tasks) - len(waiting))

    def keep(drawings: dict[str, Drawing]) -> None:
        kept.update(_keep(workspace, drawings, replace))

    _predict(workspace, predictor, name, waiting, question, batch_size, keep, progress)
    return kept


def compare(
    workspace: Workspace,
    predictor: Predictor,
    name: str,
    question: str | None = None,
    replace: bool = False,
    batch_size: int = 4,
    progress: Progress = lambda _: None,
) -> dict[str, float]:
    """Predict masks with another model, and store 1 - IoU with the pre-annotations as the tasks' uncertainty.

    The pre-annotations stay. Tasks whose pre-annotation was already compared with this model are left out, so that an
    interrupted run continues.

    Args:
        workspace: workspace with pre-annotations.
        predictor: predictor of the other masks.
        name: name of the other model.
        question: question for every task; None for each task's first one, or one about its target.
        replace: whether to compare again what was compared.
        batch_size: tasks per call.
        progress: called with numbers of tasks, which add up to that of all.

    Returns:
        The uncertainty of the tasks compared now, from 0 to 1.

    Raises:
        EarthReasonError: no task has a pre-annotation, or the predictor returned a mask of another size.
    """
    prelabels, known = workspace.prelabels(), comparisons(workspace)
    if not prelabels:
        raise EarthReasonError(f"{workspace.root}: there are no pre-annotations to compare with; run `masks prelabel`")
    done = {
        task: entry.models[-1:] == [name] and entry.prelabel == prelabels[task].fingerprint
        for task, entry in known.items()
        if task in prelabels
    }
    waiting = [task for t, task in workspace.tasks.items() if t in prelabels and (replace or not done.get(t))]
    progress(len(workspace.tasks) - len(waiting))
    found: dict[str, float] = {}

    def keep(drawings: dict[str, Drawing]) -> None:
        new = {
            task: Comparison(
                disagreement(prelabels[task], drawing), [prelabels[task].tool, name], prelabels[task].fingerprint
            )
            for task, drawing in drawings.items()
        }
        with workspace.changing():
            add_comparisons(workspace, new)
        found.update({task: entry.uncertainty for task, entry in new.items()})

    _predict(workspace, predictor, name, waiting, question, batch_size, keep, progress)
    return found


def shared_pictures(workspace: Workspace, tasks: Iterable[str]) -> int:
    """Count the tasks that share their picture with another one of them."""
    pictures = [workspace.tasks[name].picture for name in tasks]
    return sum(len(list(group)) for group in _several(sorted(pictures)))


def _several(pictures: list[str]) -> Iterator[list[str]]:
    groups = (list(group) for _, group in groupby(pictures))
    return (group for group in groups if len(group) > 1)


def _predict(
    workspace: Workspace,
    predictor: Predictor,
    name: str,
    tasks: list[AnnotationTask],
    question: str | None,
    batch_size: int,
    keep: Callable[[dict[str, Drawing]], None],
    progress: Progress,
) -> None:
    """Predict tasks grouped by picture, and hand the drawings over every `KEPT_EVERY` seconds and at the end.

    A model that does not read the question is asked once per picture; others find the same picture in a row, so that
    those that keep its embedding encode it once.
    """
    by_picture: dict[str, list[AnnotationTask]] = {}
    for task in tasks:
        by_picture.setdefault(task.picture, []).append(task)
    blind = isinstance(predictor, QUESTION_BLIND)
    groups = {several[0].task: several for several in by_picture.values()}
    asked = [several[0] for several in groups.values()] if blind else [t for group in groups.values() for t in group]
    coming: dict[str, Drawing] = {}
    began = time.monotonic()
    try:
        for prediction in predict_samples(predictor, _samples(workspace, asked, question), batch_size=batch_size):
            same = groups[prediction.sample_id] if blind else [workspace.tasks[prediction.sample_id]]
            coming |= {task.task: _drawing_of(prediction, task, name) for task in same}
            if time.monotonic() - began > KEPT_EVERY:
                keep(coming)
                coming, began = {}, time.monotonic()
            progress(len(same))
    finally:
        keep(coming)


def _samples(workspace: Workspace, tasks: Iterable[AnnotationTask], question: str | None) -> Iterator[Sample]:
    for _, several in groupby(tasks, key=lambda task: task.picture):
        image: Image.Image | None = None
        for task in several:
            image = image or Image.open(workspace.picture(task.task)).convert("RGB")
            unknown = np.broadcast_to(np.False_, (task.height, task.width))
            yield Sample(task.task, image, unknown, [question or question_of(task)])


def _drawing_of(prediction: Prediction, task: AnnotationTask, tool: str) -> Drawing:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    segmentation = prediction.segmentation or encode_mask(np.zeros((task.height, task.width), bool))
    category = task.category if prediction.segmentation else None
    return Drawing(task.task, segmentation, category, created=now, tool=tool, key="prelabel")


def _keep(workspace: Workspace, drawings: dict[str, Drawing], replace: bool) -> dict[str, Drawing]:
    """Store pre-annotations; without `replace`, keep those added by others in the meantime."""
    if not drawings:
        return {}
    with workspace.changing():
        there = workspace.prelabels()
        kept = {task: drawing for task, drawing in drawings.items() if replace or task not in there}
        workspace.write_prelabels(there | kept)
    return kept
