"""Fast reading of ground-truth files that are exactly as documented; anything unusual, valid or not, gives None."""

from __future__ import annotations

import codecs
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from earthreason.predictions.fast import MASK_STRINGS, MaskRecord, Side, keys_are_unique
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


class _File(msgspec.Struct, forbid_unknown_fields=True):
    samples: list[_Sample]


_FIELDS = _Sample.__struct_fields__
_DECODER = msgspec.json.Decoder(_File)


def decode_samples(content: bytes) -> list[dict[str, Any]] | None:
    """Decode the keys that every sample has; None if the content is not exactly as documented."""
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        records = _DECODER.decode(content).samples
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None
    samples, strings = [], 1
    for record in records:
        sample = {name: value for name in _FIELDS if (value := getattr(record, name)) is not UNSET}
        strings += 1 + MASK_STRINGS + len(sample)
        if len(sample) > 2:
            strings += sum(isinstance(value, str) for value in sample.values()) - 1
            for side, given in zip(("height", "width"), sample["segmentation"]["size"], strict=True):
                if sample.pop(side, None) not in (None, given):
                    return None
        samples.append(sample)
    return samples if keys_are_unique(content, 2 * strings) else None
