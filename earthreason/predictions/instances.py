"""Union of several masks for one question, such as the instances of a COCO results list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal, get_args

from earthreason.errors import EarthReasonError, RLEError, UnknownNameError
from earthreason.masks.rle import union_rles
from earthreason.types import Prediction

Instances = Literal["error", "union"]
"""Treatment of several masks for one question: refuse them, or merge them to their union."""


def check_reading(instances: Any, names: Any = None) -> None:
    """Check the treatment of several masks and the table of sample ids.

    Raises:
        UnknownNameError: `instances` is neither `error` nor `union`.
        EarthReasonError: `names` is no mapping.
    """
    rules = get_args(Instances)
    if not isinstance(instances, str) or instances not in rules:
        raise UnknownNameError("value of instances", str(instances), rules)
    if names is not None and not isinstance(names, Mapping):
        raise EarthReasonError(f"names: pass a dict of sample ids by the ids of the file, not {type(names).__name__}")


def merge_instances(predictions: Iterable[Prediction], faults: list[str]) -> Iterator[Prediction]:
    """Merge the predictions of each question, in the order of their first ones.

    The mask becomes the union, the score the highest, the answer the first. One failure makes the question a failure.
    The masks are not kept as `targets`, because instances have no order that answers a question. All predictions are
    in memory.

    Args:
        predictions: predictions to merge.
        faults: list to extend by masks of one question that have no union.
    """
    groups: dict[tuple[str, int], list[Prediction]] = {}
    for prediction in predictions:
        groups.setdefault((prediction.sample_id, prediction.question_index), []).append(prediction)
    for (sample_id, index), parts in groups.items():
        if len(parts) == 1:
            yield parts[0]
            continue
        if failed := next((part for part in parts if part.failure is not None), None):
            yield failed
            continue
        masks = [part.segmentation for part in parts if part.segmentation is not None]
        try:
            union = union_rles(masks) if masks else None
        except RLEError as error:
            faults.append(f"sample {sample_id!r} question {index}: its instances have no union: {error}")
            continue
        score = max((part.score for part in parts if part.score is not None), default=None)
        answer = next((part.answer for part in parts if part.answer is not None), None)
        yield replace(parts[0], segmentation=union, score=score, answer=answer, targets=())
