"""A run-length mask as a JSON file states it, and what to write where it is wrong."""

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
"""What to write instead, by the key that is at fault; for `describe_faults`."""


class RLERecord(BaseModel):
    """COCO compressed RLE. The counts are checked when the mask is scored, which has to read them anyway."""

    model_config = ConfigDict(strict=True, extra="forbid")

    size: Annotated[list[Side], Field(min_length=2, max_length=2)]
    counts: str
