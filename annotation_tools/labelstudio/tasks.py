"""What a task and its pre-annotation look like on Label Studio."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..assignments import assigned_to
from ..drawing import Drawing
from ..formats.labelstudio import IMAGE, REGION, regions_of_drawing
from ..rulings import returned_comments
from ..workspace import AnnotationTask, Workspace

_SEPARATE = "Draw every target as a region of its own."
_SETTLED = "Settled meanwhile, nothing to draw: skip it. / "
_EXACT = 1e-9
"""Difference of two scores that is due to their way through JSON and a database."""


@dataclass(frozen=True)
class Background:
    """What a workspace knows of its tasks besides the tasks themselves, each by task ID.

    Attributes:
        guesses: pre-annotations.
        doubts: disagreement of models, 0 to 1.
        returned: comments on drawings that were sent back to be drawn again.
        assigned: names of the people who are to draw a task.
        settled: tasks of a queue that no longer wait.
    """

    guesses: Mapping[str, Drawing] = field(default_factory=dict)
    doubts: Mapping[str, float] = field(default_factory=dict)
    returned: Mapping[str, str] = field(default_factory=dict)
    assigned: Mapping[str, Sequence[str]] = field(default_factory=dict)
    settled: Collection[str] = ()


def background_of(workspace: Workspace, doubts: Mapping[str, float]) -> Background:
    """Read what a workspace knows of its tasks; `doubts` is empty unless tasks are ordered by it."""
    return Background(workspace.prelabels(), doubts, returned_comments(workspace), assigned_to(workspace))


def data_of(task: AnnotationTask, address: str, known: Background) -> dict[str, Any]:
    """Return the data that Label Studio shows for a task whose picture is at an address on the server."""
    people = ", ".join(known.assigned.get(task.task, ()))
    again = known.returned.get(task.task)
    return {
        IMAGE: address,
        "task": task.task,
        "height": task.height,
        "width": task.width,
        "facts": describe(task) + (f", assigned to {people}" if people else ""),
        "asked": (f"Draw it again: {again} / " if again else "")
        + (_SETTLED if task.task in known.settled else "")
        + ask(task),
    }


def describe(task: AnnotationTask) -> str:
    """Describe size and ground resolution for annotators."""
    scale = f"{task.ground_resolution:g} m per pixel" if task.ground_resolution else "ground resolution unknown"
    return f"{task.width} x {task.height} pixels, {scale}"


def ask(task: AnnotationTask) -> str:
    """Say what to mark: the target, the first questions about it, and whether regions are separate targets."""
    parts = [f"Mark: {task.target}." if task.target else "", " / ".join(task.questions[:2])]
    parts = [part for part in parts if part] or ["Mark the target."]
    return " ".join([*parts, _SEPARATE] if task.separate else parts)


def prediction_of(task: str, known: Background) -> dict[str, Any] | None:
    """Return the pre-annotation of a task, shapes only: people choose the category or "no target" themselves."""
    prelabel = known.guesses.get(task)
    if prelabel is None or prelabel.is_empty:
        return None
    prediction: dict[str, Any] = {"model_version": prelabel.tool or "import", "result": regions_of_drawing(prelabel)}
    return prediction | {"score": 1 - known.doubts[task]} if task in known.doubts else prediction


def is_ours(prediction: dict[str, Any]) -> bool:
    """Tell whether we sent a prediction, rather than a model that the server asks itself."""
    results = prediction.get("result") or []
    return all(str(result.get("id", REGION)).startswith(REGION) for result in results if isinstance(result, dict))


def is_same(there: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Tell whether a prediction on the server is the wanted one."""
    scores = there.get("score"), wanted.get("score")
    same_score = scores[1] is None or (scores[0] is not None and abs(scores[0] - scores[1]) < _EXACT)
    return same_score and (there.get("model_version"), _streams(there)) == (wanted["model_version"], _streams(wanted))


def _streams(prediction: dict[str, Any]) -> list[Any]:
    return [(result.get("value") or {}).get("rle") for result in prediction.get("result") or []]
