"""One prediction as a file states it, and how faults in it are put into words."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_validator

from earthreason.masks.rle import MAX_SIDE
from earthreason.types import RLE, Prediction

Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]
MAX_QUESTION_INDEX = 10_000


class RLERecord(BaseModel):
    """COCO compressed RLE. The counts are checked when the mask is scored, which has to read them anyway."""

    model_config = ConfigDict(strict=True, extra="forbid")

    size: Annotated[list[Side], Field(min_length=2, max_length=2)]
    counts: str


class PredictionRecord(BaseModel):
    """One entry of a predictions file. Other keys (COCO's `category_id`, say) are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")

    sample_id: str = Field(validation_alias=AliasChoices("sample_id", "image_id"), min_length=1, max_length=512)
    segmentation: RLERecord | None
    question_index: int = Field(default=0, ge=0, le=MAX_QUESTION_INDEX)
    score: FiniteFloat | None = None
    answer: str | None = Field(default=None, max_length=20_000)

    @field_validator("sample_id", mode="before")
    @classmethod
    def _number_to_text(cls, value: Any) -> Any:
        # COCO writes image_id as a number; sample ids are text.
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    def to_prediction(self) -> Prediction:
        mask = self.segmentation
        return Prediction(
            sample_id=self.sample_id,
            segmentation=None if mask is None else RLE(size=mask.size, counts=mask.counts),
            question_index=self.question_index,
            score=self.score,
            answer=self.answer,
        )


_REMEDIES = {
    "sample_id": "every prediction names its sample",
    "segmentation": 'write {"size": [height, width], "counts": "..."} or null for no target',
    "counts": "counts are the compressed string of pycocotools, decoded to text",
}


def describe_faults(place: str, error: ValidationError) -> list[str]:
    """One line per fault: where, what, and what to write instead."""
    lines = []
    for fault in error.errors(include_url=False, include_input=True):
        where = ".".join(str(part) for part in fault["loc"])
        seen = repr(fault["input"])
        seen = seen if len(seen) <= 60 else f"{seen[:57]}..."
        key = str(fault["loc"][-1]) if fault["loc"] else ""
        remedy = f"; {_REMEDIES[key]}" if key in _REMEDIES else ""
        got = "" if fault["type"] == "missing" else f", got {seen}"
        lines.append(f"{place}{'.' + where if where else ''}: {fault['msg'].lower()}{got}{remedy}")
    return lines
