"""Fast reading of ground-truth files that are exactly as documented; anything unusual, valid or not, gives None."""

from __future__ import annotations

import codecs
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from earthreason.predictions.fast import (
    MASK_STRINGS,
    MaskRecord,
    Side,
    count_given,
    keys_are_unique,
    or_none,
    transpose,
)
from earthreason.predictions.schema import MAX_ID, MAX_QUESTION_INDEX


class _Sample(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    sample_id: Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
    segmentation: MaskRecord
    question_count: Annotated[int, Meta(ge=1, le=MAX_QUESTION_INDEX + 1)] | UnsetType = UNSET
    height: Side | UnsetType | None = UNSET
    width: Side | UnsetType | None = UNSET
    category: str | UnsetType | None = UNSET
    ground_resolution: float | UnsetType | None = UNSET
    source: str | UnsetType | None = UNSET
    reasoning_type: str | UnsetType | None = UNSET
    unseen: str | UnsetType | None = UNSET


class _File(msgspec.Struct, forbid_unknown_fields=True):
    samples: list[_Sample]


_TEXTS = ("sample_id", "category", "source", "reasoning_type", "unseen")
_DECODER = msgspec.json.Decoder(_File)


def decode_samples(content: bytes) -> dict[str, list[Any]] | None:
    """Decode the samples to columns by name; None if the content is not exactly as documented."""
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        records = _DECODER.decode(content).samples
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None
    columns = transpose(records, _Sample)
    if len(set(columns["sample_id"])) < len(records):
        return None
    keys = sum(map(count_given, columns.values()))
    texts = sum(isinstance(value, str) for name in _TEXTS for value in columns[name])
    if not keys_are_unique(content, 2 * (1 + MASK_STRINGS * len(records) + keys + texts)):
        return None
    for axis, side in enumerate(("height", "width")):
        stated = columns.pop(side)
        if count_given(stated) and any(
            value not in (UNSET, None, mask["size"][axis])
            for value, mask in zip(stated, columns["segmentation"], strict=True)
        ):
            return None
    counts = [1 if count is UNSET else count for count in columns["question_count"]]
    return {name: or_none(column) for name, column in columns.items()} | {"question_count": counts}
