"""Records of the built-in configuration `sample`, made from synthetic scenes."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping

from earthreason.data.schema import Record
from earthreason.data.sources.base import FROM_DISK
from earthreason.masks.png import encode_mask_png
from earthreason.types import Sample

_QUALITY = 92


def sample_records(
    seed: int, counts: Mapping[str, int], size: tuple[int, int]
) -> tuple[dict[str, Iterator[Record]], dict[str, int]]:
    """Make synthetic scenes lazily.

    Args:
        seed: seed of the generator.
        counts: number of scenes by folder name of the split (`val` for validation).
        size: (height, width) of the scenes in pixels.

    Returns:
        Records and number of records, by split.
    """
    from earthreason.synthetic import iterate_scenes  # its drawing libraries take 0.3 s to import

    records: dict[str, Iterator[Record]] = {
        FROM_DISK[split]: map(record_of_sample, iterate_scenes(seed, {split: count}, size=size))
        for split, count in counts.items()
    }
    return records, {FROM_DISK[split]: count for split, count in counts.items()}


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
        **sample.optional_facts(),
    )
