"""Write labelme JSON: a shape of type `mask` for each target. Unknown keys survive a round trip."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from earthreason.masks.png import encode_mask_png
from earthreason.masks.rle import decode_rle
from earthreason.types import RLE

from ...drawing import Drawing
from ..base import NO_TARGET
from ..owners import TASKS, no_target_of
from ..runs import bounding_box

_VERSION = "5.5.0"
"""Version stated in new files; shapes of type `mask` need at least 5.3."""


def document_of_drawings(
    drawings: Sequence[Drawing],
    file_name: str,
    labels: Mapping[str, str] | None = None,
    before: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Convert the drawings of one picture to a labelme document.

    Args:
        drawings: one or more drawings. Each target becomes a shape with the task ID as description; a drawing without
            any becomes the flag "no target", with the task ID if there are several tasks.
        file_name: file name of the picture, in the same folder as the document.
        labels: label of the shapes, by task; by default the category of the drawing, or "target".
        before: earlier document of the image, whose other keys are kept.
    """
    document = {"version": _VERSION, "imageData": None, **(before or {})}
    flags = {key: value for key, value in (document.get("flags") or {}).items() if key.partition(":")[0] != NO_TARGET}
    shapes: list[dict[str, Any]] = []
    for drawing in drawings:
        if drawing.is_empty:
            flags[NO_TARGET if len(drawings) == 1 else no_target_of(drawing.task)] = True
            continue
        label = (labels or {}).get(drawing.task) or drawing.category or "target"
        shapes += [_shape(target, label, drawing.task) for target in drawing.separate]
    return document | {
        "imagePath": file_name,
        "imageHeight": drawings[0].height,
        "imageWidth": drawings[0].width,
        "shapes": shapes,
        "flags": flags,
        TASKS: [drawing.task for drawing in drawings],
    }


def _shape(target: RLE, label: str, task: str) -> dict[str, Any]:
    mask = decode_rle(target)
    left, top, width, height = bounding_box(mask)
    crop = encode_mask_png(mask[top : top + height, left : left + width])
    return {
        "label": label,
        "points": [[left, top], [left + width - 1, top + height - 1]],
        "group_id": None,
        "description": task,
        "shape_type": "mask",
        "flags": {},
        "mask": base64.b64encode(crop).decode("ascii"),
    }
