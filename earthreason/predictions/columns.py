"""Many predictions as columns: without an object for each, the judge checks and counts them faster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from earthreason.types import RLE, Prediction


@dataclass(frozen=True)
class PredictionColumns(Iterable[Prediction]):
    """Columns of n predictions of one mask each; iterating makes the predictions."""

    sample_ids: list[str]
    segmentations: list[RLE | None] = field(repr=False)
    question_indices: list[int] = field(repr=False)
    scores: list[float | None] = field(repr=False)
    answers: list[str | None] = field(repr=False)

    def __len__(self) -> int:
        return len(self.sample_ids)

    def __iter__(self) -> Iterator[Prediction]:
        columns = self.sample_ids, self.segmentations, self.question_indices, self.scores, self.answers
        return map(Prediction, *columns)
