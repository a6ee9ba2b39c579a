"""Format of one prediction in a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Annotated, Any

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    WrapValidator,
    field_validator,
    model_validator,
)

from earthreason.errors import describe_faults
from earthreason.masks.record import MASK_REMEDIES, RLERecord
from earthreason.predictions.names import known_name
from earthreason.predictions.segmentation import SizeOf, rle_of_polygons, rle_of_record, rles_of_list
from earthreason.types import RLE, Prediction

MAX_QUESTION_INDEX = 10_000
MAX_ID, MAX_ANSWER, MAX_FAILURE = 512, 20_000, 2_000
"""Longest sample id, answer and failure in characters."""
_SIZE = "size is [height, width] in pixels, two whole numbers"
_ID = 'every entry names its sample by one text or whole number, as "sample_id" or COCO\'s "image_id"'
REMEDIES = MASK_REMEDIES | {
    "": 'every entry is {"sample_id": "...", "segmentation": ...}',
    "sample_id": _ID,
    "image_id": _ID,
    "segmentation": 'write {"size": [height, width], "counts": "..."}, a list of them, polygons, or null for no target',
    "counts": "counts are the compressed text of pycocotools, or a list of run lengths",
    **dict.fromkeys(("size", "0", "1"), _SIZE),
    "question_index": f"a whole number from 0 to {MAX_QUESTION_INDEX}; leave it out for the first question",
    "score": "a finite number; leave it out if there is none",
    "answer": "text; leave it out if there is none",
    "failure": "text that says why there is no readable answer; leave it out if there is one",
}
"""Correction for each faulty key; for `describe_faults`."""


class Masks(RLERecord):
    """The mask of an entry, and the masks of a list."""

    _targets: tuple[RLE, ...] = PrivateAttr(())

    @property
    def union(self) -> RLE:
        """The mask, which is the union of the list if there is one."""
        return RLE(size=self.size, counts=self.counts)

    @property
    def targets(self) -> tuple[RLE, ...]:
        """The masks of the list; empty if there is none."""
        return self._targets


def _read_masks(value: Any, validate: Callable[[Any], Any], info: ValidationInfo) -> Masks | None:
    if value is None or (isinstance(value, list) and not value):
        return None
    targets: tuple[RLE, ...] = ()
    if not isinstance(value, list):
        rle = rle_of_record(value, validate)
    elif isinstance(value[0], dict):
        rle, targets = rles_of_list(value, validate)
    elif isinstance(value[0], list):
        size = _size_of(info)
        if size is None:  # the judge refuses the unknown sample
            return None
        rle = rle_of_polygons(value, size)
    else:
        raise ValueError("segmentation as a list contains polygons [[x1, y1, x2, y2, ...], ...] or RLE objects")
    masks = Masks.model_construct(size=rle["size"], counts=rle["counts"])
    masks._targets = targets
    return masks


MasksField = Annotated[Masks | None, WrapValidator(_read_masks)]
"""Mask of an entry in any accepted form.

Polygons need the validation context `{"size_of": function from a sample id to the (height, width) of its image}`.
"""


def _size_of(info: ValidationInfo) -> tuple[int, int] | None:
    size_of = (info.context or {}).get("size_of")
    if size_of is None:
        raise ValueError("polygons need the size of the image, which is known only while scoring; write RLE here")
    sample_id = info.data.get("sample_id")
    return None if sample_id is None else size_of(sample_id)


_MATTERS = ("sample_id", "image_id", "segmentation", "question_index", "question_count", "ignore")
"""Keys that change a score, so that a misspelt one is not ignored as a foreign key is."""


@lru_cache(maxsize=1024)  # the search takes longer than reading an entry, and all entries have the same keys
def _meant(key: str) -> str | None:
    """Return the key that a misspelt one means, None if it is another key."""
    if key in _MATTERS:
        return None
    nearest = get_close_matches(key.lower(), _MATTERS, n=1, cutoff=0.8)
    return "ignore" if key.lower().startswith("ignore") else nearest[0] if nearest else None


class NamesSample(BaseModel):
    """Entry that names its sample by `sample_id`, or by COCO's `image_id` as text or a whole number."""

    model_config = ConfigDict(strict=True, extra="ignore")

    sample_id: str = Field(validation_alias=AliasChoices("sample_id", "image_id"), min_length=1, max_length=MAX_ID)

    @model_validator(mode="before")
    @classmethod
    def _name_keys(cls, entry: Any) -> Any:
        for key in entry if isinstance(entry, dict) else ():
            if isinstance(key, str) and (meant := _meant(key)) in cls.model_fields and meant not in entry:
                raise ValueError(f"unknown key {key!r}; if it is {meant!r}, correct it, else remove or rename it")
        if isinstance(entry, dict) and "sample_id" in entry and "image_id" in entry:
            first, second = _as_text(entry["sample_id"]), _as_text(entry["image_id"])
            if first != second:
                raise ValueError(f"sample_id is {first!r} but image_id is {second!r}; keep one of them")
        return entry

    @field_validator("sample_id", mode="before")
    @classmethod
    def _number_to_text(cls, value: Any) -> Any:
        return _as_text(value)


class PredictionRecord(NamesSample):
    """Entry of a predictions file. Other keys, such as `category_id` of COCO, are ignored."""

    segmentation: MasksField
    question_index: int = Field(default=0, ge=0, le=MAX_QUESTION_INDEX)
    score: FiniteFloat | None = None
    answer: str | None = Field(default=None, max_length=MAX_ANSWER)
    failure: str | None = Field(default=None, min_length=1, max_length=MAX_FAILURE)

    @field_validator("sample_id")
    @classmethod
    def _in_known_form(cls, sample_id: str, info: ValidationInfo) -> str:
        return known_name(sample_id, (info.context or {}).get("size_of"))

    @field_validator("failure")
    @classmethod
    def _without_mask(cls, failure: str | None, info: ValidationInfo) -> str | None:
        if failure is not None and info.data.get("segmentation") is not None:
            raise ValueError("a failure has no mask; write null as its segmentation")
        return failure

    def to_prediction(self) -> Prediction:
        """Convert the entry."""
        masks = self.segmentation
        rle, targets = (None, ()) if masks is None else (masks.union, masks.targets)
        return Prediction(self.sample_id, rle, self.question_index, self.score, self.answer, targets, self.failure)


def _as_text(value: Any) -> Any:
    # COCO writes image_id as a number, but sample ids are text.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def read_record(
    value: Any, place: str, size_of: SizeOf | None = None, names: Mapping[str, str] | None = None
) -> Prediction | list[str]:
    """Convert an entry to a prediction, or describe its faults, one line each.

    Args:
        value: decoded entry.
        place: position in the file; it begins every line.
        size_of: function from a sample id to the (height, width) of its image in pixels, which polygons need.
        names: sample ids by the ids of the entries; None if they are the same.
    """
    if names is not None and isinstance(value, dict):
        given = _as_text(value.get("image_id", value.get("sample_id")))
        if isinstance(given, str) and given not in names:
            return [f"{place}: image_id {given!r} is not among the images of the COCO dataset"]
        if isinstance(given, str):
            stated = _as_text(value.get("sample_id", given))
            if stated not in (given, names[given]):
                return [
                    f"{place}: image_id {given!r} is {names[given]!r} but sample_id is {stated!r}; keep one of them"
                ]
            value = {**value, "sample_id": names[given]}
            value.pop("image_id", None)
    try:
        return PredictionRecord.model_validate(value, context={"size_of": size_of}).to_prediction()
    except ValidationError as error:
        return describe_faults(error, place, REMEDIES)
