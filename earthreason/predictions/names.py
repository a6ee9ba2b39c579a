"""Sample ids in the Unicode form that the ground truth knows: file systems and zips change the form of names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal
from unicodedata import normalize

from earthreason.predictions.segmentation import SizeOf
from earthreason.types import Prediction

_FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")


def known_name(sample_id: str, size_of: SizeOf | None) -> str:
    """Return the composed or decomposed form of an id (Unicode NFC, NFD) if only that is known, else the id."""
    if size_of is None or sample_id.isascii() or size_of(sample_id) is not None:
        return sample_id
    forms = (normalize(form, sample_id) for form in _FORMS)
    return next((form for form in forms if size_of(form) is not None), sample_id)


def with_known_name(prediction: Prediction, size_of: SizeOf | None) -> Prediction:
    """Return the prediction with the id of `known_name`."""
    sample_id = prediction.sample_id
    known = known_name(sample_id, size_of)
    return prediction if known == sample_id else replace(prediction, sample_id=known)


def with_known_names(predictions: Iterable[Prediction], size_of: SizeOf | None) -> Iterator[Prediction]:
    """Yield the predictions with the ids of `known_name`."""
    return (with_known_name(prediction, size_of) for prediction in predictions)
