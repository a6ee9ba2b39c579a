"""Conversion of the arguments of `earthreason.evaluate` to the types used for scoring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from PIL import Image
from pydantic import ValidationError

from earthreason.data.schema import sample_of_row
from earthreason.errors import EarthReasonError, PredictionsError, RLEError, describe_faults
from earthreason.masks.record import MASK_REMEDIES
from earthreason.masks.rle import encode_mask, validate_rle
from earthreason.metrics.references import Reference, References, read_references, reference_of
from earthreason.predictions.reader import Predictions, PredictionsFile, PredictionSource, open_predictions
from earthreason.predictions.schema import PredictionRecord
from earthreason.types import RLE, Prediction, Sample

if TYPE_CHECKING:
    from datasets import Dataset

MaskLike = np.ndarray | Image.Image | RLE | Mapping[str, Any]
"""A (height, width) array, a one-channel picture, or a COCO RLE."""
PredictionsLike = (
    str | Path | PredictionSource | Mapping[Any, MaskLike | None] | Iterable[Prediction | Mapping[str, Any]]
)
ReferencesLike = str | Path | References | Mapping[str, MaskLike] | Iterable[Sample | Reference | Mapping[str, Any]]
"""A split of the dataset is an iterable of rows."""


def as_rle(mask: MaskLike) -> RLE:
    """Encode a mask of any accepted form.

    Raises:
        RLEError: the value is not a mask.
    """
    if isinstance(mask, Mapping):
        try:
            counts = mask["counts"]
            counts = counts.decode("ascii") if isinstance(counts, bytes) else counts
            rle = RLE(size=[int(side) for side in mask["size"]], counts=counts)
        except (KeyError, TypeError, ValueError):
            raise RLEError('a mask as RLE is {"size": [height, width], "counts": "..."}') from None
        if not isinstance(counts, str):
            raise RLEError(f"the counts of an RLE are the compressed string, not {type(counts).__name__}")
        validate_rle(rle)
        return rle
    if isinstance(mask, Image.Image) and len(mask.getbands()) != 1:
        raise RLEError(f"a mask has one channel; this picture has mode {mask.mode}")
    return encode_mask(np.asarray(mask))


def as_predictions(value: PredictionsLike) -> PredictionSource:
    """Convert a path, opened predictions, `{sample_id or (sample_id, question_index): mask or None}`, or records.

    Raises:
        EarthReasonError: a mask or record is invalid; names it.
    """
    if isinstance(value, str | Path):
        return open_predictions(value)
    if isinstance(value, Predictions | PredictionsFile):
        return value
    if isinstance(value, Mapping):
        return Predictions("predictions", [_prediction_of(key, mask) for key, mask in value.items()])
    if isinstance(value, Iterable):
        return Predictions("predictions", [_record(index, item) for index, item in enumerate(value)])
    return value


def _prediction_of(key: Any, mask: MaskLike | None) -> Prediction:
    sample_id, index = key if isinstance(key, tuple) else (key, 0)
    try:
        return Prediction(str(sample_id), None if mask is None else as_rle(mask), question_index=int(index))
    except RLEError as error:
        raise EarthReasonError(f"prediction of {key!r}: {error}") from None


def _record(index: int, item: Prediction | Mapping[str, Any]) -> Prediction:
    if isinstance(item, Prediction):
        return item
    try:
        return PredictionRecord.model_validate(item).to_prediction()
    except ValidationError as error:
        raise PredictionsError("predictions", describe_faults(error, f"[{index}]", MASK_REMEDIES)) from None


def as_references(value: ReferencesLike) -> References:
    """Convert a ground-truth file, a loaded split, `{sample_id: mask}`, or samples.

    Raises:
        EarthReasonError: a mask is invalid; names it.
    """
    if isinstance(value, References):
        return value
    if isinstance(value, str | Path):
        return read_references(Path(value))
    if hasattr(value, "select_columns"):
        from earthreason.metrics.truth import references_of

        return references_of(cast("Dataset", value), source="ground truth")
    if isinstance(value, Mapping):
        masks = cast("Mapping[str, MaskLike]", value)
        return References([_reference(str(key), mask) for key, mask in masks.items()], source="ground truth")
    samples = (sample_of_row(dict(item)) if isinstance(item, Mapping) else item for item in value)
    return References([s if isinstance(s, Reference) else reference_of(s) for s in samples], source="ground truth")


def _reference(sample_id: str, mask: MaskLike) -> Reference:
    try:
        rle = as_rle(mask)
    except RLEError as error:
        raise EarthReasonError(f"ground truth of {sample_id!r}: {error}") from None
    return Reference(sample_id, rle)
