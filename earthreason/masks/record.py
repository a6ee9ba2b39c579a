"""Schema of a run-length mask in JSON files, and the corrections for faults in it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from earthreason.masks.rle import MAX_SIDE

Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]
MASK_REMEDIES = {
    "sample_id": "every entry names its sample",
    "segmentation": 'write {"size": [height, width], "counts": "..."} or null for no target',
    "counts": "counts are the compressed string of pycocotools, decoded to text",
}
"""Correction for each faulty key; for `describe_faults`."""


class RLERecord(BaseModel):
    """COCO compressed RLE. The counts are validated when the mask is scored, because that decodes them anyway."""

    model_config = ConfigDict(strict=True, extra="forbid")

    size: Annotated[list[Side], Field(min_length=2, max_length=2)]
    counts: str
