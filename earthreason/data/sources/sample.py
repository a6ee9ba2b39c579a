"""Records of the built-in configurations `sample` and `diagnostic`, made from synthetic scenes."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

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


def diagnostic_records(
    seed: int, scenes: int, workers: int | None = None
) -> tuple[dict[str, Iterator[Record]], dict[str, int]]:
    """Make the scenes of `diagnostic` lazily; the number of workers affects neither the scenes nor their order.

    Args:
        seed: seed of the set.
        scenes: number of scenes, the first of 1,000.
        workers: number of threads; None for one for each core. Drawing leaves the interpreter to other threads, and
            processes would import the caller's script again.

    Returns:
        Records and number of records, by split.
    """
    from earthreason.synthetic.diagnostic import draw_planned, plan_diagnostic

    plans = plan_diagnostic(seed)[:scenes]

    def draw() -> Iterator[Record]:
        with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
            yield from pool.map(
                lambda number: record_of_sample(draw_planned(seed, number, plans[number])), range(len(plans))
            )

    return {"test": draw()}, {"test": len(plans)}


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
