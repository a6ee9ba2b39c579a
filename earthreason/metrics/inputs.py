"""Conversion of the arguments of `earthreason.evaluate` to the types used for scoring."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, cast

from earthreason.data.schema import sample_of_row
from earthreason.errors import EarthReasonError, PredictionsError
from earthreason.files import path_of
from earthreason.metrics.arguments import check_whole_number
from earthreason.metrics.counted import is_counts, open_counts
from earthreason.metrics.counts import name_key
from earthreason.metrics.references import Reference, References, read_references, reference_of
from earthreason.metrics.values import (
    MaskLike,
    as_rle,
    as_rles,
    finite_score,
    question_index_of,
    sample_id_of,
    unite_targets,
)
from earthreason.predictions.coco import PredictionRecords, plain_record
from earthreason.predictions.instances import Instances, check_reading
from earthreason.predictions.reader import Predictions, PredictionsFile, PredictionSource, open_predictions
from earthreason.predictions.schema import read_record
from earthreason.types import RLE, Prediction, Sample

if TYPE_CHECKING:
    from datasets import Dataset

PredictionsLike = (
    str
    | os.PathLike[str]
    | PredictionSource
    | Mapping[Any, MaskLike | list[MaskLike] | None]
    | Iterable[Prediction | Mapping[str, Any]]
)


class RowsLike(Protocol):
    """A split of `datasets`, loaded or streamed. Its own types count as Any, and would accept everything."""

    def select_columns(self, *args: Any, **kwargs: Any) -> Any: ...


ReferencesLike = (
    str
    | os.PathLike[str]
    | References
    | RowsLike
    | Mapping[Any, MaskLike | list[MaskLike]]
    | Iterable[Sample | Reference | Mapping[str, Any]]
)
NO_SAMPLES = "there are no samples to score against; an iterator that was read before yields none"
_PREDICTIONS, _TRUTH = "predictions", "ground truth"
_FORMS = {
    _PREDICTIONS: "a path, {sample_id: mask or None}, {(sample_id, question_index): mask or None}, or records",
    _TRUTH: "a path, a loaded split, {sample_id: mask}, or samples",
}
_NO_UNION = 'instances="union" merges several predictions for one question'


def as_predictions(value: PredictionsLike, instances: Instances = "error") -> PredictionSource:
    """Convert a path, opened predictions, `{sample_id or (sample_id, question_index): mask or None}`, or records.

    Args:
        value: value to convert; masks as `MaskLike` describes them.
        instances: `union` merges several masks for one question in a file or in records. `error` keeps the rule that
            opened predictions have, and refuses several masks elsewhere.

    Raises:
        UnknownNameError: `instances` is neither `error` nor `union`.
        EarthReasonError: the value has another form, is empty, or has an invalid key, mask or record; names it.
        EarthReasonError: `instances="union"` has no meaning for the value.
    """
    check_reading(instances)
    if isinstance(value, str | os.PathLike):
        path = path_of(value, _PREDICTIONS)
        return open_counts(path) if is_counts(path) else open_predictions(path, instances)
    if isinstance(value, Predictions | PredictionsFile | PredictionRecords) or (
        hasattr(value, "fingerprint") and hasattr(value, "grid")
    ):
        return cast(PredictionSource, value) if instances == "error" else _merging(value)
    _refuse_other(value, _PREDICTIONS)
    given: Any = value
    if isinstance(given, References) or "mask" in _columns_of(given):
        raise EarthReasonError(
            f"predictions: this {type(value).__name__} is ground truth; write `evaluate(predictions, references)`"
        )
    if isinstance(value, Mapping):
        if instances == "union":
            raise EarthReasonError(
                f"predictions: {_NO_UNION}, but a dict has one entry per question; unite its masks first with "
                "`numpy.any(masks, axis=0)`, or pass records"
            )
        predictions = [_prediction_of(key, mask) for key, mask in value.items()]
        _refuse_repeats(zip(value, (name_key((p.sample_id, p.question_index)) for p in predictions), strict=True))
    else:
        items = list(cast("Iterable[Any]", value))
        if items and all(isinstance(item, Mapping) for item in items):
            return PredictionRecords(items, instances)
        predictions = [_record(f"[{index}]", item) for index, item in enumerate(items)]
    if not predictions:
        raise EarthReasonError(
            "predictions: there are none; pass None as the mask of each sample for a model that never predicts, and "
            "note that a generator yields only once"
        )
    found = Predictions(_PREDICTIONS, predictions)
    return found if instances == "error" else _merging(found)


def _merging(value: Any) -> PredictionSource:
    """Return predictions that are merged to one union per question."""
    if isinstance(value, Predictions | PredictionsFile | PredictionRecords):
        return replace(value, instances="union")
    raise EarthReasonError(
        f"predictions: {_NO_UNION}, but {type(value).__name__} reads its predictions itself; merge them there"
    )


def _refuse_other(value: Any, what: str) -> None:
    """Refuse values that iterate over something else than predictions or samples, or not at all."""
    name = type(value).__name__
    remedy = ""
    if isinstance(value, Mapping) and hasattr(value, "select_columns"):
        raise EarthReasonError(
            f"{what}: this {name} holds several splits ({', '.join(map(str, value))}); choose one, such as "
            f"`splits[{str('test' if 'test' in value else next(iter(value), 'test'))!r}]`"
        )
    if hasattr(value, "iloc"):
        remedies = ['`.to_dict("records")`'] if what == _PREDICTIONS else []
        columns = _columns_of(value)
        remedies.append(f'`dict(zip(table["{columns[0]}"], table["mask"]))`' if columns else "`.to_dict()`")
        remedy = f"; use {' or '.join(remedies)}"
    elif isinstance(value, Predictions | PredictionsFile | PredictionRecords):
        remedy = "; write `evaluate(predictions, references)`"
    elif isinstance(value, Mapping | Iterable) and not (
        isinstance(value, bytes | bytearray) or hasattr(value, "__array__") or hasattr(value, "readline")
    ):
        return
    raise EarthReasonError(f"{what}: expected {_FORMS[what]}, not {name}{remedy}")


def _columns_of(value: Any) -> list[str]:
    """Return the columns of a split or a DataFrame; a streamed split may know none."""
    names = (
        getattr(value, "column_names", None) if hasattr(value, "select_columns") else getattr(value, "columns", None)
    )
    return [] if names is None else list(names)


def _refuse_repeats(named: Iterable[tuple[Any, str]]) -> None:
    """Refuse keys such as 1 and "1", which name the same question."""
    seen: dict[str, Any] = {}
    for key, name in named:
        if name in seen:
            raise EarthReasonError(f"keys {seen[name]!r} and {key!r} both name {name}; keep one")
        seen[name] = key


def _prediction_of(key: Any, mask: MaskLike | list[MaskLike] | None) -> Prediction:
    try:
        if isinstance(key, tuple) and len(key) != 2:
            raise EarthReasonError("a key is a sample id or (sample id, question index)")
        sample_id, index = key if isinstance(key, tuple) else (key, 0)
        rle, targets = (None, ()) if mask is None else unite_targets(as_rles(mask))
        return Prediction(sample_id_of(sample_id), rle, question_index=question_index_of(index), targets=targets)
    except EarthReasonError as error:
        raise EarthReasonError(f"prediction of {key!r}: {error}") from None


def _record(place: str, item: Any) -> Prediction:
    if isinstance(item, Prediction):
        return _checked(place, item)
    if not isinstance(item, Mapping):
        fault = f'{place}: a prediction is a record {{"sample_id", "segmentation"}}, not {type(item).__name__}'
        raise PredictionsError(_PREDICTIONS, [f"{fault}; pass a dict of masks by sample id if you have pairs"])
    prediction = read_record(plain_record(item), place)
    if not isinstance(prediction, Prediction):
        raise PredictionsError(_PREDICTIONS, prediction)
    return prediction


def _checked(place: str, item: Prediction) -> Prediction:
    """Check what the judge relies on; the counts of an RLE are validated when the mask is scored."""
    try:
        return replace(
            item,
            sample_id=sample_id_of(item.sample_id),
            segmentation=None if item.segmentation is None else _plain_rle(item.segmentation),
            question_index=question_index_of(item.question_index),
            score=finite_score(item.score),
            answer=_text_or_none(item.answer),
            targets=_plain_rles(item.targets),
        )
    except EarthReasonError as error:
        raise PredictionsError(_PREDICTIONS, [f"{place}: {error}"]) from None


def _plain_rle(mask: Any) -> RLE:
    """Return a mask as RLE with text counts and two whole numbers as its size."""
    if isinstance(mask, dict) and isinstance(mask.get("counts"), str):
        size = mask.get("size")
        if isinstance(size, list) and len(size) == 2 and all(type(side) is int for side in size):
            return cast("RLE", mask)
    return as_rle(mask)


def _plain_rles(masks: Any) -> tuple[RLE, ...]:
    if not isinstance(masks, list | tuple):
        raise EarthReasonError(f"targets are a tuple of masks, not {type(masks).__name__}")
    return tuple(map(_plain_rle, masks))


def _text_or_none(answer: Any) -> str | None:
    if answer is not None and not isinstance(answer, str):
        raise EarthReasonError(f"an answer is a text or None, not {type(answer).__name__}")
    return answer


def as_references(value: ReferencesLike) -> References:
    """Convert a ground-truth file, a loaded split, `{sample_id: mask}`, or samples.

    Raises:
        EarthReasonError: the value has another form, is empty, holds several splits, or has an invalid key, mask or
            sample; names it.
    """
    if isinstance(value, str | os.PathLike):
        references = read_references(path_of(value, _TRUTH))
    elif isinstance(value, References):
        references = value
    else:
        _refuse_other(value, _TRUTH)
        references = _references_of(value)
    if not references:
        raise EarthReasonError(f"{references.source}: {NO_SAMPLES}")
    return references


def _references_of(value: Any) -> References:
    if hasattr(value, "select_columns"):
        from earthreason.metrics.truth import REQUIRED, references_of

        lacking = [name for name in REQUIRED if (columns := _columns_of(value)) and name not in columns]
        if lacking:
            raise EarthReasonError(f"ground truth: the split has no column {', '.join(lacking)}")
        return references_of(cast("Dataset", value.with_format(None)), source=_TRUTH)
    if isinstance(value, Mapping):
        found = [_reference(key, mask) for key, mask in value.items()]
        _refuse_repeats(zip(value, (name_key((reference.sample_id, 0)) for reference in found), strict=True))
        return References(found, source=_TRUTH)
    return References(_read_samples(value), source=_TRUTH)


def _read_samples(items: Iterable[Any]) -> Iterator[Reference]:
    for index, item in enumerate(items):
        place = f"ground truth: [{index}]"
        if isinstance(item, Reference):
            yield _checked_reference(place, item)
            continue
        try:
            sample = sample_of_row(dict(item)) if isinstance(item, Mapping) else item
        except KeyError as error:
            raise EarthReasonError(
                f"{place}: a row needs {error}, as the rows of a loaded split have; pass a dict of "
                "masks by sample id if you have only masks"
            ) from None
        if not isinstance(sample, Sample):
            raise EarthReasonError(f"{place}: expected a Sample or a row, not {type(item).__name__}")
        given: Any = sample.questions
        questions = [given] if isinstance(given, str) else list(given or ())
        try:
            reference = reference_of(replace(sample, questions=questions))
        except EarthReasonError as error:
            raise EarthReasonError(f"{place}: {error}") from None
        yield _checked_reference(place, reference)


def _checked_reference(place: str, item: Reference) -> Reference:
    """Check what the judge relies on; the counts of an RLE are validated when the masks are packed."""
    try:
        checked = replace(
            item,
            sample_id=sample_id_of(item.sample_id),
            segmentation=_plain_rle(item.segmentation),
            question_count=check_whole_number("question_count", item.question_count, 1),
            targets=_plain_rles(item.targets),
            ignore=None if item.ignore is None else _plain_rle(item.ignore),
        )
        size = checked.segmentation["size"]
        for mask in (*checked.targets, *([checked.ignore] if checked.ignore else [])):
            if mask["size"] != size:
                sizes = ["x".join(map(str, each)) for each in (mask["size"], size)]
                raise EarthReasonError(f"a mask is {sizes[0]}, but the target is {sizes[1]} (height x width)")
        return checked
    except EarthReasonError as error:
        raise EarthReasonError(f"{place}: {error}") from None


def _reference(key: Any, mask: MaskLike | list[MaskLike]) -> Reference:
    try:
        rle, targets = unite_targets(as_rles(mask))
        return Reference(sample_id_of(key), rle, targets=targets)
    except EarthReasonError as error:
        raise EarthReasonError(f"ground truth of {key!r}: {error}") from None
