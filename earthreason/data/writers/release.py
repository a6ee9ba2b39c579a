"""Write the layout of the official release: {train,val,test}/{images,labels,QAs}."""

from __future__ import annotations

import json
from pathlib import Path

from earthreason.data.about import About
from earthreason.data.schema import Record
from earthreason.data.sources import Source
from earthreason.data.sources.base import ON_DISK
from earthreason.data.sources.release import SAMPLE_ID
from earthreason.data.writers.base import file_stem, register, suffix_of
from earthreason.errors import EarthReasonError
from earthreason.files import write_json


@register("release")
def write(source: Source, folder: Path, _about: About) -> None:
    """Write three files for every sample, named by its id.

    Raises:
        EarthReasonError: two splits have a sample with one id, or a sample has more masks than one.
    """
    splits: dict[str, str] = {}
    for split in source.counts:
        root = folder / ON_DISK.get(split, split)
        for part in ("images", "labels", "QAs"):
            (root / part).mkdir(parents=True)
        for record in source.read(split):
            stem = file_stem(record.sample_id)
            _refuse_other_masks(record)
            if splits.setdefault(record.sample_id, split) != split:
                raise EarthReasonError(
                    f"{splits[record.sample_id]} and {split} both have a sample {record.sample_id!r}, and the release "
                    "knows samples by their id alone; export as parquet, coco or webdataset instead"
                )
            (root / "images" / f"{stem}.{suffix_of(record)}").write_bytes(record.image)
            (root / "labels" / f"{stem}.png").write_bytes(record.mask)
            stated = {fact: value for fact, value in record.optional_facts().items() if value is not None}
            extra = json.loads(record.extra) if record.extra else {}
            write_json(
                root / "QAs" / f"{stem}.json",
                {
                    SAMPLE_ID: record.sample_id,
                    "questions": record.questions,
                    "answer": record.answers,
                    **stated,
                    **extra,
                },
            )


def _refuse_other_masks(record: Record) -> None:
    for masks, what in ((record.ignore, "ignored pixels"), (record.targets, "separate masks of several targets")):
        if masks is not None:
            raise EarthReasonError(
                f"sample {record.sample_id!r} has {what}, and the layout of the release has no place for them; "
                "export as parquet, coco or webdataset instead"
            )
