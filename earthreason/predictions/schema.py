"""Format of one prediction in a file."""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, FiniteFloat, field_validator

from earthreason.masks.record import RLERecord
from earthreason.types import RLE, Prediction

MAX_QUESTION_INDEX = 10_000
MAX_ID, MAX_ANSWER = 512, 20_000
"""Longest sample id and answer in characters."""


class PredictionRecord(BaseModel):
    """Entry of a predictions file. Other keys, such as `category_id` of COCO, are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")

    sample_id: str = Field(validation_alias=AliasChoices("sample_id", "image_id"), min_length=1, max_length=MAX_ID)
    segmentation: RLERecord | None
    question_index: int = Field(default=0, ge=0, le=MAX_QUESTION_INDEX)
    score: FiniteFloat | None = None
    answer: str | None = Field(default=None, max_length=MAX_ANSWER)

    @field_validator("sample_id", mode="before")
    @classmethod
    def _number_to_text(cls, value: Any) -> Any:
        # COCO writes image_id as a number, but sample ids are text.
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    def to_prediction(self) -> Prediction:
        """Convert the entry."""
        mask = None if self.segmentation is None else RLE(size=self.segmentation.size, counts=self.segmentation.counts)
        return Prediction(self.sample_id, mask, self.question_index, self.score, self.answer)
