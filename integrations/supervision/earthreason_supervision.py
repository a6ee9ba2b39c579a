"""EarthReason in supervision: rows and predictions as `Detections`, and `Detections` as predictions.

Copy this file beside your code. It needs `earthreason` and `supervision`; 0.31.2 was run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import supervision as sv

from earthreason.errors import DataFormatError
from earthreason.masks.rle import decode_rle
from earthreason.predictions import read_predictions

CLASS_NAME = "class_name"
"""Key that supervision's annotators read labels from."""


def detections_of_row(row: Mapping[str, Any]) -> sv.Detections:
    """Return the targets of a row: one detection each, none where nothing answers the questions.

    Args:
        row: decoded row of `load_dataset`, with `mask`, and `targets` and `category` where it has them.

    Raises:
        DataFormatError: the labels of the split are hidden.
    """
    if row["mask"] is None:
        raise DataFormatError(f"sample {row['sample_id']!r} has no mask: this split's labels are hidden")
    masks = [np.asarray(target) != 0 for target in row.get("targets") or [row["mask"]]]
    return _detections(masks, row["sample_id"], row.get("category") or "target")


def detections_of_masks(
    sample_id: str, masks: Sequence[np.ndarray], score: float | None = None, name: str = "prediction"
) -> sv.Detections:
    """Return one detection for every mask that has pixels.

    Args:
        sample_id: id of the sample.
        masks: (height, width) masks.
        score: confidence of all of them.
        name: class name that annotators show.
    """
    return _detections([np.asarray(mask) != 0 for mask in masks], sample_id, name, score)


def detections_of_predictions(path: str, question: int = 0) -> dict[str, sv.Detections]:
    """Read a predictions file.

    Args:
        path: file that `earthreason-eval` accepts.
        question: index of the question, from 0.

    Returns:
        Detections by sample id; none where the model predicts "no target".

    Raises:
        PredictionsError: the file has faults; lists all of them.
    """
    found = {}
    for each in read_predictions(path).predictions:
        if each.question_index == question:
            parts = each.targets or (() if each.segmentation is None else (each.segmentation,))
            found[each.sample_id] = detections_of_masks(each.sample_id, [decode_rle(rle) for rle in parts], each.score)
    return found


def prediction_of(detections: sv.Detections) -> list[np.ndarray] | None:
    """Return the masks of detections as `earthreason.evaluate` takes them; None, "no target", where there are none.

    Raises:
        ValueError: the detections have boxes but no masks, which would score as "no target".
    """
    if len(detections) == 0:
        return None
    if detections.mask is None:
        raise ValueError("the detections have boxes but no masks; add masks, for example with SAM")
    return list(np.asarray(detections.mask, dtype=bool))


def _detections(masks: list[np.ndarray], sample_id: str, name: str, score: float | None = None) -> sv.Detections:
    masks = [mask for mask in masks if mask.any()]
    if not masks:
        return sv.Detections.empty()
    stacked = np.stack(masks)  # (N, height, width)
    count = len(masks)
    return sv.Detections(
        # "exclusive", because the default box is a pixel short at its right and bottom sides.
        xyxy=sv.mask_to_xyxy(stacked, coordinate_convention="exclusive").astype(np.float32),
        mask=stacked,
        confidence=None if score is None else np.full(count, score, np.float32),
        class_id=np.zeros(count, int),
        data={CLASS_NAME: np.array([name] * count), "sample_id": np.array([sample_id] * count)},
    )
