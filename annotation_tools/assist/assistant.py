"""Answer a Label Studio task with a mask: from clicks and boxes, or from the question alone."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import numpy as np

from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.types import Predictor

from ..formats.brush import encode_brush
from ..formats.labelstudio import BRUSH
from ..formats.xml import parse_xml
from .models import Segmenter
from .prompts import prompts_of_results
from .subjects import Subject, Subjects

WAITING = 8
"""Requests that may wait for the model; further ones are refused, because Label Studio stops listening anyway."""


class BusyError(EarthReasonError):
    """Too many requests wait for the model."""


@dataclass(frozen=True)
class BrushControl:
    """The brush of a labelling configuration, and the label for masks."""

    name: str
    image: str
    label: str


def brush_control(config: str) -> BrushControl:
    """Return the brush that our projects have, or else the first one of the configuration with its first label.

    Raises:
        DataFormatError: the configuration is not XML, or has no brush with a label.
    """
    found = [
        BrushControl(str(element.get("name")), str(element.get("toName")), str(label.get("value")))
        for element in parse_xml(config, "label_config").iter("BrushLabels")
        for label in list(element.iter("Label"))[:1]
    ]
    if not found:
        raise DataFormatError("label_config: has no <BrushLabels> with a <Label>, so masks cannot be shown")
    return next((control for control in found if control.name == BRUSH), found[0])


class Assistant:
    """A model with its pictures. Only one thread at a time uses the model."""

    def __init__(self, model: Predictor, name: str, subjects: Subjects) -> None:
        self.name = name
        self._model, self._subjects = model, subjects
        self._model_lock, self._places = threading.Lock(), threading.BoundedSemaphore(WAITING + 1)

    def answer(
        self, task: Mapping[str, Any], control: BrushControl, results: list[dict[str, Any]] | None
    ) -> dict[str, Any]:
        """Predict the mask of a task.

        Args:
            task: task as Label Studio sends it.
            control: brush to show the mask with.
            results: clicks and boxes; None for none, which finds nothing.

        Returns:
            A prediction in Label Studio's format; its `result` is empty if nothing was found.

        Raises:
            DataFormatError: the task, its picture, a click or a box cannot be used.
            BusyError: too many requests wait.
        """
        if results is None:
            # Label Studio asks whenever a task is opened, and would put the answer into the new drawing.
            return {"result": [], "model_version": self.name}
        if not self._places.acquire(blocking=False):
            raise BusyError(f"{WAITING} requests already wait for {self.name}; click again in a while")
        try:
            with self._model_lock:
                subject = self._subjects.of_task(task)
                mask = self._mask(subject, results)
        finally:
            self._places.release()
        regions = [] if mask is None or not mask.any() else [brush_region(mask, control)]
        return {"result": regions, "model_version": self.name}

    def _mask(self, subject: Subject, results: list[dict[str, Any]]) -> np.ndarray | None:
        height, width = subject.image.height, subject.image.width
        prompts = prompts_of_results(results, height, width)
        if isinstance(self._model, Segmenter):
            mask = self._model.segment_shown(subject.image, prompts)
        else:
            (mask,) = self._model.predict([subject.image], [subject.question])
        if mask is not None and mask.shape != (height, width):
            raise EarthReasonError(
                f"{self.name} returned a {mask.shape} mask for a picture of height {height} and width {width}"
            )
        return mask


def brush_region(mask: np.ndarray, control: BrushControl) -> dict[str, Any]:
    """Convert a (height, width) bool mask to a brush region of Label Studio."""
    height, width = mask.shape
    return {
        "id": uuid4().hex[:10],
        "from_name": control.name,
        "to_name": control.image,
        "type": "brushlabels",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {"format": "rle", "rle": encode_brush(mask), "brushlabels": [control.label]},
    }
