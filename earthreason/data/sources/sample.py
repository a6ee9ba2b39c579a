"""The records of the built-in `sample` configuration: synthetic scenes."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping

from earthreason.data.schema import Record
from earthreason.data.sources.base import FROM_DISK
from earthreason.masks.png import encode_mask_png
from earthreason.synthetic import iterate_scenes
from earthreason.types import Sample

_QUALITY = 92


def sample_records(
    seed: int, counts: Mapping[str, int], size: tuple[int, int]
) -> tuple[dict[str, Iterator[Record]], dict[str, int]]:
    """Synthetic scenes as records, made lazily, by the table's split names; and how many of each."""

    def read(split: str) -> Iterator[Record]:
        for scene in iterate_scenes(seed, {split: counts[split]}, size=size):
            yield record_of_sample(scene)

    records = {FROM_DISK[split]: read(split) for split in counts}
    return records, {FROM_DISK[split]: n for split, n in counts.items()}


def record_of_sample(sample: Sample) -> Record:
    """Encode a sample's picture as JPEG and its mask as PNG."""
    buffer = io.BytesIO()
    sample.image.save(buffer, "JPEG", quality=_QUALITY)
    return Record(
        sample_id=sample.sample_id,
        image=buffer.getvalue(),
        mask=encode_mask_png(sample.mask),
        height=sample.height,
        width=sample.width,
        is_empty=sample.is_empty,
        questions=sample.questions,
        answers=sample.answers,
        category=sample.category,
        ground_resolution=sample.ground_resolution,
        source=sample.source,
        reasoning_type=sample.reasoning_type,
    )
