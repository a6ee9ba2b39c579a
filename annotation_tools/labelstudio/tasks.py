"""What a task and its pre-annotation look like on Label Studio."""

from __future__ import annotations

from typing import Any

from annotation_tools.drawing import Drawing
from annotation_tools.formats.labelstudio import IMAGE, REGION, regions_of_drawing
from annotation_tools.workspace import AnnotationTask

_SEPARATE = "Draw every target as a region of its own."
_EXACT = 1e-9
"""Difference of two scores that is due to their way through JSON and a database."""


def data_of(task: AnnotationTask, address: str) -> dict[str, Any]:
    """Return the data that Label Studio shows for a task whose picture is at an address on the server."""
    return {
        IMAGE: address,
        "task": task.task,
        "height": task.height,
        "width": task.width,
        "facts": describe(task),
        "asked": ask(task),
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


def prediction_of(prelabel: Drawing | None, score: float | None) -> dict[str, Any] | None:
    """Return a pre-annotation with its shapes only: people choose the category or "no target" themselves."""
    if prelabel is None or prelabel.is_empty:
        return None
    prediction: dict[str, Any] = {"model_version": prelabel.tool or "import", "result": regions_of_drawing(prelabel)}
    return prediction if score is None else prediction | {"score": score}


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
