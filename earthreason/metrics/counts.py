"""Region counts: per question, how many grid pixels the two masks cover and share. Integers, nothing else.

Everything the judge reports is computed from this table, so a protocol costs one pass over the masks and partial tables
of workers or ranks join by concatenation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Literal

import numpy as np

from earthreason.errors import EarthReasonError, PredictionsError, RLEError
from earthreason.masks.grids import Grid
from earthreason.masks.kernel import area, foreground_boundaries, intersection
from earthreason.metrics.protocols import Protocol
from earthreason.metrics.references import Reference, References
from earthreason.predictions.reader import Predictions
from earthreason.types import Prediction

MissingRule = Literal["error", "empty"]
Key = tuple[str, int]  # sample id, question index


@dataclass(frozen=True)
class RegionCounts:
    """One row per scored question; all columns have n elements.

    Attributes:
        sample_id: object array of str.
        question_index: int64.
        intersection, prediction_area, truth_area: int64, pixels on the grid.
        grid_area: int64, all pixels of the grid.
        truth_empty: bool, the target has no pixel at its own size.
        prediction_empty: bool, no target was predicted (null or a mask without pixels).
        answered: bool, False where the prediction is missing and scored as empty.
    """

    sample_id: np.ndarray
    question_index: np.ndarray
    intersection: np.ndarray
    prediction_area: np.ndarray
    truth_area: np.ndarray
    grid_area: np.ndarray
    truth_empty: np.ndarray
    prediction_empty: np.ndarray
    answered: np.ndarray

    def __len__(self) -> int:
        return len(self.sample_id)

    @property
    def union(self) -> np.ndarray:
        return self.prediction_area + self.truth_area - self.intersection

    def select(self, rows: np.ndarray) -> RegionCounts:
        """The rows of a bool mask or an index array."""
        return RegionCounts(**{column.name: getattr(self, column.name)[rows] for column in fields(self)})

    @staticmethod
    def concatenate(parts: Sequence[RegionCounts]) -> RegionCounts:
        """All rows of all parts, in order."""
        columns = (column.name for column in fields(RegionCounts))
        return RegionCounts(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in columns})


_DTYPES = {"sample_id": object, "truth_empty": bool, "prediction_empty": bool, "answered": bool}


def make_counts(rows: Sequence[tuple[str, int, int, int, int, int, bool, bool, bool]]) -> RegionCounts:
    """Build the table from rows in column order."""
    columns = zip(*rows, strict=True) if rows else ((),) * len(fields(RegionCounts))
    return RegionCounts(
        **{
            column.name: np.array(list(values), dtype=_DTYPES.get(column.name, np.int64))
            for column, values in zip(fields(RegionCounts), columns, strict=True)
        }
    )


def scored_questions(references: References, protocol: Protocol, seed: int = 0) -> list[Key]:
    """Which questions the protocol asks, in the order of the references."""
    if protocol.questions == "all":
        return [(r.sample_id, index) for r in references.values() for index in range(r.question_count)]
    if protocol.questions == "random":
        generator = np.random.default_rng(seed)
        return [(r.sample_id, int(generator.integers(r.question_count))) for r in references.values()]
    return [(sample_id, 0) for sample_id in references]


def count_regions(
    predictions: Predictions,
    references: References,
    protocol: Protocol,
    missing: MissingRule = "error",
    seed: int = 0,
) -> RegionCounts:
    """Count every pair the protocol asks for.

    Args:
        predictions: validated for form; here checked against the truth.
        references: the truth.
        protocol: gives the grid and the questions.
        missing: `error` refuses unanswered questions, `empty` scores them as "no target".
        seed: of the `random` question policy.

    Raises:
        PredictionsError: unknown or duplicate ids, wrong sizes, broken RLE, unanswered questions; all of them together.
        EarthReasonError: the predictions are on another grid than the protocol's.
    """
    _check_grid(predictions, protocol)
    answers, faults = _index_predictions(predictions, references)
    rows = []
    unanswered: list[Key] = []
    for key in scored_questions(references, protocol, seed):
        prediction = answers.get(key)
        if prediction is None:
            unanswered.append(key)
        try:
            rows.append(_count_pair(key, prediction, references[key[0]], predictions.grid, protocol.grid))
        except RLEError as error:
            faults.append(f"{_name(key)}: {error}")
    if unanswered and missing == "error":
        faults.extend(_describe_unanswered(unanswered, len(references), protocol))
    if faults:
        raise PredictionsError(predictions.source, faults)
    return make_counts(rows)


def _check_grid(predictions: Predictions, protocol: Protocol) -> None:
    if predictions.grid.kind != "native" and predictions.grid != protocol.grid:
        raise EarthReasonError(
            f"{predictions.source}: its masks are on the {predictions.grid.name} grid, but protocol {protocol.name} "
            f"compares on {protocol.grid.name}; predict at the images' own size to use every protocol"
        )


def _name(key: Key) -> str:
    return f"sample {key[0]!r}" if key[1] == 0 else f"sample {key[0]!r} question {key[1]}"


def _index_predictions(predictions: Predictions, references: References) -> tuple[dict[Key, Prediction], list[str]]:
    faults: list[str] = []
    answers: dict[Key, Prediction] = {}
    keys = [(p.sample_id, p.question_index) for p in predictions.predictions]
    for key, count in Counter(keys).items():
        if count > 1:
            faults.append(f"{_name(key)}: predicted {count} times; keep one")
    for key, prediction in zip(keys, predictions.predictions, strict=True):
        reference = references.get(prediction.sample_id)
        if reference is None:
            nearest = get_close_matches(prediction.sample_id, list(references)[:5000], n=1)
            hint = f"; nearest: {nearest[0]!r}" if nearest and len(faults) < PredictionsError.shown else ""
            faults.append(f"{_name(key)}: not in {references.source}{hint}")
        elif prediction.question_index >= reference.question_count:
            faults.append(f"{_name(key)}: the sample has {reference.question_count} questions, counted from 0")
        elif prediction.segmentation is not None:
            expected = list(predictions.grid.shape(reference.height, reference.width))
            if prediction.segmentation["size"] != expected:
                size = prediction.segmentation["size"]
                faults.append(f"{_name(key)}: mask is {size[0]}x{size[1]} (height x width), expected "
                              f"{expected[0]}x{expected[1]}; save masks at the image's own size")  # fmt: skip
            else:
                answers[key] = prediction
        else:
            answers[key] = prediction
    return answers, faults


def _count_pair(
    key: Key, prediction: Prediction | None, reference: Reference, prediction_grid: Grid, grid: Grid
) -> tuple[str, int, int, int, int, int, bool, bool, bool]:
    truth = foreground_boundaries(reference.segmentation, grid)
    segmentation = None if prediction is None else prediction.segmentation
    shared = predicted = 0
    predicted_empty = True
    if segmentation is not None:
        # Masks already on the protocol's grid are compared as they are.
        boundaries = foreground_boundaries(segmentation, grid if prediction_grid.kind == "native" else None)
        shared, predicted = intersection(boundaries, truth), area(boundaries)
        predicted_empty = boundaries.size == 0
    height, width = grid.shape(reference.height, reference.width)
    return (*key, shared, predicted, area(truth), height * width,
            reference.is_empty, predicted_empty, prediction is not None)  # fmt: skip


def _describe_unanswered(unanswered: list[Key], samples: int, protocol: Protocol) -> list[str]:
    remedy = "predict them, or score them as empty with --missing empty"
    listed = ", ".join(_name(key) for key in unanswered[:3])
    dots = ", ..." if len(unanswered) > 3 else ""
    asked = {"first": "its first question", "random": "one question, drawn by seed", "all": "every question"}
    return [
        f"{len(unanswered)} unanswered, of {samples} samples each asked {asked[protocol.questions]}: "
        f"{listed}{dots}; {remedy}"
    ]
